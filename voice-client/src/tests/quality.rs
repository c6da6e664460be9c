//! Reports of both directions, whole calls long.

use std::time::Duration;

use loopback::{Impairment, Link};
use mixer::generate::Tone;

use super::world::{World, user};
use crate::config::Config;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn both_sides_learn_how_the_other_hears_them() {
    let mut world = World::new(80);
    let link = |millis| Impairment { latency: Duration::from_millis(millis), ..Impairment::default() };
    let a = world.add(10, &Config::default(), link(30));
    let b = world.add(11, &Config::default(), link(0));
    world.join(a);
    world.join(b);
    assert_eq!(world.server.stats().rtcp_received, 0);
    world.run(20 * SECOND);
    assert_eq!(world.server.stats().rtcp_received, 0, "nothing was sent or heard");
    assert!(world.peers[a].inbound.send_quality().is_none());

    // A fifth is lost on the way up, and what arrives takes 50 ms.
    world.peers[a].up = Link::new(5, Impairment { loss: 0.2, ..link(50) });
    world.play(a, Tone::new(440.0, 0.5, Some(60 * SECOND)));
    world.run(60 * SECOND);
    let stats = world.server.stats();
    assert!((8..=12).contains(&stats.sender_reports), "every 5 s, but for what is lost: {stats:?}");
    assert!(stats.report_blocks >= 10, "the listener tells how it hears: {stats:?}");
    let quality = world.peers[a].inbound.send_quality().expect("reported");
    assert!((0.1..0.3).contains(&quality.fraction_lost), "{quality:?}");
    let sent = world.peers[a].outbound.sent().packets as f64;
    assert!((0.15..0.25).contains(&(f64::from(quality.lost) / sent)), "{quality:?} of {sent}");
    let round_trip = quality.round_trip.expect("reports came through");
    assert!((round_trip.as_secs_f64() - 0.08).abs() < 0.001, "50 ms up, 30 ms down: {round_trip:?}");
    assert!(quality.jitter < Duration::from_millis(1), "{quality:?}");
    assert!(world.peers[b].inbound.heard()[&user(10)].lost > 100);

    // Who has fallen silent reports as a receiver, and goes on doing so.
    world.run(10 * SECOND);
    let (reports, senders) = (world.server.stats().rtcp_received, world.server.stats().sender_reports);
    world.run(60 * SECOND);
    let stats = world.server.stats();
    assert_eq!(stats.sender_reports, senders);
    assert!(stats.rtcp_received >= reports + 18, "two reports each 5 s, some of them lost");
}

#[test]
fn reports_go_on_over_a_resume_and_begin_anew_with_a_session() {
    let mut world = World::new(81);
    let a = world.add(10, &Config::default(), Impairment::default());
    world.join(a);
    world.play(a, Tone::new(440.0, 0.5, Some(120 * SECOND)));
    world.run(11 * SECOND);
    assert_eq!(world.server.stats().sender_reports, 2);
    world.cue(loopback::Cue::Sever { user: Some(user(10)) });
    world.cue(loopback::Cue::Describe { user: None, fresh_key: false });
    world.run(10 * SECOND);
    world.cue(loopback::Cue::Describe { user: None, fresh_key: true });
    world.run(10 * SECOND);
    let close = loopback::Cue::Close { user: None, code: 4_006, reason: String::new() };
    world.cue(close);
    world.run(11 * SECOND);
    let stats = world.server.stats();
    assert_eq!((stats.not_authentic, stats.unknown_ssrc), (0, 0));
    assert!((7..=8).contains(&stats.sender_reports), "{stats:?}");
    let own = world.peers[a].outbound.stream(world.now).expect("a session");
    assert!(own.packets < 560 && own.octets > 10 * own.packets, "counted since this stream began: {own:?}");
}
