use std::collections::{BTreeMap, BTreeSet};

use interop_delivery::{Delivery, append, revoke, split};
use voice_dave::Codec;

use crate::{CHANNEL, CODECS, Member, sample};

/// A call and its gateway, which does everything right.
pub struct Call {
    delivery: Delivery,
    members: Vec<Box<dyn Member>>,
    connected: BTreeSet<u64>,
    transition: u16,
    /// Frames so far: no two are equal.
    frames: u32,
    is_plain: bool,
}

/// A frame under way.
struct Flying {
    from: u64,
    codec: Codec,
    frame: Vec<u8>,
    sealed: Vec<u8>,
}

impl Default for Call {
    fn default() -> Self {
        Self {
            delivery: Delivery::new(CHANNEL, 1),
            members: Vec::new(),
            connected: BTreeSet::new(),
            // Ids of which one byte alone would not do.
            transition: 0x7E,
            frames: 0,
            is_plain: false,
        }
    }
}

impl Call {
    /// Somebody joins, and is added by the commit of `committer`.
    pub fn join(&mut self, mut member: Box<dyn Member>, committer: u64) {
        let user = member.user();
        println!("{} {user} joins, {committer} commits", member.name());
        member.external_sender(&self.delivery.external_sender());
        self.members.push(member);
        self.connected.insert(user);
        self.announce_connected();
        if self.delivery.epoch() == 0 {
            if self.members.len() > 1 {
                self.establish(committer);
            }
            return;
        }
        let key_package = self.member(user).key_package();
        let add = self.delivery.add(user, &key_package).expect("a good key package");
        self.change(&append(&[&add]), committer, &[user]);
    }

    /// Two come, both are proposed, one is gone before there is a commit: the gateway takes that proposal back.
    pub fn join_without(&mut self, mut ghost: Box<dyn Member>, mut member: Box<dyn Member>, committer: u64) {
        let (user, gone) = (member.user(), ghost.user());
        println!("{} {user} joins, {gone} only nearly does, {committer} commits", member.name());
        member.external_sender(&self.delivery.external_sender());
        let add_ghost = self.delivery.add(gone, &ghost.key_package()).expect("a good key package");
        let add = self.delivery.add(user, &member.key_package()).expect("a good key package");
        self.members.push(member);
        self.connected.extend([user, gone]);
        self.announce_connected();
        self.propose(&append(&[&add_ghost, &add]), &[user]);
        self.connected.remove(&gone);
        self.announce_connected();
        self.change(&revoke(&[&add_ghost]), committer, &[user]);
    }

    /// Somebody leaves, and is removed by the commit of `committer`; the last one to stay starts over.
    pub fn leave(&mut self, user: u64, committer: u64) {
        let at = self.members.iter().position(|member| member.user() == user).expect("somebody of the call");
        println!("{} {user} leaves, {committer} commits", self.members[at].name());
        self.members.remove(at);
        self.connected.remove(&user);
        self.announce_connected();
        if self.members.len() == 1 {
            self.delivery.reset();
            let last = &mut self.members[0];
            last.start_over(1);
            last.prepare(0, 1);
            assert_eq!(last.seal(Codec::Opus, &sample(Codec::Opus, 1)), None, "keys of a group that is no more");
            return;
        }
        let remove = self.delivery.remove(user).expect("a member of the group");
        self.change(&append(&[&remove]), committer, &[]);
    }

    /// One commit removes somebody and adds somebody else.
    pub fn replace(&mut self, user: u64, mut member: Box<dyn Member>, committer: u64) {
        println!("{} {} takes the place of {user}, {committer} commits", member.name(), member.user());
        let newcomer = member.user();
        self.members.retain(|member| member.user() != user);
        self.connected.remove(&user);
        member.external_sender(&self.delivery.external_sender());
        let key_package = member.key_package();
        self.members.push(member);
        self.connected.insert(newcomer);
        self.announce_connected();
        let remove = self.delivery.remove(user).expect("a member of the group");
        let add = self.delivery.add(newcomer, &key_package).expect("a good key package");
        self.change(&append(&[&remove, &add]), committer, &[newcomer]);
    }

    /// The call goes on without end-to-end encryption.
    pub fn downgrade(&mut self) {
        println!("downgrade");
        let transition = self.next_transition();
        let before = self.fly();
        for member in &mut self.members {
            member.prepare(transition, 0);
        }
        self.land(&before, "sealed before the downgrade");
        let during = self.fly();
        self.execute(transition);
        self.land(&during, "sealed during the downgrade");
        self.is_plain = true;
        self.talk();
        self.delivery.reset();
    }

    /// The call is encrypted again, by a new group.
    pub fn upgrade(&mut self, committer: u64) {
        println!("upgrade, {committer} commits");
        for member in &mut self.members {
            member.start_over(1);
        }
        let plain = self.fly();
        self.is_plain = false;
        self.establish(committer);
        self.land(&plain, "plain before the upgrade");
    }

    /// The codes and fingerprints of each pair, which are slow.
    pub fn verify_pairs(&mut self) {
        let users: Vec<u64> = self.members.iter().map(|member| member.user()).collect();
        for (at, &one) in users.iter().enumerate() {
            for &other in &users[at + 1..] {
                let fingerprint = self.member(one).pair_fingerprint(other);
                assert_eq!(fingerprint.len(), 64);
                assert_eq!(fingerprint, self.member(other).pair_fingerprint(one), "{one} and {other}");
                let code = self.member(one).pair_code(other);
                assert_eq!(code.len(), 45);
                assert_eq!(code, self.member(other).pair_code(one), "{one} and {other}");
            }
        }
    }

    fn member(&mut self, user: u64) -> &mut dyn Member {
        let found = self.members.iter_mut().find(|member| member.user() == user);
        &mut **found.expect("somebody of the call")
    }

    fn announce_connected(&mut self) {
        for member in &mut self.members {
            member.connected(&self.connected);
        }
    }

    fn next_transition(&mut self) -> u16 {
        self.transition += 1;
        self.transition
    }

    /// The first commit: every pending member gets the adds of the others, and commits; one commit wins.
    fn establish(&mut self, committer: u64) {
        let users: Vec<u64> = self.members.iter().map(|member| member.user()).collect();
        let add = |user: u64| {
            let key_package = self.member(user).key_package();
            (user, self.delivery.add(user, &key_package).expect("a good key package"))
        };
        let adds: Vec<_> = users.iter().copied().map(add).collect();
        let mut winner = None;
        for &user in &users {
            let others: Vec<_> = adds.iter().filter(|(other, _)| *other != user).map(|(_, add)| add).collect();
            let answer = self.member(user).proposals(&append(&others)).expect("an op 28");
            if user == committer {
                winner = Some(answer);
            }
        }
        let joiners: Vec<u64> = users.into_iter().filter(|&user| user != committer).collect();
        self.transit(&winner.expect("a committer of the call"), committer, &joiners, &[]);
    }

    /// Everybody of the group gets an op 27, and answers.
    fn propose(&mut self, payload: &[u8], joiners: &[u64]) -> BTreeMap<u64, Vec<u8>> {
        let group = self.members.iter_mut().filter(|member| !joiners.contains(&member.user()));
        group.map(|member| (member.user(), member.proposals(payload).expect("an op 28"))).collect()
    }

    /// The same, and the answer of `committer` wins.
    fn change(&mut self, payload: &[u8], committer: u64, joiners: &[u64]) {
        let mut answers = self.propose(payload, joiners);
        let winner = answers.remove(&committer).expect("a committer of the group");
        let staying: Vec<u64> = answers.into_keys().chain([committer]).collect();
        self.transit(&winner, committer, joiners, &staying);
    }

    /// Announces a commit, and executes its transition; frames are under way all the time.
    fn transit(&mut self, op_28: &[u8], committer: u64, joiners: &[u64], staying: &[u64]) {
        let (commit, welcome) = split(op_28).expect("a commit");
        assert_eq!(welcome.is_some(), !joiners.is_empty(), "a welcome for those who are added, and only then");
        self.delivery.accept(committer, &commit);
        let transition = self.next_transition();
        let before = self.fly_from(staying);
        for member in &mut self.members {
            match &welcome {
                Some(welcome) if joiners.contains(&member.user()) => member.welcome(transition, welcome),
                _ => member.commit(transition, &commit),
            }
        }
        self.agree();
        let during = self.fly_from(staying);
        self.land_at(&before, staying, "sealed before the commit");
        self.execute(transition);
        self.talk();
        self.land_at(&during, staying, "sealed between commit and execution");
    }

    fn execute(&mut self, transition: u16) {
        for member in &mut self.members {
            member.execute(transition);
        }
    }

    /// Everybody has the same group.
    fn agree(&mut self) {
        let in_group: BTreeSet<u64> = self.delivery.users().collect();
        assert_eq!(in_group, self.connected);
        let mut seen = None;
        for member in &mut self.members {
            let what = (member.authenticator(), member.privacy_code(), member.keys());
            assert_eq!(what.0.len(), 32, "{}", member.name());
            assert!(what.1.len() == 30 && what.1.bytes().all(|digit| digit.is_ascii_digit()), "{}", what.1);
            assert_eq!(what.2.keys().copied().collect::<BTreeSet<_>>(), self.connected, "{}", member.name());
            assert!(what.2.values().all(|key| key.len() == 65));
            assert!(seen.as_ref().is_none_or(|seen| *seen == what), "{}: {what:?} instead of {seen:?}", member.name());
            seen = Some(what);
        }
    }

    /// Everybody hears everybody, in all codecs, twice.
    fn talk(&mut self) {
        for _ in 0..2 {
            let flying = self.fly();
            self.land(&flying, "sealed just now");
        }
    }

    fn fly(&mut self) -> Vec<Flying> {
        let users: Vec<u64> = self.connected.iter().copied().collect();
        self.fly_from(&users)
    }

    fn fly_from(&mut self, users: &[u64]) -> Vec<Flying> {
        let mut flying = Vec::new();
        for member in self.members.iter_mut().filter(|member| users.contains(&member.user())) {
            for codec in CODECS {
                self.frames += 1;
                let frame = sample(codec, self.frames);
                let sealed = member.seal(codec, &frame);
                let sealed = sealed.unwrap_or_else(|| panic!("{} does not send {codec:?}", member.name()));
                assert_eq!(sealed == frame, self.is_plain, "{} {codec:?}", member.name());
                flying.push(Flying { from: member.user(), codec, frame, sealed });
            }
        }
        flying
    }

    fn land(&mut self, flying: &[Flying], what: &str) {
        let users: Vec<u64> = self.connected.iter().copied().collect();
        self.land_at(flying, &users, what);
    }

    fn land_at(&mut self, flying: &[Flying], users: &[u64], what: &str) {
        for member in self.members.iter_mut().filter(|member| users.contains(&member.user())) {
            let user = member.user();
            for Flying { from, codec, frame, sealed } in flying.iter().filter(|flying| flying.from != user) {
                let opened = member.open(*from, *codec, sealed);
                assert_eq!(opened.as_ref(), Some(frame), "{} {user} from {from}, {codec:?}, {what}", member.name());
            }
        }
    }
}
