use std::collections::{BTreeMap, BTreeSet};

use voice_model::UserId;

use super::{Event, Member};

/// Users that are expected in the call at most; more are not recognised. A channel without a limit holds some thousands.
const MAX_RECOGNISED: usize = 4_096;

/// Users whose key is remembered after they left, at most.
const MAX_KNOWN: usize = 1_024;

/// Who is who: who may be in the group, who is in it as far as media knows, who had which key.
#[derive(Debug)]
pub(super) struct Roster {
    own: UserId,
    recognised: BTreeSet<UserId>,
    /// The others. Outlives the group: media keeps its secrets when the group is reset.
    present: BTreeSet<UserId>,
    /// The last key of everybody who was ever in a group of this session.
    known: BTreeMap<UserId, Vec<u8>>,
}

/// What a new epoch changed.
#[derive(Debug)]
pub(super) struct Changes {
    /// Who is gone.
    pub(super) left: Vec<UserId>,
    /// What to tell the application.
    pub(super) events: Vec<Event>,
}

impl Roster {
    pub(super) fn new(own: UserId) -> Self {
        Self { own, recognised: BTreeSet::new(), present: BTreeSet::new(), known: BTreeMap::new() }
    }

    /// Op 11. Returns how many were too many.
    pub(super) fn connect(&mut self, users: &[UserId]) -> u64 {
        let mut refused = 0;
        for &user in users {
            if self.recognised.len() < MAX_RECOGNISED {
                self.recognised.insert(user);
            } else if !self.recognised.contains(&user) {
                refused += 1;
            }
        }
        refused
    }

    /// Op 13.
    pub(super) fn disconnect(&mut self, user: UserId) {
        self.recognised.remove(&user);
    }

    /// Whether this user may be in the group: announced by op 11 and not gone by op 13, or ourselves.
    pub(super) fn recognises(&self, user: UserId) -> bool {
        user == self.own || self.recognised.contains(&user)
    }

    /// The group has these members now, ourselves included.
    pub(super) fn update(&mut self, members: &BTreeMap<UserId, Member>) -> Changes {
        let left: Vec<_> = self.present.iter().copied().filter(|user| !members.contains_key(user)).collect();
        let mut events: Vec<_> = left.iter().map(|&user| Event::Left(user)).collect();
        for member in members.values().filter(|member| member.user != self.own) {
            if self.present.insert(member.user) {
                events.push(Event::Joined(member.clone()));
            }
            match self.known.insert(member.user, member.key.clone()) {
                Some(old_key) if old_key != member.key => {
                    events.push(Event::KeyChanged { member: member.clone(), old_key });
                }
                _ => {}
            }
        }
        self.present.retain(|user| members.contains_key(user));
        if self.known.len() > MAX_KNOWN {
            let absent: Vec<_> = self.known.keys().copied().filter(|user| !self.present.contains(user)).collect();
            let excess = self.known.len() - MAX_KNOWN;
            absent.iter().take(excess).for_each(|user| drop(self.known.remove(user)));
        }
        Changes { left, events }
    }

    /// There is no group any more, for media either.
    pub(super) fn clear(&mut self) -> Changes {
        self.update(&BTreeMap::new())
    }
}
