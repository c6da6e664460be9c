//! Anything at any time: no panic, nothing unbounded, no timer in the past, nothing unsealed without a word of the server.

use std::time::{Duration, Instant};

use proptest::prelude::{Just, Strategy, any, prop, prop_oneof};
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};
use voice_dave::{Output, Update};

use crate::support::{A, B, C, Call, D, append, commit_of, user, welcome_of};

/// What happens to a message on its way.
#[derive(Clone, Copy, Debug)]
enum Harm {
    None,
    Flip(usize),
    Cut(usize),
    Extend(u8),
}

#[derive(Clone, Debug)]
enum Op {
    Version(u16),
    Connect(u64),
    Disconnect(u64),
    PrepareTransition(u16, u16),
    Execute(u16),
    PrepareEpoch(u64, u16),
    /// The nth real message so far, as the op that it was meant for or as another.
    Replay(usize, u8, u16, Harm),
    Garbage(u8, Vec<u8>),
    /// The gateway proposes something fresh for whatever epoch the session may be in.
    Propose(u64, u64, Harm),
    Remove(u32, u64),
    /// The session's own last commit comes back.
    Own(u16, Harm),
    Undecryptable,
    Wait(u64),
}

fn harm() -> impl Strategy<Value = Harm> {
    prop_oneof![
        4 => Just(Harm::None),
        2 => any::<usize>().prop_map(Harm::Flip),
        1 => any::<usize>().prop_map(Harm::Cut),
        1 => any::<u8>().prop_map(Harm::Extend),
    ]
}

fn someone() -> impl Strategy<Value = u64> {
    prop::sample::select(vec![A, B, C, D])
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        1 => (0u16..3).prop_map(Op::Version),
        2 => someone().prop_map(Op::Connect),
        1 => someone().prop_map(Op::Disconnect),
        1 => (0u16..6, 0u16..3).prop_map(|(id, version)| Op::PrepareTransition(id, version)),
        3 => (0u16..6).prop_map(Op::Execute),
        1 => (0u64..4, 0u16..3).prop_map(|(epoch, version)| Op::PrepareEpoch(epoch, version)),
        6 => (any::<usize>(), 0u8..5, 0u16..6, harm()).prop_map(|(n, kind, id, harm)| Op::Replay(n, kind, id, harm)),
        1 => (0u8..4, prop::collection::vec(any::<u8>(), 0..64)).prop_map(|(kind, bytes)| Op::Garbage(kind, bytes)),
        4 => (someone(), 0u64..4, harm()).prop_map(|(user, epoch, harm)| Op::Propose(user, epoch, harm)),
        2 => (0u32..5, 0u64..4).prop_map(|(leaf, epoch)| Op::Remove(leaf, epoch)),
        4 => (0u16..6, harm()).prop_map(|(id, harm)| Op::Own(id, harm)),
        1 => Just(Op::Undecryptable),
        2 => (0u64..15).prop_map(Op::Wait),
    ]
}

fn harmed(bytes: &[u8], harm: Harm) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    match harm {
        Harm::Flip(at) if !bytes.is_empty() => {
            let bit = at % (bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        Harm::Cut(at) if !bytes.is_empty() => bytes.truncate(at % bytes.len()),
        Harm::Extend(byte) => bytes.push(byte),
        _ => {}
    }
    bytes
}

/// Real messages of a call of three, in the order of their making: op and payload.
fn record() -> (Call, Vec<(u8, Vec<u8>)>) {
    let mut call = Call::new(&[B, A]);
    let mut messages = vec![(25, call.gateway.package())];
    let mut keep = |call: &mut Call, committer: u64| {
        let payload = call.peer(committer).commit();
        messages.push((29, commit_of(&payload)));
        messages.push((30, welcome_of(&payload)));
    };
    call.propose(&[A], &[]);
    keep(&mut call, B);
    call.announce(B, &[A], &[]);
    call.execute();
    call.enter(C);
    call.propose(&[C], &[]);
    keep(&mut call, B);
    keep(&mut call, A);
    call.announce(B, &[C], &[]);
    call.execute();
    call.propose(&[], &[C]);
    keep(&mut call, B);
    call.enter(D);
    (call, messages)
}

fn run(ops: &[Op]) -> Result<(), TestCaseError> {
    let (mut call, mut messages) = record();
    call.forget_outputs();
    let mut now = call.now;
    let packages = [B, C, D].map(|id| {
        let peer = call.peer(id);
        peer.act(|session| session.handle_prepare_epoch(now, 1, 1, None));
        peer.key_package()
    });
    let mut own_package = Vec::new();
    let mut own: Vec<Vec<u8>> = Vec::new();
    let mut plain_allowed = false;
    // What media was told last: whether frames leave sealed, and until when plain ones may come in.
    let (mut sealing, mut window) =
        (call.peer(A).session.version() > 0 && call.peer(A).session.epoch().is_some(), None);
    let mut announced = None;
    for op in ops {
        let (mut proposal, mut told_plain) = (None, false);
        match op {
            Op::Version(version) => {
                told_plain = *version == 0;
                call.peer(A).act(|session| session.handle_version(now, *version));
            }
            Op::Connect(id) => call.peer(A).act(|session| session.handle_connect(now, &[user(*id)])),
            Op::Disconnect(id) => call.peer(A).act(|session| session.handle_disconnect(now, user(*id))),
            Op::PrepareTransition(id, version) => {
                told_plain = *version == 0;
                announced = if told_plain { Some(now) } else { announced };
                call.peer(A).act(|session| session.handle_prepare_transition(now, *id, *version));
            }
            Op::Execute(id) => call.peer(A).act(|session| session.handle_execute_transition(now, *id)),
            Op::PrepareEpoch(epoch, version) => {
                call.peer(A).act(|session| session.handle_prepare_epoch(now, *epoch, *version, None));
            }
            Op::Replay(n, kind, id, harm) => {
                let (op, bytes) = messages[n % messages.len()].clone();
                let bytes = harmed(&bytes, *harm);
                let op = [op, op, 27, 29, 30][usize::from(*kind)];
                deliver(&mut call, now, A, op, *id, &bytes);
            }
            Op::Garbage(kind, bytes) => deliver(&mut call, now, A, [25, 27, 29, 30][usize::from(*kind)], 1, bytes),
            Op::Propose(id, epoch, harm) => {
                let package = match *id {
                    A => &own_package,
                    B => &packages[0],
                    C => &packages[1],
                    _ => &packages[2],
                };
                if !package.is_empty() {
                    proposal = Some((call.gateway.add(package, *epoch), *harm));
                }
            }
            Op::Remove(leaf, epoch) => proposal = Some((call.gateway.remove(*leaf, *epoch), Harm::None)),
            Op::Own(id, harm) => {
                if let Some(payload) = own.last() {
                    let commit = harmed(payload, *harm);
                    call.peer(A).act(|session| session.handle_commit(now, *id, &commit));
                }
            }
            Op::Undecryptable => call.peer(A).act(|session| session.handle_undecryptable(now)),
            Op::Wait(seconds) => {
                now += Duration::from_secs(*seconds);
                call.peer(A).act(|session| session.handle_timeout(now));
                if let Some(due) = call.peer(A).session.poll_timeout() {
                    proptest::prop_assert!(due > now, "a timer in the past");
                }
            }
        }
        if let Some((message, harm)) = proposal {
            let payload = harmed(&append(&[&message]), harm);
            messages.push((27, payload.clone()));
            call.peer(A).act(|session| session.handle_proposals(now, &payload));
            messages.push((27, call.gateway.revocation(&[&message])));
        }
        plain_allowed |= told_plain;
        let a = call.peer(A);
        proptest::prop_assert!(a.outputs.len() <= 40, "{} outputs of one message", a.outputs.len());
        for output in std::mem::take(&mut a.outputs) {
            match output {
                Output::CommitWelcome(payload) => own.push(commit_of(&payload)),
                Output::KeyPackage(bytes) => own_package = bytes,
                Output::Update(Update::AcceptPlain { until }) => window = Some(until),
                Output::Update(Update::Withhold) => sealing = false,
                Output::Update(Update::SendPlain) => {
                    sealing = false;
                    proptest::prop_assert!(plain_allowed, "unsealed although the server never said version 0");
                }
                Output::Update(Update::Seal(_)) => {
                    sealing = true;
                    plain_allowed |= a.session.version() == 0;
                }
                _ => {}
            }
        }
        if sealing && let Some(until) = window {
            let most = announced.map_or(now, |announced| announced + Duration::from_secs(120));
            let most = most.max(now + Duration::from_secs(10));
            proptest::prop_assert!(until.is_some_and(|until| until <= most), "sealing, and the window stays open");
        }
        let (members, epoch) = (a.session.members(), a.session.epoch());
        proptest::prop_assert_eq!(members.is_empty(), epoch.is_none());
        proptest::prop_assert!(members.is_empty() || members.contains_key(&user(A)));
        proptest::prop_assert_eq!(a.session.privacy_code().is_some(), epoch.is_some());
    }
    Ok(())
}

fn deliver(call: &mut Call, now: Instant, to: u64, op: u8, transition: u16, bytes: &[u8]) {
    call.peer(to).act(|session| match op {
        25 => session.handle_external_sender(now, bytes),
        27 => session.handle_proposals(now, bytes),
        29 => session.handle_commit(now, transition, bytes),
        _ => session.handle_welcome(now, transition, bytes),
    });
}

#[test]
fn any_order_of_anything() {
    let config = Config { cases: 96, rng_seed: RngSeed::Fixed(0xDA7E), failure_persistence: None, ..Config::default() };
    let ops = prop::collection::vec(op(), 1..48);
    // From pending, and from within a group.
    TestRunner::new(config).run(&ops, |ops| run(&ops)).unwrap_or_else(|error| panic!("seed 0xDA7E: {error}"));
}

/// A call in which B awaits this op, and the message.
fn awaiting(op: u8) -> (Call, Vec<u8>) {
    let mut call = Call::new(&[B, A]);
    call.propose(&[B], &[]);
    let message = match op {
        30 => welcome_of(&call.peer(A).commit()),
        _ => {
            call.announce(A, &[B], &[]);
            call.enter(C);
            let proposal = append(&[&call.addition(C)]);
            if op == 27 {
                proposal
            } else {
                call.propose(&[C], &[]);
                commit_of(&call.peer(A).commit())
            }
        }
    };
    call.forget_outputs();
    (call, message)
}

/// A session that has had one bad message is another: each message meets a fresh one.
#[test]
fn every_truncation_and_bit_flip_of_real_messages() {
    for op in [27, 29, 30] {
        let (mut call, message) = awaiting(op);
        let (now, b) = (call.now, B);
        deliver(&mut call, now, b, op, 9, &message);
        assert!(call.peer(B).troubles().is_empty() && !call.peer(B).outputs.is_empty(), "{op} as it was is taken");

        let cuts = (0..message.len()).step_by(23).map(Harm::Cut);
        let flips = (0..message.len()).step_by(7).map(|at| Harm::Flip(at * 8 + at % 8));
        for harm in cuts.chain(flips) {
            let (mut call, message) = awaiting(op);
            // Signatures differ in length, from one call to the next.
            let (now, epoch, message) = (call.now, call.peer(B).session.epoch(), harmed(&message, harm));
            deliver(&mut call, now, b, op, 9, &message);
            let b = call.peer(B);
            assert!(b.commits().is_empty() && b.ready().is_empty(), "{op} was taken with {harm:?}");
            let recovered = b.troubles().len() == 1 && b.session.epoch().is_none() && b.key_packages().len() == 1;
            let refused = b.outputs.is_empty() && b.session.epoch() == epoch;
            assert!(recovered || op == 27 && refused, "{op} with {harm:?}: {:?}", b.outputs);
        }
    }
}
