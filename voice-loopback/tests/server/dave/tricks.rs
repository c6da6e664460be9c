use std::time::Duration;

use gateway::binary::Message as Binary;
use voice_loopback::{Config, Cue, Trick};

use super::call::Call;
use super::mls::{Proposals, proposals};
use crate::world::user;

/// After whatever went wrong.
fn recovers(mut call: Call, recoveries: u64) {
    call.run();
    call.pass(Duration::from_secs(3));
    call.agree();
    assert_eq!(call.stats().recoveries, recoveries, "{:?}", call.stats());
}

#[test]
fn a_corrupt_commit_makes_its_reader_recover() {
    let mut call = Call::of(Config::default(), &[1, 2, 3]);
    call.trick(2, Trick::CorruptCommit);
    call.join(4);
    recovers(call, 1);
}

#[test]
fn corrupt_for_everybody() {
    let mut call = Call::of(Config::default(), &[1, 2, 3]);
    call.cue(Cue::Trick { user: None, trick: Trick::CorruptCommit, times: 3 });
    call.join(4);
    recovers(call, 3);
}

#[test]
fn a_stale_commit_makes_its_reader_recover() {
    let mut call = Call::of(Config::default(), &[1, 2, 3]);
    call.forget();
    call.cue(Cue::StaleCommit { user: Some(user(1)) });
    call.run();
    assert_eq!(call.peer(1).ops.first().map(|(op, _)| *op), Some(29));
    recovers(call, 1);
}

#[test]
fn a_welcome_to_another_group_is_not_followed() {
    let mut call = Call::of(Config::default(), &[1, 2]);
    call.trick(3, Trick::ForeignWelcome);
    call.join(3);
    recovers(call, 1);
}

#[test]
fn a_foreign_sender_spoils_what_it_does_not_sign() {
    let mut call = Call::of(Config::default(), &[1, 2]);
    call.trick(3, Trick::ForeignSender);
    call.join(3);
    call.run();
    assert_eq!(call.peer(3).session.epoch(), None, "the welcome names another sender than op 25 did");
    assert!(call.stats().recoveries > 0);
}

#[test]
fn foreign_proposals_are_not_committed() {
    let mut call = Call::of(Config::default(), &[1, 2]);
    call.cue(Cue::Trick { user: None, trick: Trick::ForeignProposals, times: 2 });
    call.forget();
    call.join(3);
    call.run();
    let appended: Vec<_> = call.peer(1).heard.iter().filter(|it| matches!(it, Binary::Proposals(_))).cloned().collect();
    assert_eq!(appended.len(), 2, "the foreign one, and the right one");
    let [Binary::Proposals(forged), Binary::Proposals(right)] = &appended[..] else { panic!("{appended:?}") };
    let (Proposals::Append(forged), Proposals::Append(right)) = (proposals(forged), proposals(right)) else {
        panic!("revoked");
    };
    assert!(forged[0].adds == right[0].adds && forged[0].reference != right[0].reference);
    assert_eq!(call.stats().commits_invalid, 0);
    recovers(call, 0);
}

#[test]
fn a_proposal_can_come_before_its_user() {
    let mut call = Call::of(Config::default(), &[1, 2]);
    call.forget();
    call.trick(3, Trick::LateConnect);
    call.join(3);
    call.run();
    assert_eq!(call.ops(1)[..2], [27, 11]);
    recovers(call, 0);

    let mut call = Call::of(Config::default(), &[1, 2]);
    call.trick(3, Trick::LateConnect);
    call.join(3);
    call.forget();
    call.leave(3);
    call.run();
    assert!(call.ops(1).is_empty(), "who never came does not leave");
}

#[test]
fn an_execution_can_come_twice() {
    let mut call = Call::of(Config::default(), &[1, 2]);
    call.forget();
    call.trick(1, Trick::DuplicateExecute);
    call.join(3);
    call.run();
    let count = |call: &mut Call, id: u64| call.ops(id).into_iter().filter(|op| *op == 22).count();
    assert_eq!((count(&mut call, 1), count(&mut call, 2)), (2, 1));
    recovers(call, 0);
}

#[test]
fn a_transition_can_stay_unexecuted() {
    let mut call = Call::of(Config::default(), &[1, 2]);
    call.forget();
    call.cue(Cue::Withhold { user: Some(user(1)), op: 22, times: u32::MAX });
    call.join(3);
    call.run();
    assert!(!call.ops(1).contains(&22) && call.ops(2).contains(&22));
    assert_eq!(call.stats().transitions_executed, 2);
}

#[test]
fn binary_messages_can_be_withheld() {
    let mut call = Call::of(Config::default(), &[1, 2]);
    call.cue(Cue::Withhold { user: Some(user(3)), op: 30, times: 1 });
    call.join(3);
    call.run();
    assert!(!call.ops(3).contains(&30));
    assert_eq!((call.peer(3).session.epoch(), call.member(3).dave_epoch), (None, Some(2)));
}

#[test]
fn plain_frames_are_made_up() {
    let mut call = Call::of(Config::default(), &[1, 2, 3]);
    let payload = vec![0x78, 1, 2, 3];
    for _ in 0..2 {
        call.cue(Cue::Plain { user: Some(user(2)), from: user(1), payload: payload.clone() });
    }
    assert!(call.world.arrived(crate::world::address(3)).is_empty());
    let packets = call.world.arrived(crate::world::address(2));
    let ssrc = call.peer(1).client.ssrc;
    let opened: Vec<_> = packets.iter().map(|packet| call.peer(2).client.open(packet)).collect();
    assert!(opened.iter().all(|it| it.payload == payload && it.header.ssrc == ssrc));
    assert_eq!(opened.iter().map(|it| (it.header.seq.0, it.header.time.0)).collect::<Vec<_>>(), [(0, 0), (1, 960)]);

    let sent = call.peer(1).client.packet(100, b"sealed", |_| {});
    call.world.datagram(crate::world::address(1), &sent);
    call.world.arrived(crate::world::address(2));
    call.cue(Cue::Plain { user: None, from: user(1), payload: vec![7; 5_000] });
    for id in 2..=3 {
        let packets = call.world.arrived(crate::world::address(id));
        let last = call.peer(id).client.open(packets.last().expect("a packet"));
        assert_eq!((last.header.seq.0, last.header.time.0, last.payload.len()), (101, 101 * 960, 1_200));
    }
}
