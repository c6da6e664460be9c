//! Op 27, and the op 28 that answers it.

use std::time::Duration;

use openmls_traits::types::Ciphersuite;

use crate::support::{
    A, B, C, Call, D, Forger, GROUP, Gateway, OTHER_GROUP, append, append_raw, commit_of, revoke, user, welcome_of,
};

/// A and B in a group; C and D pending.
fn two_and_two() -> Call {
    let mut call = Call::established(&[A, B]);
    call.enter(C);
    call.enter(D);
    call
}

fn refused(call: &mut Call, payload: &[u8]) -> u64 {
    let (now, before) = (call.now, call.peer(A).session.stats());
    call.peer(A).outputs.clear();
    call.peer(A).act(|session| session.handle_proposals(now, payload));
    assert!(call.peer(A).outputs.is_empty());
    let after = call.peer(A).session.stats();
    (after.proposals_refused - before.proposals_refused) + (after.ignored - before.ignored)
}

#[test]
fn pr1_only_proposals_of_the_current_epoch_of_this_group() {
    let mut call = two_and_two();
    let package = call.peer(C).key_package();
    let other = Gateway::new(1, OTHER_GROUP);
    assert_eq!(refused(&mut call, &append(&[&other.add(&package, 1)])), 1);
    let past = call.gateway.add(&package, 0);
    assert_eq!(refused(&mut call, &append(&[&past])), 1);
    call.change(&[C], &[]);
    let commit = commit_of(&call.peer(A).commit());
    assert_eq!(refused(&mut call, &append(&[&commit])), 1, "a commit is no proposal");
    call.agree();
}

#[test]
fn pr1_pr3_only_the_external_sender_proposes() {
    let mut call = two_and_two();
    let package = call.peer(C).key_package();
    let impostor = Gateway::new(66, GROUP);
    assert_eq!(refused(&mut call, &append(&[&impostor.add(&package, 1)])), 1);
    let second = call.gateway.add_as(&package, 1, 1);
    assert_eq!(refused(&mut call, &append(&[&second])), 1, "there is no second sender");
    // A member's own proposal.
    let mut forger = Forger::user(D, 9);
    let add = call.gateway.add(&forger.key_package(), 1);
    let now = call.now;
    call.peer(A).act(|session| session.handle_proposals(now, &append(&[&add])));
    let payload = call.peer(A).commit();
    call.peer(A).act(|session| session.handle_commit(now, 3, &commit_of(&payload)));
    forger.join(&welcome_of(&payload));
    let proposal = forger.member_proposal(1);
    assert_eq!(refused(&mut call, &append(&[&proposal])), 1);
}

#[test]
fn pr2_only_additions_and_removals() {
    let mut call = two_and_two();
    let extensions = call.gateway.extensions(1);
    assert_eq!(refused(&mut call, &append(&[&extensions])), 1);
}

#[test]
fn pr4_only_recognised_users() {
    let mut call = two_and_two();
    let now = call.now;
    let add = call.addition(C);
    call.peer(A).act(|session| session.handle_disconnect(now, user(C)));
    assert_eq!(refused(&mut call, &append(&[&add])), 0, "held: op 11 may be on its way");
    assert!(call.peer(A).commits().is_empty());
}

#[test]
fn pr4_an_addition_may_come_before_op_11() {
    let mut call = two_and_two();
    let now = call.now;
    call.peer(A).act(|session| session.handle_disconnect(now, user(C)));
    call.propose(&[C, D], &[]);
    assert!(call.peer(A).commits().is_empty(), "all of a batch or nothing of it");
    call.peer(A).act(|session| session.handle_connect(now, &[user(C)]));
    assert_eq!(call.peer(A).commits().len(), 1);
    call.announce(A, &[C, D], &[]);
    call.execute();
    call.agree();
}

#[test]
fn one_op_11_costs_one_commit_and_none_when_a_commit_waits() {
    let mut call = two_and_two();
    let now = call.now;
    let (additions, both) = ([C, D].map(|id| append(&[&call.addition(id)])), [user(C), user(D)]);
    call.forget_outputs();
    for id in [A, B] {
        let peer = call.peer(id);
        both.iter().for_each(|&user| peer.act(|session| session.handle_disconnect(now, user)));
        additions.iter().for_each(|add| peer.act(|session| session.handle_proposals(now, add)));
        assert!(peer.commits().is_empty());
    }
    let a = call.peer(A);
    a.act(|session| session.handle_connect(now, &both));
    assert_eq!(a.commits().len(), 1, "to both batches");
    let commit = commit_of(&a.commit());
    let b = call.peer(B);
    b.act(|session| session.handle_commit(now, 9, &commit));
    assert!(b.outputs.is_empty(), "it waits");
    b.act(|session| session.handle_connect(now, &both));
    assert_eq!((b.commits().len(), b.ready(), b.session.epoch()), (0, vec![9], Some(2)));
}

#[test]
fn what_waits_for_op_11_can_be_revoked_and_ends_with_the_epoch() {
    let mut call = two_and_two();
    let now = call.now;
    let add = call.addition(C);
    call.peer(A).act(|session| session.handle_disconnect(now, user(C)));
    call.peer(A).act(|session| session.handle_proposals(now, &append(&[&add])));
    let revocation = call.gateway.revocation(&[&add]);
    assert_eq!(refused(&mut call, &revocation), 0, "known");
    assert_eq!(refused(&mut call, &revocation), 1, "not any more");
    call.peer(A).act(|session| session.handle_proposals(now, &append(&[&add])));
    call.change(&[D], &[]);
    call.forget_outputs();
    call.peer(A).act(|session| session.handle_connect(now, &[user(C)]));
    assert!(call.peer(A).outputs.is_empty());
}

#[test]
fn what_waits_for_op_11_is_bounded() {
    let mut call = two_and_two();
    let now = call.now;
    call.peer(A).act(|session| session.handle_disconnect(now, user(C)));
    // Each time another proposal: signatures differ.
    for _ in 0..40 {
        let add = call.addition(C);
        call.peer(A).act(|session| session.handle_proposals(now, &append(&[&add])));
    }
    assert_eq!(call.peer(A).session.stats().proposals_refused, 40 - 16);
}

#[test]
fn a_commit_may_come_before_op_11_too() {
    let mut call = two_and_two();
    let now = call.now;
    call.peer(A).act(|session| session.handle_disconnect(now, user(C)));
    call.propose(&[C], &[]);
    call.announce(B, &[C], &[]);
    let a = call.peer(A);
    assert!(a.invalid().is_empty() && a.ready().is_empty());
    assert_eq!(a.session.poll_timeout(), Some(now + Duration::from_secs(1)));
    a.act(|session| session.handle_connect(now, &[user(C)]));
    assert!(a.commits().is_empty(), "the epoch was decided");
    assert_eq!(a.ready(), [2]);
    assert_eq!(a.session.poll_timeout(), Some(now + Duration::from_secs(10)), "op 22");
    call.execute();
    call.agree();
}

#[test]
fn a_commit_does_not_wait_long_for_op_11() {
    let mut call = two_and_two();
    let now = call.now;
    call.peer(A).act(|session| session.handle_disconnect(now, user(C)));
    call.propose(&[C], &[]);
    call.announce(B, &[C], &[]);
    let a = call.peer(A);
    let due = now + Duration::from_secs(1);
    a.act(|session| session.handle_timeout(due - Duration::from_nanos(1)));
    assert!(a.outputs.is_empty());
    // Somebody else who comes does not prolong it.
    a.act(|session| session.handle_connect(now, &[user(1)]));
    assert_eq!(a.session.poll_timeout(), Some(due));
    a.act(|session| session.handle_timeout(due));
    assert_eq!(a.invalid(), [2]);
    assert_eq!(a.session.poll_timeout(), None);
}

#[test]
fn pr5_revocation_rebuilds_the_queue() {
    let mut call = two_and_two();
    let now = call.now;
    let (c, d) = (call.addition(C), call.addition(D));
    call.peer(A).act(|session| session.handle_proposals(now, &append(&[&c, &d])));
    call.peer(B).act(|session| session.handle_proposals(now, &append(&[&c, &d])));
    let revocation = call.gateway.revocation(&[&c]);
    for id in [A, B] {
        call.peer(id).act(|session| session.handle_proposals(now, &revocation));
    }
    assert_eq!(call.peer(A).commits().len(), 2);
    call.announce(A, &[D], &[]);
    call.agree();
}

#[test]
fn pr5_an_unknown_reference_is_counted_and_changes_nothing() {
    let mut call = two_and_two();
    let now = call.now;
    let c = call.addition(C);
    call.peer(A).act(|session| session.handle_proposals(now, &append(&[&c])));
    assert_eq!(refused(&mut call, &revoke(&[vec![2, 1, 2], vec![0]])), 2);
    assert_eq!(refused(&mut call, &[1, 0]), 0, "an empty list");
    let outputs = call.peer(A).commits();
    assert!(outputs.is_empty(), "the commit of before still stands");
}

#[test]
fn pr6_a_commit_covers_everything_by_reference_and_has_a_welcome_for_additions_only() {
    let mut call = Call::established(&[A, B, C]);
    call.enter(D);
    call.propose(&[D], &[B]);
    let payload = call.peer(A).commit();
    assert!(!welcome_of(&payload).is_empty());
    let text = commit_of(&payload);
    for proposal in [call.removal(B), call.addition(D)] {
        // What was proposed is signed anew by these calls, but A commits to what it got: nothing is inlined.
        assert!(!text.windows(32).any(|window| proposal.windows(32).any(|other| window == other && window != [0; 32])));
    }
    call.announce(A, &[D], &[B]);
    call.execute();
    call.agree();
    call.forget_outputs();
    call.propose(&[], &[D]);
    let payload = call.peer(A).commit();
    assert!(welcome_of(&payload).is_empty(), "nobody to welcome");
    call.announce(A, &[], &[D]);
    call.agree();
}

#[test]
fn pr6_an_empty_queue_is_not_committed_to_and_the_old_commit_is_void() {
    let mut call = two_and_two();
    let now = call.now;
    let c = call.addition(C);
    call.peer(A).act(|session| session.handle_proposals(now, &append(&[&c])));
    let commit = commit_of(&call.peer(A).commit());
    let revocation = call.gateway.revocation(&[&c]);
    assert_eq!(refused(&mut call, &revocation), 0);
    assert!(call.peer(A).commits().is_empty());
    call.peer(A).act(|session| session.handle_commit(now, 5, &commit));
    assert_eq!(call.peer(A).invalid(), [5], "nothing is prepared any more");
}

#[test]
fn pr7_nobody_is_added_twice() {
    let mut call = two_and_two();
    let b_again = Forger::user(B, 77);
    let add = call.gateway.add(&b_again.key_package(), 1);
    assert_eq!(refused(&mut call, &append(&[&add])), 1, "B is a member");
    let (c, again) = (call.addition(C), Forger::user(C, 78));
    let second = call.gateway.add(&again.key_package(), 1);
    assert_eq!(refused(&mut call, &append(&[&c, &second])), 2, "in one batch");
    let now = call.now;
    call.peer(A).act(|session| session.handle_proposals(now, &append(&[&c])));
    assert_eq!(refused(&mut call, &append(&[&second])), 1, "in the next batch");
    // But who leaves may come back in the same epoch.
    let removal = call.removal(B);
    call.peer(A).act(|session| session.handle_proposals(now, &append(&[&removal, &add])));
    assert_eq!(call.peer(A).commits().len(), 1);
}

#[test]
fn pr7_revoking_a_removal_leaves_no_duplicate_to_commit_to() {
    let mut call = two_and_two();
    let now = call.now;
    let b_again = Forger::user(B, 77);
    let (removal, add) = (call.removal(B), call.gateway.add(&b_again.key_package(), 1));
    call.peer(A).act(|session| session.handle_proposals(now, &append(&[&removal, &add])));
    let revocation = call.gateway.revocation(&[&removal]);
    assert_eq!(refused(&mut call, &revocation), 0, "no commit to a group with B twice");
}

#[test]
fn pr7_an_added_credential_must_be_a_users() {
    let mut call = two_and_two();
    for credential in [&[1, 2, 3][..], &[0; 8], &[1; 9], &[]] {
        let add = call.gateway.add(&Forger::new(credential, 5).key_package(), 1);
        assert_eq!(refused(&mut call, &append(&[&add])), 1);
    }
}

#[test]
fn pr8_a_half_bad_batch_leaves_the_queue_as_it_was() {
    let mut call = two_and_two();
    let now = call.now;
    let (c, d) = (call.addition(C), call.addition(D));
    call.peer(A).act(|session| session.handle_proposals(now, &append(&[&c])));
    call.peer(B).act(|session| session.handle_proposals(now, &append(&[&c])));
    let before = call.peer(A).commit();
    let bad = call.gateway.remove(7, 1);
    assert_eq!(refused(&mut call, &append(&[&d, &bad])), 2);
    let mut garbled = append(&[&d, &d]);
    let last = garbled.len() - 1;
    garbled[last] ^= 1;
    assert_eq!(refused(&mut call, &garbled), 2, "the second signature is wrong");
    garbled.truncate(last);
    assert_eq!(refused(&mut call, &garbled), 1, "cut");
    // The commit of before is still the one, and D can still be added.
    let (a_commit, welcome) = (commit_of(&before), welcome_of(&before));
    call.peer(A).act(|session| session.handle_commit(now, 5, &a_commit));
    call.peer(B).act(|session| session.handle_commit(now, 5, &a_commit));
    call.peer(C).act(|session| session.handle_welcome(now, 5, &welcome));
    (call.epoch, call.leaves) = (2, vec![Some(A), Some(B), Some(C)]);
    call.agree();
    call.change(&[D], &[]);
    call.agree();
}

#[test]
fn pr8_what_mls_itself_refuses_to_commit_to_does_not_spoil_the_queue() {
    let mut call = two_and_two();
    let now = call.now;
    let c = call.addition(C);
    for id in [A, B] {
        call.peer(id).act(|session| session.handle_proposals(now, &append(&[&c])));
    }
    // A leaf that does not know the group's ciphersuite: well signed, and only looked at when somebody commits.
    let other = Ciphersuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519;
    let stranger = call.gateway.add(&Forger::user(D, 5).key_package_for(&[other]), 1);
    call.peer(A).outputs.clear();
    call.peer(A).act(|session| session.handle_proposals(now, &append(&[&stranger])));
    assert_eq!(call.peer(A).session.stats().proposals_refused, 1);
    assert_eq!(call.peer(A).commits().len(), 1, "the commit to C, made anew");
    call.announce(A, &[C], &[]);
    call.execute();
    call.agree();
}

#[test]
fn pr9_only_members_are_removed_and_only_once() {
    let mut call = two_and_two();
    let now = call.now;
    for leaf in [2, 3, 1_000, u32::MAX] {
        let removal = call.gateway.remove(leaf, 1);
        assert_eq!(refused(&mut call, &append(&[&removal])), 1, "{leaf}");
    }
    let (first, second) = (call.removal(B), call.removal(B));
    assert_ne!(first, second, "two proposals");
    assert_eq!(refused(&mut call, &append(&[&first, &second])), 2);
    call.peer(A).act(|session| session.handle_proposals(now, &append(&[&first])));
    assert_eq!(refused(&mut call, &append(&[&second])), 1);
    assert_eq!(refused(&mut call, &append(&[&first])), 1, "the same again");
}

#[test]
fn g14_a_proposal_to_remove_us_is_kept_but_not_committed_to() {
    let mut call = Call::established(&[A, B, C]);
    let now = call.now;
    let removal = call.removal(A);
    assert_eq!(refused(&mut call, &append(&[&removal])), 0);
    let another = call.removal(C);
    assert_eq!(refused(&mut call, &append(&[&another])), 0);
    // Revoked, the rest is committed to.
    let revocation = call.gateway.revocation(&[&removal]);
    call.peer(A).act(|session| session.handle_proposals(now, &revocation));
    assert_eq!(call.peer(A).commits().len(), 1);
}

#[test]
fn the_queue_is_bounded() {
    let mut call = two_and_two();
    let removal = call.removal(B);
    let many = vec![removal.as_slice(); 257];
    assert_eq!(refused(&mut call, &append(&many)), 257);
    // The smallest messages there are; what follows the 257th is not even parsed.
    let welcomes = [0, 1, 0, 3, 0, 2, 0, 0].repeat(1_000);
    assert_eq!(refused(&mut call, &append_raw(&[&welcomes[..], &[9]].concat())), 257);
    let payload = append_raw(&vec![0; 300 * 1_024]);
    assert_eq!(refused(&mut call, &payload), 1, "too long to look at");
    for payload in [&[][..], &[2], &[0], &[1], &[0, 0], &[0, 5, 1], &[255, 255, 255]] {
        assert_eq!(refused(&mut call, payload), 1, "{payload:?}");
    }
}

#[test]
fn private_messages_and_the_like_are_refused() {
    let mut call = two_and_two();
    // MLS 1.0, wire format 2 (private): group, epoch, content type, and nothing that makes sense.
    let mut message = vec![0, 1, 0, 2, 8];
    message.extend_from_slice(&GROUP.to_be_bytes());
    message.extend_from_slice(&1u64.to_be_bytes());
    message.extend_from_slice(&[2, 0, 0, 0]);
    assert_eq!(refused(&mut call, &append(&[&message])), 1);
    let package = call.peer(C).key_package();
    let wrapped = [&[0, 1, 0, 5][..], &package].concat();
    assert_eq!(refused(&mut call, &append(&[&wrapped])), 1, "a key package is no proposal");
}
