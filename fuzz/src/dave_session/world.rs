//! A call of a few users and its gateway, with a pool of everything that was ever sent.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use interop_delivery::{Delivery, Proposal, append, revoke, split};
use voice_dave::Session;
use voice_model::UserId;

use super::invariants::{Member, Sent};
use crate::input::Input;
use crate::start;

pub(super) const USERS: usize = 4;
pub(super) const CHANNEL: u64 = 300_000_000_000_000_001;
/// Messages kept of each kind: the oldest go first.
const POOL: usize = 8;

/// The user of that index; one more than there are is a stranger.
pub(super) const fn id(index: usize) -> u64 {
    200_000_000_000_000_001 + index as u64
}

pub(super) struct World {
    now: Instant,
    members: Vec<Member>,
    delivery: Delivery,
    /// Another gateway, whose signatures are worth nothing.
    foreign: Delivery,
    here: BTreeSet<usize>,
    key_packages: Vec<Option<Vec<u8>>>,
    latest: Vec<Option<Vec<u8>>>,
    proposals: Vec<Proposal>,
    commits: Vec<Vec<u8>>,
    welcomes: Vec<Vec<u8>>,
    transition: u16,
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            now: start(),
            members: (0..USERS).map(Member::new).collect(),
            delivery: Delivery::new(CHANNEL, 1),
            foreign: Delivery::new(CHANNEL, 2),
            here: BTreeSet::new(),
            key_packages: vec![None; USERS],
            latest: vec![None; USERS],
            proposals: Vec::new(),
            commits: Vec::new(),
            welcomes: Vec::new(),
            transition: 0,
        }
    }

    /// Tells one session something, and keeps what it says.
    fn tell(&mut self, user: usize, what: impl FnOnce(&mut Session, Instant)) {
        what(&mut self.members[user].session, self.now);
        let sent = self.members[user].drain(self.now);
        self.keep(user, sent);
    }

    fn keep(&mut self, user: usize, sent: Sent) {
        if let Some(key_package) = sent.key_package {
            self.key_packages[user] = Some(key_package);
        }
        if let Some(payload) = sent.commit_welcome {
            let (commit, welcome) = split(&payload).expect("op 28 is a commit and perhaps a welcome");
            remember(&mut self.commits, commit);
            if let Some(welcome) = welcome {
                remember(&mut self.welcomes, welcome);
            }
            self.latest[user] = Some(payload);
        }
    }

    fn next_transition(&mut self) -> u16 {
        self.transition = self.transition % 7 + 1;
        self.transition
    }

    /// A user joins the voice channel: ops 4, 25 and 11.
    pub(super) fn enter(&mut self, user: usize) {
        let others: Vec<usize> = self.here.iter().copied().filter(|&other| other != user).collect();
        let known: Vec<UserId> = others.iter().map(|&other| name(other)).collect();
        let package = self.delivery.external_sender();
        self.tell(user, |session, now| session.handle_version(now, 1));
        self.tell(user, |session, now| session.handle_external_sender(now, &package));
        self.tell(user, |session, now| session.handle_connect(now, &known));
        for other in others {
            self.tell(other, |session, now| session.handle_connect(now, &[name(user)]));
        }
        self.here.insert(user);
    }

    /// A user is added to the group by another one's commit: op 27, and 29 or 30.
    pub(super) fn admit(&mut self, user: usize, committer: usize) {
        if user == committer || !self.here.contains(&user) || !self.here.contains(&committer) {
            return;
        }
        if self.delivery.contains(id(user)) || (self.delivery.epoch() > 0 && !self.delivery.contains(id(committer))) {
            return;
        }
        let Some(key_package) = self.key_packages[user].clone() else { return };
        let Some(proposal) = self.delivery.add(id(user), &key_package) else { return };
        remember(&mut self.proposals, proposal.clone());
        self.commit(&append(&[&proposal]), committer, Some(user));
    }

    /// A user leaves: op 13, and a commit that removes them.
    pub(super) fn dismiss(&mut self, user: usize, committer: usize) {
        self.here.remove(&user);
        for other in self.here.clone() {
            self.tell(other, |session, now| session.handle_disconnect(now, name(user)));
        }
        if user == committer || !self.delivery.contains(id(committer)) {
            return;
        }
        let Some(proposal) = self.delivery.remove(id(user)) else { return };
        remember(&mut self.proposals, proposal.clone());
        self.commit(&append(&[&proposal]), committer, None);
    }

    /// Everybody of the group gets the proposals; the commit of one of them wins.
    fn commit(&mut self, proposals: &[u8], committer: usize, joiner: Option<usize>) {
        let before = self.delivery.epoch();
        let is_in = |world: &Self, user: usize| {
            user == committer || (before > 0 && world.delivery.contains(id(user)) && world.here.contains(&user))
        };
        let group: Vec<usize> = (0..USERS).filter(|&user| is_in(self, user)).collect();
        self.latest[committer] = None;
        for &user in &group {
            self.tell(user, |session, now| session.handle_proposals(now, proposals));
        }
        // A member that single messages have confused may have nothing to commit, or something of its own.
        let Some((commit, welcome)) = self.latest[committer].take().and_then(|payload| split(&payload)) else { return };
        if !self.delivery.would_accept(&commit) {
            return;
        }
        self.delivery.accept(id(committer), &commit);
        let transition = self.next_transition();
        for &user in &group {
            self.tell(user, |session, now| session.handle_commit(now, transition, &commit));
        }
        if let (Some(joiner), Some(welcome)) = (joiner, welcome) {
            self.tell(joiner, |session, now| session.handle_welcome(now, transition, &welcome));
        }
    }

    /// Op 22 of the latest transition, to everybody.
    pub(super) fn execute_all(&mut self) {
        let transition = self.transition;
        for user in 0..USERS {
            self.tell(user, |session, now| session.handle_execute_transition(now, transition));
        }
    }

    /// A new group: ops 24 and 21.
    pub(super) fn start_over(&mut self) {
        self.delivery.reset();
        for user in 0..USERS {
            self.tell(user, |session, now| session.handle_prepare_epoch(now, 1, 1, None));
            self.tell(user, |session, now| session.handle_prepare_transition(now, 0, 1));
        }
    }

    /// Op 21 to version 0, to everybody.
    pub(super) fn downgrade(&mut self) {
        let transition = self.next_transition();
        for user in 0..USERS {
            self.tell(user, |session, now| session.handle_prepare_transition(now, transition, 0));
        }
    }

    pub(super) fn version(&mut self, user: usize, version: u16) {
        self.tell(user, |session, now| session.handle_version(now, version));
    }

    pub(super) fn connect(&mut self, user: usize, mask: u8) {
        // The stranger, and the user themselves, are among them.
        let users: Vec<UserId> = (0..=USERS).filter(|index| mask >> index & 1 == 1).map(name).collect();
        self.tell(user, |session, now| session.handle_connect(now, &users));
    }

    pub(super) fn disconnect(&mut self, user: usize, other: usize) {
        self.tell(user, |session, now| session.handle_disconnect(now, name(other)));
    }

    pub(super) fn prepare_transition(&mut self, user: usize, transition: u16, version: u16) {
        self.tell(user, |session, now| session.handle_prepare_transition(now, transition, version));
    }

    pub(super) fn execute_transition(&mut self, user: usize, transition: u16) {
        self.tell(user, |session, now| session.handle_execute_transition(now, transition));
    }

    pub(super) fn prepare_epoch(&mut self, user: usize, epoch: u64, version: u16, transition: Option<u16>) {
        self.tell(user, |session, now| session.handle_prepare_epoch(now, epoch, version, transition));
    }

    pub(super) fn external_sender(&mut self, user: usize, input: &mut Input) {
        let gateway = if input.bit() { &self.foreign } else { &self.delivery };
        let package = damaged(gateway.external_sender(), input);
        self.tell(user, |session, now| session.handle_external_sender(now, &package));
    }

    /// A proposal that waits to be delivered, of this gateway or the foreign one, in this epoch or another.
    pub(super) fn propose_add(&mut self, user: usize, choice: u8) {
        let Some(key_package) = self.key_packages[user].clone() else { return };
        let epoch = self.epoch(choice);
        let gateway = if choice & 0x80 == 0 { &mut self.delivery } else { &mut self.foreign };
        if let Some(proposal) = gateway.add_at(epoch, id(user), &key_package) {
            remember(&mut self.proposals, proposal);
        }
    }

    pub(super) fn propose_remove(&mut self, choice: u8) {
        let (epoch, leaf) = (self.epoch(choice >> 3), u32::from(choice & 7));
        let gateway = if choice & 0x80 == 0 { &mut self.delivery } else { &mut self.foreign };
        let proposal = gateway.remove_leaf(epoch, leaf);
        remember(&mut self.proposals, proposal);
    }

    fn epoch(&self, choice: u8) -> u64 {
        match choice & 3 {
            0 | 1 => self.delivery.epoch(),
            2 => self.delivery.epoch().saturating_sub(1),
            _ => self.delivery.epoch() + 1,
        }
    }

    /// Any selection of the pool, any order, any operation, perhaps damaged.
    pub(super) fn deliver_proposals(&mut self, user: usize, input: &mut Input) {
        let (count, is_revoked) = (input.below(4), input.byte() & 3 == 3);
        let chosen: Vec<Proposal> = (0..count).filter_map(|_| pick(&self.proposals, input)).collect();
        let chosen: Vec<&Proposal> = chosen.iter().collect();
        let payload = if is_revoked { revoke(&chosen) } else { append(&chosen) };
        let payload = damaged(payload, input);
        self.tell(user, |session, now| session.handle_proposals(now, &payload));
    }

    pub(super) fn deliver_commit(&mut self, user: usize, input: &mut Input) {
        let Some(commit) = pick(&self.commits, input) else { return };
        let (transition, commit) = (input.short() % 8, damaged(commit, input));
        self.tell(user, |session, now| session.handle_commit(now, transition, &commit));
    }

    pub(super) fn deliver_welcome(&mut self, user: usize, input: &mut Input) {
        let Some(welcome) = pick(&self.welcomes, input) else { return };
        let (transition, welcome) = (input.short() % 8, damaged(welcome, input));
        self.tell(user, |session, now| session.handle_welcome(now, transition, &welcome));
    }

    pub(super) fn deliver_garbage(&mut self, user: usize, input: &mut Input) {
        let (kind, transition, bytes) = (input.below(4), input.short() % 8, input.bytes());
        self.tell(user, |session, now| match kind {
            0 => session.handle_external_sender(now, bytes),
            1 => session.handle_proposals(now, bytes),
            2 => session.handle_commit(now, transition, bytes),
            _ => session.handle_welcome(now, transition, bytes),
        });
    }

    pub(super) fn undecryptable(&mut self, user: usize) {
        self.tell(user, Session::handle_undecryptable);
    }

    /// Up to 25.5 s pass, in steps that no timeout is missed by.
    pub(super) fn wait(&mut self, tenths: u8) {
        let end = self.now + Duration::from_millis(100) * u32::from(tenths);
        for _ in 0..256 {
            let due = self.members.iter().filter_map(|member| member.session.poll_timeout()).min();
            let Some(due) = due.filter(|&due| due <= end) else { break };
            self.now = self.now.max(due);
            for user in 0..USERS {
                let sent = self.members[user].wait(self.now);
                self.keep(user, sent);
            }
        }
        self.now = end;
    }

    /// A frame of one to all the others; how many can open it.
    pub(super) fn speak(&mut self, user: usize) -> usize {
        let Some(frame) = self.members[user].speak() else { return 0 };
        let (now, from) = (self.now, self.members[user].user);
        let others = self.members.iter_mut().filter(|member| member.user != from);
        others.map(|member| usize::from(member.hear(now, from, &frame))).sum()
    }

    /// The epoch of each user's group.
    #[cfg(test)]
    pub(super) fn epochs(&self) -> [Option<u64>; USERS] {
        std::array::from_fn(|user| self.members[user].session.epoch())
    }
}

fn name(index: usize) -> UserId {
    UserId::new(id(index)).expect("not 0")
}

fn remember<T>(pool: &mut Vec<T>, message: T) {
    if pool.len() == POOL {
        pool.remove(0);
    }
    pool.push(message);
}

fn pick<T: Clone>(pool: &[T], input: &mut Input) -> Option<T> {
    let choice = input.below(POOL);
    // The latest one first: that is the one that counts.
    pool.iter().rev().nth(choice % pool.len().max(1)).cloned()
}

/// Mostly as it is; else with a byte changed, cut off or added.
fn damaged(mut message: Vec<u8>, input: &mut Input) -> Vec<u8> {
    let choice = input.byte();
    let at = usize::from(choice >> 3) * message.len() / 32;
    match choice & 7 {
        5 => {
            if let Some(byte) = message.get_mut(at + usize::from(input.byte())) {
                *byte ^= input.byte();
            }
        }
        6 => message.truncate(at + usize::from(input.byte())),
        7 => message.extend_from_slice(input.bytes()),
        _ => {}
    }
    message
}
