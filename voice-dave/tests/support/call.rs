use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{GROUP, Gateway, Peer, append, commit_of, start, user, welcome_of};

/// A call: members and a gateway that does what the protocol says, without loss or delay.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) now: Instant,
    pub(crate) gateway: Gateway,
    pub(crate) peers: BTreeMap<u64, Peer>,
    /// Who has which leaf, once a group is established.
    pub(crate) leaves: Vec<Option<u64>>,
    pub(crate) epoch: u64,
    pub(crate) transition: u16,
}

impl Call {
    /// Everybody pending.
    pub(crate) fn new(users: &[u64]) -> Self {
        let gateway = Gateway::new(1, GROUP);
        let mut call =
            Self { now: start(), gateway, peers: BTreeMap::new(), leaves: Vec::new(), epoch: 0, transition: 0 };
        users.iter().for_each(|&id| call.enter(id));
        call
    }

    /// Everybody in a group, and sealing: each joined on its own.
    pub(crate) fn established(users: &[u64]) -> Self {
        let mut call = Self::new(&users[..2]);
        call.add(&users[1..2]);
        call.execute();
        for &id in &users[2..] {
            call.enter(id);
            call.add(&[id]);
            call.execute();
        }
        call.forget_outputs();
        call
    }

    pub(crate) fn forget_outputs(&mut self) {
        self.peers.values_mut().for_each(|peer| peer.outputs.clear());
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    /// Somebody new, pending.
    pub(crate) fn enter(&mut self, id: u64) {
        let others: Vec<_> = self.peers.keys().copied().collect();
        let mut peer = Peer::new(id, self.gateway.group, id);
        peer.enter(self.now, &self.gateway.package(), &others);
        let now = self.now;
        self.peers.values_mut().for_each(|other| other.act(|session| session.handle_connect(now, &[user(id)])));
        self.peers.insert(id, peer);
    }

    pub(crate) fn peer(&mut self, id: u64) -> &mut Peer {
        self.peers.get_mut(&id).expect("somebody of the call")
    }

    pub(crate) fn leaf(&self, id: u64) -> u32 {
        self.leaves.iter().position(|leaf| *leaf == Some(id)).expect("a member") as u32
    }

    pub(crate) fn members(&self) -> Vec<u64> {
        if self.epoch > 0 {
            return self.leaves.iter().flatten().copied().collect();
        }
        self.peers.keys().copied().collect()
    }

    /// An addition of somebody by their last key package.
    pub(crate) fn addition(&self, id: u64) -> Vec<u8> {
        self.gateway.add(&self.peers[&id].key_package(), self.epoch)
    }

    pub(crate) fn removal(&self, id: u64) -> Vec<u8> {
        self.gateway.remove(self.leaf(id), self.epoch)
    }

    /// Proposes to all members but those in `additions`, who are not asked to add themselves.
    pub(crate) fn propose(&mut self, additions: &[u64], removals: &[u64]) {
        let proposals: Vec<_> =
            removals.iter().map(|&id| self.removal(id)).chain(additions.iter().map(|&id| self.addition(id))).collect();
        let payload = append(&proposals.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let now = self.now;
        for id in self.members() {
            if self.epoch > 0 || !additions.contains(&id) {
                self.peer(id).act(|session| session.handle_proposals(now, &payload));
            }
        }
    }

    /// The last op 28 of `winner` becomes an epoch.
    pub(crate) fn announce(&mut self, winner: u64, additions: &[u64], removals: &[u64]) {
        let payload = self.peer(winner).commit();
        let (commit, welcome) = (commit_of(&payload), welcome_of(&payload));
        let (now, established) = (self.now, self.epoch > 0);
        self.transition += 1;
        let id = self.transition;
        let members = if established { self.members() } else { vec![winner] };
        for member in members {
            self.peer(member).act(|session| session.handle_commit(now, id, &commit));
        }
        for &added in additions {
            self.peer(added).act(|session| session.handle_welcome(now, id, &welcome));
        }
        if !established {
            self.leaves = vec![Some(winner)];
        }
        for leaf in &mut self.leaves {
            if leaf.is_some_and(|id| removals.contains(&id)) {
                *leaf = None;
            }
        }
        for &added in additions {
            match self.leaves.iter_mut().find(|leaf| leaf.is_none()) {
                Some(blank) => *blank = Some(added),
                None => self.leaves.push(Some(added)),
            }
        }
        while self.leaves.last() == Some(&None) {
            self.leaves.pop();
        }
        self.epoch += 1;
    }

    /// Adds by the commit of the member with the lowest id.
    pub(crate) fn add(&mut self, additions: &[u64]) {
        self.change(additions, &[]);
    }

    /// Removes by the commit of the member with the lowest id that stays.
    pub(crate) fn remove(&mut self, removals: &[u64]) {
        self.change(&[], removals);
    }

    pub(crate) fn change(&mut self, additions: &[u64], removals: &[u64]) {
        self.propose(additions, removals);
        let mut committers = self.members().into_iter().filter(|id| !additions.contains(id) && !removals.contains(id));
        let winner = committers.next().expect("a committer");
        drop(committers);
        self.announce(winner, additions, removals);
    }

    /// Op 22 for the last transition, to everybody.
    pub(crate) fn execute(&mut self) {
        let (now, id) = (self.now, self.transition);
        self.peers.values_mut().for_each(|peer| peer.act(|session| session.handle_execute_transition(now, id)));
    }

    /// All members agree on their group.
    pub(crate) fn agree(&self) {
        let mut sessions = self.members().into_iter().map(|id| &self.peers[&id].session);
        let first = sessions.next().expect("a member");
        assert_eq!(first.epoch(), Some(self.epoch));
        let expected: Vec<_> = {
            let mut ids = self.members();
            ids.sort_unstable();
            ids.into_iter().map(user).collect()
        };
        assert_eq!(first.members().into_keys().collect::<Vec<_>>(), expected);
        for session in sessions {
            assert_eq!(session.epoch(), first.epoch());
            assert_eq!(session.privacy_code(), first.privacy_code());
            assert_eq!(session.members(), first.members());
        }
    }
}
