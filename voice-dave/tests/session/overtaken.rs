//! Transitions that others overtake, replace or push out: a window closes, and a secret is not lost.

use std::time::{Duration, Instant};

use voice_dave::Session;

use crate::support::{A, B, C, Call, user};

const TEN: Duration = Duration::from_secs(10);
/// How long an announced downgrade lets plain frames in.
const ANNOUNCED: Duration = Duration::from_secs(120);

/// A call of two that has been encrypted for an hour, seen by A.
fn sealed_for_an_hour() -> (Call, Instant) {
    let mut call = Call::established(&[A, B]);
    call.pass(Duration::from_secs(3_600));
    let now = call.now;
    (call, now)
}

#[test]
fn a_downgrade_that_is_dropped_closes_the_window() {
    type Drop = fn(&mut Session, Instant);
    let ways: [(&str, Drop); 5] = [
        ("overtaken", |session, now| {
            session.handle_prepare_transition(now, 11, 1);
            session.handle_execute_transition(now, 11);
        }),
        ("replaced", |session, now| session.handle_prepare_transition(now, 10, 1)),
        ("pushed out", |session, now| (20..36).for_each(|id| session.handle_prepare_transition(now, id, 1))),
        ("cleared", |session, now| session.handle_prepare_transition(now, 0, 1)),
        ("overtaken, and repeated", |session, now| {
            session.handle_prepare_transition(now, 11, 1);
            session.handle_execute_transition(now, 11);
            session.handle_version(now, 1);
        }),
    ];
    for (way, dropped) in ways {
        let (mut call, announced) = sealed_for_an_hour();
        let now = announced + Duration::from_secs(1);
        let a = call.peer(A);
        a.act(|session| session.handle_prepare_transition(announced, 10, 0));
        a.act(|session| dropped(session, now));
        a.act(|session| session.handle_execute_transition(now, 10));
        assert_eq!(a.plain(), [Some(announced + ANNOUNCED), Some(now + TEN)], "{way}");
        a.act(|session| session.handle_timeout(now + Duration::from_secs(3_600)));
        assert_eq!((a.plain().len(), a.sent_plain(), a.session.version()), (2, 0, 1), "{way}");
    }
}

#[test]
fn a_downgrade_that_is_dropped_late_opens_nothing() {
    let (mut call, now) = sealed_for_an_hour();
    let late = now + ANNOUNCED + Duration::from_secs(1);
    let a = call.peer(A);
    a.act(|session| session.handle_prepare_transition(now, 10, 0));
    a.act(|session| session.handle_prepare_transition(late, 10, 1));
    assert_eq!(a.plain(), [Some(now + ANNOUNCED)]);
}

#[test]
fn a_downgrade_dropped_near_its_end_does_not_prolong_the_window() {
    let (mut call, now) = sealed_for_an_hour();
    let a = call.peer(A);
    a.act(|session| session.handle_prepare_transition(now, 10, 0));
    a.act(|session| session.handle_prepare_transition(now + ANNOUNCED - Duration::from_secs(1), 10, 1));
    assert_eq!(a.plain(), [Some(now + ANNOUNCED), Some(now + ANNOUNCED)]);
}

/// A call of three that C has left, seen by B: a new secret waits for op 22.
fn without_c() -> (Call, Instant, u16) {
    let mut call = Call::established(&[A, B, C]);
    call.remove(&[C]);
    call.peer(B).outputs.clear();
    let (now, id) = (call.now, call.transition);
    (call, now, id)
}

#[test]
fn an_epoch_is_not_pushed_out_by_versions_or_downgrades() {
    for version in [0, 1] {
        let (mut call, now, _) = without_c();
        let b = call.peer(B);
        (100..140).for_each(|id| b.act(|session| session.handle_prepare_transition(now, id, version)));
        assert_eq!(b.session.poll_timeout(), Some(now + TEN));
        b.act(|session| session.handle_timeout(now + TEN));
        assert_eq!(b.sealed().len(), 1);
    }
}

#[test]
fn an_epoch_is_not_replaced_by_op_21_of_its_id() {
    let (mut call, now, id) = without_c();
    let b = call.peer(B);
    for version in [0, 1, 0] {
        b.act(|session| session.handle_prepare_transition(now, id, version));
    }
    assert!(b.outputs.is_empty(), "neither answered nor a window");
    b.act(|session| session.handle_execute_transition(now, id));
    assert_eq!((b.sealed().len(), b.sent_plain()), (1, 0));
}

#[test]
fn an_epoch_of_the_same_transition_is_due_no_later() {
    let (mut call, now, id) = without_c();
    call.pass(Duration::from_secs(9));
    call.enter(C);
    call.transition = id - 1;
    call.add(&[C]);
    assert_eq!(call.transition, id);
    let b = call.peer(B);
    assert_eq!(b.session.poll_timeout(), Some(now + TEN));
    b.outputs.clear();
    b.act(|session| session.handle_timeout(now + TEN));
    assert_eq!((b.sealed().len(), b.session.poll_timeout()), (1, None));
    let newest = b.sealed()[0];
    assert_eq!(call.peer(A).expected(user(B)).last().map(|(secret, _)| *secret), Some(newest));
}

#[test]
fn transition_0_does_not_swallow_the_epoch_of_a_group_made_anew() {
    let mut call = Call::established(&[A, B]);
    let now = call.now;
    for id in [A, B] {
        call.peer(id).act(|session| session.handle_prepare_epoch(now, 1, 1, None));
    }
    (call.epoch, call.leaves) = (0, Vec::new());
    call.propose(&[B], &[]);
    call.announce(A, &[B], &[]);
    call.forget_outputs();
    let a = call.peer(A);
    a.act(|session| session.handle_prepare_transition(now, 0, 1));
    assert_eq!((a.sealed().len(), a.session.epoch()), (1, Some(1)));
}
