//! Op 31, and the way back.

use std::time::Duration;

use voice_dave::{Event, Trouble};

use crate::support::{A, B, C, Call, append, commit_of};

/// A has lost track: a commit that it cannot process.
fn lost() -> Call {
    let mut call = Call::established(&[A, B, C]);
    let now = call.now;
    call.peer(A).act(|session| session.handle_commit(now, 7, &[1, 2, 3]));
    call
}

/// What the gateway does about op 31: A is removed, and added with its new key package.
fn take_back(call: &mut Call, id: u64) {
    let now = call.now;
    let (removal, addition) = (call.removal(id), call.addition(id));
    let payload = append(&[&removal, &addition]);
    for other in [B, C] {
        call.peer(other).act(|session| session.handle_proposals(now, &payload));
    }
    // It cannot take part, and must not mind.
    call.peer(id).act(|session| session.handle_proposals(now, &payload));
    let payload = call.peer(B).commit();
    call.transition += 1;
    let transition = call.transition;
    for other in [B, C] {
        call.peer(other).act(|session| session.handle_commit(now, transition, &commit_of(&payload)));
    }
    let welcome = crate::support::welcome_of(&payload);
    call.peer(id).act(|session| session.handle_welcome(now, transition, &welcome));
    call.epoch += 1;
}

#[test]
fn r1_r3_an_unprocessable_commit() {
    let mut call = lost();
    let a = call.peer(A);
    assert_eq!(a.invalid(), [7]);
    assert_eq!(a.key_packages().len(), 1);
    assert_eq!(a.troubles(), [Trouble::Commit("it is no public MLS message".to_owned())]);
    assert!(a.updates().is_empty(), "R3: sealing and opening go on, plain frames stay refused");
    assert!(a.states().is_empty(), "still encrypted");
    assert_eq!(a.session.version(), 1);
    assert_eq!(a.session.epoch(), None);
}

#[test]
fn r1_the_way_back() {
    let mut call = lost();
    call.forget_outputs();
    take_back(&mut call, A);
    call.agree();
    let a = call.peer(A);
    assert!(!a.events().contains(&Event::RecoveryEnded), "not before its secret is in force");
    assert!(a.invalid().is_empty());
    assert!(!a.events().iter().any(|event| matches!(event, Event::Joined(_) | Event::Left(_))), "nobody came or went");
    a.outputs.clear();
    call.execute();
    assert_eq!(call.peer(A).events(), [Event::RecoveryEnded]);
    assert_eq!(call.peer(A).sealed().len(), 1);
}

#[test]
fn an_old_transition_is_still_executed_but_does_not_end_the_recovery() {
    let mut call = Call::established(&[A, B]);
    call.enter(C);
    call.add(&[C]);
    let now = call.now;
    call.forget_outputs();
    call.peer(A).act(|session| session.handle_commit(now, 9, &[0]));
    call.peer(A).act(|session| session.handle_execute_transition(now, 3));
    call.execute();
    let a = call.peer(A);
    assert_eq!(a.sealed().len(), 1, "the others seal with that epoch too");
    assert!(!a.events().contains(&Event::RecoveryEnded));
}

#[test]
fn what_was_reported_is_not_reported_again() {
    let mut call = lost();
    let now = call.now;
    let a = call.peer(A);
    a.act(|session| session.handle_commit(now, 7, &[1, 2, 3]));
    a.act(|session| session.handle_welcome(now, 7, &[1, 2, 3]));
    assert_eq!(a.invalid(), [7]);
    assert_eq!(a.key_packages().len(), 1);
    assert_eq!(a.session.stats().recoveries, 1);
    a.act(|session| session.handle_welcome(now, 8, &[1, 2, 3]));
    assert_eq!(a.invalid(), [7, 8]);
}

#[test]
fn commits_of_the_group_that_was_left_are_not_mistaken_for_a_new_failure() {
    let mut call = lost();
    call.forget_outputs();
    let removal = call.removal(C);
    let now = call.now;
    call.peer(B).act(|session| session.handle_proposals(now, &append(&[&removal])));
    let commit = commit_of(&call.peer(B).commit());
    let a = call.peer(A);
    a.act(|session| session.handle_commit(now, 8, &commit));
    assert!(a.outputs.is_empty(), "the key package that is out stays good");
}

#[test]
fn r2_an_unprocessable_welcome() {
    let mut call = Call::new(&[A, B]);
    let now = call.now;
    let b = call.peer(B);
    b.outputs.clear();
    b.act(|session| session.handle_welcome(now, 0x0180, &[0, 2, 0, 0]));
    assert_eq!(b.invalid(), [0x0180]);
    assert_eq!(b.key_packages().len(), 1);
    assert!(matches!(b.troubles()[..], [Trouble::Welcome(_)]));
}

#[test]
fn a_missed_commit_shows_in_the_next_proposal() {
    let mut call = Call::established(&[A, B, C]);
    let now = call.now;
    // B and C go on without A.
    let removal = call.removal(C);
    call.peer(B).act(|session| session.handle_proposals(now, &append(&[&removal])));
    let ahead = call.gateway.remove(1, call.epoch + 1);
    let a = call.peer(A);
    a.act(|session| session.handle_proposals(now, &append(&[&ahead])));
    assert_eq!(a.troubles(), [Trouble::MissedCommit]);
    assert_eq!(a.invalid(), [2], "the last transition that we know");
    assert_eq!(a.key_packages().len(), 1);
    a.outputs.clear();
    a.act(|session| session.handle_proposals(now, &append(&[&ahead])));
    assert!(a.outputs.is_empty(), "pending, the epochs of others say nothing");
}

#[test]
fn a_proposal_of_a_stale_epoch_or_of_a_stranger_is_no_missed_commit() {
    let mut call = Call::established(&[A, B]);
    let now = call.now;
    let stale = call.gateway.remove(1, 0);
    let mut member = call.gateway.remove(1, 9);
    member[21] = 1;
    let mut second = call.gateway.remove(1, 9);
    second[25] = 1;
    let a = call.peer(A);
    for proposal in [&stale, &member, &second] {
        a.act(|session| session.handle_proposals(now, &append(&[proposal])));
    }
    assert!(a.outputs.is_empty());
    assert_eq!(a.session.epoch(), Some(1));
}

#[test]
fn r4_undecryptable_backs_off() {
    let mut call = Call::established(&[A, B]);
    let now = call.now;
    let a = call.peer(A);
    let mut at = Vec::new();
    for second in 0..200 {
        a.outputs.clear();
        a.act(|session| session.handle_undecryptable(now + Duration::from_secs(second)));
        if !a.outputs.is_empty() {
            assert_eq!(a.invalid(), [1], "the last transition that we know");
            assert_eq!(a.troubles(), [Trouble::Undecryptable]);
            at.push(second);
        }
    }
    assert_eq!(at, [0, 10, 30, 70, 150]);
}

#[test]
fn r4_nothing_to_recover_without_a_group() {
    let mut call = Call::new(&[A]);
    let now = call.now;
    let outputs = call.peer(A).after(|session| session.handle_undecryptable(now));
    assert!(outputs.is_empty());
}

#[test]
fn a_sole_member_reset_ends_a_recovery_for_good() {
    let mut call = lost();
    let now = call.now;
    let a = call.peer(A);
    a.act(|session| session.handle_prepare_transition(now, 0, 1));
    assert_eq!(a.withheld(), 0, "others still hear us");
    a.act(|session| session.handle_prepare_epoch(now, 1, 1, None));
    a.act(|session| session.handle_prepare_transition(now, 0, 1));
    assert_eq!(a.withheld(), 1);
    assert_eq!(a.retired().len(), 2);
    assert_eq!(a.events().iter().filter(|event| matches!(event, Event::Left(_))).count(), 2);
}

#[test]
fn a_sole_member_reset_is_recognised_through_a_late_execution_and_a_recovery() {
    let mut call = Call::established(&[A, B]);
    call.enter(C);
    call.add(&[C]);
    let (now, id) = (call.now, call.transition);
    call.forget_outputs();
    let a = call.peer(A);
    a.act(|session| session.handle_commit(now, 9, &[0]));
    a.act(|session| session.handle_prepare_epoch(now, 1, 1, None));
    a.act(|session| session.handle_execute_transition(now, id));
    assert_eq!((a.sealed().len(), a.withheld()), (1, 0));
    a.act(|session| session.handle_prepare_transition(now, 0, 1));
    assert_eq!(a.withheld(), 1);
}

#[test]
fn a_server_that_gets_it_wrong_again_and_again_is_answered_ever_less_often() {
    let mut call = lost();
    assert_eq!(call.peer(A).key_packages().len(), 1);
    for (id, pause) in [(8, 1), (9, 2), (10, 4)] {
        let now = call.now;
        let a = call.peer(A);
        a.outputs.clear();
        a.act(|session| session.handle_welcome(now, id, &[1, 2, 3]));
        assert_eq!((a.invalid(), a.key_packages().len()), (vec![id], 0));
        let due = now + Duration::from_secs(pause);
        assert_eq!(a.session.poll_timeout(), Some(due));
        a.act(|session| session.handle_timeout(due - Duration::from_nanos(1)));
        assert_eq!(a.key_packages().len(), 0);
        a.act(|session| session.handle_timeout(due));
        assert_eq!(a.key_packages().len(), 1);
        assert_eq!(a.session.poll_timeout(), None);
        call.now = due;
    }
}

#[test]
fn what_may_have_been_lost_with_a_websocket_is_said_again_after_a_resume() {
    let mut call = Call::new(&[A, B]);
    let now = call.now;
    let offered = call.peer(A).key_packages();
    call.forget_outputs();
    call.peer(A).act(|session| session.handle_resumed(now));
    assert_eq!(call.peer(A).key_packages(), offered, "the very same: the one before may have arrived");

    call.add(&[B]);
    let transition = call.transition;
    for id in [A, B] {
        let peer = call.peer(id);
        peer.outputs.clear();
        peer.act(|session| session.handle_resumed(now));
        assert_eq!((peer.ready(), peer.key_packages().len()), (vec![transition], 0), "in the group, not executed yet");
    }
    call.execute();
    call.forget_outputs();
    call.peer(A).act(|session| session.handle_resumed(now));
    assert!(call.peer(A).ready().is_empty(), "nothing is open any more");
}
