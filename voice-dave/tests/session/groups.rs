//! Life of a group: versions, key packages, the external sender, members.

use std::time::Duration;

use openmls::key_packages::KeyPackageIn;
use tls_codec::{DeserializeBytes as _, Serialize as _};
use voice_dave::{Event, Identity, Output, State, Update};

use crate::support::{A, B, C, Call, GROUP, Gateway, OTHER_GROUP, Peer, Seeded, append, start, user};

/// The end of a leaf in a key package: capabilities (MLS 1.0, suite 2, no extensions, no proposals, basic), source, lifetime,
/// no extensions; from a production log (`wire_samples` of `vectors/dave.json`).
const LEAF_TAIL: &str = "0200010200020000020001010000000000000000ffffffffffffffff00";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn g3_g4_g9_a_key_package_is_bare_and_has_exactly_the_parameters_of_dave() {
    let now = start();
    let mut a = Peer::new(A, GROUP, 2);
    a.act(|session| session.handle_version(now, 1));
    let bytes = a.key_package();
    let package = KeyPackageIn::tls_deserialize_exact_bytes(&bytes).expect("bare, not an MLSMessage");
    assert_eq!(package.tls_serialize_detached().expect("serializes"), bytes);
    let text = hex(&bytes);
    assert!(text.starts_with("00010002"), "MLS 1.0, suite 2");
    assert!(text.contains(LEAF_TAIL), "{text}");
    assert!(text.contains(&format!("000108{}", hex(&A.to_be_bytes()))), "basic credential, 8 bytes big-endian");
}

#[test]
fn g9_the_local_group_has_the_lifetime_and_id_of_dave_too() {
    let mut call = Call::new(&[A, B]);
    call.propose(&[B], &[]);
    let commit = call.peer(A).commit();
    let id = hex(&GROUP.to_be_bytes());
    assert!(hex(&commit).starts_with(&format!("0001000108{id}0000000000000000")), "group id and epoch 0");
    // B sees the leaf of A in the welcome, and takes it.
    call.announce(A, &[B], &[]);
    call.agree();
    assert_eq!(call.peer(B).session.members()[&user(A)].key.len(), 65);
}

#[test]
fn g6_the_local_group_is_made_whichever_comes_last() {
    let (now, gateway) = (start(), Gateway::new(1, GROUP));
    let mut b = Peer::new(B, GROUP, 3);
    b.enter(now, &gateway.package(), &[A]);
    let payload = append(&[&gateway.add(&b.key_package(), 0)]);
    for version_first in [true, false] {
        let mut a = Peer::new(A, GROUP, 2);
        a.act(|session| session.handle_connect(now, &[user(B)]));
        if version_first {
            a.act(|session| session.handle_version(now, 1));
            a.act(|session| session.handle_external_sender(now, &gateway.package()));
        } else {
            a.act(|session| session.handle_external_sender(now, &gateway.package()));
            a.act(|session| session.handle_version(now, 1));
        }
        a.act(|session| session.handle_proposals(now, &payload));
        assert_eq!(a.commits().len(), 1);
        assert_eq!(a.key_packages().len(), 1);
    }
}

#[test]
fn g7_g8_a_fresh_key_package_on_ops_4_and_24() {
    let now = start();
    let mut call = Call::new(&[A, B]);
    let first = call.peer(B).key_package();
    call.peer(B).act(|session| session.handle_version(now, 1));
    let second = call.peer(B).key_package();
    call.peer(B).act(|session| session.handle_prepare_epoch(now, 1, 1, None));
    let third = call.peer(B).key_package();
    assert_eq!(call.peer(B).key_packages().len(), 3);
    assert!(first != second && second != third);
    // Only the last one is of use.
    call.add(&[B]);
    call.agree();
}

#[test]
fn g8_a_welcome_for_a_key_package_that_was_replaced_is_a_failure() {
    let mut call = Call::new(&[A, B]);
    call.propose(&[B], &[]);
    let now = call.now;
    call.peer(B).act(|session| session.handle_version(now, 1));
    call.announce(A, &[B], &[]);
    assert_eq!(call.peer(B).invalid(), [1]);
}

#[test]
fn g1_a_repeated_op_4_leaves_a_live_group_alone() {
    let mut call = Call::established(&[A, B]);
    let now = call.now;
    call.peer(A).act(|session| session.handle_version(now, 1));
    assert!(call.peer(A).outputs.is_empty());
    call.agree();
}

#[test]
fn g2_versions_above_1_are_refused() {
    let mut call = Call::established(&[A, B]);
    let now = call.now;
    let a = call.peer(A);
    a.act(|session| session.handle_prepare_transition(now, 9, 2));
    a.act(|session| session.handle_prepare_epoch(now, 1, 2, None));
    assert!(a.outputs.is_empty(), "no op 23, no reset");
    a.act(|session| session.handle_execute_transition(now, 9));
    assert_eq!(a.session.stats().ignored, 3);
    assert_eq!(a.session.epoch(), Some(1));
    // A session of such a version fails closed.
    a.act(|session| session.handle_version(now, 2));
    assert_eq!(a.withheld(), 1);
    assert_eq!(a.plain(), [Some(now)]);
    assert_eq!(a.states(), [State::Pending]);
    assert_eq!(a.session.epoch(), None);
    assert_ne!(a.session.version(), 0, "nobody may take it for unencrypted");
    let outputs = a.after(|session| {
        session.handle_prepare_epoch(now, 1, 1, None);
        session.handle_prepare_transition(now, 3, 0);
        session.handle_execute_transition(now, 3);
    });
    assert!(outputs.is_empty(), "nothing opens it but another op 4");
    a.act(|session| session.handle_version(now, 0));
    assert_eq!(a.sent_plain(), 1);
}

#[test]
fn g12_one_identity_serves_all_sessions_of_a_user() {
    let entropy = std::sync::Arc::new(Seeded::new(2));
    let identity = Identity::generate(&*entropy);
    let keys = [GROUP, OTHER_GROUP].map(|group| {
        let (now, gateway) = (start(), Gateway::new(1, group));
        let mut a = Peer::with(A, group, identity.clone(), std::sync::Arc::clone(&entropy));
        let mut b = Peer::new(B, group, 3);
        a.enter(now, &gateway.package(), &[B]);
        b.enter(now, &gateway.package(), &[A]);
        a.act(|session| session.handle_proposals(now, &append(&[&gateway.add(&b.key_package(), 0)])));
        let commit = crate::support::commit_of(&a.commit());
        a.act(|session| session.handle_commit(now, 1, &commit));
        a.session.members()[&user(A)].key.clone()
    });
    assert_eq!(keys[0], identity.public_key());
    assert_eq!(keys[0], keys[1]);
}

#[test]
fn g10_another_epoch_in_op_24_keeps_the_group() {
    let mut call = Call::established(&[A, B]);
    let now = call.now;
    call.peer(A).act(|session| session.handle_prepare_epoch(now, 1_000, 1, Some(5)));
    assert!(call.peer(A).outputs.is_empty());
    call.agree();
}

#[test]
fn g11_sole_member_reset() {
    let mut call = Call::established(&[A, B]);
    call.pass(Duration::from_secs(60));
    let now = call.now;
    let package = call.gateway.package();
    let a = call.peer(A);
    a.act(|session| session.handle_disconnect(now, user(B)));
    a.act(|session| session.handle_prepare_epoch(now, 1, 1, None));
    assert_eq!(a.key_packages().len(), 1);
    assert!(a.updates().is_empty(), "until the transition media goes on");
    assert_eq!(a.session.epoch(), None);
    a.outputs.clear();
    a.act(|session| session.handle_prepare_transition(now, 0, 1));
    assert!(a.ready().is_empty(), "T1: transition 0 is not answered");
    assert_eq!(a.withheld(), 1);
    assert_eq!(a.retired(), [(user(B), now + Duration::from_secs(10))]);
    assert_eq!(a.events(), [Event::Left(user(B)), Event::State(State::Pending)]);
    assert_eq!(a.plain(), [None], "as if alone from the start");
    // Whoever comes next makes a new group with us, with the external sender of before.
    let mut c = Peer::new(C, GROUP, 4);
    c.enter(now, &package, &[A]);
    let add = call.gateway.add(&c.key_package(), 0);
    let a = call.peer(A);
    a.act(|session| session.handle_connect(now, &[user(C)]));
    a.act(|session| session.handle_proposals(now, &append(&[&add])));
    assert_eq!(a.commits().len(), 1);
}

#[test]
fn g14_removed_by_a_commit_we_leave_and_are_ready_to_come_back() {
    let mut call = Call::established(&[A, B, C]);
    call.propose(&[], &[C]);
    assert!(call.peer(C).commits().is_empty(), "nobody can commit to their own removal");
    call.announce(A, &[], &[C]);
    let c = call.peer(C);
    assert_eq!(c.troubles(), [voice_dave::Trouble::Removed]);
    assert!(c.invalid().is_empty(), "the server knows");
    assert_eq!(c.key_packages().len(), 1);
    assert_eq!(c.session.epoch(), None);
    assert!(c.updates().is_empty(), "R3: media keeps what it has");
    call.agree();
    // And back.
    call.add(&[C]);
    call.execute();
    call.agree();
    assert_eq!(call.peer(C).events().last(), Some(&Event::RecoveryEnded));
}

#[test]
fn an_external_sender_can_change_until_a_group_is_established() {
    let now = start();
    let (old, new) = (Gateway::new(1, GROUP), Gateway::new(7, GROUP));
    let (mut a, mut b) = (Peer::new(A, GROUP, 2), Peer::new(B, GROUP, 3));
    for peer in [&mut a, &mut b] {
        peer.enter(now, &old.package(), &[A, B]);
    }
    a.act(|session| session.handle_external_sender(now, &old.package()));
    assert_eq!(a.session.stats().ignored, 0, "the same again");
    a.act(|session| session.handle_proposals(now, &append(&[&old.add(&b.key_package(), 0)])));
    assert_eq!(a.commits().len(), 1);
    a.act(|session| session.handle_external_sender(now, &new.package()));
    a.outputs.clear();
    a.act(|session| session.handle_proposals(now, &append(&[&old.add(&b.key_package(), 0)])));
    assert_eq!(a.session.stats().proposals_refused, 1, "the old sender is nobody any more");
    a.act(|session| session.handle_proposals(now, &append(&[&new.add(&b.key_package(), 0)])));
    assert_eq!(a.commits().len(), 1);
}

#[test]
fn what_is_no_external_sender_is_ignored() {
    let now = start();
    let package = Gateway::new(1, GROUP).package();
    let mut a = Peer::new(A, GROUP, 2);
    for len in 0..package.len() {
        a.act(|session| session.handle_external_sender(now, &package[..len]));
    }
    let longer = [package.as_slice(), &[0]].concat();
    a.act(|session| session.handle_external_sender(now, &longer));
    // An X.509 credential.
    let mut x509 = package.clone();
    x509[68] = 2;
    a.act(|session| session.handle_external_sender(now, &x509));
    assert_eq!(a.session.stats().ignored, package.len() as u64 + 2);
    assert!(a.outputs.is_empty());
}

#[test]
fn the_external_sender_of_production_is_understood() {
    let hex = "404104371508c6e6cd0a4b2eb050fd1e0b9b16b4dea6df830f358883d459df8c5b515de81ffa695fee322f0c3cd5e216044faf3e373d81\
               c4f884d3625484b9fd6c2cf800010100";
    let bytes: Vec<_> =
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")).collect();
    let mut a = Peer::new(A, GROUP, 2);
    a.act(|session| session.handle_external_sender(start(), &bytes));
    assert_eq!(a.session.stats().ignored, 0);
}

#[test]
fn i6_members_come_and_go_with_their_keys() {
    let mut call = Call::established(&[A, B]);
    call.enter(C);
    call.add(&[C]);
    let key = call.peer(C).session.members()[&user(C)].key.clone();
    assert!(
        call.peer(A)
            .events()
            .iter()
            .any(|event| matches!(event, Event::Joined(member) if member.user == user(C) && member.key == key))
    );
    let joined = |event: &Event| if let Event::Joined(member) = event { Some(member.user) } else { None };
    let mut seen: Vec<_> = call.peer(C).events().iter().filter_map(joined).collect();
    seen.sort_unstable();
    assert_eq!(seen, [user(A), user(B)], "the others, never ourselves");
    call.execute();
    call.forget_outputs();
    call.remove(&[B]);
    assert!(call.peer(A).events().contains(&Event::Left(user(B))));
}

#[test]
fn i6_another_key_of_the_same_user_is_noticed_across_groups() {
    let mut call = Call::established(&[A, B]);
    let old_key = call.peer(A).session.members()[&user(B)].key.clone();
    call.remove(&[B]);
    call.execute();
    call.forget_outputs();
    let now = call.now;
    call.peer(A).act(|session| session.handle_prepare_epoch(now, 1, 1, None));
    call.peer(A).act(|session| session.handle_prepare_transition(now, 0, 1));
    call.peers.remove(&B);
    (call.leaves, call.epoch) = (Vec::new(), 0);
    // B is back with another identity.
    let mut b = Peer::new(B, GROUP, 1_000);
    b.enter(now, &call.gateway.package(), &[A]);
    call.peers.insert(B, b);
    call.add(&[B]);
    let changed = call.peer(A).events().into_iter().find_map(|event| match event {
        Event::KeyChanged { member, old_key } => Some((member, old_key)),
        _ => None,
    });
    let (member, old) = changed.expect("a changed key");
    assert_eq!(old, old_key);
    assert_eq!(member, call.peer(B).session.members()[&user(B)]);
    assert!(!call.peer(B).events().iter().any(|event| matches!(event, Event::KeyChanged { .. })));
}

#[test]
fn t11_the_privacy_code_is_that_of_the_latest_epoch() {
    let mut call = Call::established(&[A, B]);
    let before = call.peer(A).session.privacy_code().expect("a code");
    call.enter(C);
    call.add(&[C]);
    let after = call.peer(A).session.privacy_code().expect("a code");
    assert_ne!(before, after, "before op 22 already");
    assert_eq!(after.len(), 30);
    let found = call.peer(A).events().into_iter().find_map(|event| match event {
        Event::Epoch { epoch, privacy_code, .. } => Some((epoch, privacy_code)),
        _ => None,
    });
    assert_eq!(found, Some((2, after)));
}

#[test]
fn a_pair_is_of_two_members() {
    let mut call = Call::established(&[A, B]);
    let of_a = call.peer(A).session.pair(user(B));
    let of_b = call.peer(B).session.pair(user(A));
    assert!(of_a.is_some());
    assert_eq!(of_a, of_b);
    assert_eq!(call.peer(A).session.pair(user(A)), None);
    assert_eq!(call.peer(A).session.pair(user(C)), None);
}

#[test]
fn too_many_users_are_not_recognised() {
    let now = start();
    let mut a = Peer::new(A, GROUP, 2);
    let users: Vec<_> = (1..=5_000).map(user).collect();
    a.act(|session| session.handle_connect(now, &users));
    assert_eq!(a.session.stats().ignored, 5_000 - 4_096);
}

#[test]
fn no_output_shows_a_secret() {
    let mut call = Call::new(&[A, B]);
    call.add(&[B]);
    call.execute();
    let (a, b) = (call.peer(A).outputs.clone(), call.peer(A).sealed()[0]);
    let authenticator = call.peer(A).authenticator();
    let text = format!("{a:?} {:?}", call.peer(A).session);
    for secret in [&b[..4], &authenticator[..4]] {
        assert!(!text.contains(format!("{secret:?}").trim_matches(['[', ']'])), "{text}");
    }
    assert!(a.iter().any(|output| matches!(output, Output::Update(Update::Seal(_)))));
}
