//! Op 29.

use openmls::credentials::BasicCredential;
use openmls::prelude::{CredentialWithKey, LeafNodeIndex, LeafNodeParameters};
use voice_dave::Trouble;

use crate::support::{A, B, C, Call, D, Forger, Peer, append, commit_of, user, welcome_of};

/// A, and a forger as B, in a group of epoch 1; C is pending, D too.
fn with_forger() -> (Call, Forger) {
    let mut call = Call::new(&[A]);
    let mut forger = Forger::user(B, 9);
    let now = call.now;
    let add = call.gateway.add(&forger.key_package(), 0);
    call.peer(A).act(|session| session.handle_connect(now, &[user(B)]));
    call.peer(A).act(|session| session.handle_proposals(now, &append(&[&add])));
    let payload = call.peer(A).commit();
    call.peer(A).act(|session| session.handle_commit(now, 1, &commit_of(&payload)));
    call.peer(A).act(|session| session.handle_execute_transition(now, 1));
    forger.join(&welcome_of(&payload));
    (call.epoch, call.leaves) = (1, vec![Some(A), Some(B)]);
    call.enter(C);
    call.enter(D);
    call.forget_outputs();
    (call, forger)
}

/// Both get the proposal to add C.
fn propose_c(call: &mut Call, forger: &mut Forger) {
    let (now, add) = (call.now, call.addition(C));
    call.peer(A).act(|session| session.handle_proposals(now, &append(&[&add])));
    forger.queue(&add);
}

fn fails(call: &mut Call, commit: &[u8], reason: &str) {
    let now = call.now;
    let a = call.peer(A);
    a.outputs.clear();
    a.act(|session| session.handle_commit(now, 7, commit));
    assert_eq!(a.troubles(), [Trouble::Commit(reason.to_owned())]);
    assert_eq!(a.invalid(), [7]);
    assert_eq!(a.key_packages().len(), 1);
    assert!(a.updates().is_empty(), "R3: media goes on with the secrets it has");
}

#[test]
fn c1_an_honest_commit_of_another_member_is_followed() {
    let (mut call, mut forger) = with_forger();
    propose_c(&mut call, &mut forger);
    let commit = forger.commit(|builder| builder);
    let now = call.now;
    call.peer(A).act(|session| session.handle_commit(now, 7, &commit));
    assert_eq!(call.peer(A).session.epoch(), Some(2));
    assert_eq!(call.peer(A).ready(), [7]);
    assert_eq!(call.peer(A).session.members().len(), 3);
}

#[test]
fn k1_sender_secrets_are_exported_for_the_little_endian_user_id() {
    let (mut call, mut forger) = with_forger();
    propose_c(&mut call, &mut forger);
    let payload = call.peer(A).commit();
    let now = call.now;
    call.peer(A).act(|session| session.handle_commit(now, 7, &commit_of(&payload)));
    call.peer(A).act(|session| session.handle_execute_transition(now, 7));
    // B follows with openmls alone.
    forger.follow(&commit_of(&payload));
    for (id, found) in [(A, call.peer(A).sealed()[0]), (B, call.peer(A).expected(user(B))[0].0)] {
        assert_eq!(forger.export("Discord Secure Frames v0", &id.to_le_bytes(), 16), found);
        assert_ne!(forger.export("Discord Secure Frames v0", &id.to_be_bytes(), 16), found);
    }
}

#[test]
fn c1_the_commit_must_be_for_this_epoch_and_group() {
    let (mut call, mut forger) = with_forger();
    propose_c(&mut call, &mut forger);
    let commit = forger.commit(|builder| builder);
    let mut foreign = commit.clone();
    foreign[12] ^= 1;
    fails(&mut call, &foreign, "it is for another group");
    let (mut call, mut forger) = with_forger();
    propose_c(&mut call, &mut forger);
    let mut past = forger.commit(|builder| builder);
    past[20] = 0;
    fails(&mut call, &past, "it is of a past epoch");
}

#[test]
fn c1_a_commit_of_a_later_epoch_means_that_one_was_missed() {
    let (mut call, mut forger) = with_forger();
    propose_c(&mut call, &mut forger);
    let mut commit = forger.commit(|builder| builder);
    commit[20] = 2;
    let now = call.now;
    call.peer(A).act(|session| session.handle_commit(now, 7, &commit));
    assert_eq!(call.peer(A).troubles(), [Trouble::MissedCommit]);
    assert_eq!(call.peer(A).invalid(), [7]);
}

#[test]
fn c1_a_commit_must_verify() {
    let (mut call, mut forger) = with_forger();
    propose_c(&mut call, &mut forger);
    let mut commit = forger.commit(|builder| builder);
    let last = commit.len() - 1;
    commit[last] ^= 1;
    fails(&mut call, &commit, "MLS refuses it");
    let (mut call, _) = with_forger();
    fails(&mut call, &[], "it is no public MLS message");
}

#[test]
fn c2_proposals_by_value_are_refused() {
    let (mut call, mut forger) = with_forger();
    propose_c(&mut call, &mut forger);
    let commit = forger.commit(|builder| builder.propose_removals([LeafNodeIndex::new(0)]));
    fails(&mut call, &commit, "it brings proposals of its own");
}

#[test]
fn c2_unknown_references_are_refused() {
    let (mut call, mut forger) = with_forger();
    propose_c(&mut call, &mut forger);
    let secret = call.addition(D);
    forger.queue(&secret);
    let commit = forger.commit(|builder| builder);
    fails(&mut call, &commit, "MLS refuses it");
}

#[test]
fn c2_a_commit_to_nothing_is_refused() {
    let (mut call, mut forger) = with_forger();
    let (now, add) = (call.now, call.addition(C));
    call.peer(A).act(|session| session.handle_proposals(now, &append(&[&add])));
    let commit = forger.commit(|builder| builder.force_self_update(true));
    fails(&mut call, &commit, "it commits to nothing");
}

#[test]
fn c3_c4_at_epoch_0_only_our_own_exact_commit_counts() {
    let mut call = Call::new(&[A, B]);
    call.propose(&[B], &[]);
    let now = call.now;
    let mut commit = commit_of(&call.peer(A).commit());
    call.peer(A).outputs.clear();
    let exact = commit.clone();
    let last = commit.len() - 1;
    commit[last] ^= 1;
    let mut twin = Peer::new(A, call.gateway.group, A);
    twin.enter(now, &call.gateway.package(), &[B]);
    call.peer(A).act(|session| session.handle_commit(now, 7, &commit));
    assert_eq!(call.peer(A).invalid(), [7]);
    assert_eq!(call.peer(A).troubles(), [Trouble::Commit("it came before a welcome".to_owned())]);
    // What was prepared before the failure is gone with it.
    call.peer(A).outputs.clear();
    call.peer(A).act(|session| session.handle_commit(now, 8, &exact));
    assert_eq!(call.peer(A).session.epoch(), None);
}

#[test]
fn c5_a_commit_to_a_part_of_the_queue_must_not_double_a_user() {
    let (mut call, mut forger) = with_forger();
    let now = call.now;
    // We are to be replaced by ourselves with another key; the commit leaves out the removal.
    let (removal, add) = (call.removal(A), call.gateway.add(&Forger::user(A, 11).key_package(), 1));
    call.peer(A).act(|session| session.handle_proposals(now, &append(&[&removal, &add])));
    forger.queue(&add);
    let commit = forger.commit(|builder| builder);
    fails(&mut call, &commit, "a user would be in the group twice");
}

#[test]
fn c6_n4_a_commit_without_queued_proposals_is_a_failure() {
    let (mut call, mut forger) = with_forger();
    let add = call.addition(C);
    forger.queue(&add);
    let commit = forger.commit(|builder| builder);
    fails(&mut call, &commit, "there are no proposals to commit to");
}

#[test]
fn c7_an_epoch_clears_what_was_queued() {
    let mut call = Call::established(&[A, B]);
    call.enter(C);
    call.enter(D);
    call.change(&[C], &[]);
    call.forget_outputs();
    // Nothing of the last epoch is left: the next commit covers D only.
    call.change(&[D], &[]);
    call.execute();
    call.agree();
    for peer in call.peers.values() {
        assert!(peer.invalid().is_empty());
    }
}

#[test]
fn c8_a_committer_keeps_their_credential() {
    let (mut call, mut forger) = with_forger();
    propose_c(&mut call, &mut forger);
    let credential = CredentialWithKey {
        credential: BasicCredential::new(D.to_be_bytes().to_vec()).into(),
        signature_key: forger.identity.public_key().to_vec().into(),
    };
    let parameters = LeafNodeParameters::builder().with_credential_with_key(credential).build();
    let commit = forger.commit(|builder| builder.leaf_node_parameters(parameters));
    fails(&mut call, &commit, "its sender changes identity");
}

#[test]
fn n5_an_own_commit_of_the_same_epoch_that_is_not_the_latest_is_a_failure() {
    let mut call = Call::established(&[A, B]);
    call.enter(C);
    call.enter(D);
    call.propose(&[C], &[]);
    let stale = commit_of(&call.peer(A).commit());
    call.propose(&[D], &[]);
    fails(&mut call, &stale, "it is ours, but not the latest that we made");
}

#[test]
fn c4_with_a_path_the_own_commit_is_adopted_from_the_cache() {
    let mut call = Call::established(&[A, B, C]);
    call.remove(&[B]);
    call.execute();
    call.agree();
    // A path was made: C decrypted it, A cannot and need not.
    assert_eq!(call.peer(A).session.epoch(), Some(3));
    call.enter(D);
    call.change(&[D], &[C]);
    call.execute();
    call.agree();
}

#[test]
fn whoever_wins_all_agree() {
    for winner in [A, B, C] {
        let mut call = Call::established(&[A, B, C]);
        call.enter(D);
        call.propose(&[D], &[]);
        call.announce(winner, &[D], &[]);
        call.execute();
        call.agree();
    }
}
