//! Reports over real sockets.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use loopback::{Config as Behaviour, Cue};
use support::{config, event, pair, plain, until, user};
use voice_client::source::generate::Tone;
use voice_client::{Client, Event, Rung, Symptom, Watchdog};

/// Reports are five seconds apart: one to answer, and its answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_tells_how_it_hears_us_and_answers_our_reports() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let (talker, listener) = pair(&server, &client, 1).await;
    assert!(talker.stats().await.unwrap().send_quality.is_none());
    talker.play(Tone::new(440.0, 0.5, None));
    let quality = until("an answered report", || async {
        let quality = talker.stats().await?.send_quality?;
        quality.round_trip.map(|_| quality)
    })
    .await;
    assert!(quality.round_trip.unwrap() < Duration::from_secs(1), "{quality:?}");
    let stats = server.stats().await;
    assert!(stats.sender_reports >= 1 && stats.report_blocks >= 1, "{stats:?}");
    assert_eq!((stats.not_authentic, listener.stats().await.unwrap().received.unauthentic), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_was_forgotten_is_discovered_anew_from_another_socket() {
    let short = Duration::from_millis(100);
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config().keepalive(short).watchdog(Watchdog::default().patience(20 * short)));
    let (talker, listener) = pair(&server, &client, 1).await;
    let mut events = listener.events();
    until("an answered ping", || async { listener.stats().await?.udp_round_trip }).await;
    server.cue(Cue::Rebind { user: Some(user(2)) }).await;
    let acted = |event| if let Event::Watchdog { rung, why } = event { Some((rung, why)) } else { None };
    let (rung, why) = event(&mut events, "the watchdog", acted).await;
    assert_eq!((rung, why), (Rung::Rediscover, Symptom::Unanswered { pings: 3 }));
    talker.play(Tone::new(440.0, 0.5, None));
    until("packets of the talker", || async {
        let stats = listener.stats().await?;
        (stats.received.packets > 20 && stats.watchdog.recovered == 1).then_some(())
    })
    .await;
    assert!(listener.stats().await.unwrap().connected);
    listener.play(Tone::new(880.0, 0.5, None));
    until("packets of the listener", || async {
        talker.stats().await?.heard.get(&user(2)).filter(|heard| heard.received > 20).map(|_| ())
    })
    .await;
}
