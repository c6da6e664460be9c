//! How calls survive.

use std::time::Duration;

use loopback::{Cue, Impairment};
use mixer::generate::Tone;
use model::Seq;
use udp::rtp;

use super::world::{CHANNEL, World, channel, guild, user};
use crate::config::Config;
use crate::error::{Cause, Closed};
use crate::event::{Event, Recovery};
use crate::info::VoiceServerUpdate;

const SECOND: Duration = Duration::from_secs(1);

/// A client that plays for a minute, and one that listens.
fn pair(seed: u64) -> (World, usize, usize) {
    let mut world = World::new(seed);
    let config = Config::default();
    let a = world.add(10, &config, Impairment::default());
    let b = world.add(11, &config, Impairment::default());
    world.join(a);
    world.join(b);
    world.play(a, Tone::new(440.0, 0.5, Some(60 * SECOND)));
    world.run(SECOND);
    (world, a, b)
}

fn close(code: u16) -> Cue {
    Cue::Close { user: Some(user(10)), code, reason: String::new() }
}

fn seqs(world: &World, peer: usize) -> Vec<Seq> {
    world.peers[peer].wire.iter().map(|(_, packet)| rtp::Header::read(packet).unwrap().seq).collect()
}

#[test]
fn case_13_a_resume_keeps_media_flowing_both_ways() {
    for cue in [Cue::Sever { user: Some(user(10)) }, close(4_015)] {
        let (mut world, a, b) = pair(20);
        world.play(b, Tone::new(880.0, 0.5, Some(20 * SECOND)));
        world.run(SECOND);
        let before = world.server.stats().received;
        world.cue(cue);
        world.run(2 * SECOND);
        let peer = &world.peers[a];
        assert!(peer.events.iter().any(|event| matches!(event, Event::Resumed)), "{:?}", peer.events);
        assert_eq!(peer.wire.len(), 150 + 50, "a packet in every period, before and after");
        assert!(seqs(&world, a).windows(2).all(|pair| pair[1] == pair[0].next()));
        assert!(world.server.stats().received - before >= 198);
        let heard = world.peers[a].inbound.heard()[&user(11)];
        assert_eq!((heard.lost, heard.resyncs), (0, 0), "{heard:?}");
    }
}

#[test]
fn missed_acknowledgements_lead_to_a_resume() {
    let (mut world, a, _) = pair(21);
    world.cue(Cue::Withhold { user: Some(user(10)), op: 6, times: 3 });
    world.run(60 * SECOND);
    let missed = |event: &Event| matches!(event, Event::Reconnecting { cause: Cause::MissedAcks(_), .. });
    assert!(world.peers[a].events.iter().any(missed));
    assert!(world.peers[a].events.iter().any(|event| matches!(event, Event::Resumed)));
    assert!(world.peers[a].is_up());
}

#[test]
fn case_20_4014_followed_by_an_update_is_a_move() {
    let (mut world, a, b) = pair(22);
    world.cue(Cue::Move { user: user(10), channel: channel(2_001) });
    world.run(2 * SECOND);
    let peer = &world.peers[a];
    assert!(peer.is_up() && peer.ended.is_empty(), "the same call, the same track");
    assert!(peer.events.iter().any(|event| matches!(event, Event::Moved { channel: to } if *to == channel(2_001))));
    assert_eq!(peer.dials, 2);

    // Back to where somebody listens: the track went on where it was, in a new stream.
    let now = world.now;
    world.peers[a].control.join_channel(now, channel(CHANNEL));
    world.run(2 * SECOND);
    assert!(world.peers[b].inbound.heard()[&user(10)].received > 140);
    let position = world.peers[a].outbound.position(mixer::TrackId(1)).unwrap();
    assert!(position > 4 * SECOND && position <= 5 * SECOND + SECOND / 5, "{position:?}");
}

#[test]
fn case_20_4014_without_an_update_is_the_end() {
    let (mut world, a, _) = pair(23);
    world.cue(close(4_014));
    world.run(11 * SECOND);
    assert!(matches!(&world.peers[a].closed, Some(Closed::Lost(Cause::Closed { code: 4_014, .. }))));
}

#[test]
fn case_24_a_kick_is_a_typed_end() {
    let (mut world, a, b) = pair(24);
    world.cue(Cue::Kick { user: user(10) });
    world.run(SECOND);
    assert_eq!(world.peers[a].closed, Some(Closed::Removed));
    assert!(world.peers[b].is_up());
}

#[test]
fn case_21_an_endpoint_that_never_answers_gets_five_resumes_then_a_fresh_join() {
    let (mut world, a, _) = pair(25);
    let commands = world.peers[a].commands.len();
    world.dead_dials = 5;
    world.cue(Cue::Sever { user: Some(user(10)) });
    world.run(60 * SECOND);
    let peer = &world.peers[a];
    let resumes =
        peer.events.iter().filter(|event| matches!(event, Event::Reconnecting { by: Recovery::Resume { .. }, .. }));
    assert_eq!(resumes.count(), 5);
    assert_eq!(peer.commands[commands..], [None, Some(channel(CHANNEL))], "left, then joined: a fresh join");
    assert!(peer.is_up() && peer.closed.is_none());
}

#[test]
fn case_22_a_changed_mute_does_not_reconnect() {
    let (mut world, a, _) = pair(26);
    let dials = world.peers[a].dials;
    for mute in [true, false] {
        world.peers[a].control.set_mute(mute);
        world.peers[a].control.set_deaf(mute);
        // The main gateway echoes our own voice state; channel and server are what they were.
        world.peers[a].main_gateway = false;
        let updates = world.server.updates(user(10), guild(), channel(CHANNEL));
        let now = world.now;
        let state = crate::info::VoiceStateUpdate::from_json(&updates.state).unwrap();
        world.peers[a].control.handle_voice_state(now, state);
        world.run(SECOND);
    }
    assert_eq!(world.peers[a].dials, dials);
    assert!(!world.peers[a].events.iter().any(|event| matches!(event, Event::Reconnecting { .. })));
}

#[test]
fn case_25_a_media_socket_that_cannot_be_opened_is_an_error() {
    let (mut world, a, _) = pair(27);
    world.udp_refused = true;
    world.cue(close(4_009));
    world.run(60 * SECOND);
    let closed = world.peers[a].closed.clone();
    assert!(matches!(closed, Some(Closed::Lost(Cause::Udp(_)))), "{closed:?}");
}

#[test]
fn a_null_endpoint_keeps_the_call_until_the_next_server() {
    let (mut world, a, _) = pair(28);
    world.cue(Cue::NullEndpoint { guild: guild() });
    world.run(5 * SECOND);
    let sent = world.peers[a].wire.len();
    assert!(world.peers[a].closed.is_none() && !world.peers[a].is_up());
    let updates = world.server.updates(user(10), guild(), channel(CHANNEL));
    let now = world.now;
    world.peers[a].control.handle_voice_server(now, VoiceServerUpdate::from_json(&updates.server).unwrap());
    world.run(2 * SECOND);
    assert!(world.peers[a].is_up() && world.peers[a].ended.is_empty());
    let after = world.peers[a].wire.len() - sent;
    assert!((95..=100).contains(&after), "{after} packets in two seconds: no burst");
}

#[test]
fn another_server_means_identify_and_a_new_stream_without_a_burst() {
    let (mut world, a, b) = pair(29);
    let before = world.peers[a].wire.len();
    world.cue(Cue::ChangeEndpoint { guild: guild(), endpoint: None });
    world.run(2 * SECOND);
    let peer = &world.peers[a];
    assert!(peer.events.iter().any(|event| matches!(event, Event::Reconnecting { by: Recovery::Move, .. })));
    assert!(!peer.events.iter().any(|event| matches!(event, Event::Resumed)));
    assert!(peer.wire.len() - before <= 100, "no burst");
    assert!(world.peers[b].is_up());
}

#[test]
fn a_refused_resume_is_followed_by_a_fresh_join() {
    let (mut world, a, _) = pair(30);
    world.cue(Cue::RefuseResume { times: 1 });
    world.cue(Cue::Sever { user: Some(user(10)) });
    world.run(5 * SECOND);
    let peer = &world.peers[a];
    let rejoined = |event: &Event| matches!(event, Event::Reconnecting { by: Recovery::Rejoin { .. }, .. });
    assert!(peer.events.iter().any(rejoined) && peer.is_up() && peer.ended.is_empty());
}

#[test]
fn without_a_link_new_info_revives_the_call_and_none_ends_it() {
    for revive in [true, false] {
        let mut world = World::new(31);
        let a = world.add_bare(10, &Config::default());
        let info = world.info(10);
        let now = world.now;
        world.peers[a].control.join_info(now, info);
        world.run(SECOND);
        assert_eq!(world.peers[a].answers, [Ok(())]);
        world.play(a, Tone::new(440.0, 0.5, Some(60 * SECOND)));
        world.run(SECOND);
        world.cue(close(4_006));
        world.run(SECOND);
        if revive {
            let info = world.info(10);
            let now = world.now;
            world.peers[a].control.join_info(now, info);
        }
        world.run(15 * SECOND);
        match revive {
            true => assert!(world.peers[a].is_up() && world.peers[a].ended.is_empty()),
            false => assert!(matches!(world.peers[a].closed, Some(Closed::InfoNeeded(_)))),
        }
    }
}

#[test]
fn codes_that_mean_stop_end_the_call_and_say_what_to_do() {
    for code in [4_004, 4_016, 4_017, 4_021] {
        let (mut world, a, _) = pair(32);
        world.cue(close(code));
        world.run(SECOND);
        let closed = world.peers[a].closed.clone().unwrap_or_else(|| panic!("{code} did not end the call"));
        assert_eq!(closed.code(), Some(code));
        assert!(closed.to_string().len() > 40, "{closed}");
        assert_eq!(world.peers[a].commands.last(), Some(&None), "and the bot is not left standing in the channel");
    }
}

#[test]
fn rejoins_are_bounded() {
    let (mut world, a, _) = pair(33);
    for _ in 0..20 {
        world.cue(close(4_006));
        world.run(20 * SECOND);
    }
    assert!(matches!(world.peers[a].closed, Some(Closed::Lost(Cause::Closed { code: 4_006, .. }))));
}

#[test]
fn leaving_cannot_be_undone_by_what_was_under_way() {
    // A resume, a repeated description, and a move that completes: each while the end of speech is being sent.
    for case in 0..3 {
        let (mut world, a, _) = pair(34);
        match case {
            0 => {
                world.cue(Cue::Withhold { user: Some(user(10)), op: 9, times: 1 });
                world.cue(Cue::Sever { user: Some(user(10)) });
                world.run(SECOND / 50);
                let now = world.now;
                world.peers[a].control.leave(now);
                world.cue(Cue::Text { user: Some(user(10)), text: r#"{"op":9,"d":null}"#.into() });
            }
            1 => {
                let now = world.now;
                world.peers[a].control.leave(now);
                world.cue(Cue::Describe { user: Some(user(10)), fresh_key: true });
            }
            _ => {
                world.peers[a].main_gateway = false;
                let updates = world.server.updates(user(10), guild(), channel(2_001));
                let now = world.now;
                let peer = &mut world.peers[a];
                peer.control.join_channel(now, channel(2_001));
                peer.control.handle_voice_server(now, VoiceServerUpdate::from_json(&updates.server).unwrap());
                peer.control.leave(now);
                let state = crate::info::VoiceStateUpdate::from_json(&updates.state).unwrap();
                peer.control.handle_voice_state(now, state);
            }
        }
        world.run(2 * SECOND);
        assert_eq!(world.peers[a].closed, Some(Closed::Left), "case {case}");
    }
}

#[test]
fn a_server_that_resumes_and_cuts_again_is_given_up_in_the_end() {
    let (mut world, a, _) = pair(35);
    for _ in 0..40 {
        world.cue(close(4_015));
        world.run(SECOND / 10);
    }
    let resumes = world.peers[a]
        .events
        .iter()
        .filter(|event| matches!(event, Event::Reconnecting { by: Recovery::Resume { .. }, .. }));
    assert!(resumes.count() <= 30, "resumes are bounded within a rejoin");
    assert!(world.peers[a].dials < 40, "and paced: {} dials in four seconds", world.peers[a].dials);
}

#[test]
fn joining_the_channel_again_while_it_is_won_back_cuts_nothing() {
    let (mut world, a, _) = pair(36);
    world.dead_dials = 1;
    world.cue(Cue::Sever { user: Some(user(10)) });
    let commands = world.peers[a].commands.len();
    let now = world.now;
    world.peers[a].control.join_channel(now, channel(CHANNEL));
    world.run(3 * SECOND);
    let peer = &world.peers[a];
    assert_eq!(peer.answers.last(), Some(&Ok(())), "answered when the session was back");
    assert_eq!(peer.commands.len(), commands, "and nothing was asked of the main gateway");
    assert!(seqs(&world, a).windows(2).all(|pair| pair[1] == pair[0].next()));
}

#[test]
fn a_4016_names_both_lists() {
    let (mut world, a, _) = pair(37);
    world.cue(close(4_016));
    world.run(SECOND);
    let text = world.peers[a].closed.clone().unwrap().to_string();
    assert_eq!(text.matches("aead_aes256_gcm_rtpsize").count(), 2, "{text}");
}

#[test]
fn a_voice_state_without_a_server_after_4014_is_asked_again_at_the_deadline() {
    let (mut world, a, _) = pair(38);
    world.cue(close(4_014));
    let updates = world.server.updates(user(10), guild(), channel(2_001));
    let now = world.now;
    let state = crate::info::VoiceStateUpdate::from_json(&updates.state).unwrap();
    world.peers[a].control.handle_voice_state(now, state);
    world.run(12 * SECOND);
    assert!(world.peers[a].is_up(), "{:?}", world.peers[a].events.last());
    assert_eq!(world.server.members().find(|member| member.user == user(10)).unwrap().channel, Some(channel(2_001)));
}
