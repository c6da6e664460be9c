//! What to do when the WebSocket closes (Discord developer documentation, "Voice Close Event Codes").
//!
//! Counting attempts and waiting between them is the owner's; these are pure functions of the code.

use std::time::Duration;

/// How long to stay away after 4008, too many messages.
pub const RATE_LIMIT_PAUSE: Duration = Duration::from_secs(5);

/// The code to close a WebSocket with whose session shall be resumed. Any but 1000 and 1001 keeps the session; this
/// one is in the range that is free for applications (RFC 6455, section 7.4.2) and no code of Discord's.
pub const RESUMABLE: u16 = 4_900;

/// What a close code asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Connect again and resume, with back-off; after five failures join afresh.
    Resume,
    /// As [`Verdict::Resume`], but not before this time has passed.
    ResumeAfter(Duration),
    /// The session is gone: join afresh with a new token, a bounded number of times, with back-off.
    Rejoin,
    /// Somebody's mistake, ours or theirs: join afresh once, then end.
    RejoinOnce,
    /// Kicked, moved, or the main gateway's session was lost: the next voice state or server update tells which. Wait
    /// for it, up to 10 s.
    AwaitUpdate,
    /// Trying again cannot help.
    Stop,
}

/// What to do after the *other side* closed with `code`, or without one (`None`: network error, missed acks).
///
/// `described`: op 4 had been seen, without which there is nothing to resume.
pub const fn verdict(code: Option<u16>, described: bool) -> Verdict {
    match code {
        None | Some(0..=4000 | 4013 | 4015) if described => Verdict::Resume,
        Some(4008) if described => Verdict::ResumeAfter(RATE_LIMIT_PAUSE),
        Some(4001 | 4002 | 4003 | 4005 | 4012 | 4020) => Verdict::RejoinOnce,
        Some(4014 | 4022) => Verdict::AwaitUpdate,
        Some(4004 | 4016 | 4017 | 4021) => Verdict::Stop,
        _ => Verdict::Rejoin,
    }
}

/// What a close code means and, where something can be done, what; for error texts.
pub const fn meaning(code: u16) -> &'static str {
    match code {
        1000 => "closed normally",
        1001 => "the voice server is going away",
        1006 => "the connection broke without a close frame",
        4000 => "unknown error",
        4001 => "unknown opcode: one of our messages was not understood",
        4002 => "one of our messages could not be decoded",
        4003 => "not authenticated: something was sent before identify",
        4004 => "authentication failed: the token is wrong or used up; get a new VOICE_SERVER_UPDATE",
        4005 => "already authenticated: identify was sent twice",
        4006 => "the session is no longer valid: session id and token must both come from the same join",
        4008 => "too many messages",
        4009 => "the session timed out",
        4011 => "the voice server was not found: the endpoint is out of date",
        4012 => "unknown protocol in select protocol",
        4013 => "the connection was dropped by the server",
        4014 => "disconnected: kicked, moved, or the channel is gone",
        4015 => "the voice server crashed",
        4016 => "unknown encryption mode: choose one that the server offers in op 2",
        4017 => "this call needs end-to-end encryption: identify with a DAVE protocol version above 0",
        4020 => "bad request: one of our messages was refused",
        4021 => "rate limited: join less often",
        4022 => "the call was terminated: the channel was deleted, the server changed, or the session ended",
        code if code / 1_000 == 4 => "a close code of Discord's that is not documented",
        _ => "the connection was closed",
    }
}

#[cfg(test)]
mod tests {
    use super::{RATE_LIMIT_PAUSE, Verdict, meaning, verdict};

    #[test]
    fn the_table() {
        let resume: &[Option<u16>] =
            &[None, Some(1000), Some(1001), Some(1006), Some(1012), Some(3999), Some(4000), Some(4013), Some(4015)];
        for &code in resume {
            assert_eq!(verdict(code, true), Verdict::Resume, "{code:?}");
            assert_eq!(verdict(code, false), Verdict::Rejoin, "{code:?}: nothing to resume");
        }
        for code in [4006, 4009, 4011, 4007, 4010, 4018, 4019, 4999, u16::MAX] {
            assert_eq!(verdict(Some(code), true), Verdict::Rejoin, "{code}");
        }
        for code in [4001, 4002, 4003, 4005, 4012, 4020] {
            assert_eq!(verdict(Some(code), true), Verdict::RejoinOnce, "{code}");
        }
        for code in [4004, 4016, 4017, 4021] {
            assert_eq!(verdict(Some(code), true), Verdict::Stop, "{code}");
        }
        for code in [4014, 4022] {
            assert_eq!(verdict(Some(code), true), Verdict::AwaitUpdate, "{code}");
        }
        assert_eq!(verdict(Some(4008), true), Verdict::ResumeAfter(RATE_LIMIT_PAUSE));
        assert_eq!(verdict(Some(4008), false), Verdict::Rejoin);
    }

    #[test]
    fn only_resuming_depends_on_the_session() {
        for code in 0..=u16::MAX {
            let (described, undescribed) = (verdict(Some(code), true), verdict(Some(code), false));
            let resumes = matches!(described, Verdict::Resume | Verdict::ResumeAfter(_));
            assert_eq!(undescribed, if resumes { Verdict::Rejoin } else { described }, "{code}");
        }
    }

    #[test]
    fn every_code_has_a_meaning() {
        assert!((0..=u16::MAX).all(|code| !meaning(code).is_empty()));
        assert!(meaning(4017).contains("end-to-end"));
    }
}
