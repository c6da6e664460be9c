use std::collections::BTreeMap;

use gateway::binary::{Message as Binary, write_client};
use voice_loopback::Config;

use super::call::{CHANNEL, Call};
use super::mls::{Commit, Package, Proposal, Proposals, path, proposals, welcome};

/// What became of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Wins,
    Late,
    Invalid,
}

/// A call of hand-made clients.
struct Room {
    call: Call,
    packages: BTreeMap<u64, (Package, Vec<u8>)>,
}

impl Room {
    fn of(users: &[u64]) -> Self {
        let mut room = Self { call: Call::new(Config::default()), packages: BTreeMap::new() };
        users.iter().for_each(|user| room.join(*user));
        room
    }

    /// 1 founds a group with everybody.
    fn founded(users: &[u64]) -> Self {
        let mut room = Self::of(users);
        let references = room.references(1);
        let commit = Commit::new(0, 0, &references).welcoming(&room.bytes(&users[1..]));
        assert_eq!(room.fate(1, &commit.payload()), Fate::Wins);
        room.call.forget();
        room
    }

    fn join(&mut self, user: u64) {
        self.call.join(user);
        self.call.peer(user).is_silent = true;
        let package = Package::of(user);
        let bytes = package.bytes();
        self.send(user, &Binary::KeyPackage(bytes.clone()));
        self.packages.insert(user, (package, bytes));
        self.call.run();
    }

    fn send(&mut self, user: u64, message: &Binary) {
        let conn = self.call.peer(user).conn;
        self.call.world.say_binary(conn, &write_client(message));
    }

    fn bytes(&self, users: &[u64]) -> Vec<Vec<u8>> {
        users.iter().map(|user| self.packages[user].1.clone()).collect()
    }

    /// The proposals that this user was told and that were not revoked.
    fn standing(&mut self, user: u64) -> Vec<Proposal> {
        self.call.run();
        let mut standing: Vec<Proposal> = Vec::new();
        for message in &self.call.peer(user).heard {
            let Binary::Proposals(payload) = message else { continue };
            match proposals(payload) {
                Proposals::Append(more) => standing.extend(more),
                Proposals::Revoke(references) => standing.retain(|it| !references.contains(&it.reference)),
            }
        }
        standing
    }

    fn references(&mut self, user: u64) -> Vec<Vec<u8>> {
        self.standing(user).into_iter().map(|it| it.reference).collect()
    }

    fn fate(&mut self, user: u64, payload: &[u8]) -> Fate {
        let before = self.call.stats();
        self.send(user, &Binary::CommitWelcome(payload.to_vec()));
        let after = self.call.stats();
        let counts = [
            after.commits_accepted - before.commits_accepted,
            after.commits_late - before.commits_late,
            after.commits_invalid - before.commits_invalid,
        ];
        match counts {
            [1, 0, 0] => Fate::Wins,
            [0, 1, 0] => Fate::Late,
            [0, 0, 1] => Fate::Invalid,
            other => panic!("{other:?}"),
        }
    }

    /// The signature key that the server knows this user by.
    fn key(&self, user: u64) -> Vec<u8> {
        self.packages[&user].0.signer.public_key().to_vec()
    }
}

#[test]
fn the_first_commit_makes_the_group() {
    let mut room = Room::of(&[1, 2, 3]);
    let references = room.references(2);
    let good = Commit::new(0, 0, &references).welcoming(&room.bytes(&[1, 3]));
    assert_eq!(room.fate(2, &good.payload()), Fate::Wins);
    assert_eq!(room.fate(2, &good.payload()), Fate::Late, "once");
    let references = room.references(1);
    let later = Commit::new(0, 0, &references).welcoming(&room.bytes(&[2, 3]));
    assert_eq!(room.fate(1, &later.payload()), Fate::Late);
    room.call.run();
    let heard = |room: &mut Room, user: u64| room.call.ops(user).last().copied();
    assert_eq!([heard(&mut room, 1), heard(&mut room, 2), heard(&mut room, 3)], [Some(30), Some(29), Some(30)]);
    let welcome_1 = room.call.peer(1).heard.last().cloned();
    let Some(Binary::Welcome { transition: 1, welcome: targeted }) = welcome_1 else { panic!("{welcome_1:?}") };
    assert_eq!(targeted, welcome(2, &[super::mls::package_reference(&room.packages[&1].1)]));
}

#[test]
fn commits_that_are_not_as_they_must_be_do_not_win() {
    let mut room = Room::of(&[1, 2, 3]);
    let references = room.references(1);
    let welcomed = room.bytes(&[2, 3]);
    let good = Commit::new(0, 0, &references).welcoming(&welcomed);
    let own = room.standing(2).into_iter().find(|it| it.adds == Some(1)).expect("proposed").reference;
    let inline = [&[1, 0, 1][..], &welcomed[0]].concat();
    let with = |edit: &dyn Fn(&mut Commit)| {
        let mut commit = good.clone();
        edit(&mut commit);
        commit.payload()
    };
    let reference = |reference: &[u8]| [vec![2], super::mls::vector(reference)].concat();
    let cases: Vec<(&str, Vec<u8>, Fate)> = vec![
        ("MLS version", with(&|it| it.version = 2), Fate::Invalid),
        ("a private message", with(&|it| it.wire_format = 2), Fate::Invalid),
        ("another group", with(&|it| it.group = (CHANNEL + 1).to_be_bytes().to_vec()), Fate::Invalid),
        ("a group id of another length", with(&|it| it.group = vec![1]), Fate::Invalid),
        ("a future epoch", with(&|it| it.epoch = 1), Fate::Invalid),
        ("another leaf", with(&|it| it.sender[4] = 1), Fate::Invalid),
        ("an external sender", with(&|it| it.sender = vec![2, 0, 0, 0, 0]), Fate::Invalid),
        ("a new member", with(&|it| it.sender = vec![4]), Fate::Invalid),
        ("a proposal", with(&|it| it.content = 2), Fate::Invalid),
        ("no references", with(&|it| it.proposals.clear()), Fate::Invalid),
        ("a reference missing", with(&|it| _ = it.proposals.pop()), Fate::Late),
        ("a reference twice", with(&|it| it.proposals[1] = it.proposals[0].clone()), Fate::Invalid),
        ("an unknown reference", with(&|it| it.proposals.push(reference(&[1; 32]))), Fate::Invalid),
        ("its own addition", with(&|it| it.proposals.push(reference(&own))), Fate::Invalid),
        ("a short reference", with(&|it| it.proposals.push(reference(&[1; 31]))), Fate::Invalid),
        ("a proposal of its own", with(&|it| it.proposals.push(inline.clone())), Fate::Invalid),
        ("no welcome", with(&|it| it.welcome = None), Fate::Invalid),
        (
            "a welcome for one",
            with(&|it| it.welcome = Commit::new(0, 0, &[]).welcoming(&welcomed[..1]).welcome),
            Fate::Invalid,
        ),
        ("a welcome of another suite", with(&|it| it.welcome = Some(welcome(1, &[]))), Fate::Invalid),
        (
            "a welcome in an MLSMessage",
            with(&|it| {
                it.welcome = it.welcome.as_ref().map(|welcome| [&[0, 1, 0, 3][..], welcome].concat());
            }),
            Fate::Invalid,
        ),
        ("something after it", with(&|it| it.welcome.iter_mut().for_each(|it| it.push(0))), Fate::Invalid),
        ("somebody else's leaf in its path", with(&|it| it.path = Some(path(2, &room.key(1), 3))), Fate::Invalid),
        ("another key in its path", with(&|it| it.path = Some(path(1, &room.key(2), 3))), Fate::Invalid),
        ("a key package's leaf in its path", with(&|it| it.path = Some(path(1, &room.key(1), 1))), Fate::Invalid),
        ("nothing", Vec::new(), Fate::Invalid),
    ];
    for (what, payload, fate) in cases {
        assert_eq!(room.fate(1, &payload), fate, "{what}");
    }
    let whole = good.payload();
    for len in (0..whole.len()).step_by(13) {
        assert_eq!(room.fate(1, &whole[..len]), Fate::Invalid, "cut to {len}");
    }
    room.call.run();
    assert!(!room.call.ops(1).contains(&29), "nothing of that was told to anybody");
    let with_path = with(&|it| it.path = Some(path(1, &room.key(1), 3)));
    assert_eq!(room.fate(1, &with_path), Fate::Wins, "a path is allowed");
}

#[test]
fn a_removal_needs_a_path_and_no_welcome() {
    let mut room = Room::founded(&[1, 2, 3]);
    room.call.leave(3);
    let references = room.references(2);
    assert_eq!(references.len(), 1);
    let good = Commit { path: Some(path(2, &room.key(2), 3)), ..Commit::new(1, 1, &references) };
    for (what, commit) in [
        ("no path", Commit::new(1, 1, &references)),
        ("a welcome", good.clone().welcoming(&[])),
        ("another's leaf", Commit { sender: vec![1, 0, 0, 0, 0], ..good.clone() }),
        ("a leaf that was removed", Commit { sender: vec![1, 0, 0, 0, 2], ..good.clone() }),
        ("a leaf that never was", Commit { sender: vec![1, 0, 0, 1, 0], ..good.clone() }),
    ] {
        assert_eq!(room.fate(2, &commit.payload()), Fate::Invalid, "{what}");
    }
    assert_eq!(room.fate(2, &good.payload()), Fate::Wins);
}

#[test]
fn who_is_pending_may_not_commit() {
    let mut room = Room::founded(&[1, 2]);
    room.join(3);
    let references = room.references(1);
    let commit = Commit::new(1, 0, &references).welcoming(&room.bytes(&[3]));
    assert_eq!(room.fate(3, &commit.payload()), Fate::Late);
    assert_eq!(room.fate(3, &Commit::new(0, 0, &references).payload()), Fate::Late, "its own group is no more");
    assert_eq!(room.fate(1, &commit.payload()), Fate::Wins);
}

#[test]
fn a_commit_that_was_overtaken_is_late() {
    let mut room = Room::founded(&[1, 2]);
    room.join(3);
    let early = room.references(1);
    room.join(4);
    let both = room.references(1);
    let commit = Commit::new(1, 0, &early).welcoming(&room.bytes(&[3]));
    assert_eq!(room.fate(1, &commit.payload()), Fate::Late);
    room.call.leave(4);
    let commit = Commit::new(1, 0, &both).welcoming(&room.bytes(&[3, 4]));
    assert_eq!(room.fate(1, &commit.payload()), Fate::Late, "to what was revoked");
    let now = room.references(1);
    let commit = Commit::new(1, 0, &now).welcoming(&room.bytes(&[3]));
    assert_eq!(room.fate(1, &commit.payload()), Fate::Wins);
}

#[test]
fn leaves_follow_the_order_of_the_commit() {
    let mut room = Room::of(&[1, 2, 3]);
    // 3 before 2: then 3 sits at leaf 1.
    let references: Vec<Vec<u8>> = room.references(1).into_iter().rev().collect();
    let commit = Commit::new(0, 0, &references).welcoming(&room.bytes(&[2, 3]));
    assert_eq!(room.fate(1, &commit.payload()), Fate::Wins);
    room.call.forget();
    room.call.leave(3);
    let removed = room.standing(1);
    assert_eq!(removed.iter().map(|it| (it.epoch, it.removes)).collect::<Vec<_>>(), [(1, Some(1))]);
}
