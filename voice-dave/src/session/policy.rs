//! What leaves and what may come in, and when that changes. The only place that decides about frames that are not sealed.
//!
//! | situation | our frames | plain frames of others |
//! | --- | --- | --- |
//! | nothing known yet | - | refused (media's default) |
//! | op 4 with version 0 | plain | accepted |
//! | op 4 with version 1, no epoch executed yet | withheld | accepted: peers that are alone send plain |
//! | first epoch executed, also by an upgrade | sealed | accepted for another 10 s |
//! | later epochs | sealed | refused, or until those 10 s are over |
//! | downgrade announced | sealed | accepted for 120 s |
//! | an announced downgrade is dropped | sealed | accepted for another 10 s |
//! | downgrade executed | plain | accepted |
//! | upgrade announced (op 24, epoch 1) | plain | accepted |
//! | sole member reset executed | withheld | accepted: as if alone from the start |
//! | recovery | as before | as before |
//! | a version that we do not speak | withheld | refused |
//!
//! (DAVE protocol, "Passthrough Mode", "Sole member reset".) Time alone never opens anything.

use std::time::{Duration, Instant};

use super::{State, Update};
use crate::Secret;
use crate::transition::RETENTION;

/// How long plain frames are accepted because a downgrade is announced. Peers allow 24 s (davey) and 120 s (libdave) around
/// a change; the gateway's own time-out for it is 2 s. A downgrade executed later than this opens the window again.
const ANNOUNCED: Duration = Duration::from_secs(120);

/// What becomes of our frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sending {
    /// Nobody has said yet.
    Unknown,
    Plain,
    Withheld,
    Sealed,
}

/// Whether plain frames may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Window {
    Shut,
    Open,
    Until(Instant),
    /// A downgrade is announced, and we still seal.
    Announced(Instant),
}

/// What media was told last.
#[derive(Debug)]
pub(super) struct Policy {
    version: u16,
    sending: Sending,
    window: Window,
}

impl Policy {
    pub(super) fn new() -> Self {
        Self { version: 0, sending: Sending::Unknown, window: Window::Shut }
    }

    /// The version in force.
    pub(super) fn version(&self) -> u16 {
        self.version
    }

    /// Whether our frames leave sealed.
    pub(super) fn is_sealing(&self) -> bool {
        self.sending == Sending::Sealed
    }

    /// What to tell the application; `None` before anything is known.
    pub(super) fn state(&self) -> Option<State> {
        match self.sending {
            Sending::Unknown => None,
            Sending::Plain => Some(State::Off),
            Sending::Withheld => Some(State::Pending),
            Sending::Sealed => Some(State::On { version: self.version }),
        }
    }

    /// Version 0 is in force.
    pub(super) fn go_plain(&mut self) -> Vec<Update> {
        self.version = 0;
        let sending = self.switch(Sending::Plain, Update::SendPlain);
        sending.into_iter().chain(self.open()).collect()
    }

    /// The call is encrypted, and there is no group that we could encrypt for.
    pub(super) fn go_pending(&mut self, version: u16) -> Vec<Update> {
        self.version = version;
        let sending = self.switch(Sending::Withheld, Update::Withhold);
        sending.into_iter().chain(self.open()).collect()
    }

    /// An epoch is executed.
    pub(super) fn go_sealed(&mut self, version: u16, secret: Secret, plain_until: Instant) -> Vec<Update> {
        self.version = version;
        self.sending = Sending::Sealed;
        let mut updates = vec![Update::Seal(secret)];
        // A window that is closing already is not held open by the epochs that follow.
        if self.window == Window::Open {
            self.window = Window::Until(plain_until);
            updates.push(Update::AcceptPlain { until: Some(plain_until) });
        }
        updates
    }

    /// The server speaks of a version that we do not.
    pub(super) fn go_dark(&mut self, now: Instant, version: u16) -> Vec<Update> {
        self.version = version;
        let sending = self.switch(Sending::Withheld, Update::Withhold);
        self.window = Window::Shut;
        sending.into_iter().chain([Update::AcceptPlain { until: Some(now) }]).collect()
    }

    /// As long as we seal, the window is what the announced downgrade makes it, if there is one, `announced` then: open,
    /// since others may execute it before us, but not for ever. It closes when the downgrade is pending no longer, whatever
    /// became of it.
    pub(super) fn adjust(&mut self, now: Instant, announced: Option<Instant>) -> Option<Update> {
        if !self.is_sealing() {
            return None;
        }
        let until = match (self.window, announced.map(|announced| announced + ANNOUNCED)) {
            (Window::Announced(until), Some(end)) if until == end => return None,
            (Window::Until(until), Some(end)) if end <= until => return None,
            (_, Some(end)) if end > now => {
                self.window = Window::Announced(end);
                end
            }
            (Window::Announced(until), _) => {
                let end = until.min(now + RETENTION);
                self.window = Window::Until(end);
                // It may be over already.
                if until <= now {
                    return None;
                }
                end
            }
            _ => return None,
        };
        Some(Update::AcceptPlain { until: Some(until) })
    }

    fn open(&mut self) -> Option<Update> {
        (self.window != Window::Open).then(|| {
            self.window = Window::Open;
            Update::AcceptPlain { until: None }
        })
    }

    fn switch(&mut self, sending: Sending, update: Update) -> Option<Update> {
        (self.sending != sending).then(|| {
            self.sending = sending;
            update
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[expect(clippy::disallowed_methods, reason = "time in these tests starts anywhere")]
    fn start() -> Instant {
        Instant::now()
    }

    /// Applies updates as media does: what leaves ('-' nothing, 'p' plain, 's' sealed), and until when plain may come in.
    fn told(seen: &mut (char, Option<Option<Instant>>), updates: impl IntoIterator<Item = Update>) {
        for update in updates {
            match update {
                Update::Seal(_) => seen.0 = 's',
                Update::Withhold => seen.0 = '-',
                Update::SendPlain => seen.0 = 'p',
                Update::AcceptPlain { until } => seen.1 = Some(until),
                other => panic!("{other:?} is not of this file"),
            }
        }
    }

    fn secret() -> Secret {
        Secret::new([1; 16])
    }

    #[test]
    fn the_table_from_version_0() {
        let (now, mut policy, mut seen) = (start(), Policy::new(), ('-', None));
        assert_eq!(policy.state(), None);
        told(&mut seen, policy.go_plain());
        assert_eq!((seen, policy.state()), (('p', Some(None)), Some(State::Off)));
        // Upgrade: nothing until the first epoch, then sealed, with 10 s for stragglers.
        let until = now + Duration::from_secs(10);
        told(&mut seen, policy.go_sealed(1, secret(), until));
        assert_eq!((seen, policy.state()), (('s', Some(Some(until))), Some(State::On { version: 1 })));
        told(&mut seen, policy.go_sealed(1, secret(), until + Duration::from_secs(5)));
        assert_eq!(seen, ('s', Some(Some(until))), "later epochs do not hold it open");
        // Downgrade: first the ears, for a while, then the mouth.
        let announced = until + Duration::from_secs(60);
        told(&mut seen, policy.adjust(announced, Some(announced)));
        assert_eq!((seen, policy.state()), (('s', Some(Some(announced + ANNOUNCED))), Some(State::On { version: 1 })));
        told(&mut seen, policy.go_sealed(1, secret(), announced));
        assert!(policy.adjust(announced + 2 * ANNOUNCED, Some(announced)).is_none(), "time opens nothing");
        told(&mut seen, policy.go_plain());
        assert_eq!((seen, policy.version()), (('p', Some(None)), 0));
        assert!(policy.go_plain().is_empty(), "nothing is said twice");
    }

    #[test]
    fn the_table_from_version_1() {
        let (now, mut policy, mut seen) = (start(), Policy::new(), ('?', None));
        told(&mut seen, policy.go_pending(1));
        assert_eq!((seen, policy.state()), (('-', Some(None)), Some(State::Pending)));
        let until = now + Duration::from_secs(10);
        told(&mut seen, policy.go_sealed(1, secret(), until));
        assert_eq!(seen, ('s', Some(Some(until))));
        // Sole member reset: alone again.
        told(&mut seen, policy.go_pending(1));
        assert_eq!((seen, policy.state()), (('-', Some(None)), Some(State::Pending)));
        // A version from the future: nothing out, nothing plain in.
        told(&mut seen, policy.go_dark(now, 7));
        assert_eq!((seen, policy.version()), (('-', Some(Some(now))), 7));
        assert_eq!(policy.state(), Some(State::Pending));
    }
}
