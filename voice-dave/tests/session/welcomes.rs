//! Op 30.

use openmls::extensions::{Extension, RequiredCapabilitiesExtension};
use openmls::key_packages::Lifetime;
use voice_dave::{Trouble, Update};

use crate::support::{A, B, C, Call, D, Forger, GROUP, Gateway, Peer, start, user, welcome_of};

fn pending() -> (Gateway, Peer) {
    let (now, gateway) = (start(), Gateway::new(1, GROUP));
    let mut b = Peer::new(B, GROUP, 3);
    b.enter(now, &gateway.package(), &[A, C]);
    (gateway, b)
}

fn fails(peer: &mut Peer, welcome: &[u8], reason: &str) {
    let old = peer.key_package();
    peer.outputs.clear();
    peer.act(|session| session.handle_welcome(start(), 7, welcome));
    assert_eq!(peer.troubles(), [Trouble::Welcome(reason.to_owned())]);
    assert_eq!(peer.invalid(), [7]);
    assert_ne!(peer.key_package(), old);
    assert_eq!(peer.session.epoch(), None);
}

#[test]
fn w1_a_welcome_to_a_member_is_ignored() {
    let mut call = Call::new(&[A, B]);
    call.propose(&[B], &[]);
    let welcome = welcome_of(&call.peer(A).commit());
    call.announce(A, &[B], &[]);
    call.forget_outputs();
    let now = call.now;
    for id in [A, B] {
        call.peer(id).act(|session| session.handle_welcome(now, 2, &welcome));
        assert!(call.peer(id).outputs.is_empty());
        assert_eq!(call.peer(id).session.stats().ignored, 1);
    }
    call.agree();
}

#[test]
fn w1_without_a_key_package_or_an_external_sender() {
    let (gateway, b) = pending();
    let mut forger = Forger::user(A, 9);
    forger.create(GROUP, vec![Extension::ExternalSenders(vec![gateway.sender()])]);
    let welcome = forger.welcome(&[&b.key_package()]);
    let mut nobody = Peer::new(B, GROUP, 3);
    nobody.act(|session| session.handle_welcome(start(), 7, &welcome));
    assert!(nobody.outputs.is_empty());
    nobody.act(|session| session.handle_version(start(), 1));
    fails(&mut nobody, &welcome, "no external sender is known");
}

#[test]
fn w2_another_external_sender() {
    let (_, mut b) = pending();
    let mut forger = Forger::user(A, 9);
    forger.create(GROUP, vec![Extension::ExternalSenders(vec![Gateway::new(66, GROUP).sender()])]);
    let welcome = forger.welcome(&[&b.key_package()]);
    fails(&mut b, &welcome, "its external sender is not the one announced");
}

#[test]
fn w2_the_same_key_under_another_name() {
    let (_, mut b) = pending();
    let mut forger = Forger::user(A, 9);
    forger.create(GROUP, vec![Extension::ExternalSenders(vec![Gateway::named(1, GROUP, &[9]).sender()])]);
    let welcome = forger.welcome(&[&b.key_package()]);
    fails(&mut b, &welcome, "its external sender is not the one announced");
}

#[test]
fn w2_two_external_senders_or_none() {
    let (gateway, mut b) = pending();
    let mut forger = Forger::user(A, 9);
    let both = vec![gateway.sender(), Gateway::new(66, GROUP).sender()];
    forger.create(GROUP, vec![Extension::ExternalSenders(both)]);
    let welcome = forger.welcome(&[&b.key_package()]);
    fails(&mut b, &welcome, "its external sender is not the one announced");
    let (_, mut b) = pending();
    forger.create(GROUP, Vec::new());
    let welcome = forger.welcome(&[&b.key_package()]);
    fails(&mut b, &welcome, "its external sender is not the one announced");
}

#[test]
fn w3_another_extension_beside() {
    let (gateway, mut b) = pending();
    let mut forger = Forger::user(A, 9);
    let required = RequiredCapabilitiesExtension::new(&[], &[], &[]);
    forger.create(
        GROUP,
        vec![Extension::ExternalSenders(vec![gateway.sender()]), Extension::RequiredCapabilities(required)],
    );
    let welcome = forger.welcome(&[&b.key_package()]);
    fails(&mut b, &welcome, "its group has extensions that are not allowed");
}

#[test]
fn w4_n1_a_stranger_among_the_members() {
    let (gateway, mut b) = pending();
    let mut forger = Forger::user(A, 9);
    forger.create(GROUP, vec![Extension::ExternalSenders(vec![gateway.sender()])]);
    let stranger = Forger::user(D, 10);
    let welcome = forger.welcome(&[&b.key_package(), &stranger.key_package()]);
    fails(&mut b, &welcome, "it lists a user who is not in the call");
}

#[test]
fn w4_a_credential_that_names_nobody() {
    let (gateway, mut b) = pending();
    for credential in [&[0; 8][..], &[1; 7]] {
        let mut forger = Forger::new(credential, 9);
        forger.create(GROUP, vec![Extension::ExternalSenders(vec![gateway.sender()])]);
        let welcome = forger.welcome(&[&b.key_package()]);
        fails(&mut b, &welcome, "a member's credential is not a user's");
        (_, b) = pending();
    }
}

#[test]
fn w6_a_user_twice() {
    let (gateway, mut b) = pending();
    let mut forger = Forger::user(A, 9);
    forger.create(GROUP, vec![Extension::ExternalSenders(vec![gateway.sender()])]);
    let again = Forger::user(A, 10);
    let welcome = forger.welcome(&[&b.key_package(), &again.key_package()]);
    fails(&mut b, &welcome, "a user is in the group twice");
    let (_, mut b) = pending();
    let shadow = Forger::user(B, 11);
    let mut forger = Forger::user(A, 9);
    forger.create(GROUP, vec![Extension::ExternalSenders(vec![gateway.sender()])]);
    let welcome = forger.welcome(&[&b.key_package(), &shadow.key_package()]);
    fails(&mut b, &welcome, "a user is in the group twice");
}

#[test]
fn w5_n2_another_group_id() {
    let (gateway, mut b) = pending();
    let mut forger = Forger::user(A, 9);
    forger.create(42, vec![Extension::ExternalSenders(vec![gateway.sender()])]);
    let welcome = forger.welcome(&[&b.key_package()]);
    fails(&mut b, &welcome, "it is for another group");
}

#[test]
fn w7_the_tree_is_inline_and_everybody_is_expected_but_ourselves() {
    let mut call = Call::established(&[A, B]);
    call.enter(C);
    call.add(&[C]);
    let now = call.now;
    let c = call.peer(C);
    let mut expected: Vec<_> = c
        .updates()
        .into_iter()
        .filter_map(|update| match update {
            Update::Expect { user, retire, .. } => Some((user, retire)),
            _ => None,
        })
        .collect();
    expected.sort_unstable();
    let retire = now + std::time::Duration::from_secs(10);
    assert_eq!(expected, [(user(A), retire), (user(B), retire)]);
}

#[test]
fn w8_lifetimes_are_not_looked_at() {
    let (gateway, mut b) = pending();
    let mut forger = Forger::user(A, 9);
    // A minute of 1970.
    forger.create_for(GROUP, vec![Extension::ExternalSenders(vec![gateway.sender()])], Lifetime::init(0, 60));
    let welcome = forger.welcome(&[&b.key_package()]);
    b.act(|session| session.handle_welcome(start(), 7, &welcome));
    assert_eq!(b.ready(), [7]);
    assert_eq!(b.session.members().len(), 2);
}

#[test]
fn w_garbage_and_welcomes_for_others_are_failures_once() {
    let mut call = Call::new(&[A, B, C]);
    call.propose(&[B], &[]);
    let welcome = welcome_of(&call.peer(A).commit());
    let now = call.now;
    let c = call.peer(C);
    c.outputs.clear();
    c.act(|session| session.handle_welcome(now, 7, &welcome));
    assert_eq!(c.troubles(), [Trouble::Welcome("MLS refuses it".to_owned())]);
    c.act(|session| session.handle_welcome(now, 7, &welcome));
    c.act(|session| session.handle_welcome(now, 7, &[1, 2, 3]));
    assert_eq!(c.invalid(), [7], "the server knows");
    assert_eq!(c.key_packages().len(), 1);
    c.act(|session| session.handle_welcome(now, 8, &vec![0; 300 * 1_024]));
    assert_eq!(c.invalid(), [7, 8]);
}
