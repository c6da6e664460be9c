//! What clock threads do for calls, and what they leave alone, over real sockets.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use loopback::Config as Behaviour;
use support::{PATIENCE, channel, config, guild, info, pair, plain, sent, until, user, within};
use voice_client::source::generate::Tone;
use voice_client::{Client, Closed, OpusSink, Phase, Realtime, TrackEnd};

const PACKET: [u8; 3] = [0xF8, 0xFF, 0xFE];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_whose_tracks_are_paused_cost_no_beat_but_are_kept_open() {
    const PAUSED: u64 = 100;
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config().keepalive(Duration::from_millis(100)));
    let mut calls = Vec::new();
    for n in 1..=PAUSED {
        let info = info(&server, user(n), guild(n), channel(n)).await;
        let call = within(PATIENCE, "a join", client.join(info)).await.unwrap();
        let track = call.play(Tone::new(440.0, 0.1, None));
        until("its start", || async { Some(track.position()).filter(|it| !it.is_zero()) }).await;
        track.pause();
        calls.push((call, track));
    }
    let (talker, _listener) = pair(&server, &client, PAUSED + 1).await;
    let resting = || async { client.clock_stats().threads.iter().all(|thread| thread.beating == 0).then_some(()) };
    until("everybody's rest", resting).await;

    let (before, pings) = (client.clock_stats(), server.stats().await.pings);
    // At rest for good, until there is something to do: for one of them.
    let track = talker.play(Tone::new(440.0, 0.1, Some(Duration::from_millis(500))));
    assert!(matches!(within(PATIENCE, "its end", track.ended()).await, TrackEnd::Finished));
    until("the end of speech", || async { (sent(&talker).await.1 == 5).then_some(()) }).await;
    until("everybody's rest", resting).await;
    let after = client.clock_stats();
    assert_eq!(after.packets - before.packets, 31, "{after:?}");
    // While its source is opened it is asked in vain. All others together would have been asked 2,500 times.
    let beats = after.beats - before.beats;
    assert!((31..1_000).contains(&beats), "{beats} beats");

    let all = async || Some(server.stats().await.pings).filter(|now| *now >= pings + 3 * PAUSED);
    until("pings of paused calls", all).await;
    assert_eq!(client.clock_stats().beats, after.beats);
    for (call, track) in &calls {
        assert!(call.stats().await.unwrap().udp_round_trip.is_some());
        assert_ne!(track.phase(), Phase::Ended);
    }
}

/// A waker of the application's that panics.
struct Bomb(AtomicUsize);

impl Wake for Bomb {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
        panic!("a waker that panics, as this test wants it to");
    }
}

/// Writes until there is no room, with a waker that panics when there is.
fn sabotage(sink: &mut OpusSink, bomb: &Arc<Bomb>) {
    let waker = Waker::from(bomb.clone());
    // Who registers a waker while another thread wakes is woken on the spot: that is not the panic that is wanted.
    let mut write = || pin!(sink.write(&PACKET)).poll(&mut Context::from_waker(&waker));
    while let Ok(Poll::Ready(Ok(()))) = catch_unwind(AssertUnwindSafe(&mut write)) {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_on_the_clock_thread_ends_its_call_and_no_other() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config().clock_threads(1));
    let (broken, listener) = pair(&server, &client, 1).await;
    let (talker, _) = pair(&server, &client, 2).await;
    let track = talker.play(Tone::new(440.0, 0.1, None));
    until("its start", || async { Some(track.position()).filter(|it| !it.is_zero()) }).await;

    let bomb = Arc::new(Bomb(AtomicUsize::new(0)));
    let mut sink = broken.opus_sink();
    let ended = || {
        sabotage(&mut sink, &bomb);
        std::future::ready(broken.is_closed())
    };
    assert_eq!(until("its end", ended).await, Closed::Panicked);
    assert!(bomb.0.load(Ordering::Relaxed) >= 1);

    // The same guild can be joined again, and everybody else was not disturbed.
    let position = track.position();
    until("the other one's going on", || async { Some(track.position()).filter(|it| *it > position) }).await;
    assert!(listener.is_closed().is_none() && talker.is_closed().is_none());
    let again = info(&server, user(1), guild(1), channel(1)).await;
    let again = within(PATIENCE, "a join", client.join(again)).await.unwrap();
    let tone = again.play(Tone::new(440.0, 0.1, Some(Duration::from_millis(100))));
    assert!(matches!(within(PATIENCE, "its end", tone.ended()).await, TrackEnd::Finished));
    assert_eq!(client.clock_stats().threads.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_tell_of_each_thread() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config().realtime(true));
    assert!(client.clock_stats().threads.is_empty(), "none before the first call");
    let (talker, listener) = pair(&server, &client, 1).await;
    let track = talker.play(Tone::new(440.0, 0.1, None));
    let loaded = async || Some(client.clock_stats()).filter(|stats| stats.threads[0].load > 0.0);
    let stats = until("a measured load", loaded).await;
    let thread = &stats.threads[0];
    assert_eq!((thread.calls, thread.beating), (2, 1), "{stats:?}");
    assert!(thread.load <= 1.0 && stats.beats >= stats.packets, "{stats:?}");
    // Not everywhere allowed; then it says why, and plays all the same.
    match &thread.realtime {
        Realtime::Granted => {}
        Realtime::Refused(reason) => assert!(!reason.is_empty()),
        other => panic!("asked for, and {other:?}"),
    }
    track.stop();
    within(PATIENCE, "leaving", talker.leave()).await;
    within(PATIENCE, "leaving", listener.leave()).await;
    let empty = async || Some(client.clock_stats()).filter(|stats| stats.threads[0].calls == 0);
    let stats = until("no calls", empty).await;
    assert_eq!(stats.threads[0].beating, 0);
}
