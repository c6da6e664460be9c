//! What a queue knows of its entries, and when.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::{Arc, Mutex};
use std::task::{Context, Wake};
use std::time::Duration;

use loopback::Config as Behaviour;
use support::{PATIENCE, config, event, pair, plain, until, within};
use voice_client::source::generate::Tone;
use voice_client::source::{Chunk, Format, Info, Metadata, Source, SourceError};
use voice_client::{Client, Entry, Event, Marker, Queue, QueueEvent, TrackEvent};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// An entry that is heard as a tone for a minute.
fn tone() -> Entry {
    Entry::new(Tone::new(440.0, 0.5, Some(ms(60_000)))).duration(ms(60_000))
}

/// Looks at a queue when it is woken: how many entries it has, and how many it had.
struct Look {
    queue: Queue,
    seen: Mutex<Option<(usize, usize)>>,
}

impl Wake for Look {
    fn wake(self: Arc<Self>) {
        *self.seen.lock().unwrap() = Some((self.queue.len(), self.queue.history().len()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_the_end_of_a_track_finds_a_queue_that_knows_of_it() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let (talker, _listener) = pair(&server, &client, 1).await;
    let queue = talker.queue();
    let look = || Arc::new(Look { queue: queue.clone(), seen: Mutex::default() });
    let (stopped, closed) = (look(), look());
    let mut ends = Vec::new();
    for (look, name) in [(&stopped, "a stop"), (&closed, "the end of the call")] {
        queue.add(tone());
        let (_, track) = queue.current().unwrap();
        let mut end = Box::pin({
            let track = track.clone();
            async move { track.ended().await }
        });
        assert!(end.as_mut().poll(&mut Context::from_waker(&look.clone().into())).is_pending());
        ends.push(end);
        if name == "a stop" {
            track.stop();
        } else {
            within(PATIENCE, "leaving", talker.leave()).await;
        }
        until(name, async || *look.seen.lock().unwrap()).await;
    }
    assert_eq!(*stopped.seen.lock().unwrap(), Some((0, 1)));
    assert_eq!(*closed.seen.lock().unwrap(), Some((0, 2)));
}

/// A station that has called one title when it is opened and says another one after a while, as an ICY stream does.
struct Station {
    chunks: u32,
}

fn called(title: &str) -> Metadata {
    Metadata::default().title(title)
}

impl Source for Station {
    fn open(&mut self) -> Result<Info, SourceError> {
        Ok(Info::new(Format::Pcm { rate: 48_000, channels: 2 }).metadata(called("the first")))
    }

    fn read(&mut self, chunk: &mut Chunk) -> Result<bool, SourceError> {
        self.chunks += 1;
        chunk.pcm(48_000, 2).resize(4_800 * 2, 0.1);
        if self.chunks == 10 {
            chunk.set_metadata(called("the second"));
        }
        Ok(true)
    }

    fn seek(&mut self, to: Duration) -> Result<Duration, SourceError> {
        Ok(to)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_title_of_a_station_is_the_entrys_unless_it_was_added_with_its_own() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let (talker, _listener) = pair(&server, &client, 1).await;
    let (queue, mut events) = (talker.queue(), talker.events());
    let title = || queue.current().and_then(|(item, _)| item.metadata?.title);
    let shows = async |wanted: &str| until(wanted, async || title().filter(|it| &**it == wanted)).await;
    queue.add(Station { chunks: 0 });
    shows("the first").await;
    shows("the second").await;
    // After a seek it is ready once more, and what it was opened with is no news.
    let (_, track) = queue.current().unwrap();
    let mut own = track.events();
    within(PATIENCE, "a seek", track.seek(ms(100))).await.unwrap();
    while within(PATIENCE, "the seek's event", own.next()).await != Some(TrackEvent::Seeked { position: ms(100) }) {}
    until("its going on", async || (track.position() > ms(300)).then_some(())).await;
    assert_eq!(title().as_deref(), Some("the second"));
    queue.skip();
    let ended = |event| match event {
        Event::Queue(QueueEvent::Ended { item, .. }) => Some(item),
        _ => None,
    };
    let item = event(&mut events, "its end", ended).await;
    assert_eq!(item.metadata.as_ref(), Some(&called("the second")));

    queue.add(Entry::new(Station { chunks: 0 }).metadata(called("my own")));
    until("its second title", async || (queue.position() > ms(1_100)).then_some(())).await;
    assert_eq!(title().as_deref(), Some("my own"));
}

/// Asks its queue something when it is dropped.
struct Curious {
    queue: Queue,
    dropped: Arc<Mutex<Vec<usize>>>,
}

impl Drop for Curious {
    fn drop(&mut self) {
        self.dropped.lock().unwrap().push(self.queue.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_added_to_a_call_that_is_over_is_dropped_at_once() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let (talker, _listener) = pair(&server, &client, 1).await;
    let (queue, dropped) = (talker.queue(), Arc::default());
    let entry = || tone().data(Curious { queue: queue.clone(), dropped: Arc::clone(&dropped) });
    let first = queue.add(tone());
    let second = queue.add(tone());
    within(PATIENCE, "leaving", talker.leave()).await;
    let names = [queue.add(entry()), queue.insert(0, entry()), queue.add_marker(Marker::new("here"))];
    assert!(names[0] > second && names[0] < names[1] && names[1] < names[2], "{names:?}");
    assert_eq!(*dropped.lock().unwrap(), [1, 1], "with what was to come still there");
    assert_eq!(queue.upcoming().iter().map(|it| it.id()).collect::<Vec<_>>(), [second]);
    assert_eq!(queue.history().iter().map(|it| it.id).collect::<Vec<_>>(), [first]);
}
