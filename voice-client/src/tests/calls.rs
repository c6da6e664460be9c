//! Joining, talking, leaving.

use std::time::Duration;

use loopback::{Cue, Impairment};
use mixer::generate::Tone;
use receive::Kind;

use super::world::{CHANNEL, World, channel, guild, pitch, user};
use crate::config::{Config, Deadlines};
use crate::error::{Cause, Closed, JoinError, Missing, Stage};
use crate::event::Event;
use crate::info::VoiceServerUpdate;

const SECOND: Duration = Duration::from_secs(1);

fn tone(hz: f64, time: Duration) -> Tone {
    Tone::new(hz, 0.5, Some(time))
}

#[test]
fn two_clients_hear_each_other() {
    let mut world = World::new(1);
    let config = Config::default();
    let a = world.add(10, &config, Impairment::default());
    let b = world.add(11, &config, Impairment::default());
    world.join(a);
    world.join(b);
    world.play(a, tone(440.0, 2 * SECOND));
    world.play(b, tone(1_000.0, 2 * SECOND));
    world.run(3 * SECOND);

    for (ears, speaker, hz) in [(a, 11, 1_000.0), (b, 10, 440.0)] {
        let pcm = &world.peers[ears].ears.pcm[&user(speaker)];
        let middle = &pcm[48_000..144_000];
        assert!((pitch(middle) - hz).abs() < 3.0, "{} Hz", pitch(middle));
        assert!(world.peers[ears].ears.kinds[&user(speaker)].iter().all(|kind| *kind != Kind::Concealed));
    }
}

#[test]
fn a_lossy_jittery_link_conceals_what_is_lost_and_no_more() {
    let seed = 7;
    let mut world = World::new(seed);
    let config = Config::default();
    let link = Impairment {
        latency: Duration::from_millis(40),
        jitter: Duration::from_millis(15),
        loss: 0.01,
        ..Impairment::default()
    };
    let a = world.add(10, &config, Impairment::default());
    let b = world.add(11, &config, link);
    world.join(a);
    world.join(b);
    world.play(a, tone(440.0, 10 * SECOND));
    world.run(11 * SECOND);

    let sent = world.peers[a].outbound.sent().packets;
    let heard = world.peers[b].inbound.heard()[&user(10)];
    let lost = sent - world.peers[b].inbound.received().packets;
    assert!((1..=25).contains(&lost), "about 1 % of {sent}: {lost} (seed {seed})");
    assert!(heard.lost <= lost, "{heard:?}");
    assert!(heard.concealed_samples + heard.fec_samples <= lost * 960, "{heard:?} of {lost} lost");
    assert!(heard.concealed_samples + heard.fec_samples >= (lost - 1) * 960 / 2, "{heard:?} of {lost} lost");
    assert_eq!(heard.late, 0, "15 ms of jitter fit into 60 ms of buffer: {heard:?}");
}

#[test]
fn rtp_that_precedes_its_op_5_is_held_and_heard_from_the_beginning() {
    let mut world = World::new(2);
    let config = Config::default();
    let a = world.add(10, &config, Impairment::default());
    let b = world.add(11, &config, Impairment::default());
    world.join(b);
    // B does not hear of A's op 5 until half a second after A's first packet.
    world.cue(Cue::Withhold { user: Some(user(11)), op: 5, times: u32::MAX });
    world.join(a);
    world.play(a, tone(440.0, SECOND));
    world.run(SECOND / 2);
    assert!(world.peers[b].ears.pcm.is_empty(), "nobody knows whose it is");
    world.cue(Cue::Withhold { user: Some(user(11)), op: 5, times: 0 });
    let now = world.now;
    world.peers[a].control.set_speaking(now, 3);
    world.run(2 * SECOND);

    let heard = world.peers[b].inbound.heard()[&user(10)];
    let sent = world.peers[a].outbound.sent().packets;
    assert_eq!(heard.received, sent, "not a packet is missing");
    assert_eq!(world.peers[b].inbound.received().unattributed, 0);
}

#[test]
fn leaving_ends_speech_closes_and_tells_everybody() {
    let mut world = World::new(3);
    let config = Config::default();
    let a = world.add(10, &config, Impairment::default());
    let b = world.add(11, &config, Impairment::default());
    world.join(a);
    world.join(b);
    world.play(a, tone(440.0, 10 * SECOND));
    world.run(SECOND);
    let now = world.now;
    let before = world.peers[a].outbound.sent();
    world.peers[a].control.leave(now);
    world.run(SECOND);

    let peer = &world.peers[a];
    assert_eq!(peer.closed, Some(Closed::Left));
    assert_eq!(peer.outbound.sent().silence - before.silence, 5, "five silence frames");
    assert_eq!(peer.commands.last(), Some(&None), "op 4 without a channel");
    assert!(matches!(peer.events.last(), Some(Event::Closed(Closed::Left))));
    let gone = |event: &Event| matches!(event, Event::ClientDisconnect(gone) if gone.user == user(10));
    assert!(world.peers[b].events.iter().any(gone), "the other one is told");
}

#[test]
fn each_stage_that_gets_no_answer_is_named_with_its_deadline() {
    let deadlines = Deadlines::default();
    let cases = [(2, Stage::Ready, deadlines.ready), (4, Stage::Description, deadlines.description)];
    for (op, stage, deadline) in cases {
        let mut world = World::new(4);
        let a = world.add_bare(10, &Config::default());
        world.cue(Cue::Withhold { user: None, op, times: u32::MAX });
        let info = world.info(10);
        let now = world.now;
        world.peers[a].control.join_info(now, info);
        world.run(deadline + SECOND);
        let expected = JoinError::Failed { stage, cause: Cause::TimedOut { deadline } };
        assert_eq!(world.peers[a].answers, [Err(expected)], "op {op} withheld");
    }

    let mut world = World::new(4);
    let a = world.add_bare(10, &Config::default());
    world.cue(Cue::IgnoreDiscovery { times: u32::MAX });
    let info = world.info(10);
    let now = world.now;
    world.peers[a].control.join_info(now, info);
    world.run(deadlines.discovery + SECOND);
    let cause = Cause::TimedOut { deadline: deadlines.discovery };
    assert_eq!(world.peers[a].answers, [Err(JoinError::Failed { stage: Stage::Discovery, cause })]);
}

#[test]
fn a_main_gateway_that_says_nothing_is_a_typed_error() {
    let mut world = World::new(5);
    let a = world.add(10, &Config::default(), Impairment::default());
    world.peers[a].main_gateway = false;
    world.join(a);
    world.run(11 * SECOND);
    let deadline = Deadlines::default().updates;
    let cause = Cause::NoUpdates { missing: Missing::Both, deadline };
    assert_eq!(world.peers[a].answers, [Err(JoinError::Failed { stage: Stage::Updates, cause })]);
}

#[test]
fn case_19_a_new_session_with_an_old_token_does_not_open() {
    let mut world = World::new(6);
    let a = world.add(10, &Config::default(), Impairment::default());
    world.peers[a].main_gateway = false;
    // What came before our op 4 proves nothing.
    let stale = world.server.updates(user(10), guild(), channel(CHANNEL));
    let now = world.now;
    let server = VoiceServerUpdate::from_json(&stale.server).unwrap();
    world.peers[a].control.handle_voice_server(now, server);
    world.join(a);
    let state = crate::info::VoiceStateUpdate::from_json(&stale.state).unwrap();
    world.peers[a].control.handle_voice_state(now, state);
    world.settle();
    assert_eq!(world.peers[a].dials, 0, "the server update is missing");

    let fresh = world.server.updates(user(10), guild(), channel(CHANNEL));
    let server = VoiceServerUpdate::from_json(&fresh.server).unwrap();
    let now = world.now;
    world.peers[a].control.handle_voice_server(now, server);
    world.run(SECOND);
    assert_eq!(world.peers[a].answers, [Ok(())]);
    assert_eq!(world.peers[a].dials, 1);
}

#[test]
fn case_26_a_lost_discovery_reply_is_asked_for_again() {
    let mut world = World::new(8);
    let a = world.add(10, &Config::default(), Impairment::default());
    world.cue(Cue::IgnoreDiscovery { times: 3 });
    world.join(a);
    assert!(world.peers[a].answers.is_empty());
    world.run(2 * SECOND);
    assert_eq!(world.peers[a].answers, [Ok(())]);
    assert_eq!(world.server.stats().discoveries_ignored, 3);
}

#[test]
fn joining_where_one_is_changes_nothing_and_the_last_join_wins() {
    let mut world = World::new(9);
    let a = world.add(10, &Config::default(), Impairment::default());
    world.join(a);
    world.join(a);
    assert_eq!(world.peers[a].answers, [Ok(()), Ok(())]);
    assert_eq!(world.peers[a].dials, 1);

    let now = world.now;
    world.peers[a].control.join_channel(now, channel(2_001));
    world.peers[a].control.join_channel(now, channel(2_002));
    world.run(SECOND);
    let last = world.server.members().next().unwrap();
    assert_eq!(last.channel, Some(channel(2_002)));
    assert!(world.peers[a].is_up() && world.peers[a].is_linked());
}

#[test]
fn a_mode_that_is_not_offered_names_both_lists() {
    let mut world = World::with(loopback::Config::default().modes([crypto::Mode::Aes256GcmRtpsize]));
    let config = Config::default().modes(vec![crypto::Mode::XChaCha20Poly1305Rtpsize]);
    let a = world.add(10, &config, Impairment::default());
    world.join(a);
    let text = format!("{}", world.peers[a].answers[0].as_ref().unwrap_err());
    for mode in ["aead_aes256_gcm_rtpsize", "aead_xchacha20_poly1305_rtpsize"] {
        assert!(text.contains(mode), "{text}");
    }
}
