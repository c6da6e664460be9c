//! Calls with end-to-end encryption (DAVE).

use std::time::Duration;

use dave::State;
use loopback::{Cue, Impairment};
use mixer::generate::Tone;
use model::{FRAME, FRAME_SAMPLES};

use super::world::{World, pitch, user};
use crate::config::Config;
use crate::encryption::{E2ee, EncryptionEvent};
use crate::error::{Cause, Closed, JoinError, Stage};
use crate::event::Event;

const SECOND: Duration = Duration::from_secs(1);

fn tone(hz: f64, time: Duration) -> Tone {
    Tone::new(hz, 0.5, Some(time))
}

/// A world with so many clients who have joined one after the other.
fn group(seed: u64, size: u64) -> World {
    let mut world = World::encrypted(seed);
    for id in 0..size {
        let peer = world.add(10 + id, &Config::default(), Impairment::default());
        world.join(peer);
    }
    world.run(SECOND);
    world
}

fn code(world: &World, peer: usize) -> Option<String> {
    world.peers[peer].control.encryption().privacy_code.clone()
}

fn states(world: &World, peer: usize) -> Vec<State> {
    let state = |event: &Event| match event {
        Event::Encryption(EncryptionEvent::State(state)) => Some(*state),
        _ => None,
    };
    world.peers[peer].events.iter().filter_map(state).collect()
}

fn recoveries(world: &World, peer: usize) -> (usize, usize) {
    let count = |wanted: fn(&EncryptionEvent) -> bool| {
        let is_wanted = |event: &&Event| matches!(event, Event::Encryption(event) if wanted(event));
        world.peers[peer].events.iter().filter(is_wanted).count()
    };
    let started = count(|event| matches!(event, EncryptionEvent::RecoveryStarted(_)));
    (started, count(|event| matches!(event, EncryptionEvent::RecoveryEnded)))
}

/// Both talk for two seconds, and are heard.
fn hear_each_other(world: &mut World, a: usize, b: usize) {
    for peer in [a, b] {
        world.peers[peer].ears.pcm.clear();
    }
    world.play(a, tone(440.0, 2 * SECOND));
    world.play(b, tone(1_000.0, 2 * SECOND));
    world.run(3 * SECOND);
    let (id_a, id_b) = (world.peers[a].user, world.peers[b].user);
    for (ears, speaker, hz) in [(a, id_b, 1_000.0), (b, id_a, 440.0)] {
        let pcm = world.peers[ears].ears.pcm.get(&speaker).unwrap_or_else(|| panic!("{speaker} is not heard at all"));
        assert!((pitch(&pcm[48_000..144_000]) - hz).abs() < 3.0, "{} Hz", pitch(&pcm[48_000..144_000]));
    }
}

#[test]
fn everything_is_sealed_and_both_see_one_code() {
    let mut world = group(100, 2);
    hear_each_other(&mut world, 0, 1);
    let codes = [code(&world, 0).expect("a code"), code(&world, 1).expect("a code")];
    assert_eq!(codes[0], codes[1]);
    assert_eq!((codes[0].len(), codes[0].bytes().all(|digit| digit.is_ascii_digit())), (30, true));
    for peer in 0..2 {
        let (sent, received) = (world.peers[peer].outbound.sent(), world.peers[peer].inbound.received());
        assert_eq!(sent.sealed, sent.packets);
        assert_eq!((received.opened, received.plain), (received.packets, 0));
        assert_eq!(received.no_key + received.undecryptable + received.unattributed, 0);
        assert_eq!(states(&world, peer), [State::Pending, State::On { version: 1 }]);
    }
}

#[test]
fn alone_nothing_is_sent_and_nothing_stalls() {
    let mut world = group(101, 1);
    let track = world.play(0, tone(440.0, 10 * SECOND));
    world.run(5 * SECOND);
    let peer = &world.peers[0];
    assert!(peer.wire.is_empty(), "no group, no key, no packet");
    let position = peer.outbound.position(track).expect("it plays");
    assert_eq!(position.as_millis(), 3_000, "it waited two seconds for a key, then ran on");
    assert_eq!(peer.outbound.sent().no_key, 150);
    assert_eq!(states(&world, 0), [State::Pending]);
}

#[test]
fn the_beginning_of_a_track_is_heard_by_who_comes_soon() {
    let mut world = group(102, 1);
    let track = world.play(0, tone(440.0, 4 * SECOND));
    world.run(SECOND);
    let b = world.add(11, &Config::default(), Impairment::default());
    world.join(b);
    world.run(5 * SECOND);
    assert!(world.peers[0].ended.contains(&track));
    let sent = world.peers[0].outbound.sent();
    assert_eq!((sent.no_key, sent.packets), (0, 201 + 5), "all of it, and five frames of silence");
    assert_eq!(world.peers[b].ears.arrivals.len(), 206);
}

#[test]
fn timestamps_run_on_while_there_is_no_key() {
    let mut world = group(103, 2);
    world.play(0, tone(440.0, 20 * SECOND));
    world.run(SECOND);
    let before = world.peers[0].wire.len();
    world.peers[1].control.leave(world.now);
    world.run(3 * SECOND);
    let silent = world.peers[0].wire.len();
    assert!(silent - before < 5, "alone again: {} packets", silent - before);
    let c = world.add(12, &Config::default(), Impairment::default());
    world.join(c);
    world.run(SECOND);
    let wire = &world.peers[0].wire;
    let [last, next] = [&wire[silent - 1], &wire[silent]];
    let header = |packet: &[u8]| udp::rtp::Header::read(packet).unwrap();
    let (last_header, next_header) = (header(&last.1), header(&next.1));
    assert_eq!(next_header.seq, last_header.seq.next(), "what was withheld used no number up");
    let gap = next_header.time.since(last_header.time);
    assert_eq!(gap as u128, (next.0 - last.0).as_millis() * 48, "timestamps tell real time");
    assert_eq!(gap % FRAME_SAMPLES as i32, 0);
    assert!(next_header.marker, "the first after a gap");
}

#[test]
fn packets_that_precede_their_key_are_held_and_heard_in_order() {
    let mut world = group(104, 2);
    world.play(0, tone(440.0, 10 * SECOND));
    world.run(SECOND);
    // B hears of everything a second late: A seals with the new epoch's key long before B knows it.
    world.lag(1, Duration::from_millis(1_000));
    let c = world.add(12, &Config::default(), Impairment::default());
    world.join(c);
    world.run(6 * SECOND);
    world.peers[c].control.leave(world.now);
    world.run(4 * SECOND);
    let seqs: Vec<u16> =
        world.peers[1].ears.arrivals.iter().filter(|it| it.user == user(10)).map(|it| it.seq.0).collect();
    assert!(seqs.len() > 490, "{}", seqs.len());
    assert!(seqs.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)), "in order, and none is missing");
    let received = world.peers[1].inbound.received();
    assert_eq!(received.no_key + received.undecryptable + received.refused_plain, 0, "{received:?}");
}

#[test]
fn case_5_frames_are_sealed_when_they_are_sent_whatever_the_epoch() {
    // Three minutes of audio are ready when epochs change under them, all through.
    let mut world = group(105, 3);
    world.play(0, tone(440.0, 180 * SECOND));
    for round in 0..6 {
        world.run(25 * SECOND);
        let peer = world.add(20 + round, &Config::default(), Impairment::default());
        world.join(peer);
        world.run(SECOND);
        world.peers[peer].control.leave(world.now);
        world.run(4 * SECOND);
    }
    world.run(5 * SECOND);
    let sent = world.peers[0].outbound.sent();
    assert_eq!((sent.packets, sent.sealed), (9_006, 9_006));
    for ears in [1, 2] {
        let received = world.peers[ears].inbound.received();
        assert_eq!(received.opened, 9_006, "{received:?}");
    }
    assert_eq!(code(&world, 1), code(&world, 2));
    assert!(world.peers[1].control.encryption().epoch > Some(10));
}

#[test]
fn case_18_a_stage_channel_has_no_encryption_and_audio_flows() {
    let mut world = World::with(loopback::Config::default().seed(106).stage(true));
    for id in [10, 11] {
        let peer = world.add(id, &Config::default(), Impairment::default());
        world.join(peer);
    }
    hear_each_other(&mut world, 0, 1);
    let (sent, received) = (world.peers[0].outbound.sent(), world.peers[1].inbound.received());
    assert_eq!((sent.sealed, received.opened, received.plain + received.silence), (0, 0, received.packets));
    assert_eq!(code(&world, 0), None);
}

#[test]
fn a_call_that_must_be_encrypted_is_not_joined_without() {
    let mut world = World::with(loopback::Config::default().seed(107).stage(true));
    let a = world.add(10, &Config::default().e2ee(E2ee::Required), Impairment::default());
    world.join(a);
    let failed = JoinError::Failed { stage: Stage::Description, cause: Cause::NotEncrypted };
    assert_eq!(world.peers[a].answers, [Err(failed)]);
    assert!(world.peers[a].wire.is_empty());
}

#[test]
fn a_call_that_must_be_encrypted_ends_when_it_no_longer_is() {
    let mut world = World::with(loopback::Config::default().seed(108).dave_downgrade(true));
    let [a, b] = [10, 11].map(|id| world.add(id, &Config::default().e2ee(E2ee::Required), Impairment::default()));
    world.join(a);
    world.join(b);
    world.play(a, tone(440.0, 10 * SECOND));
    world.run(2 * SECOND);
    let plain = world.add(12, &Config::default().e2ee(E2ee::Off), Impairment::default());
    world.join(plain);
    world.run(3 * SECOND);
    assert_eq!(world.peers[a].closed, Some(Closed::Lost(Cause::NotEncrypted)));
    let sent = world.peers[a].outbound.sent();
    assert_eq!(sent.packets, sent.sealed);
    assert!(world.peers[plain].ears.arrivals.is_empty());
}

#[test]
fn a_version_0_client_downgrades_the_call_and_its_leaving_upgrades_it() {
    let mut world = World::with(loopback::Config::default().seed(109).dave_downgrade(true));
    let [a, b] = [10, 11].map(|id| world.add(id, &Config::default(), Impairment::default()));
    world.join(a);
    world.join(b);
    world.run(SECOND);
    world.play(a, tone(440.0, 60 * SECOND));
    world.run(2 * SECOND);
    let plain = world.add(12, &Config::default().e2ee(E2ee::Off), Impairment::default());
    world.join(plain);
    world.run(5 * SECOND);
    assert!(world.peers[plain].ears.arrivals.len() > 100, "the client without encryption hears");
    world.peers[plain].control.leave(world.now);
    world.run(15 * SECOND);
    assert_eq!(code(&world, a), code(&world, b));
    assert!(code(&world, a).is_some());
    let expected = [State::Pending, State::On { version: 1 }, State::Off, State::On { version: 1 }];
    let mut seen = states(&world, a);
    seen.dedup();
    assert!(seen == expected || seen == [&expected[..3], &[State::Pending, expected[3]]].concat(), "{seen:?}");
    // Not a frame was lost on the way down, or up.
    let seqs: Vec<u16> = world.peers[b].ears.arrivals.iter().map(|it| it.seq.0).collect();
    assert!(seqs.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)), "{:?}", world.peers[b].inbound.received());
    assert_eq!(seqs.len() as u64, world.peers[a].outbound.sent().packets);
    let sealed = world.peers[a].outbound.sent().sealed;
    world.run(FRAME * 50);
    assert_eq!(world.peers[a].outbound.sent().sealed - sealed, 50, "sealed again");
}

#[test]
fn a_version_0_client_is_refused_with_4017() {
    let mut world = group(110, 1);
    let plain = world.add(12, &Config::default().e2ee(E2ee::Off), Impairment::default());
    world.join(plain);
    let refused = matches!(
        &world.peers[plain].answers[..],
        [Err(JoinError::Failed { cause: Cause::Closed { code: 4_017, .. }, .. })]
    );
    assert!(refused, "{:?}", world.peers[plain].answers);
}

#[test]
fn a_call_that_resumes_late_catches_up_with_the_epochs_that_it_missed() {
    let mut world = World::with(loopback::Config::default().seed(113).grace(Duration::from_secs(30)));
    for id in [10, 11] {
        let peer = world.add(id, &Config::default(), Impairment::default());
        world.join(peer);
    }
    world.run(SECOND);
    world.play(0, tone(440.0, 30 * SECOND));
    world.run(SECOND);
    // B is away for a second and more, and two epochs begin meanwhile.
    world.dead_dials = 2;
    world.cue(Cue::Sever { user: Some(user(11)) });
    world.run(FRAME);
    let c = world.add(12, &Config::default(), Impairment::default());
    world.join_in_spite(c);
    world.run(SECOND / 4);
    world.peers[c].control.leave(world.now);
    assert!(!world.peers[1].is_up());
    world.run(8 * SECOND);
    assert!(world.peers[1].is_up() && world.peers[1].answers.len() == 1, "resumed, not joined afresh");
    assert!(world.peers[0].control.encryption().epoch >= Some(3));
    assert_eq!(code(&world, 0), code(&world, 1));
    assert!(code(&world, 0).is_some());
    assert_eq!((recoveries(&world, 0), recoveries(&world, 1)), ((0, 0), (0, 0)));
    let seqs: Vec<u16> = world.peers[1].ears.arrivals.iter().map(|it| it.seq.0).collect();
    assert!(seqs.len() > 450 && seqs.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)), "nothing is lost");
}

#[test]
fn a_session_that_has_not_decided_yet_lets_nothing_out_after_op_4_has_changed() {
    let mut world = World::with(loopback::Config::default().seed(114).dave_downgrade(true));
    let plain = world.add(12, &Config::default().e2ee(E2ee::Off), Impairment::default());
    world.join(plain);
    let a = world.add(10, &Config::default().e2ee_hold(Duration::ZERO), Impairment::default());
    // The session is slow: op 4 says version 0, then version 1, before it has answered the first.
    world.peers[a].work.lag = SECOND;
    world.start_join(a);
    world.run(FRAME);
    let text = |version| {
        let key = vec!["7"; 32].join(",");
        format!(
            r#"{{"op":4,"d":{{"mode":"aead_aes256_gcm_rtpsize","secret_key":[{key}],"dave_protocol_version":{version}}}}}"#
        )
    };
    world.cue(Cue::Text { user: Some(user(10)), text: text(0) });
    world.cue(Cue::Text { user: Some(user(10)), text: text(1) });
    world.play(a, tone(440.0, 10 * SECOND));
    world.run(5 * SECOND);
    let sent = world.peers[a].outbound.sent();
    assert_eq!((sent.packets, sent.sealed), (0, 0), "{sent:?}");
}

#[test]
fn a_severed_call_without_grace_comes_back_into_the_group() {
    let mut world = group(111, 2);
    let before = code(&world, 0);
    world.play(0, tone(440.0, 10 * SECOND));
    world.run(SECOND);
    world.cue(Cue::Sever { user: Some(user(11)) });
    world.run(5 * SECOND);
    // Without grace it was taken out of the group, and came back.
    assert_eq!(code(&world, 0), code(&world, 1));
    assert!(code(&world, 0).is_some() && code(&world, 0) != before);
    hear_each_other(&mut world, 0, 1);
}

#[test]
fn members_are_recognised_by_their_keys() {
    let mut world = group(112, 1);
    let key = world.peers[0].control.encryption().members.get(&user(10)).map(|member| member.key.clone());
    assert_eq!(key, None, "there is no group yet");
    let wrong = [(user(10), vec![4; 65])].into();
    let b = world.add(11, &Config::default().known_keys(wrong), Impairment::default());
    world.join(b);
    world.run(SECOND);
    let key = world.peers[b].control.encryption().members[&user(10)].key.clone();
    let changed = |event: &Event| {
        let Event::Encryption(EncryptionEvent::KeyChanged { member, known }) = event else { return false };
        member.user == user(10) && member.key == key && *known == [4; 65]
    };
    assert!(world.peers[b].events.iter().any(changed));

    let c = world.add(12, &Config::default().known_keys([(user(10), key.clone())].into()), Impairment::default());
    world.join(c);
    world.run(SECOND);
    let verified = |event: &Event| matches!(event, Event::Encryption(EncryptionEvent::Verified(member)) if member.user == user(10));
    assert!(world.peers[c].events.iter().any(verified));
    assert_eq!(recoveries(&world, c), (0, 0));
}
