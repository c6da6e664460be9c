//! Ops 21 to 24: who may be heard and how we speak, from announcement to execution.

use std::time::Duration;

use voice_dave::{Event, State, Update};

use crate::support::{A, B, C, Call, D, GROUP, Gateway, Peer, append, commit_of, start, user, welcome_of};

const TEN: Duration = Duration::from_secs(10);
/// How long an announced downgrade lets plain frames in.
const ANNOUNCED: Duration = Duration::from_secs(120);

#[test]
fn t1_transition_0_is_executed_at_once_and_not_answered() {
    let mut call = Call::new(&[A, B]);
    call.propose(&[B], &[]);
    let (now, payload) = (call.now, call.peer(A).commit());
    call.forget_outputs();
    call.peer(A).act(|session| session.handle_commit(now, 0, &commit_of(&payload)));
    call.peer(B).act(|session| session.handle_welcome(now, 0, &welcome_of(&payload)));
    for id in [A, B] {
        let peer = call.peer(id);
        assert!(peer.ready().is_empty());
        assert_eq!(peer.sealed().len(), 1);
        assert_eq!(peer.states(), [State::On { version: 1 }]);
        assert_eq!(peer.session.version(), 1);
    }
}

#[test]
fn t2_t8_receive_at_once_send_at_op_22() {
    let mut call = Call::established(&[A, B]);
    call.enter(C);
    call.pass(TEN);
    call.add(&[C]);
    let retire = call.now + TEN;
    let a = call.peer(A);
    let expected: Vec<_> = [B, C].map(|id| a.expected(user(id))).concat();
    assert_eq!(expected.len(), 2);
    assert!(expected.iter().all(|(_, end)| *end == retire), "T5: 10 s from prepare");
    assert_eq!(a.ready(), [2]);
    assert!(a.sealed().is_empty());
    assert!(a.expected(user(A)).is_empty(), "nothing of ourselves");
    call.execute();
    for sender in [A, B, C] {
        let secret = call.peer(sender).sealed();
        assert_eq!(secret.len(), 1);
        for receiver in [A, B, C].into_iter().filter(|&id| id != sender) {
            assert_eq!(call.peer(receiver).expected(user(sender))[0].0, secret[0]);
        }
    }
}

#[test]
fn t3_unknown_and_repeated_executions_are_ignored() {
    let mut call = Call::established(&[A, B]);
    call.enter(C);
    call.add(&[C]);
    call.forget_outputs();
    let now = call.now;
    let a = call.peer(A);
    a.act(|session| session.handle_execute_transition(now, 99));
    a.act(|session| session.handle_execute_transition(now, 0));
    assert!(a.outputs.is_empty());
    a.act(|session| session.handle_execute_transition(now, 2));
    a.act(|session| session.handle_execute_transition(now, 2));
    assert_eq!(a.sealed().len(), 1);
    assert_eq!(a.session.stats().ignored, 3);
}

#[test]
fn an_execution_installs_the_secret_of_its_own_epoch_and_never_an_older_one() {
    let mut call = Call::established(&[A, B]);
    call.enter(C);
    call.enter(D);
    call.add(&[C]);
    let second = call.peer(B).expected(user(A))[0].0;
    call.add(&[D]);
    let third = call.peer(B).expected(user(A))[1].0;
    let now = call.now;
    call.forget_outputs();
    call.peer(A).act(|session| session.handle_execute_transition(now, 2));
    assert_eq!(call.peer(A).sealed(), [second], "not that of the latest epoch");
    call.peer(A).act(|session| session.handle_execute_transition(now, 3));
    assert_eq!(call.peer(A).sealed(), [second, third]);
    // The other way round the older one is never installed.
    call.peer(B).act(|session| session.handle_execute_transition(now, 3));
    call.peer(B).act(|session| session.handle_execute_transition(now, 2));
    assert_eq!(call.peer(B).sealed().len(), 1);
    assert_eq!(
        call.peer(B).sealed()[0],
        call.peer(D).outputs.is_empty().then(|| call.peer(B).sealed()[0]).expect("quiet")
    );
}

#[test]
fn a_transition_that_is_never_executed_executes_itself_after_10_s() {
    let mut call = Call::established(&[A, B]);
    assert_eq!(call.peer(A).session.poll_timeout(), None);
    call.enter(C);
    call.add(&[C]);
    let due = call.now + TEN;
    let a = call.peer(A);
    assert_eq!(a.session.poll_timeout(), Some(due));
    a.outputs.clear();
    a.act(|session| session.handle_timeout(due - Duration::from_nanos(1)));
    assert!(a.outputs.is_empty());
    a.act(|session| session.handle_timeout(due));
    assert_eq!(a.sealed().len(), 1);
    assert_eq!(a.session.poll_timeout(), None);
    a.act(|session| session.handle_execute_transition(due, 2));
    assert_eq!(a.sealed().len(), 1, "op 22 after all");
}

#[test]
fn t4_downgrade() {
    let mut call = Call::established(&[A, B]);
    call.pass(Duration::from_secs(60));
    let prepared = call.now;
    let a = call.peer(A);
    a.act(|session| session.handle_prepare_transition(prepared, 10, 0));
    assert_eq!(a.plain(), [Some(prepared + ANNOUNCED)], "others may execute before us");
    assert_eq!(a.ready(), [10]);
    assert_eq!(a.sent_plain(), 0, "fail closed until op 22");
    assert_eq!(a.session.version(), 1);
    a.outputs.clear();
    // Time alone never downgrades.
    assert_eq!(a.session.poll_timeout(), None);
    let later = prepared + Duration::from_secs(3_600);
    a.act(|session| session.handle_timeout(later));
    assert!(a.outputs.is_empty());
    a.act(|session| session.handle_execute_transition(prepared + Duration::from_secs(2), 10));
    assert_eq!(a.sent_plain(), 1);
    assert_eq!(a.plain(), [None], "late as it is, it opens again");
    assert_eq!(a.retired(), [(user(B), prepared + TEN)]);
    assert_eq!(a.events(), [Event::Left(user(B)), Event::State(State::Off)]);
    assert_eq!((a.session.version(), a.session.epoch()), (0, None));
    // MLS is over.
    let add = call.gateway.remove(1, 1);
    let outputs = call.peer(A).after(|session| {
        session.handle_proposals(later, &append(&[&add]));
        session.handle_commit(later, 11, &[0]);
        session.handle_welcome(later, 12, &[0]);
        session.handle_undecryptable(later);
    });
    assert!(outputs.is_empty());
}

#[test]
fn t4_a_downgrade_with_transition_0_is_immediate() {
    let mut call = Call::established(&[A, B]);
    let now = call.now;
    call.peer(A).act(|session| session.handle_prepare_transition(now, 0, 0));
    assert!(call.peer(A).ready().is_empty());
    assert_eq!(call.peer(A).sent_plain(), 1);
}

#[test]
fn t4_an_epoch_that_overtakes_a_downgrade_keeps_the_call_encrypted() {
    let mut call = Call::established(&[A, B]);
    call.enter(C);
    let now = call.now;
    call.peer(A).act(|session| session.handle_prepare_transition(now, 50, 0));
    call.add(&[C]);
    call.execute();
    let a = call.peer(A);
    assert_eq!(a.plain(), [Some(now + ANNOUNCED), Some(now + TEN)], "the window closes again");
    a.outputs.clear();
    a.act(|session| session.handle_execute_transition(now, 50));
    assert!(a.outputs.is_empty());
    assert_eq!(a.session.version(), 1);
}

#[test]
fn t10_upgrade_and_back() {
    let (now, gateway) = (start(), Gateway::new(1, GROUP));
    let (mut a, mut b) = (Peer::new(A, GROUP, 2), Peer::new(B, GROUP, 3));
    for peer in [&mut a, &mut b] {
        peer.act(|session| session.handle_connect(now, &[user(A), user(B)]));
        peer.act(|session| session.handle_version(now, 0));
        assert_eq!((peer.sent_plain(), peer.plain()), (1, vec![None]));
        assert_eq!(peer.states(), [State::Off]);
        peer.outputs.clear();
        peer.act(|session| session.handle_external_sender(now, &gateway.package()));
        peer.act(|session| session.handle_prepare_epoch(now, 1, 1, Some(4)));
        assert_eq!(peer.key_packages().len(), 1);
        assert!(peer.updates().is_empty(), "the session in force is still plain");
        assert_eq!(peer.session.version(), 0);
    }
    let add = gateway.add(&b.key_package(), 0);
    a.act(|session| session.handle_proposals(now, &append(&[&add])));
    let payload = a.commit();
    a.act(|session| session.handle_commit(now, 4, &commit_of(&payload)));
    b.act(|session| session.handle_welcome(now, 4, &welcome_of(&payload)));
    for peer in [&mut a, &mut b] {
        assert_eq!(peer.ready(), [4]);
        assert_eq!(peer.withheld(), 0);
        assert!(peer.states().is_empty());
        peer.outputs.clear();
        let executed = now + Duration::from_secs(1);
        peer.act(|session| session.handle_execute_transition(executed, 4));
        assert_eq!(peer.sealed().len(), 1);
        assert_eq!(peer.plain(), [Some(executed + TEN)]);
        assert_eq!(peer.states(), [State::On { version: 1 }]);
        assert_eq!(peer.session.version(), 1);
        peer.outputs.clear();
        peer.act(|session| session.handle_prepare_transition(executed, 5, 0));
        peer.act(|session| session.handle_execute_transition(executed, 5));
        assert_eq!(peer.states(), [State::Off]);
        assert_eq!(peer.plain(), [Some(executed + ANNOUNCED), None]);
    }
}

#[test]
fn a_repeated_op_4_after_an_upgrade_that_was_missed_executes_it() {
    let (now, gateway) = (start(), Gateway::new(1, GROUP));
    let (mut a, mut b) = (Peer::new(A, GROUP, 2), Peer::new(B, GROUP, 3));
    for peer in [&mut a, &mut b] {
        peer.act(|session| session.handle_connect(now, &[user(A), user(B)]));
        peer.act(|session| session.handle_version(now, 0));
        peer.act(|session| session.handle_external_sender(now, &gateway.package()));
        peer.act(|session| session.handle_prepare_epoch(now, 1, 1, None));
        // A resume in between says what is in force: still plain, and the upgrade goes on.
        peer.outputs.retain(|output| matches!(output, voice_dave::Output::KeyPackage(_)));
        peer.act(|session| session.handle_version(now, 0));
        assert_eq!(peer.outputs.len(), 1);
    }
    a.act(|session| session.handle_proposals(now, &append(&[&gateway.add(&b.key_package(), 0)])));
    let payload = a.commit();
    a.act(|session| session.handle_commit(now, 4, &commit_of(&payload)));
    a.outputs.clear();
    a.act(|session| session.handle_version(now, 1));
    assert_eq!(a.sealed().len(), 1);
    assert!(a.key_packages().is_empty());
    assert_eq!(a.session.epoch(), Some(1));
}

#[test]
fn op_4_can_change_the_version_of_a_live_session() {
    let mut call = Call::established(&[A, B]);
    let now = call.now;
    let a = call.peer(A);
    a.act(|session| session.handle_version(now, 0));
    assert_eq!(a.sent_plain(), 1);
    assert_eq!(a.states(), [State::Off]);
    assert_eq!(a.session.epoch(), None);
    a.outputs.clear();
    a.act(|session| session.handle_version(now, 1));
    assert_eq!(a.withheld(), 1);
    assert_eq!(a.key_packages().len(), 1);
    assert_eq!(a.states(), [State::Pending]);
}

#[test]
fn t6_t7_plain_frames_pass_until_10_s_after_the_first_epoch() {
    let mut call = Call::new(&[A, B]);
    assert_eq!(call.peer(A).plain(), [None]);
    assert_eq!(call.peer(A).withheld(), 1);
    assert_eq!(call.peer(A).states(), [State::Pending]);
    assert_eq!(call.peer(A).session.version(), 1);
    call.add(&[B]);
    assert_eq!(call.peer(A).plain(), [None], "not closed by the announcement");
    call.execute();
    let now = call.now;
    assert_eq!(call.peer(A).plain(), [None, Some(now + TEN)]);
    // The next epoch does not prolong it.
    call.enter(C);
    call.pass(Duration::from_secs(5));
    call.add(&[C]);
    call.execute();
    assert_eq!(call.peer(A).plain().len(), 2);
}

#[test]
fn t9_who_left_is_heard_for_another_10_s() {
    let mut call = Call::established(&[A, B, C]);
    call.remove(&[C]);
    let now = call.now;
    assert_eq!(call.peer(A).retired(), [(user(C), now + TEN)]);
    assert_eq!(call.peer(A).expected(user(C)).len(), 0);
    assert_eq!(call.peer(A).expected(user(B)).len(), 1);
}

#[test]
fn op_21_with_the_same_version_is_answered_and_changes_nothing() {
    let mut call = Call::established(&[A, B]);
    let now = call.now;
    let a = call.peer(A);
    a.act(|session| session.handle_prepare_transition(now, 0x0180, 1));
    a.act(|session| session.handle_prepare_transition(now, 0x0180, 1));
    assert_eq!(a.ready(), [0x0180], "once");
    a.act(|session| session.handle_execute_transition(now, 0x0180));
    assert!(a.updates().is_empty() && a.events().is_empty());
    assert_eq!(a.session.epoch(), Some(1));
}

#[test]
fn op_21_does_not_swallow_an_epoch_announced_before_it() {
    let mut call = Call::established(&[A, B]);
    call.enter(C);
    call.add(&[C]);
    let now = call.now;
    let a = call.peer(A);
    a.outputs.clear();
    a.act(|session| session.handle_prepare_transition(now, 2, 1));
    assert!(a.outputs.is_empty(), "the commit has announced it already");
    a.act(|session| session.handle_prepare_transition(now, 3, 1));
    a.act(|session| session.handle_execute_transition(now, 3));
    assert_eq!(a.sealed().len(), 1);
}

#[test]
fn pending_transitions_are_bounded() {
    let mut call = Call::established(&[A, B]);
    let now = call.now;
    let a = call.peer(A);
    for id in 1..=1_000 {
        a.act(|session| session.handle_prepare_transition(now, id, 0));
    }
    a.outputs.clear();
    a.act(|session| session.handle_execute_transition(now, 984));
    assert!(a.outputs.is_empty(), "it made room");
    a.act(|session| session.handle_execute_transition(now, 985));
    assert_eq!(a.sent_plain(), 1);
}

#[test]
fn alone_from_the_start_transition_0_changes_nothing() {
    let mut call = Call::new(&[A]);
    let now = call.now;
    let outputs = call.peer(A).after(|session| session.handle_prepare_transition(now, 0, 1));
    assert!(outputs.is_empty());
    assert_eq!(call.peer(A).session.version(), 1);
}

#[test]
fn an_alone_member_of_an_upgraded_call_withholds() {
    let (now, gateway) = (start(), Gateway::new(1, GROUP));
    let mut a = Peer::new(A, GROUP, 2);
    a.act(|session| session.handle_version(now, 0));
    a.act(|session| session.handle_external_sender(now, &gateway.package()));
    a.act(|session| session.handle_prepare_epoch(now, 1, 1, None));
    a.outputs.clear();
    a.act(|session| session.handle_prepare_transition(now, 0, 1));
    assert!(matches!(a.updates()[..], [Update::Withhold]));
    assert_eq!(a.states(), [State::Pending]);
    assert_eq!(a.session.version(), 1);
}
