//! Dead media paths are revived, rung by rung; silence is no death.

use std::time::Duration;

use loopback::{Cue, Impairment};
use mixer::generate::Tone;

use super::world::{World, user};
use crate::config::Config;
use crate::control::{Rung, Symptom};
use crate::event::{Event, Recovery};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// Two clients in a call, after a while in which pings were answered.
fn pair(seed: u64, config: &Config) -> (World, usize, usize) {
    let mut world = World::new(seed);
    let a = world.add(10, config, Impairment::default());
    let b = world.add(11, &Config::default(), Impairment::default());
    world.join(a);
    world.join(b);
    world.run(12 * SECOND);
    (world, a, b)
}

fn rungs(world: &World, peer: usize) -> Vec<Rung> {
    let rung = |event: &Event| match event {
        Event::Watchdog { rung, .. } => Some(*rung),
        _ => None,
    };
    world.peers[peer].events.iter().filter_map(rung).collect()
}

fn heard(world: &World, peer: usize, id: u64) -> u64 {
    world.peers[peer].inbound.heard().get(&user(id)).map_or(0, |heard| heard.received)
}

/// What `peer` hears of a tone that another one plays now.
fn hears(world: &mut World, peer: usize, from: usize, id: u64) -> u64 {
    let before = heard(world, peer, id);
    world.play(from, Tone::new(440.0, 0.5, Some(SECOND)));
    world.run(2 * SECOND);
    heard(world, peer, id) - before
}

#[test]
fn an_address_that_was_forgotten_is_discovered_anew_in_the_same_session() {
    let (mut world, a, b) = pair(90, &Config::default());
    let (ports, key) = (world.peers[a].ports, world.peers[a].dials);
    world.cue(Cue::Rebind { user: Some(user(10)) });
    assert_eq!(hears(&mut world, a, b, 11), 0);
    world.run(30 * SECOND);
    assert_eq!(rungs(&world, a), [Rung::Rediscover]);
    let why = world.peers[a].events.iter().find_map(|event| match event {
        Event::Watchdog { why, .. } => Some(*why),
        _ => None,
    });
    assert_eq!(why, Some(Symptom::Unanswered { pings: 3 }));
    assert_eq!((world.peers[a].ports, world.peers[a].dials), (ports + 1, key), "another socket, the same WebSocket");
    assert!(hears(&mut world, a, b, 11) >= 50, "both ways");
    assert!(hears(&mut world, b, a, 10) >= 50);
    assert_eq!(world.server.stats().not_authentic, 0);
    let counts = world.peers[a].control.watchdog();
    assert_eq!((counts.rediscoveries, counts.resumes, counts.recovered), (1, 0, 1));

    // It happens again, and is mended again.
    world.cue(Cue::Rebind { user: Some(user(10)) });
    world.run(30 * SECOND);
    assert_eq!(rungs(&world, a), [Rung::Rediscover; 2]);
    assert!(hears(&mut world, a, b, 11) >= 50);
}

#[test]
fn a_discovery_that_fails_is_followed_by_a_resume_which_discovers_again() {
    let (mut world, a, b) = pair(91, &Config::default());
    world.cue(Cue::Rebind { user: Some(user(10)) });
    world.cue(Cue::IgnoreDiscovery { times: 10 });
    world.run(60 * SECOND);
    assert_eq!(rungs(&world, a), [Rung::Rediscover, Rung::Resume]);
    let peer = &world.peers[a];
    assert!(peer.events.iter().any(|event| matches!(event, Event::Resumed)) && peer.is_up());
    assert!(!peer.events.iter().any(|event| matches!(event, Event::Reconnecting { by: Recovery::Rejoin { .. }, .. })));
    assert!(hears(&mut world, a, b, 11) >= 50);
    assert!(hears(&mut world, b, a, 10) >= 50);
}

#[test]
fn a_path_that_nothing_helps_gets_a_fresh_join_and_then_peace() {
    let (mut world, a, b) = pair(92, &Config::default());
    world.cue(Cue::IgnorePings { times: u32::MAX });
    world.run(30 * MINUTE);
    // The other one's pings are not answered either.
    for peer in [a, b] {
        assert_eq!(rungs(&world, peer), [Rung::Rediscover, Rung::Resume, Rung::Rejoin]);
        assert!(world.peers[peer].is_up());
    }
    assert!(hears(&mut world, a, b, 11) >= 50);
}

#[test]
fn without_a_link_a_call_is_not_ended_by_its_watchdog() {
    let mut world = World::new(93);
    let a = world.add_bare(10, &Config::default());
    let (info, now) = (world.info(10), world.now);
    world.peers[a].control.join_info(now, info);
    world.run(12 * SECOND);
    assert!(world.peers[a].is_up());
    world.cue(Cue::IgnorePings { times: u32::MAX });
    world.run(9 * MINUTE);
    assert_eq!(rungs(&world, a), [Rung::Rediscover, Rung::Resume]);
    assert!(world.peers[a].is_up() && world.peers[a].closed.is_none());
}

#[test]
fn a_key_that_changed_untold_is_learned_by_the_first_rung_that_can() {
    // With a new op 1 the server describes the session anew; a server that does not is joined afresh.
    for (seed, withheld, expected) in
        [(94, 0, &[Rung::Rediscover][..]), (95, 1, &[Rung::Rediscover, Rung::Resume, Rung::Rejoin])]
    {
        let (mut world, a, b) = pair(seed, &Config::default());
        world.play(b, Tone::new(440.0, 0.5, Some(5 * MINUTE)));
        world.run(SECOND);
        world.cue(Cue::Withhold { user: Some(user(10)), op: 4, times: withheld });
        world.cue(Cue::Rekey { user: Some(user(10)) });
        world.run(2 * MINUTE);
        assert_eq!(rungs(&world, a), expected);
        let opened = heard(&world, a, 11);
        world.run(10 * SECOND);
        assert!(heard(&world, a, 11) - opened >= 499, "{} packets", heard(&world, a, 11) - opened);
        assert!(hears(&mut world, b, a, 10) >= 50);
        assert_eq!(world.peers[a].control.watchdog().recovered, 1);
    }
}

#[test]
fn silence_is_no_death() {
    let (mut world, a, b) = pair(96, &Config::default());
    world.run(10 * MINUTE);
    assert_eq!((rungs(&world, a), rungs(&world, b)), (vec![], vec![]));
    assert!(hears(&mut world, a, b, 11) >= 50);
}

#[test]
fn pings_that_were_never_answered_are_no_death() {
    let mut world = World::new(97);
    world.cue(Cue::IgnorePings { times: u32::MAX });
    let a = world.add(10, &Config::default(), Impairment::default());
    world.join(a);
    world.run(10 * MINUTE);
    assert_eq!(rungs(&world, a), []);
}

#[test]
fn a_path_over_which_packets_come_is_alive_whatever_becomes_of_pings() {
    let (mut world, a, b) = pair(98, &Config::default());
    world.cue(Cue::IgnorePings { times: u32::MAX });
    world.play(b, Tone::new(440.0, 0.5, Some(5 * MINUTE)));
    world.run(4 * MINUTE);
    assert_eq!(rungs(&world, a), []);
    assert_eq!(rungs(&world, b), [], "it gets receiver reports");
}

#[test]
fn who_is_deaf_does_not_judge() {
    let (mut world, a, b) = pair(99, &Config::default());
    // Whoever is in the channel already gets no updates for an op 4.
    world.peers[a].main_gateway = false;
    world.peers[a].control.set_deaf(true);
    world.settle();
    world.cue(Cue::Rekey { user: Some(user(10)) });
    world.cue(Cue::IgnorePings { times: u32::MAX });
    world.play(b, Tone::new(440.0, 0.5, Some(2 * MINUTE)));
    world.run(3 * MINUTE);
    assert_eq!(rungs(&world, a), []);
}
