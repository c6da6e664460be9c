//! Who sends which stream.

use std::time::Duration;

use loopback::{Cue, Impairment};
use mixer::generate::Tone;
use receive::speech::Change;

use super::world::{World, pitch, user};
use crate::config::Config;
use crate::event::Event;

const SECOND: Duration = Duration::from_secs(1);
/// Ops 5 and 12, which tie a stream to a user.
const ANNOUNCEMENTS: [u64; 2] = [5, 12];

/// Two who are in one call, encrypted; the first hears nothing of who sends what.
fn unannounced(seed: u64) -> World {
    let mut world = World::encrypted(seed);
    for op in ANNOUNCEMENTS {
        world.cue(Cue::Withhold { user: Some(user(10)), op, times: u32::MAX });
    }
    for id in [10, 11, 12] {
        let peer = world.add(id, &Config::default(), Impairment::default());
        world.join(peer);
    }
    world.run(SECOND);
    world
}

/// Tells the first that the second one's stream is this user's (op 5).
fn announce(world: &mut World, id: u64) {
    let connected = |event: &Event| if let Event::Connected { ssrc, .. } = event { Some(ssrc.0) } else { None };
    let ssrc = world.peers[1].events.iter().find_map(connected).expect("it has joined");
    let text = format!(r#"{{"op":5,"d":{{"user_id":"{id}","ssrc":{ssrc},"speaking":1,"delay":0}}}}"#);
    world.cue(Cue::Text { user: Some(user(10)), text });
    world.run(SECOND / 10);
}

fn speak(world: &mut World, peer: usize, hz: f64) {
    world.play(peer, Tone::new(hz, 0.5, Some(2 * SECOND)));
    world.run(3 * SECOND);
}

#[test]
fn the_key_that_opens_a_frame_names_its_sender() {
    let mut world = unannounced(300);
    speak(&mut world, 1, 440.0);
    speak(&mut world, 2, 1_000.0);
    let ears = &world.peers[0].ears;
    for (id, hz) in [(11, 440.0), (12, 1_000.0)] {
        let pcm = ears.pcm.get(&user(id)).unwrap_or_else(|| panic!("{id} is not heard"));
        assert!((pitch(&pcm[9_600..144_000]) - hz).abs() < 3.0, "{} Hz from {id}", pitch(&pcm[9_600..144_000]));
    }
    assert_eq!(ears.arrivals.len(), 2 * 106, "all of both, the silence at the end as well");
    let received = world.peers[0].inbound.received();
    assert_eq!((received.unattributed, received.undecryptable, received.no_key), (0, 0, 0));
}

#[test]
fn the_key_knows_better_than_an_announcement() {
    let mut world = unannounced(301);
    // The server says that the stream of one is the other's.
    announce(&mut world, 12);
    speak(&mut world, 1, 440.0);
    let ears = &world.peers[0].ears;
    assert!(!ears.pcm.contains_key(&user(12)), "nothing is heard of who is silent");
    assert_eq!(ears.arrivals.iter().filter(|arrival| arrival.user == user(11)).count(), 106);
}

#[test]
fn audio_that_came_before_its_sender_was_known_is_attributed_later() {
    let mut world = World::new(302);
    world.cue(Cue::Withhold { user: Some(user(10)), op: 5, times: u32::MAX });
    for id in [10, 11] {
        let peer = world.add(id, &Config::default(), Impairment::default());
        world.join(peer);
    }
    world.play(1, Tone::new(440.0, 0.5, Some(SECOND)));
    world.run(SECOND);
    assert!(world.peers[0].ears.arrivals.is_empty());
    announce(&mut world, 11);
    world.run(2 * SECOND);
    let arrivals = &world.peers[0].ears.arrivals;
    assert_eq!(arrivals.len(), 56, "from the first packet on");
    assert!(arrivals.windows(2).all(|pair| pair[0].at < pair[1].at), "as they came");
    assert_eq!(world.peers[0].inbound.received().unattributed, 0);
}

#[test]
fn speech_starts_and_stops_on_the_clock_of_its_stream() {
    let mut world = World::encrypted(303);
    for id in [10, 11] {
        let peer = world.add(id, &Config::default(), Impairment::default());
        world.join(peer);
    }
    world.run(SECOND);
    for _ in 0..2 {
        speak(&mut world, 1, 440.0);
    }
    let speech = &world.peers[0].ears.speech;
    let times: Vec<_> = speech
        .iter()
        .map(|speech| match speech.change {
            Change::Started(time) => ("started", time.0),
            Change::Stopped(time) => ("stopped", time.0),
        })
        .collect();
    assert_eq!(times.iter().map(|(what, _)| *what).collect::<Vec<_>>(), ["started", "stopped", "started", "stopped"]);
    for spurt in times.chunks(2) {
        // The encoder is 312 samples late: the last of them are in a packet more.
        assert_eq!(spurt[1].1.wrapping_sub(spurt[0].1), 101 * 960);
    }
    assert!(speech.iter().all(|speech| speech.user == user(11)));
    // Who leaves in the middle of a word has stopped as well.
    world.play(1, Tone::new(440.0, 0.5, Some(2 * SECOND)));
    world.run(SECOND);
    let now = world.now;
    world.peers[1].control.leave(now);
    world.run(SECOND);
    let speech = &world.peers[0].ears.speech;
    assert_eq!(speech.len(), 6);
    assert!(matches!(speech[5].change, Change::Stopped(_)));
}

#[test]
fn what_was_said_while_we_were_deaf_is_no_loss() {
    let mut world = World::encrypted(304);
    for id in [10, 11] {
        let peer = world.add(id, &Config::default(), Impairment::default());
        world.join(peer);
    }
    world.run(SECOND);
    world.play(1, Tone::new(440.0, 0.5, Some(20 * SECOND)));
    world.run(2 * SECOND);
    world.peers[0].control.set_deaf(true);
    world.run(10 * SECOND);
    let heard = world.peers[0].ears.arrivals.len();
    world.peers[0].control.set_deaf(false);
    world.run(10 * SECOND);
    let ears = &world.peers[0].ears;
    assert!(ears.arrivals.len() > heard + 300 && heard < 110, "{heard} at first");
    assert_eq!(world.peers[0].inbound.heard()[&user(11)].lost, 0);
}
