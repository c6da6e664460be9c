use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use model::UserId;

/// A transition is executed after this long although not everybody is ready (DAVE protocol, "Member Remove").
const TIMEOUT: Duration = Duration::from_secs(2);

/// At most this many wait to be executed; beyond that the oldest is executed early.
const MAX_WAITING: usize = 64;

/// One transition that was announced (op 21, 29 or 30) and waits to be executed (op 22).
#[derive(Debug)]
pub(super) struct Transition {
    pub(super) id: u16,
    /// Who was told of it, and is told of its execution.
    pub(super) recipients: Vec<UserId>,
    /// Whose op 23 has not come yet; only of those who have a WebSocket.
    waiting: BTreeSet<UserId>,
    deadline: Instant,
}

/// What was announced and not executed yet, oldest first. They are executed in this order.
#[derive(Debug, Default)]
pub(super) struct Transitions {
    last: u16,
    queue: VecDeque<Transition>,
}

impl Transitions {
    /// The next id: from 1 up; 0 means a (re)initialisation that is executed at once.
    pub(super) fn number(&mut self) -> u16 {
        self.last = self.last.checked_add(1).unwrap_or(1);
        self.last
    }

    pub(super) fn push(&mut self, now: Instant, id: u16, recipients: Vec<UserId>, waiting: BTreeSet<UserId>) {
        self.queue.push_back(Transition { id, recipients, waiting, deadline: now + TIMEOUT });
    }

    /// Op 23; false when nobody waits for it.
    pub(super) fn note_ready(&mut self, user: UserId, id: u16) -> bool {
        self.queue.iter_mut().find(|it| it.id == id).is_some_and(|transition| transition.waiting.remove(&user))
    }

    /// Waits no longer for this user.
    pub(super) fn excuse(&mut self, user: UserId) {
        for transition in &mut self.queue {
            transition.waiting.remove(&user);
        }
    }

    /// Does not tell this user of the transition's execution; of no transition's when `id` is `None`.
    pub(super) fn drop_recipient(&mut self, user: UserId, id: Option<u16>) {
        for transition in self.queue.iter_mut().filter(|it| id.is_none_or(|id| it.id == id)) {
            transition.recipients.retain(|recipient| *recipient != user);
        }
    }

    /// The next one to be executed, and whether that is because time is up.
    pub(super) fn pop(&mut self, now: Instant) -> Option<(Transition, bool)> {
        let first = self.queue.front()?;
        let is_ready = first.waiting.is_empty();
        if !is_ready && now < first.deadline && self.queue.len() <= MAX_WAITING {
            return None;
        }
        Some((self.queue.pop_front()?, !is_ready))
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.queue.front().map(|transition| transition.deadline)
    }

    /// Forgets all that waits: it is superseded.
    pub(super) fn clear(&mut self) {
        self.queue.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use model::UserId;

    use super::{MAX_WAITING, Transitions};

    #[expect(clippy::disallowed_methods, reason = "any instant will do as the start of virtual time")]
    fn start() -> Instant {
        Instant::now()
    }

    fn user(id: u64) -> UserId {
        UserId::new(id).expect("not zero")
    }

    fn announce(transitions: &mut Transitions, now: Instant, users: &[u64]) -> u16 {
        let users: Vec<UserId> = users.iter().copied().map(user).collect();
        let id = transitions.number();
        transitions.push(now, id, users.clone(), users.into_iter().collect());
        id
    }

    #[test]
    fn numbers_skip_zero() {
        let mut transitions = Transitions { last: u16::MAX - 1, ..Transitions::default() };
        assert_eq!([transitions.number(), transitions.number(), transitions.number()], [u16::MAX, 1, 2]);
    }

    #[test]
    fn executed_when_all_are_ready_in_order() {
        let (mut transitions, now) = (Transitions::default(), start());
        let first = announce(&mut transitions, now, &[1, 2]);
        let second = announce(&mut transitions, now, &[1]);
        assert!(transitions.note_ready(user(1), second));
        assert!(transitions.pop(now).is_none(), "the first comes first");
        assert!(transitions.note_ready(user(1), first) && !transitions.note_ready(user(1), first));
        assert!(!transitions.note_ready(user(3), first) && !transitions.note_ready(user(2), 99));
        transitions.excuse(user(2));
        let ids: Vec<_> = std::iter::from_fn(|| transitions.pop(now)).map(|(it, late)| (it.id, late)).collect();
        assert_eq!(ids, [(first, false), (second, false)]);
    }

    #[test]
    fn executed_when_time_is_up() {
        let (mut transitions, now) = (Transitions::default(), start());
        announce(&mut transitions, now, &[1]);
        assert_eq!(transitions.poll_timeout(), Some(now + Duration::from_secs(2)));
        assert!(transitions.pop(now + Duration::from_millis(1_999)).is_none());
        assert!(transitions.pop(now + Duration::from_secs(2)).is_some_and(|(_, late)| late));
        assert_eq!(transitions.poll_timeout(), None);
    }

    #[test]
    fn they_are_bounded() {
        let (mut transitions, now) = (Transitions::default(), start());
        (0..MAX_WAITING).for_each(|_| _ = announce(&mut transitions, now, &[1]));
        assert!(transitions.pop(now).is_none());
        announce(&mut transitions, now, &[1]);
        assert!(transitions.pop(now).is_some() && transitions.pop(now).is_none());
    }
}
