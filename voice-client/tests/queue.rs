//! A call's queue, as a second client hears it and as its events tell it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use loopback::{Config as Behaviour, Cue};
use support::ears::{packets, pitched};
use support::{PATIENCE, asset, channel, config, event, guild, linked, pair, plain, sent, until, user, within};
use voice_client::source::file::File;
use voice_client::source::generate::Tone;
use voice_client::source::{Chunk, Format, Info, Source, SourceError};
use voice_client::{
    Back, Call, Client, Entry, Event, Events, Join, Low, Marker, Phase, Queue, QueueError, QueueEvent, Remaining,
    Repeat,
};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// An entry that is heard as a tone of `hertz` for so long.
fn tone(hertz: u32, time: Duration) -> Entry {
    Entry::new(Tone::new(f64::from(hertz), 0.5, Some(time))).duration(time)
}

/// What an event says, in words.
fn words(event: &QueueEvent) -> String {
    match event {
        QueueEvent::Started { entry, .. } => format!("started {entry}"),
        QueueEvent::Ended { item, how } => format!("{how:?} {}", item.id).to_lowercase(),
        QueueEvent::Failed { item, .. } => format!("failed {}", item.id),
        QueueEvent::Unrepeatable { item, reason } => format!("{reason:?} {}", item.id).to_lowercase(),
        QueueEvent::Marker { marker, .. } => format!("marker {}", marker.text()),
        QueueEvent::Low { .. } => "low".into(),
        QueueEvent::Empty => "empty".into(),
        QueueEvent::Stuck => "stuck".into(),
        other => panic!("{other:?}"),
    }
}

/// All that is said of the queue up to this.
async fn said(events: &mut Events, last: &str) -> Vec<String> {
    let mut said = Vec::new();
    while said.last().is_none_or(|it| it != last) {
        let pick = |event| if let Event::Queue(event) = event { Some(words(&event)) } else { None };
        said.push(event(events, &format!("{last}, after {said:?}"), pick).await);
    }
    said
}

/// Waits for the end of speech; returns how many packets there were that are not silence frames.
async fn spoken(call: &Call) -> u64 {
    let done = async || Some(sent(call).await).filter(|(_, silence)| *silence == 5);
    let (packets, silence) = until("the end of speech", done).await;
    packets - silence
}

async fn plays_beyond(queue: &Queue, position: Duration) {
    until("its going on", async || (queue.position() > position).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_follow_each_other_without_a_gap() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config().audio_queue(1_000));
    let (talker, listener) = pair(&server, &client, 1).await;
    let (queue, mut events, mut arrivals) = (talker.queue(), talker.events(), listener.arrivals());
    assert!(queue.is_empty() && queue.current().is_none());
    // Three seconds, two, three.
    queue.add(Entry::new(File::new(asset("arpeggio-48k-stereo.flac"))));
    queue.add(tone(440, secs(2)));
    queue.add(Entry::new(File::new(asset("arpeggio-48k-stereo.flac"))).data("the last one"));
    assert_eq!(queue.len(), 3);
    let expected = ["started 1", "finished 1", "started 2", "finished 2", "started 3", "finished 3", "empty"];
    assert_eq!(said(&mut events, "empty").await, expected);
    let frames = (3 + 2 + 3) * 50 + 1;
    assert_eq!(spoken(&talker).await, frames as u64);
    // No silence but the five frames of the end.
    packets(&mut arrivals, "all of them", frames + 5).await;
    let history = queue.history();
    assert_eq!(history.len(), 3);
    assert_eq!(history[0].data::<&str>().as_deref(), Some(&"the last one"), "the latest first");
    assert_eq!(history[0].duration, Some(secs(3)), "known since it was open");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crossfade_overlaps_two_entries() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let (talker, listener) = pair(&server, &client, 1).await;
    let (queue, mut events, mut arrivals) = (talker.queue(), talker.events(), listener.arrivals());
    queue.set_join(Join::Crossfade(ms(400)));
    queue.add(tone(440, secs(2)));
    queue.add(tone(440, secs(2)));
    let expected = ["started 1", "finished 1", "started 2", "finished 2", "empty"];
    assert_eq!(said(&mut events, "empty").await, expected);
    let frames = 200 - 20 + 1;
    assert_eq!(spoken(&talker).await, frames as u64);
    packets(&mut arrivals, "both", frames + 5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_and_queues_repeat() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let (talker, _listener) = pair(&server, &client, 1).await;
    let (queue, mut events) = (talker.queue(), talker.events());
    queue.set_repeat(Repeat::Track);
    queue.add(tone(440, secs(1)));
    queue.add(tone(550, secs(1)));
    let (_, track) = queue.current().unwrap();
    let mut of_track = track.events();
    for _ in 0..2 {
        let looped = async { while of_track.next().await.unwrap() != voice_client::TrackEvent::Looped {} };
        within(PATIENCE, "its repetition", looped).await;
    }
    assert_eq!((queue.current().unwrap().1.id(), queue.repeat()), (track.id(), Repeat::Track), "the same track");
    queue.set_repeat(Repeat::Queue);
    let round = ["finished 1", "started 2", "finished 2", "started 1", "finished 1", "started 2"];
    let mut heard = said(&mut events, "started 2").await;
    heard.extend(said(&mut events, "started 2").await);
    assert_eq!(heard[0], "started 1");
    assert_eq!(heard[1..], round);
    queue.stop();
    assert_eq!(said(&mut events, "empty").await, ["stopped 2", "empty"]);
    assert!(queue.is_empty() && queue.upcoming().is_empty());
    until("no track", async || talker.player().tracks().is_empty().then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn skips_go_where_they_should_and_packets_follow_each_other() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config().audio_queue(1_000));
    let (talker, listener) = pair(&server, &client, 1).await;
    let (queue, mut events, mut arrivals) = (talker.queue(), talker.events(), listener.arrivals());
    let mut audio = listener.audio();
    let long = secs(600);
    let ids: Vec<_> = [300, 400, 500].map(|hertz| queue.add(tone(hertz, long))).into();
    queue.add_marker(Marker::new("intermission"));
    let after = queue.add(tone(600, long));
    assert_eq!((queue.len(), queue.markers().len(), queue.upcoming().len()), (4, 1, 4));
    pitched(&mut audio, "the first", 300.0).await;
    assert_eq!(queue.skip(), Some(ids[0]));
    pitched(&mut audio, "the second", 400.0).await;
    assert_eq!(queue.back(Back::Previous).unwrap(), ids[0]);
    pitched(&mut audio, "the first again", 300.0).await;
    plays_beyond(&queue, ms(100)).await;
    assert_eq!(queue.back(Back::RestartAfter(ms(100))).unwrap(), ids[0]);
    plays_beyond(&queue, ms(200)).await;
    assert_eq!(queue.back(Back::Previous).unwrap_err(), QueueError::NoHistory);
    queue.skip_to(ids[2]).unwrap();
    pitched(&mut audio, "the third", 500.0).await;
    assert_eq!(queue.skip_to(ids[1]).unwrap_err(), QueueError::NotQueued { id: ids[1] });
    let (_, marker) = queue.skip_to_marker().unwrap();
    assert_eq!(marker.text(), "intermission");
    pitched(&mut audio, "the last", 600.0).await;
    assert_eq!(queue.current().unwrap().0.id, after);
    assert_eq!(queue.remove(after), Ok(()));
    let expected = [
        "started 1",
        "skipped 1",
        "started 2",
        "skipped 2",
        "started 1",
        "skipped 1",
        "started 1",
        "skipped 1",
        "started 3",
        "skipped 3",
        "marker intermission",
        "started 5",
        "removed 5",
        "empty",
    ];
    assert_eq!(said(&mut events, "empty").await, expected);
    let frames = spoken(&talker).await;
    packets(&mut arrivals, "all of them", frames as usize + 5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_queue_stands_still_and_goes_on_from_there() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let (talker, _listener) = pair(&server, &client, 1).await;
    let (queue, mut events) = (talker.queue(), talker.events());
    queue.add(tone(440, secs(600)));
    queue.add(tone(550, ms(500)));
    said(&mut events, "started 1").await;
    queue.pause();
    let (_, track) = queue.current().unwrap();
    until("its standing still", async || (track.phase() == Phase::Paused).then_some(())).await;
    let position = queue.position();
    assert!(queue.is_paused());
    assert!(queue.skip().is_some());
    let (item, next) = queue.current().unwrap();
    assert_ne!(next.id(), track.id());
    until("its being ready", async || next.info()).await;
    assert_eq!((item.duration, next.position(), queue.is_paused()), (Some(ms(500)), Duration::ZERO, true));
    assert_eq!(queue.back(Back::Previous).unwrap(), queue.current().unwrap().0.id);
    queue.resume();
    plays_beyond(&queue, ms(100)).await;
    assert!(position > Duration::ZERO);
    queue.skip();
    assert_eq!(
        said(&mut events, "empty").await,
        ["skipped 1", "skipped 2", "started 1", "skipped 1", "started 2", "finished 2", "empty"]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_left_is_known_and_told_when_it_is_little() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let (talker, _listener) = pair(&server, &client, 1).await;
    let (queue, mut events) = (talker.queue(), talker.events());
    queue.pause();
    queue.add(tone(440, secs(2)));
    queue.add(tone(440, secs(2)));
    queue.set_low(Some(Low::Left(ms(2_500))));
    let opened = queue.add(Entry::new(Tone::new(440.0, 0.5, Some(secs(100)))));
    assert_eq!(queue.remaining(), remaining(secs(4), 1));
    queue.remove(opened).unwrap();
    queue.resume();
    plays_beyond(&queue, ms(1_000)).await;
    let left = queue.remaining();
    assert!(left.unknown == 0 && left.known < secs(3) && left.known > ms(500), "{left:?}");
    let all = said(&mut events, "empty").await;
    assert_eq!(all, ["started 1", "low", "finished 1", "started 2", "finished 2", "empty"]);
    assert_eq!(queue.remaining(), Remaining::default());
    queue.set_low(Some(Low::Entries(1)));
    queue.add(tone(440, ms(400)));
    let all = said(&mut events, "empty").await;
    assert!(all.contains(&"low".to_owned()), "{all:?}");
}

fn remaining(known: Duration, unknown: usize) -> Remaining {
    let mut remaining = Remaining::default();
    (remaining.known, remaining.unknown) = (known, unknown);
    remaining
}

/// A source that can be had only once.
struct Once(Tone);

impl Source for Once {
    fn open(&mut self) -> Result<Info, SourceError> {
        Ok(Info::new(Format::Pcm { rate: 48_000, channels: 1 }))
    }

    fn read(&mut self, chunk: &mut Chunk) -> Result<bool, SourceError> {
        self.0.read(chunk)
    }

    fn seek(&mut self, _to: Duration) -> Result<Duration, SourceError> {
        Err(SourceError::Unseekable { name: "once".into() })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_that_fail_are_passed_over() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let (talker, _listener) = pair(&server, &client, 1).await;
    let (queue, mut events) = (talker.queue(), talker.events());
    let missing = || Entry::new(File::new(asset("missing.flac")));
    queue.add(missing());
    queue.add(Entry::new(Once(Tone::new(440.0, 0.5, Some(ms(300))))));
    queue.add(missing());
    queue.add(tone(440, ms(300)));
    let all = said(&mut events, "empty").await;
    let told: Vec<_> = all.iter().filter(|it| !it.starts_with("failed 3")).map(String::as_str).collect();
    // What comes next is opened before its turn, and so is its failure told.
    assert_eq!(told, ["failed 1", "started 2", "finished 2", "started 4", "finished 4", "empty"]);
    assert_eq!(all.len(), told.len() + 1, "{all:?}");

    queue.set_repeat(Repeat::Queue);
    queue.add(Entry::new(Once(Tone::new(440.0, 0.5, Some(ms(300))))));
    let once = queue.add(missing());
    let all = said(&mut events, "stuck").await;
    assert!(all.contains(&"onlyonce 5".to_owned()), "{all:?}");
    assert_eq!((all.last().unwrap().as_str(), queue.len()), ("stuck", 1), "it rests, its entries kept");
    queue.remove(once).unwrap();
    queue.set_repeat(Repeat::Off);
    queue.add(tone(440, ms(300)));
    said(&mut events, "finished 7").await;
}

/// A source that cannot be opened, and panics when it is dropped: the one that was added, not what is made of it.
struct Bomb {
    armed: bool,
}

impl Source for Bomb {
    fn open(&mut self) -> Result<Info, SourceError> {
        Err(SourceError::other("bomb", "defused"))
    }

    fn read(&mut self, _chunk: &mut Chunk) -> Result<bool, SourceError> {
        Ok(false)
    }

    fn seek(&mut self, _to: Duration) -> Result<Duration, SourceError> {
        Err(SourceError::Unseekable { name: "bomb".into() })
    }

    fn fresh(&self) -> Option<Box<dyn Source>> {
        Some(Box::new(Self { armed: false }))
    }
}

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(!self.armed, "a source that panics when it is dropped, as this test wants it to");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_panics_when_it_is_dropped_harms_nobody() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let (talker, _listener) = pair(&server, &client, 1).await;
    let (queue, mut events) = (talker.queue(), talker.events());
    queue.add(Entry::new(Bomb { armed: true }));
    queue.add(tone(440, ms(300)));
    assert_eq!(said(&mut events, "empty").await, ["failed 1", "started 2", "finished 2", "empty"]);
    assert_eq!(talker.is_closed(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_survives_resumes_and_fresh_joins_where_it_is() {
    let server = plain(Behaviour::default().issued_only(true)).await;
    let (client, _) = linked(&server, user(1), config());
    let call = within(PATIENCE, "a join", client.join_channel(guild(1), channel(1))).await.unwrap();
    let (queue, mut events) = (call.queue(), call.events());
    let connected = |event| matches!(event, Event::Connected { .. }).then_some(());
    event(&mut events, "connected", connected).await;
    let first = queue.add(tone(440, secs(600)));
    let second = queue.add(tone(550, secs(3)));
    let mut later = call.events();
    plays_beyond(&queue, ms(200)).await;
    let (_, track) = queue.current().unwrap();
    for cue in [
        Cue::Sever { user: Some(user(1)) },
        Cue::Close { user: Some(user(1)), code: 4006, reason: String::new() },
        Cue::ChangeEndpoint { guild: guild(1), endpoint: None },
    ] {
        let before = queue.position();
        server.cue(cue.clone()).await;
        let back = |event| matches!(event, Event::Connected { .. } | Event::Resumed).then_some(());
        event(&mut events, "the connection", back).await;
        let position = queue.position();
        assert!(position >= before, "{cue:?}: {position:?} after {before:?}");
        plays_beyond(&queue, position + ms(200)).await;
        let (item, same) = queue.current().unwrap();
        assert_eq!((item.id, same.id(), queue.len()), (first, track.id(), 2), "{cue:?}");
    }
    // While nothing is connected, it obeys all the same.
    server.cue(Cue::Withhold { user: None, op: 2, times: 1 }).await;
    server.cue(Cue::Close { user: Some(user(1)), code: 4006, reason: String::new() }).await;
    event(&mut events, "the loss", |event| matches!(event, Event::Reconnecting { .. }).then_some(())).await;
    assert_eq!(queue.skip(), Some(first));
    assert!(matches!(within(PATIENCE, "its end", track.ended()).await, voice_client::TrackEnd::Stopped));
    assert_eq!(queue.current().unwrap().0.id, second);
    assert_eq!(
        said(&mut later, "empty").await,
        ["started 1", "skipped 1", "started 2", "finished 2", "empty"].map(str::to_owned)
    );
    within(PATIENCE, "leaving", call.leave()).await;
    queue.add(tone(440, secs(1)));
    assert!(queue.current().is_none(), "nothing begins any more");
}
