//! Sources that are read by a client's own reader threads, from the web, from programs and from caches, while calls play them.
#![cfg(all(unix, feature = "http"))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;
mod support_http;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use loopback::Config as Behaviour;
use support::ears::{pitched, steady};
use support::{PATIENCE, asset, config, pair, plain, until, within};
use support_http::{Page, Server, wav};
use voice_client::source::cache::{Cache, Form, Storage};
use voice_client::source::file::File;
use voice_client::source::generate::Tone;
use voice_client::source::http::Http;
use voice_client::source::pcm::Encoding;
use voice_client::source::process::{Output, Process};
use voice_client::source::{Chunk, Format, Info, Source, SourceError};
use voice_client::{Client, Entry, Event, QueueEvent, SeekError, Track, TrackEnd};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

async fn ended(track: &Track) -> TrackEnd {
    within(PATIENCE, "its end", track.ended()).await
}

async fn finished(track: &Track) {
    let end = ended(track).await;
    assert!(matches!(end, TrackEnd::Finished), "{end:?}");
}

async fn beyond(track: &Track, position: Duration) {
    until("its going on", async || (track.position() > position).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_over_http_is_played_sought_and_played_again() {
    let (server, web) = (plain(Behaviour::default()).await, Server::start().await);
    let client = Client::new(config());
    let (talker, _listener) = pair(&server, &client, 1).await;
    let file = wav(96_000);
    let whole = web.put("/whole.wav", Page::new(file.clone()));
    let broken = web.put("/broken.wav", Page { breaks: Some((50_000, 5)), ..Page::new(file.clone()) });
    let length = talker.play(File::new(asset("ding-48k-mono.wav")));
    finished(&length).await;
    for url in [&whole, &broken] {
        let track = talker.play(Http::new(url.as_str()).retries(10, ms(1)));
        finished(&track).await;
        assert_eq!(Some(track.played()), track.duration(), "all of it: {url}");
    }
    let long = web.put("/long.wav", Page::new(wav(2_000_000)));
    let track = talker.play(Http::new(long.as_str()));
    beyond(&track, ms(100)).await;
    let near_end = track.duration().unwrap() - ms(300);
    let landed = within(PATIENCE, "a seek", track.seek(near_end)).await.unwrap();
    assert!(landed.abs_diff(near_end) < ms(1), "{landed:?}");
    finished(&track).await;
    assert!(track.played() < Duration::from_secs(30) && track.played() >= ms(400), "{:?}", track.played());

    // In a queue, and made again by going round.
    let (queue, mut events) = (talker.queue(), talker.events());
    queue.set_repeat(voice_client::Repeat::Queue);
    queue.add(Entry::new(Http::new(whole.as_str())));
    queue.add(Entry::new(Tone::new(440.0, 0.5, Some(ms(100)))));
    let mut started = 0;
    while started < 3 {
        let begun = |event| matches!(event, Event::Queue(QueueEvent::Started { .. })).then_some(());
        support::event(&mut events, "a start", begun).await;
        started += 1;
    }
    queue.stop();
    let missing = talker.play(Http::new(web.put("/missing.wav", Page::status(404, "none"))));
    let TrackEnd::Failed(error) = ended(&missing).await else { panic!("{missing:?}") };
    assert!(error.to_string().contains("404"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_says_nothing_more_holds_up_nobody_else() {
    let (server, web) = (plain(Behaviour::default()).await, Server::start().await);
    let client = Client::new(config().max_readers(1));
    let (talker, _listener) = pair(&server, &client, 1).await;
    let stalled = web.put("/stalled.wav", Page { stall: Some(60_000), ..Page::new(wav(500_000)) });
    let waiting: Vec<_> = (0..5).map(|_| talker.play(Http::new(stalled.as_str()))).collect();
    for _ in 0..2 {
        let track = talker.play(Tone::new(440.0, 0.5, Some(ms(200))));
        finished(&track).await;
    }
    let others: Vec<_> = waiting.iter().map(|track| format!("{track:?}")).collect();
    let waits = |track: &Track| track.phase() != voice_client::Phase::Ended;
    assert!(waiting.iter().all(waits), "they wait, and hold no thread: {others:?}");
    within(PATIENCE, "leaving", talker.leave()).await;
    for track in waiting {
        assert!(matches!(ended(&track).await, TrackEnd::CallClosed));
    }
}

/// A program that prints a rectangular wave of 444 Hz: 48,000 samples a second in one byte each.
fn prints(script: &str) -> Process {
    let wave = format!("{}{}", "z".repeat(54), "!".repeat(53));
    let output = Output::Pcm { encoding: Encoding::U8, rate: 48_000, channels: 1 };
    Process::new("sh").args(["-c", script, "sh", &wave]).yields(output)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_program_prints_is_heard_and_its_failure_told_after_it() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let (talker, listener) = pair(&server, &client, 1).await;
    let mut audio = listener.audio();
    let track = talker.play(prints("yes \"$1\" | head -c 96000"));
    pitched(&mut audio, "the wave", 444.0).await;
    finished(&track).await;
    assert_eq!(track.played(), ms(2_000));

    let track = talker.play(prints("yes \"$1\" | head -c 24000; echo 'out of paper' >&2; exit 3"));
    let TrackEnd::Failed(error) = ended(&track).await else { panic!("{track:?}") };
    assert!(error.to_string().contains("out of paper"), "{error}");
    assert_eq!(track.played(), ms(500), "what it had printed was played");

    // One that prints for ever ends with its track.
    let track = talker.play(prints("yes \"$1\""));
    beyond(&track, ms(500)).await;
    track.stop();
    assert!(matches!(ended(&track).await, TrackEnd::Stopped));
    // Not even one that prints nothing, and does not end, is in the way.
    let silent = talker.play(prints("sleep 1000"));
    let track = talker.play(prints("yes \"$1\" | head -c 9600"));
    finished(&track).await;
    silent.stop();
    assert!(matches!(ended(&silent).await, TrackEnd::Stopped));
}

/// Counts how often its source is read.
struct Counted<S> {
    source: S,
    reads: Arc<AtomicUsize>,
}

impl<S: Source> Source for Counted<S> {
    fn open(&mut self) -> Result<Info, SourceError> {
        self.source.open()
    }

    fn read(&mut self, chunk: &mut Chunk) -> Result<bool, SourceError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.source.read(chunk)
    }

    fn seek(&mut self, to: Duration) -> Result<Duration, SourceError> {
        self.source.seek(to)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cache_is_read_once_for_two_calls_wherever_they_are_in_it() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let (one, hears_one) = pair(&server, &client, 1).await;
    let (two, hears_two) = pair(&server, &client, 2).await;
    for form in [Form::Pcm, Form::OPUS] {
        let reads = Arc::new(AtomicUsize::new(0));
        let source = Counted { source: Tone::new(440.0, 0.5, Some(ms(3_000))), reads: reads.clone() };
        let cache = Cache::new(source, form, Storage::Memory);
        let (mut first_ear, mut second_ear) = (hears_one.audio(), hears_two.audio());
        let first = one.play(cache.source());
        beyond(&first, ms(200)).await;
        let second = two.play(cache.source());
        within(PATIENCE, "a seek", second.seek(ms(1_500))).await.unwrap();
        let heard =
            async { tokio::join!(steady(&mut first_ear, "one", 0.4..0.6), steady(&mut second_ear, "two", 0.4..0.6)) };
        within(PATIENCE, "both", heard).await;
        finished(&first).await;
        finished(&second).await;
        assert_eq!(first.played().as_millis(), 3_000, "{form:?}");
        assert!(second.played() < ms(3_000) && second.played() >= ms(1_500), "{form:?}: {:?}", second.played());
        // 150 chunks of 20 ms, and the end.
        assert!((150..=152).contains(&reads.load(Ordering::Relaxed)), "{form:?}: {reads:?}");
        let again = two.play(cache.source());
        within(PATIENCE, "a seek", again.seek(ms(2_800))).await.unwrap();
        finished(&again).await;
        assert!((150..=152).contains(&reads.load(Ordering::Relaxed)), "{form:?}: {reads:?}");
    }
}

/// A station that has something to say every other time that it is asked: an hour of it takes minutes.
#[derive(Default)]
struct Slow {
    ready: bool,
}

impl Source for Slow {
    fn open(&mut self) -> Result<Info, SourceError> {
        Ok(Info::new(Format::Pcm { rate: 48_000, channels: 2 }))
    }

    fn read(&mut self, chunk: &mut Chunk) -> Result<bool, SourceError> {
        chunk.pcm(48_000, 2).resize(9_600, 0.1);
        Ok(true)
    }

    fn seek(&mut self, _to: Duration) -> Result<Duration, SourceError> {
        panic!("a cache does not seek its source")
    }

    fn is_ready(&mut self) -> bool {
        self.ready = !self.ready;
        self.ready
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seek_far_into_what_is_not_cached_is_given_up_when_nobody_wants_it_any_more() {
    const HOUR: Duration = Duration::from_secs(3_600);
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config().max_readers(1));
    let (talker, _listener) = pair(&server, &client, 1).await;
    let cache = Cache::new(Slow::default(), Form::Pcm, Storage::Memory);
    let track = talker.play(cache.source());
    beyond(&track, ms(100)).await;
    let far = |track: &Track| {
        tokio::spawn({
            let track = track.clone();
            async move { track.seek(HOUR).await }
        })
    };
    // What plays reads ahead, but not as far as that.
    let begun = async |from: Duration| {
        until("the seek", async || (cache.duration() > from + Duration::from_secs(10)).then_some(())).await;
    };

    let first = far(&track);
    begun(track.position()).await;
    let near = ms(1_000);
    assert_eq!(within(PATIENCE, "another seek", track.seek(near)).await.unwrap(), near);
    assert!(matches!(within(PATIENCE, "the first one", first).await.unwrap(), Err(SeekError::Superseded)));
    beyond(&track, near).await;

    let second = far(&track);
    begun(cache.duration()).await;
    track.stop();
    assert!(matches!(ended(&track).await, TrackEnd::Stopped));
    assert!(matches!(within(PATIENCE, "the second one", second).await.unwrap(), Err(SeekError::Ended)));
    // The only thread is free again.
    finished(&talker.play(Tone::new(440.0, 0.5, Some(ms(200))))).await;
}
