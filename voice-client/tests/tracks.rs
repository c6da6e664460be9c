//! Handles of tracks: what they do, what they say, and how tracks end.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::mpsc::{Receiver, Sender, channel as pipe};
use std::task::{Context, Waker};
use std::time::Duration;

use loopback::Config as Behaviour;
use support::ears::{pitched, steady};
use support::{PATIENCE, config, drain, event, pair, plain, sent, until, within};
use voice_client::effects::{Effect, Timescale, Volume};
use voice_client::source::generate::{Silence, Tone};
use voice_client::source::{Chunk, Format, Info, Metadata, Source, SourceError};
use voice_client::{
    Call, Client, Event, Loops, Phase, PlayOptions, SeekError, TimerId, Track, TrackEnd, TrackEvent, When,
};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn tone() -> Tone {
    Tone::new(440.0, 0.5, None)
}

async fn ended(track: &Track) -> TrackEnd {
    within(PATIENCE, "its end", track.ended()).await
}

async fn beyond(track: &Track, position: Duration) {
    until("its going on", async || (track.position() > position).then_some(())).await;
}

async fn next(events: &mut voice_client::TrackEvents, what: &str) -> TrackEvent {
    within(PATIENCE, what, events.next()).await.unwrap_or_else(|| panic!("it has ended before: {what}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_to_a_track_is_told_in_order_and_its_end_once() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let (talker, _listener) = pair(&server, &client, 1).await;
    let mut all = talker.events();
    let options = PlayOptions::new().paused().loops(Loops::Times(1));
    let track = talker.player().play_with(Tone::new(440.0, 0.5, Some(ms(600))), options).unwrap();
    let (mut events, mut later) = (track.events(), track.events());
    assert_eq!(talker.player().track(track.id()).map(|it| it.id()), Some(track.id()));
    track.timer(TimerId(7), When::At(ms(400)));
    track.resume();
    assert_eq!(next(&mut events, "its going on").await, TrackEvent::Resumed);
    assert_eq!(next(&mut events, "its being open").await, TrackEvent::Playable);
    assert_eq!(next(&mut events, "its start").await, TrackEvent::Started);
    assert_eq!(track.phase(), Phase::Playing);
    track.pause();
    assert_eq!(next(&mut events, "a pause").await, TrackEvent::Paused);
    until("its standing still", async || (track.phase() == Phase::Paused).then_some(())).await;
    assert_eq!(within(PATIENCE, "a seek", track.seek(ms(380))).await.unwrap(), ms(380));
    assert_eq!(next(&mut events, "a seek").await, TrackEvent::Seeked { position: ms(380) });
    assert_eq!(track.position(), ms(380), "and held there");
    track.resume();
    assert_eq!(next(&mut events, "its going on").await, TrackEvent::Resumed);
    assert_eq!(next(&mut events, "a timer").await, TrackEvent::Timer(TimerId(7)));
    assert_eq!(next(&mut events, "its repetition").await, TrackEvent::Looped);
    assert_eq!(next(&mut events, "a timer").await, TrackEvent::Timer(TimerId(7)));
    assert_eq!(within(PATIENCE, "the end of events", events.next()).await, None);
    assert!(matches!(ended(&track).await, TrackEnd::Finished));
    assert!(matches!(ended(&track.clone()).await, TrackEnd::Finished), "for ever");
    assert_eq!((track.phase(), track.duration()), (Phase::Ended, Some(ms(600))));
    assert!(track.played() >= ms(820) && track.played() < ms(1_200), "{:?}", track.played());
    assert!(talker.player().track(track.id()).is_none());
    assert_eq!(track.events().next().await, None, "nothing is to come");

    // Everybody who reads is told the same, and the call's events too, where the end comes last and once.
    let mut told = Vec::new();
    while let Some(event) = later.try_next() {
        told.push(event);
    }
    let last = talker.player().timer(When::After(Duration::ZERO));
    let mut seen = Vec::new();
    let until_last = async {
        loop {
            match all.next().await.expect("the call is on") {
                Event::Track { track: id, event } if id == track.id() => seen.push(Some(event)),
                Event::TrackEnded { track: id, .. } if id == track.id() => seen.push(None),
                Event::Timer(id) if id == last => return,
                _ => {}
            }
        }
    };
    within(PATIENCE, "all events", until_last).await;
    assert_eq!(told.len(), 9, "{told:?}");
    assert_eq!(seen, told.into_iter().map(Some).chain([None]).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_track_is_changed_while_it_plays() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let (talker, listener) = pair(&server, &client, 1).await;
    let mut audio = listener.audio();
    let track = talker.play(tone());
    steady(&mut audio, "the tone", 0.45..0.55).await;
    track.set_effects(&[Effect::Volume(Volume { level: 0.4 })]).unwrap();
    steady(&mut audio, "an effect", 0.17..0.23).await;
    track.set_effects(&[]).unwrap();
    steady(&mut audio, "no effect", 0.45..0.55).await;
    track.set_timescale(Timescale { rate: 2.0, ..Timescale::default() }).unwrap();
    pitched(&mut audio, "an octave higher", 880.0).await;
    track.set_timescale(Timescale { pitch: 0.5, ..Timescale::default() }).unwrap();
    pitched(&mut audio, "an octave lower", 220.0).await;
    track.set_timescale(Timescale::default()).unwrap();
    pitched(&mut audio, "as it was", 440.0).await;
    let there = Duration::from_secs(500);
    assert_eq!(within(PATIENCE, "a seek", track.seek(there)).await.unwrap(), there);
    beyond(&track, there).await;
    pitched(&mut audio, "as it was", 440.0).await;
    track.fade_out(ms(400));
    assert!(matches!(ended(&track).await, TrackEnd::Stopped));
    assert!(track.position() >= there + ms(400), "it was heard until then: {:?}", track.position());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loops_are_changed_while_it_plays() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config().read_ahead(ms(120)));
    let (talker, _listener) = pair(&server, &client, 1).await;
    let track = talker.play(Tone::new(440.0, 0.5, Some(ms(500))));
    let mut events = track.events();
    track.set_loops(Loops::Forever);
    for _ in 0..3 {
        while next(&mut events, "a repetition").await != TrackEvent::Looped {}
    }
    track.set_loops(Loops::Times(0));
    assert!(matches!(ended(&track).await, TrackEnd::Finished));
    let rounds = track.played().as_millis() / 500;
    assert!((3..=4).contains(&(rounds - 1)) && track.played() == ms(500) * rounds as u32, "{:?}", track.played());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn timers_stand_while_the_track_does() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let (talker, _listener) = pair(&server, &client, 1).await;
    let clock = talker.play(Silence::new(None));
    let track = talker.player().play_with(tone(), PlayOptions::new().paused()).unwrap();
    let mut events = track.events();
    let [once, often, place, gone] = [1, 2, 3, 4].map(TimerId);
    track.timer(once, When::After(ms(200)));
    track.timer(often, When::Every { period: ms(100), phase: ms(50) });
    track.timer(place, When::From(ms(120)));
    track.timer(gone, When::After(ms(10)));
    track.cancel(gone);
    beyond(&clock, clock.position() + ms(400)).await;
    let early: Vec<_> = std::iter::from_fn(|| events.try_next()).collect();
    assert!(!early.iter().any(|event| matches!(event, TrackEvent::Timer(_))), "{early:?}");
    track.resume();
    let mut timers = Vec::new();
    while timers.len() < 5 {
        if let TrackEvent::Timer(id) = next(&mut events, "a timer").await {
            timers.push(id);
        }
    }
    assert_eq!(timers, [often, place, often, once, often]);
}

/// A tone that is called something, until something goes wrong with it.
struct Faulty<F> {
    tone: Tone,
    reads: u32,
    fault: F,
}

fn faulty<F: FnMut() -> Result<bool, SourceError> + Send>(reads: u32, fault: F) -> Faulty<F> {
    Faulty { tone: tone(), reads, fault }
}

fn called(title: &str) -> Metadata {
    Metadata::default().title(title)
}

impl<F: FnMut() -> Result<bool, SourceError> + Send> Source for Faulty<F> {
    fn open(&mut self) -> Result<Info, SourceError> {
        Ok(Info::new(Format::Pcm { rate: 48_000, channels: 1 }).metadata(called("hum")))
    }

    fn read(&mut self, chunk: &mut Chunk) -> Result<bool, SourceError> {
        let Some(left) = self.reads.checked_sub(1) else { return (self.fault)() };
        self.reads = left;
        let more = self.tone.read(chunk);
        if left == 5 {
            chunk.set_metadata(called("ho"));
        }
        more
    }

    fn seek(&mut self, _to: Duration) -> Result<Duration, SourceError> {
        Err(SourceError::Unseekable { name: "hum".into() })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_had_come_of_a_source_that_fails_is_played_and_only_its_track_ends() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let (talker, _listener) = pair(&server, &client, 1).await;
    let neighbour = talker.play(Tone::new(1_000.0, 0.1, None));
    let mut events = talker.events();
    let fails = talker.play(faulty(10, || Err(SourceError::other("hum", "out of breath"))));
    let panics = talker.play(faulty(20, || panic!("a source that panics, as this test wants it to")));
    for (track, text, played) in [(&fails, "out of breath", ms(200)), (&panics, "as this test wants", ms(400))] {
        let TrackEnd::Failed(error) = ended(track).await else { panic!("{track:?}") };
        assert!(error.to_string().contains(text), "{error}");
        assert_eq!((track.played(), track.position()), (played, played), "{text}");
        assert_eq!(track.metadata().and_then(|it| it.title).as_deref(), Some("ho"), "the last that was heard");
        assert_eq!(track.info().and_then(|it| it.metadata.title).as_deref(), Some("hum"));
    }
    let mut ends = Vec::new();
    while ends.len() < 2 {
        ends.push(
            event(&mut events, "the ends", |event| match event {
                Event::TrackEnded { track, end: TrackEnd::Failed(_) } => Some(track),
                Event::TrackEnded { track, end } => panic!("{track:?} {end:?}"),
                _ => None,
            })
            .await,
        );
    }
    assert_eq!(ends, [fails.id(), panics.id()]);
    beyond(&neighbour, neighbour.position() + ms(100)).await;
    assert!(drain(&mut events).iter().all(|event| !matches!(event, Event::TrackEnded { .. })));
    assert_eq!(talker.is_closed(), None);
}

fn blocking(release: Receiver<()>, entered: Sender<()>) -> impl FnMut() -> Result<bool, SourceError> + Send {
    move || {
        let _ = entered.send(());
        let _ = release.recv();
        Ok(true)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sources_that_block_hold_up_neither_tracks_nor_calls_nor_their_own_end() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config().max_readers(3));
    let (talker, _one) = pair(&server, &client, 1).await;
    let (other, _two) = pair(&server, &client, 2).await;
    let good = |call: &Call| call.play(Tone::new(440.0, 0.5, Some(ms(200))));
    for _ in 0..3 {
        // More than there are places, in all rounds together.
        let mut blocked = Vec::new();
        for _ in 0..2 {
            let ((release, released), (entering, entered)) = (pipe(), pipe());
            let track = talker.play(faulty(0, blocking(released, entering)));
            until("its being blocked", async || entered.try_recv().ok()).await;
            blocked.push((track, release));
        }
        for call in [&talker, &other] {
            let track = good(call);
            assert!(matches!(ended(&track).await, TrackEnd::Finished), "beside those that are blocked");
        }
        for (track, _) in &blocked {
            track.stop();
            assert!(matches!(ended(track).await, TrackEnd::Stopped), "whatever its source does");
        }
        drop(blocked);
    }
    assert!(sent(&talker).await.0 > 0);
}

/// Seeks when it is told to, and says when it is dropped.
struct Seeker {
    told: Receiver<()>,
    gone: Sender<()>,
}

impl Source for Seeker {
    fn open(&mut self) -> Result<Info, SourceError> {
        Ok(Info::new(Format::Pcm { rate: 48_000, channels: 2 }))
    }

    fn read(&mut self, chunk: &mut Chunk) -> Result<bool, SourceError> {
        chunk.pcm(48_000, 2).resize(1_920, 0.1);
        Ok(true)
    }

    fn seek(&mut self, to: Duration) -> Result<Duration, SourceError> {
        self.told.recv().unwrap();
        Ok(to)
    }
}

impl Drop for Seeker {
    fn drop(&mut self) {
        let _ = self.gone.send(());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seek_that_comes_too_late_says_so() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let (talker, _listener) = pair(&server, &client, 1).await;
    // With both the answer and the end there when somebody looks, which of them is seen is not a matter of chance.
    for _ in 0..8 {
        let ((tell, told), (drop, gone)) = (pipe(), pipe());
        let track = talker.play(Seeker { told, gone: drop });
        beyond(&track, ms(20)).await;
        let mut seek = Box::pin(track.seek(ms(500)));
        assert!(seek.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        track.stop();
        assert!(matches!(ended(&track).await, TrackEnd::Stopped));
        tell.send(()).unwrap();
        gone.recv_timeout(Duration::from_secs(PATIENCE)).unwrap();
        let sought = within(PATIENCE, "an answer", seek).await;
        assert!(matches!(sought, Err(SeekError::Ended)), "{sought:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_ends_a_track_wherever_it_is() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let (talker, _listener) = pair(&server, &client, 1).await;
    // Not open, paused at its beginning, paused on the way, at volume zero, seeking.
    let (_release, released) = pipe::<()>();
    let (entering, _entered) = pipe();
    let stuck = talker.play(faulty(0, blocking(released, entering)));
    stuck.stop();
    assert!(matches!(ended(&stuck).await, TrackEnd::Stopped));
    let held = talker.player().play_with(tone(), PlayOptions::new().paused()).unwrap();
    held.stop();
    assert!(matches!(ended(&held).await, TrackEnd::Stopped));
    for volume in [1.0, 0.0] {
        let track = talker.play(tone());
        track.set_volume(volume);
        beyond(&track, ms(100)).await;
        track.pause();
        until("its standing still", async || (track.phase() == Phase::Paused).then_some(())).await;
        track.stop();
        assert!(matches!(ended(&track).await, TrackEnd::Stopped));
        let track = talker.player().play_with(tone(), PlayOptions::new().volume(volume)).unwrap();
        beyond(&track, ms(100)).await;
        track.stop();
        assert!(matches!(ended(&track).await, TrackEnd::Stopped));
    }
    // Muted, with tracks that stand still, and muted before without.
    for hold in [true, false] {
        let track = talker.play(tone());
        beyond(&track, ms(100)).await;
        let before = sent(&talker).await.1;
        talker.mute_tracks(!hold);
        talker.mute_tracks(hold);
        until("the end of speech", async || (sent(&talker).await.1 >= before + 5).then_some(())).await;
        track.stop();
        assert!(matches!(ended(&track).await, TrackEnd::Stopped), "muted: {hold}");
        talker.set_mute(false);
    }
    // Two in the same tick.
    let pair = [talker.play(Tone::new(440.0, 0.2, Some(ms(300)))), talker.play(Tone::new(440.0, 0.2, Some(ms(300))))];
    for track in pair {
        assert!(matches!(ended(&track).await, TrackEnd::Finished));
    }
    assert!(talker.player().tracks().is_empty());
}

/// Data of an application that panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("data that panic when they are dropped, as this test wants them to");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_that_panic_when_they_are_dropped_harm_nobody() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let (talker, _listener) = pair(&server, &client, 1).await;
    let mut events = talker.events();
    let short = || Tone::new(440.0, 0.5, Some(ms(100)));
    let bomb = talker.player().play_with(short(), PlayOptions::new().data(Bomb)).unwrap().id();
    let ended_of = |event| matches!(event, Event::TrackEnded { track, .. } if track == bomb).then_some(());
    event(&mut events, "its end", ended_of).await;
    assert!(matches!(ended(&talker.play(short())).await, TrackEnd::Finished), "the call goes on");
    talker.player().play_with(tone(), PlayOptions::new().data(Bomb)).unwrap();
    assert_eq!(within(PATIENCE, "leaving", talker.leave()).await, voice_client::Closed::Left);
}
