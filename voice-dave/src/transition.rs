use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::Secret;

/// How long receivers keep the keys of the epoch before, counted from when they prepare the next one (DAVE protocol,
/// "Commit Handling").
pub(crate) const RETENTION: Duration = Duration::from_secs(10);

/// Prepared transitions that are kept; an old one makes room. Discord has one or two under way.
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
    fn is_epoch(&self) -> bool {
        matches!(self.change, Change::Epoch { .. })
    }
}

#[derive(Debug)]
struct Pending {
    transition: Transition,
    /// When it is executed even if op 22 never comes. The others drop our old key 10 s after they prepared: by then we
    /// must seal with the new one or nobody hears us, whether the server remembers to say so or not. A downgrade has no
    /// such end: audio never leaves unencrypted because time has passed.
    due: Option<Instant>,
}

/// Transitions between their announcement and their execution, in the order of their announcement.
#[derive(Debug, Default)]
pub(crate) struct Transitions {
    pending: VecDeque<Pending>,
}

impl Transitions {
    /// Remembers a transition. One with the same id is replaced, since ids are reused in the long run; but an epoch only by
    /// an epoch. When there are too many, what is no epoch makes room first.
    ///
    /// An epoch is only ever lost to a newer one, which then inherits when it is due. Otherwise the server could have us
    /// seal for ever with a key that a removed member has.
    pub(crate) fn prepare(&mut self, transition: Transition) {
        let mut due = transition.is_epoch().then(|| transition.prepared + RETENTION);
        if let Some(index) = self.position(transition.id) {
            let is_epoch = self.pending.get(index).is_some_and(|pending| pending.transition.is_epoch());
            if is_epoch && !transition.is_epoch() {
                return;
            }
            let replaced = self.pending.remove(index).and_then(|pending| pending.due);
            due = due.map(|due| replaced.map_or(due, |replaced| replaced.min(due)));
        }
        self.pending.push_back(Pending { transition, due });
        if self.pending.len() > MAX_PENDING {
            self.make_room();
        }
    }

    fn make_room(&mut self) {
        let mut old = self.pending.iter().take(MAX_PENDING);
        let oldest = old.position(|pending| !pending.transition.is_epoch()).unwrap_or_default();
        if let Some(Pending { due: Some(lost), .. }) = self.pending.remove(oldest)
            && let Some(due) = self.pending.front_mut().and_then(|heir| heir.due.as_mut())
        {
            *due = lost.min(*due);
        }
    }

    fn position(&self, id: u16) -> Option<usize> {
        self.pending.iter().position(|pending| pending.transition.id == id)
    }

    /// The ids of those under way.
    pub(crate) fn ids(&self) -> Vec<u16> {
        self.pending.iter().map(|pending| pending.transition.id).collect()
    }

    /// The change that is pending under this id.
    pub(crate) fn get(&self, id: u16) -> Option<&Change> {
        self.position(id).and_then(|index| self.pending.get(index)).map(|pending| &pending.transition.change)
    }

    /// When the newest downgrade that is pending was announced.
    pub(crate) fn downgrade(&self) -> Option<Instant> {
        let transitions = self.pending.iter().map(|pending| &pending.transition);
        let downgrades = transitions.filter(|transition| matches!(transition.change, Change::Downgrade));
        downgrades.map(|transition| transition.prepared).max()
    }

    /// Takes what is to be done, in order, when this transition is executed; nothing for an unknown id. Those announced
    /// before it are over, since a sender never goes back to an older secret; of them only the newest epoch is left to
    /// do, and only when this one brings none of its own.
    pub(crate) fn execute(&mut self, id: u16) -> Vec<Transition> {
        let Some(index) = self.position(id) else { return Vec::new() };
        let mut taken: Vec<_> = self.pending.drain(..=index).map(|pending| pending.transition).collect();
        let last = taken.pop();
        taken.retain(Transition::is_epoch);
        let earlier = match last {
            Some(Transition { change: Change::Version(_), .. }) => taken.pop(),
            _ => None,
        };
        earlier.into_iter().chain(last).collect()
    }

    /// The newest transition that has waited for op 22 for too long.
    pub(crate) fn overdue(&self, now: Instant) -> Option<u16> {
        let mut overdue = self.pending.iter().rev().filter(|pending| pending.due.is_some_and(|due| due <= now));
        overdue.next().map(|pending| pending.transition.id)
    }

    /// The newest epoch that waits for its execution.
    pub(crate) fn newest_epoch(&self) -> Option<u16> {
        let mut epochs = self.pending.iter().rev().filter(|pending| pending.transition.is_epoch());
        epochs.next().map(|pending| pending.transition.id)
    }

    /// When the next one will have waited for too long.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.pending.iter().filter_map(|pending| pending.due).min()
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
    fn the_oldest_makes_room_and_leaves_its_due() {
        let (now, mut transitions) = (start(), Transitions::default());
        for id in 1..=20 {
            transitions.prepare(epoch(id, now + Duration::from_secs(u64::from(id))));
        }
        assert_eq!(transitions.deadline(), Some(now + Duration::from_secs(11)));
        assert!(transitions.execute(4).is_empty());
        assert_eq!(ids(&transitions.execute(5)), [5]);
    }

    #[test]
    fn an_epoch_gives_way_to_an_epoch_only() {
        let (now, mut transitions) = (start(), Transitions::default());
        transitions.prepare(epoch(1, now));
        for id in 1..=40 {
            transitions.prepare(Transition { id, prepared: now, change: Change::Downgrade });
        }
        assert_eq!((transitions.newest_epoch(), transitions.ids().len()), (Some(1), MAX_PENDING));
        assert_eq!(transitions.downgrade(), Some(now));
        transitions.prepare(epoch(1, now + Duration::from_secs(5)));
        assert_eq!((transitions.deadline(), transitions.ids().last()), (Some(now + RETENTION), Some(&1)));
    }
}
