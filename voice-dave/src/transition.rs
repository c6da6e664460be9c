use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::Secret;

/// How long receivers keep the keys of the epoch before, counted from when they prepare the next one (DAVE protocol,
/// "Commit Handling").
pub(crate) const RETENTION: Duration = Duration::from_secs(10);

/// Prepared transitions that are kept; the oldest makes room. Discord has one or two under way.
const MAX_PENDING: usize = 16;

/// What executing a transition changes for the sender. Receivers were prepared when it was announced.
#[derive(Debug)]
pub(crate) enum Change {
    /// The group has a new epoch (op 29, op 30): seal with its secret.
    Epoch {
        /// Our secret in that epoch.
        secret: Secret,
        /// The protocol version in force from then on.
        version: u16,
        /// Which of the groups that this session has been in, one after another.
        group: u64,
    },
    /// Op 21 with a version that encrypts: the group stays as it is, or there is none (sole member reset).
    Version(u16),
    /// Op 21 with version 0.
    Downgrade,
}

/// A transition that was announced, and answered with op 23.
#[derive(Debug)]
pub(crate) struct Transition {
    /// What op 22 calls it; not 0, those are executed at once.
    pub(crate) id: u16,
    /// When it was announced.
    pub(crate) prepared: Instant,
    /// What it changes.
    pub(crate) change: Change,
}

impl Transition {
    /// When it is executed even if op 22 never comes. The others drop our old key 10 s after they prepared: by then we
    /// must seal with the new one or nobody hears us, whether the server remembers to say so or not. A downgrade has no
    /// such end: audio never leaves unencrypted because time has passed.
    fn due(&self) -> Option<Instant> {
        matches!(self.change, Change::Epoch { .. }).then(|| self.prepared + RETENTION)
    }
}

/// Transitions between their announcement and their execution, in the order of their announcement.
#[derive(Debug, Default)]
pub(crate) struct Transitions {
    pending: VecDeque<Transition>,
}

impl Transitions {
    /// Remembers a transition. One with the same id is replaced: ids are reused in the long run.
    pub(crate) fn prepare(&mut self, transition: Transition) {
        self.pending.retain(|other| other.id != transition.id);
        if self.pending.len() == MAX_PENDING {
            self.pending.pop_front();
        }
        self.pending.push_back(transition);
    }

    /// The ids of those under way.
    pub(crate) fn ids(&self) -> Vec<u16> {
        self.pending.iter().map(|transition| transition.id).collect()
    }

    /// The change that is pending under this id.
    pub(crate) fn get(&self, id: u16) -> Option<&Change> {
        self.pending.iter().find(|transition| transition.id == id).map(|transition| &transition.change)
    }

    /// Takes what is to be done, in order, when this transition is executed; nothing for an unknown id. Those announced
    /// before it are over, since a sender never goes back to an older secret; of them only the newest epoch is left to
    /// do, and only when this one brings none of its own.
    pub(crate) fn execute(&mut self, id: u16) -> Vec<Transition> {
        let Some(index) = self.pending.iter().position(|transition| transition.id == id) else { return Vec::new() };
        let mut taken: Vec<_> = self.pending.drain(..=index).collect();
        let last = taken.pop();
        taken.retain(|earlier| matches!(earlier.change, Change::Epoch { .. }));
        let earlier = match last {
            Some(Transition { change: Change::Version(_), .. }) => taken.pop(),
            _ => None,
        };
        earlier.into_iter().chain(last).collect()
    }

    /// The newest transition that has waited for op 22 for too long.
    pub(crate) fn overdue(&self, now: Instant) -> Option<u16> {
        let mut ids = self.pending.iter().rev().filter(|transition| transition.due().is_some_and(|due| due <= now));
        ids.next().map(|transition| transition.id)
    }

    /// The newest epoch that waits for its execution.
    pub(crate) fn newest_epoch(&self) -> Option<u16> {
        let mut epochs = self.pending.iter().rev().filter(|pending| matches!(pending.change, Change::Epoch { .. }));
        epochs.next().map(|transition| transition.id)
    }

    /// When the next one will have waited for too long.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.pending.iter().filter_map(Transition::due).min()
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        self.pending.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "time in these tests starts anywhere")]
    fn start() -> Instant {
        Instant::now()
    }

    fn epoch(id: u16, prepared: Instant) -> Transition {
        let change = Change::Epoch { secret: Secret::new([id as u8; 16]), version: 1, group: 1 };
        Transition { id, prepared, change }
    }

    fn ids(transitions: &[Transition]) -> Vec<u16> {
        transitions.iter().map(|transition| transition.id).collect()
    }

    #[test]
    fn executing_a_later_one_drops_the_earlier() {
        let (now, mut transitions) = (start(), Transitions::default());
        for id in 1..=3 {
            transitions.prepare(epoch(id, now));
        }
        assert_eq!(ids(&transitions.execute(2)), [2]);
        assert!(transitions.execute(1).is_empty(), "never back to an older secret");
        assert!(transitions.execute(2).is_empty(), "a duplicate");
        assert_eq!(ids(&transitions.execute(3)), [3]);
    }

    #[test]
    fn a_version_does_not_swallow_the_epoch_before_it() {
        let (now, mut transitions) = (start(), Transitions::default());
        transitions.prepare(epoch(1, now));
        transitions.prepare(epoch(2, now));
        transitions.prepare(Transition { id: 3, prepared: now, change: Change::Version(1) });
        assert_eq!(ids(&transitions.execute(3)), [2, 3]);
    }

    #[test]
    fn an_epoch_falls_due_and_a_downgrade_never() {
        let (now, mut transitions) = (start(), Transitions::default());
        transitions.prepare(Transition { id: 1, prepared: now, change: Change::Downgrade });
        assert_eq!(transitions.deadline(), None);
        transitions.prepare(epoch(2, now + Duration::from_secs(1)));
        let due = now + Duration::from_secs(11);
        assert_eq!(transitions.deadline(), Some(due));
        assert_eq!(transitions.overdue(due - Duration::from_nanos(1)), None);
        assert_eq!(transitions.overdue(due), Some(2));
    }

    #[test]
    fn the_oldest_makes_room() {
        let (now, mut transitions) = (start(), Transitions::default());
        for id in 1..=20 {
            transitions.prepare(epoch(id, now));
        }
        assert!(transitions.execute(4).is_empty());
        assert_eq!(ids(&transitions.execute(5)), [5]);
    }
}
