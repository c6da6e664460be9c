//! Reports over real sockets.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use loopback::Config as Behaviour;
use support::{config, pair, plain, until};
use voice_client::Client;
use voice_client::source::generate::Tone;

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
    assert!(quality.round_trip.unwrap() < std::time::Duration::from_secs(1), "{quality:?}");
    let stats = server.stats().await;
    assert!(stats.sender_reports >= 1 && stats.report_blocks >= 1, "{stats:?}");
    assert_eq!((stats.not_authentic, listener.stats().await.unwrap().received.unauthentic), (0, 0));
}
