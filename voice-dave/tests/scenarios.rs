//! The MLS scenarios of libdave's own session tests, as listed in `vectors/dave.json` under `mls_session_scenarios`
//! (from `cpp/test/capi/basic_tests.c` and `cpp/test/mls_session_tests.cpp`).

mod support;

use support::{A, B, C, Call, GROUP, Gateway, OTHER_GROUP, Peer, append, commit_of, start, user, welcome_of};
use voice_dave::{Output, State, Trouble};

/// A has committed to adding B, in a group of this id; nothing was announced.
fn proposed(group: u64) -> (Gateway, Peer, Peer) {
    let now = start();
    let gateway = Gateway::new(1, group);
    let (mut a, mut b) = (Peer::new(A, group, 2), Peer::new(B, group, 3));
    a.enter(now, &gateway.package(), &[B]);
    b.enter(now, &gateway.package(), &[A]);
    let add = gateway.add(&b.key_package(), 0);
    a.act(|session| session.handle_proposals(now, &append(&[&add])));
    (gateway, a, b)
}

#[test]
fn a_commits_and_b_is_welcomed() {
    let (_, mut a, mut b) = proposed(GROUP);
    let now = start();
    let payload = a.commit();
    a.outputs.clear();
    b.outputs.clear();
    a.act(|session| session.handle_commit(now, 0x0080, &commit_of(&payload)));
    b.act(|session| session.handle_welcome(now, 0x0080, &welcome_of(&payload)));
    for peer in [&a, &b] {
        assert_eq!(peer.session.members().len(), 2);
        assert_eq!(peer.session.epoch(), Some(1));
        assert_eq!(peer.ready(), [0x0080], "and once only");
        assert!(peer.invalid().is_empty());
        assert!(peer.sealed().is_empty(), "the sender waits for op 22");
    }
    assert_eq!(a.authenticator(), b.authenticator());
    assert_eq!(a.session.privacy_code(), b.session.privacy_code());
    assert_eq!(a.session.members(), b.session.members());
    a.act(|session| session.handle_execute_transition(now, 0x0080));
    b.act(|session| session.handle_execute_transition(now, 0x0080));
    assert_eq!(a.sealed()[0], b.expected(user(A))[0].0);
    assert_eq!(b.sealed()[0], a.expected(user(B))[0].0);
    assert_ne!(a.sealed(), b.sealed());
    assert_eq!(a.states(), [State::On { version: 1 }]);
}

#[test]
fn a_welcome_that_lists_an_unrecognised_user_is_rejected() {
    let (_, a, mut b) = proposed(GROUP);
    let (now, welcome) = (start(), welcome_of(&a.commit()));
    b.act(|session| session.handle_disconnect(now, user(A)));
    let old = b.key_package();
    b.outputs.clear();
    b.act(|session| session.handle_welcome(now, 7, &welcome));
    assert_eq!(b.troubles(), [Trouble::Welcome("it lists a user who is not in the call".to_owned())]);
    assert_recovering(&b, &[7], &old);
}

#[test]
fn a_welcome_for_another_group_is_rejected() {
    let (now, gateway) = (start(), Gateway::new(1, GROUP));
    let (mut a, mut b) = (Peer::new(A, OTHER_GROUP, 2), Peer::new(B, GROUP, 3));
    a.enter(now, &gateway.package(), &[B]);
    b.enter(now, &gateway.package(), &[A]);
    let mut other = Gateway::new(1, OTHER_GROUP);
    other.identity = gateway.identity.clone();
    let add = other.add(&b.key_package(), 0);
    a.act(|session| session.handle_proposals(now, &append(&[&add])));
    let old = b.key_package();
    b.outputs.clear();
    b.act(|session| session.handle_welcome(now, 7, &welcome_of(&a.commit())));
    assert_eq!(b.troubles(), [Trouble::Welcome("it is for another group".to_owned())]);
    assert_recovering(&b, &[7], &old);
}

#[test]
fn a_commit_before_the_welcome_is_a_hard_failure() {
    let (gateway, a, mut b) = proposed(GROUP);
    let now = start();
    let mut c = Peer::new(C, GROUP, 4);
    c.enter(now, &gateway.package(), &[]);
    b.act(|session| session.handle_connect(now, &[user(C)]));
    let add = gateway.add(&c.key_package(), 0);
    b.act(|session| session.handle_proposals(now, &append(&[&add])));
    assert_eq!(b.commits().len(), 1, "its own commit is pending");
    let old = b.key_package();
    b.outputs.clear();
    b.act(|session| session.handle_commit(now, 7, &commit_of(&a.commit())));
    assert_eq!(b.troubles(), [Trouble::Commit("it came before a welcome".to_owned())]);
    assert_recovering(&b, &[7], &old);
}

#[test]
fn a_replayed_commit_is_a_hard_failure() {
    let (_, mut a, _) = proposed(GROUP);
    let (now, commit) = (start(), commit_of(&a.commit()));
    let old = a.key_package();
    a.act(|session| session.handle_commit(now, 7, &commit));
    assert_eq!(a.session.epoch(), Some(1));
    a.outputs.clear();
    a.act(|session| session.handle_commit(now, 8, &commit));
    assert_recovering(&a, &[8], &old);
}

#[test]
fn a_commit_without_any_group_is_ignored() {
    let (_, a, _) = proposed(GROUP);
    let (now, commit) = (start(), commit_of(&a.commit()));
    let mut nobody = Peer::new(B, GROUP, 3);
    nobody.act(|session| session.handle_commit(now, 7, &commit));
    assert!(nobody.outputs.is_empty());
    assert_eq!(nobody.session.stats().ignored, 1);
    // Nor with a version, but without the external sender that a local group needs.
    nobody.act(|session| session.handle_version(now, 1));
    nobody.outputs.clear();
    nobody.act(|session| session.handle_commit(now, 7, &commit));
    assert!(nobody.outputs.is_empty());
    assert_eq!(nobody.session.stats().ignored, 2);
}

#[test]
fn an_external_sender_after_joining_is_an_error() {
    let mut call = Call::established(&[A, B]);
    let (now, package) = (call.now, call.gateway.package());
    let other = Gateway::new(99, GROUP).package();
    let a = call.peer(A);
    a.act(|session| session.handle_external_sender(now, &other));
    assert!(a.outputs.is_empty());
    assert_eq!(a.session.stats().ignored, 1);
    assert_eq!(a.session.epoch(), Some(1));
    // The same one again is nothing new.
    a.act(|session| session.handle_external_sender(now, &package));
    assert_eq!(a.session.stats().ignored, 1);
}

#[test]
fn there_is_no_key_package_before_the_version_is_known() {
    let (now, gateway) = (start(), Gateway::new(1, GROUP));
    let mut a = Peer::new(A, GROUP, 2);
    a.act(|session| session.handle_external_sender(now, &gateway.package()));
    a.act(|session| session.handle_connect(now, &[user(B)]));
    a.act(|session| session.handle_prepare_epoch(now, 1, 1, None));
    assert!(a.outputs.is_empty());
    assert_eq!(a.session.stats().ignored, 1, "op 24 has no place before op 4");
    a.act(|session| session.handle_version(now, 0));
    assert!(a.key_packages().is_empty());
}

#[test]
fn proposals_without_a_group_are_ignored() {
    let (now, gateway) = (start(), Gateway::new(1, GROUP));
    let (mut a, mut b) = (Peer::new(A, GROUP, 2), Peer::new(B, GROUP, 3));
    b.enter(now, &gateway.package(), &[A]);
    let payload = append(&[&gateway.add(&b.key_package(), 0)]);
    a.act(|session| session.handle_connect(now, &[user(B)]));
    a.act(|session| session.handle_proposals(now, &payload));
    assert!(a.outputs.is_empty());
    assert_eq!(a.session.stats().ignored, 1);
}

#[test]
fn an_own_commit_must_be_the_latest_that_was_prepared() {
    let (gateway, mut a, mut b) = proposed(GROUP);
    let now = start();
    let first = a.commit();
    // Somebody else comes, so a commit to both replaces it.
    let mut c = Peer::new(C, GROUP, 4);
    c.enter(now, &gateway.package(), &[A, B]);
    a.act(|session| session.handle_connect(now, &[user(C)]));
    a.act(|session| session.handle_proposals(now, &append(&[&gateway.add(&c.key_package(), 0)])));
    let second = a.commit();
    assert_ne!(first, second);
    // The latest: the cached state is adopted, for three.
    let mut twin = twin_of_a(&gateway, &b, &c);
    b.act(|session| session.handle_connect(now, &[user(C)]));
    a.outputs.clear();
    a.act(|session| session.handle_commit(now, 9, &commit_of(&second)));
    b.act(|session| session.handle_welcome(now, 9, &welcome_of(&second)));
    assert_eq!(a.session.members().len(), 3);
    assert_eq!(a.session.privacy_code(), b.session.privacy_code());
    assert!(a.invalid().is_empty());
    // An older one: a hard failure.
    let (old, stale) = (twin.key_package(), commit_of(&twin.commits()[0]));
    twin.outputs.clear();
    twin.act(|session| session.handle_commit(now, 9, &stale));
    assert_recovering(&twin, &[9], &old);
}

/// Another A who got the same proposals.
fn twin_of_a(gateway: &Gateway, b: &Peer, c: &Peer) -> Peer {
    let now = start();
    let mut twin = Peer::new(A, GROUP, 22);
    twin.enter(now, &gateway.package(), &[B, C]);
    for other in [b, c] {
        let add = gateway.add(&other.key_package(), 0);
        twin.act(|session| session.handle_proposals(now, &append(&[&add])));
    }
    twin
}

/// Op 31 for these transitions, pending, one fresh key package.
fn assert_recovering(peer: &Peer, reported: &[u16], old_key_package: &[u8]) {
    assert_eq!(peer.invalid(), reported);
    assert_eq!(peer.session.epoch(), None);
    assert!(peer.session.members().is_empty());
    assert_eq!(peer.key_packages().len(), 1);
    assert_ne!(peer.key_package(), old_key_package);
    assert!(peer.ready().is_empty(), "what failed is not answered with op 23");
    assert_eq!(peer.session.stats().recoveries, 1);
    let first = peer.outputs.iter().position(|output| matches!(output, Output::InvalidCommitWelcome(_)));
    let second = peer.outputs.iter().position(|output| matches!(output, Output::KeyPackage(_)));
    assert!(first < second, "the report before the key package");
}
