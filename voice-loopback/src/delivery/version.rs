use std::collections::BTreeSet;

use gateway::text::{self, PrepareEpoch, PrepareTransition};
use model::UserId;

use super::group::Group;
use super::{Context, Delivery, FIRST_EPOCH, VERSION};

impl Delivery {
    /// A client without end-to-end encryption comes: the call goes on without (DAVE protocol, "Downgrade to
    /// Transport-Only Encryption").
    pub(super) fn downgrade(&mut self, cx: &mut Context<'_>) {
        if self.version == 0 {
            return;
        }
        self.version = 0;
        self.abandon();
        let users: Vec<UserId> = self.participants.keys().copied().collect();
        if users.is_empty() {
            return;
        }
        cx.stats.downgrades += 1;
        let id = self.transitions.number();
        users.iter().for_each(|user| self.prepare_transition(*user, id, 0));
        let waiting = self.connected(&users);
        self.transitions.push(cx.now, id, users, waiting);
    }

    /// The last one of them has left: the others make a new group (section "Upgrade from Transport-Only Encryption").
    pub(super) fn upgrade(&mut self, cx: &mut Context<'_>) {
        if self.version == self.offered {
            return;
        }
        self.version = self.offered;
        self.abandon();
        let users: Vec<UserId> = self.participants.keys().copied().collect();
        cx.stats.upgrades += u64::from(!users.is_empty());
        for user in &users {
            self.introduce(*user, cx.authority);
            self.prepare_epoch(*user);
        }
        if let [sole] = users[..] {
            self.prepare_transition(sole, 0, VERSION);
        }
    }

    /// One member is left of an established group: it makes a new one, which others can join (section "Sole member
    /// reset").
    pub(super) fn reset_sole(&mut self, cx: &mut Context<'_>) {
        let mut users = self.participants.keys();
        let (Some(&sole), None) = (users.next(), users.next()) else { return };
        if !self.group.is_established() || !self.participants.get(&sole).is_some_and(|it| it.established) {
            return;
        }
        cx.stats.resets += 1;
        self.abandon();
        self.prepare_epoch(sole);
        self.prepare_transition(sole, 0, VERSION);
    }

    /// Gives a group up in which nobody is left who can commit. Everybody makes a new one: in those that the pending ones have
    /// of their own, proposals of the first epoch may be queued that nobody would revoke any more.
    pub(super) fn bury(&mut self, cx: &mut Context<'_>) {
        if !self.group.is_established() || self.participants.values().any(|participant| participant.leaf.is_some()) {
            return;
        }
        if !self.participants.is_empty() {
            cx.stats.resets += 1;
        }
        let pending = self.participants.iter().filter(|(_, it)| !it.established && it.candidate.is_some());
        let pending: Vec<UserId> = pending.map(|(user, _)| *user).collect();
        self.renew();
        pending.into_iter().for_each(|user| self.prepare_epoch(user));
    }

    /// Everybody makes a new group.
    pub(super) fn renew(&mut self) {
        self.forget_group();
        let misled = self.participants.iter().filter(|(_, participant)| participant.established);
        for user in misled.map(|(user, _)| *user).collect::<Vec<_>>() {
            self.prepare_epoch(user);
        }
    }

    /// Forgets the group, and the key packages of everybody.
    fn abandon(&mut self) {
        self.forget_group();
        for participant in self.participants.values_mut() {
            participant.candidate = None;
        }
    }

    fn forget_group(&mut self) {
        self.group = Group::default();
        self.proposals.revoke();
        self.transitions.clear();
        self.history.clear();
        (self.founder, self.doubts, self.batch) = (None, 0, None);
        for participant in self.participants.values_mut() {
            participant.leaf = None;
        }
    }

    /// Op 24: the client leaves its group, and sends a new key package.
    pub(super) fn prepare_epoch(&mut self, user: UserId) {
        if let Some(participant) = self.participants.get_mut(&user) {
            (participant.leaf, participant.candidate, participant.established) = (None, None, false);
        }
        let prepare = PrepareEpoch { protocol_version: VERSION, epoch: FIRST_EPOCH, transition: None };
        self.tell(user, text::Message::PrepareEpoch(prepare));
    }

    /// Op 21.
    pub(super) fn prepare_transition(&mut self, user: UserId, transition: u16, protocol_version: u16) {
        if let Some(participant) = self.participants.get_mut(&user) {
            participant.established &= protocol_version > 0;
        }
        let prepare = PrepareTransition { transition, protocol_version };
        self.tell(user, text::Message::PrepareTransition(prepare));
    }

    /// Those of them who have a WebSocket: only they can answer.
    pub(super) fn connected(&self, users: &[UserId]) -> BTreeSet<UserId> {
        let is_connected = |user: &UserId| self.participants.get(user).is_some_and(|participant| participant.connected);
        users.iter().copied().filter(is_connected).collect()
    }
}
