use std::time::Duration;

use gateway::close::{self, Verdict};

use super::Rung;
use crate::config::Retry;
use crate::error::{Cause, Stage};

/// What follows a fault of the connection. Pure: the close-code table, and what is known of the session.
pub(super) fn verdict(cause: &Cause, stage: Option<Stage>, described: bool) -> Verdict {
    match cause {
        // A close between resume and resumed is a refusal of the resume.
        Cause::Closed { code, .. } if stage == Some(Stage::Resume) => match close::verdict(Some(*code), described) {
            Verdict::Resume | Verdict::ResumeAfter(_) => Verdict::Rejoin,
            other => other,
        },
        Cause::Closed { code, .. } => close::verdict(Some(*code), described),
        // Nothing was said to the server yet: the same info may be dialed again.
        Cause::Dial(_) => Verdict::Resume,
        Cause::TimedOut { .. } if stage == Some(Stage::Dial) => Verdict::Resume,
        Cause::TimedOut { .. } | Cause::Cut(_) | Cause::MissedAcks(_) => close::verdict(None, described),
        Cause::Media { rung, .. } if *rung != Rung::Rejoin && described => Verdict::Resume,
        Cause::Malformed { .. } if described => Verdict::Resume,
        Cause::Malformed { .. }
        | Cause::KeyExhausted
        | Cause::Spent
        | Cause::Udp(_)
        | Cause::Media { .. }
        | Cause::Encryption => Verdict::Rejoin,
        Cause::ServerGone | Cause::Moved => Verdict::AwaitUpdate,
        Cause::Endpoint(_)
        | Cause::NoUpdates { .. }
        | Cause::NoCommonMode(_)
        | Cause::ModeRefused { .. }
        | Cause::UnexpectedMode(_)
        | Cause::NotEncrypted
        | Cause::Link(_) => Verdict::Stop,
    }
}

/// How long to wait before attempt number `attempt`, counted from 1, give or take a tenth.
///
/// `noise` is any number; the same noise gives the same wait.
pub(super) fn back_off(retry: &Retry, attempt: u32, noise: u64) -> Duration {
    let Some(doublings) = attempt.checked_sub(2) else { return Duration::ZERO };
    let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
    let wait = retry.first.saturating_mul(factor).min(retry.longest);
    let tenth = wait / 10;
    wait - tenth + tenth.mul_f64((noise % 1_000) as f64 / 500.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed(code: u16) -> Cause {
        Cause::Closed { code, reason: String::new() }
    }

    #[test]
    fn a_close_between_resume_and_resumed_is_a_refusal() {
        assert_eq!(verdict(&closed(4015), Some(Stage::Resume), true), Verdict::Rejoin);
        assert_eq!(verdict(&closed(4015), None, true), Verdict::Resume);
        assert_eq!(verdict(&closed(4004), Some(Stage::Resume), true), Verdict::Stop);
    }

    #[test]
    fn only_a_described_session_is_resumed() {
        assert_eq!(verdict(&Cause::MissedAcks(2), None, true), Verdict::Resume);
        assert_eq!(verdict(&Cause::Cut(String::new()), Some(Stage::Ready), false), Verdict::Rejoin);
    }

    #[test]
    fn back_off_doubles_up_to_its_limit() {
        let retry = Retry::default();
        assert_eq!(back_off(&retry, 1, 0), Duration::ZERO);
        for noise in 0..2_000 {
            let second = back_off(&retry, 2, noise);
            let third = back_off(&retry, 3, noise);
            assert!(second >= retry.first.mul_f64(0.9) && second <= retry.first.mul_f64(1.1), "{second:?}");
            assert!(third >= retry.first.mul_f64(1.8) && third <= retry.first.mul_f64(2.2), "{third:?}");
        }
        assert!(back_off(&retry, 1_000, 999) <= retry.longest.mul_f64(1.1));
    }
}
