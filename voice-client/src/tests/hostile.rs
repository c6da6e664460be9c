//! A server that gets end-to-end encryption wrong: the call goes on, nothing is said in the clear, nobody is heard who is
//! not who they are.

use std::time::Duration;

use dave::Trouble;
use loopback::{Cue, Impairment, Trick};
use mixer::generate::Tone;

use super::world::{World, pitch, user};
use crate::config::Config;
use crate::encryption::EncryptionEvent;
use crate::event::Event;

const SECOND: Duration = Duration::from_secs(1);

/// Two members, of whom the first one talks all the time, and a third one who can join.
struct Call {
    world: World,
}

impl Call {
    fn new(seed: u64) -> Self {
        let mut world = World::encrypted(seed);
        for id in [10, 11] {
            let peer = world.add(id, &Config::default(), Impairment::default());
            world.join(peer);
        }
        world.run(SECOND);
        world.play(0, Tone::new(440.0, 0.5, None));
        world.run(SECOND);
        Self { world }
    }

    fn trick(&mut self, id: u64, trick: Trick, times: u32) {
        self.world.cue(Cue::Trick { user: Some(user(id)), trick, times });
    }

    fn third_joins(&mut self) -> usize {
        let peer = self.world.add(12, &Config::default(), Impairment::default());
        self.world.join(peer);
        self.world.run(8 * SECOND);
        peer
    }

    /// Everybody agrees, and hears the first one.
    fn is_well(&mut self, listeners: &[usize]) {
        for listener in listeners {
            self.world.peers[*listener].ears.pcm.clear();
        }
        self.world.run(2 * SECOND);
        let code = self.world.peers[0].control.encryption().privacy_code.clone();
        assert!(code.is_some());
        for listener in listeners {
            let peer = &self.world.peers[*listener];
            assert_eq!(peer.control.encryption().privacy_code, code, "peer {listener}");
            let pcm = &peer.ears.pcm[&user(10)];
            assert!(pcm.len() > 150_000, "peer {listener} heard {} samples", pcm.len() / 2);
            let pitch = pitch(&pcm[pcm.len() - 96_000..]);
            assert!((pitch - 440.0).abs() < 3.0, "{pitch} Hz at peer {listener}");
        }
        for peer in &self.world.peers {
            let sent = peer.outbound.sent();
            assert_eq!(sent.packets, sent.sealed, "nothing left unsealed");
            assert!(peer.is_up(), "{:?}", peer.closed);
        }
    }

    fn troubles(&self, peer: usize) -> Vec<Trouble> {
        let trouble = |event: &Event| match event {
            Event::Encryption(EncryptionEvent::RecoveryStarted(trouble)) => Some(trouble.clone()),
            _ => None,
        };
        self.world.peers[peer].events.iter().filter_map(trouble).collect()
    }

    fn recovered(&self, peer: usize) -> bool {
        let ended = |event: &&Event| matches!(event, Event::Encryption(EncryptionEvent::RecoveryEnded));
        self.world.peers[peer].events.iter().filter(ended).count() == 1
    }

    /// Packets of the first one that the second one did not get to hear: those between arrivals.
    fn gaps(&self, peer: usize) -> usize {
        let arrivals = &self.world.peers[peer].ears.arrivals;
        let seqs: Vec<u16> = arrivals.iter().filter(|it| it.user == user(10)).map(|it| it.seq.0).collect();
        assert!(!seqs.is_empty());
        seqs.windows(2).map(|pair| usize::from(pair[1].wrapping_sub(pair[0])) - 1).sum()
    }
}

#[test]
fn a_corrupt_commit_is_reported_and_the_group_joined_afresh() {
    let mut call = Call::new(200);
    call.trick(11, Trick::CorruptCommit, 1);
    let third = call.third_joins();
    assert!(matches!(call.troubles(1)[..], [Trouble::Commit(_)]), "{:?}", call.troubles(1));
    assert!(call.recovered(1) && call.troubles(0).is_empty());
    call.is_well(&[1, third]);
}

#[test]
fn a_stale_commit_is_reported_and_the_group_joined_afresh() {
    let mut call = Call::new(201);
    call.world.cue(Cue::StaleCommit { user: Some(user(11)) });
    call.world.run(8 * SECOND);
    assert!(matches!(call.troubles(1)[..], [Trouble::Commit(_)]), "{:?}", call.troubles(1));
    assert!(call.recovered(1));
    call.is_well(&[1]);
}

#[test]
fn a_commit_that_never_came_is_noticed_by_what_cannot_be_opened() {
    let mut call = Call::new(210);
    call.world.cue(Cue::Withhold { user: Some(user(11)), op: 29, times: 1 });
    let third = call.third_joins();
    assert_eq!(call.troubles(1), [Trouble::Undecryptable]);
    assert!(call.recovered(1) && call.troubles(0).is_empty());
    call.is_well(&[1, third]);
}

#[test]
fn a_commit_that_never_came_is_noticed_by_what_is_proposed_next() {
    let mut call = Call::new(211);
    call.world.cue(Cue::Withhold { user: Some(user(11)), op: 29, times: 1 });
    for id in [12, 13] {
        let peer = call.world.add(id, &Config::default(), Impairment::default());
        call.world.join(peer);
    }
    call.world.run(8 * SECOND);
    assert_eq!(call.troubles(1), [Trouble::MissedCommit]);
    assert!(call.recovered(1) && call.troubles(0).is_empty());
    call.is_well(&[1, 2, 3]);
}

#[test]
fn a_welcome_to_another_group_is_not_followed() {
    let mut call = Call::new(202);
    call.trick(12, Trick::ForeignWelcome, 1);
    let third = call.third_joins();
    assert!(matches!(call.troubles(third)[..], [Trouble::Welcome(_)]), "{:?}", call.troubles(third));
    assert!(call.recovered(third));
    call.is_well(&[1, third]);
    assert_eq!(call.gaps(1), 0);
}

#[test]
fn a_foreign_external_sender_keeps_its_victim_out_and_no_one_else() {
    let mut call = Call::new(203);
    call.trick(12, Trick::ForeignSender, 1);
    let third = call.third_joins();
    call.is_well(&[1]);
    assert_eq!(call.gaps(1), 0);
    let peer = &call.world.peers[third];
    assert_eq!(peer.control.encryption().privacy_code, None, "no group with that sender is joined");
    assert!(!peer.ears.pcm.contains_key(&user(10)));
    assert!(call.troubles(third).len() < 100, "nor is it tried without end: {}", call.troubles(third).len());
}

#[test]
fn foreign_proposals_are_refused() {
    let mut call = Call::new(204);
    call.trick(11, Trick::ForeignProposals, u32::MAX);
    call.trick(10, Trick::ForeignProposals, u32::MAX);
    let third = call.third_joins();
    assert!(call.world.peers[1].control.encryption().stats.proposals_refused > 0);
    call.is_well(&[1, third]);
    assert!(call.troubles(0).is_empty() && call.troubles(1).is_empty() && call.gaps(1) == 0);
}

#[test]
fn proposals_that_precede_op_11_are_kept() {
    let mut call = Call::new(205);
    call.trick(12, Trick::LateConnect, 1);
    let third = call.third_joins();
    call.is_well(&[1, third]);
    assert!(call.troubles(0).is_empty() && call.troubles(1).is_empty() && call.gaps(1) == 0);
}

#[test]
fn an_execution_told_twice_is_executed_once() {
    let mut call = Call::new(206);
    for id in [10, 11, 12] {
        call.trick(id, Trick::DuplicateExecute, u32::MAX);
    }
    let third = call.third_joins();
    call.is_well(&[1, third]);
    assert!(call.troubles(0).is_empty() && call.gaps(1) == 0);
    assert_eq!(call.world.peers[1].inbound.received().replayed, 0, "no nonce came twice");
}

#[test]
fn a_transition_that_is_never_executed_loses_nothing() {
    let mut call = Call::new(207);
    call.world.cue(Cue::Withhold { user: None, op: 22, times: u32::MAX });
    let third = call.third_joins();
    call.world.run(20 * SECOND);
    call.is_well(&[1, third]);
    assert_eq!(call.gaps(1), 0);
}

#[test]
fn injected_plain_frames_are_not_heard() {
    let mut call = Call::new(208);
    // The window of the first group's making is over by then.
    call.world.run(12 * SECOND);
    let before = call.world.peers[1].inbound.received();
    for _ in 0..50 {
        call.world.cue(Cue::Plain { user: Some(user(11)), from: user(10), payload: vec![0x78; 60] });
        call.world.run(Duration::from_millis(20));
    }
    let received = call.world.peers[1].inbound.received();
    assert_eq!(received.refused_plain - before.refused_plain, 50);
    assert_eq!(received.plain, before.plain);
    call.is_well(&[1]);
}

#[test]
fn garbage_of_every_opcode_changes_nothing() {
    let mut call = Call::new(209);
    let mut seq = 10_000_u16;
    for op in 20..=40 {
        for len in [0, 1, 2, 3, 60, 2_000] {
            seq += 1;
            let payload: Vec<u8> = (0..len).map(|n| (n * 7 + usize::from(op)) as u8).collect();
            let frame = [&seq.to_be_bytes()[..], &[op], &payload].concat();
            // A commit (29) is reported: it is about us, however wrong it is. There are tests of their own for that.
            if op != 29 {
                call.world.cue(Cue::Binary { user: Some(user(11)), frame });
            }
        }
        let text = format!(r#"{{"op":{op},"seq":{seq},"d":{{"transition_id":77,"user_ids":["x"],"epoch":"none"}}}}"#);
        call.world.cue(Cue::Text { user: Some(user(11)), text });
    }
    call.world.run(SECOND);
    let third = call.third_joins();
    call.is_well(&[1, third]);
    assert!(call.troubles(1).is_empty() && call.gaps(1) == 0);
}
