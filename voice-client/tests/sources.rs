//! Sources that fail, panic, block or change while they play: their own track ends, typed, and nothing else does.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel as pipe};
use std::time::Duration;

use loopback::Config as Behaviour;
use support::{PATIENCE, asset, assets, config, pair, plain, sent, until, within};
use tokio::task::JoinSet;
use voice_client::source::file::File;
use voice_client::source::generate::Tone;
use voice_client::source::{Chunk, Format, Info, Source, SourceError};
use voice_client::{Call, Client, Closed, Phase, Track, TrackEnd};

async fn ended(track: &Track, what: &str) -> TrackEnd {
    within(PATIENCE, what, track.ended()).await
}

async fn failed(track: &Track, what: &str) -> SourceError {
    match ended(track, what).await {
        TrackEnd::Failed(error) => error,
        other => panic!("{what}: {other:?}"),
    }
}

/// The call is well: another track plays in it from beginning to end, and packets leave.
async fn plays_on(call: &Call) {
    assert_eq!(call.is_closed(), None);
    let before = sent(call).await.0;
    let good = call.play(File::new(asset("ding-48k-mono.wav")));
    assert!(matches!(ended(&good, "a good track").await, TrackEnd::Finished));
    assert!(sent(call).await.0 > before);
}

/// An empty folder for one test's files.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_are_missing_empty_or_no_audio_fail_typed() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let (call, _listener) = pair(&server, &client, 1).await;
    let folder = folder("no-audio");
    let write = |name: &str, content: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, content).unwrap();
        path
    };

    let error = failed(&call.play(File::new(folder.join("missing.ogg"))), "a missing file").await;
    assert!(matches!(error, SourceError::Open { .. }) && error.to_string().contains("missing.ogg"), "{error}");
    let error = failed(&call.play(File::new(&folder)), "a folder").await;
    assert!(
        matches!(error, SourceError::Open { .. } | SourceError::Read { .. } | SourceError::NotAudio { .. }),
        "{error}"
    );
    let error = failed(&call.play(File::new(write("empty.wav", b""))), "an empty file").await;
    assert!(matches!(error, SourceError::Empty { .. }) && error.to_string().contains("empty.wav"), "{error}");
    let text = "To whom it may concern: this is a letter and no music.\n".repeat(2_000);
    for name in ["letter.txt", "letter.mp3", "letter.ogg"] {
        let error = failed(&call.play(File::new(write(name, text.as_bytes()))), "a letter").await;
        assert!(matches!(error, SourceError::NotAudio { .. }) && error.to_string().contains(name), "{error}");
    }
    plays_on(&call).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn truncated_files_play_as_far_as_they_go() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let (call, _listener) = pair(&server, &client, 1).await;
    let folder = folder("truncated");
    let mut playing = JoinSet::new();
    for file in assets() {
        let content = std::fs::read(&file).unwrap();
        for keep in [7, 40, content.len() / 10, content.len() / 2, content.len() - 1] {
            let copy = folder.join(format!("{keep}-{}", file.file_name().unwrap().to_string_lossy()));
            std::fs::write(&copy, &content[..keep]).unwrap();
            let track = call.play(File::new(&copy));
            playing.spawn(async move {
                let end = ended(&track, "a truncated file").await;
                // What there is of it may look whole, but a beginning alone is nothing that plays.
                match end {
                    TrackEnd::Finished => assert!(keep > 40, "{}", copy.display()),
                    TrackEnd::Failed(_) => {}
                    other => panic!("{}: {other:?}", copy.display()),
                }
            });
        }
    }
    while let Some(played) = within(PATIENCE, "all of them", playing.join_next()).await {
        played.unwrap();
    }
    plays_on(&call).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_change_while_they_play_end_typed() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config().read_ahead(Duration::from_millis(100)));
    let (call, _listener) = pair(&server, &client, 1).await;
    let folder = folder("changing");
    let mut playing = JoinSet::new();
    for file in assets() {
        for change in ["deleted", "emptied", "overwritten"] {
            let copy = folder.join(format!("{change}-{}", file.file_name().unwrap().to_string_lossy()));
            std::fs::copy(&file, &copy).unwrap();
            let track = call.play(File::new(&copy));
            playing.spawn(async move {
                let begun = async || (track.phase() == Phase::Ended || !track.position().is_zero()).then_some(());
                until("its start", begun).await;
                match change {
                    "deleted" => std::fs::remove_file(&copy).unwrap(),
                    "emptied" => drop(std::fs::File::create(&copy).unwrap()),
                    _ => std::fs::write(&copy, "this was music once. ".repeat(20_000)).unwrap(),
                }
                let end = ended(&track, "a file that changed").await;
                assert!(matches!(end, TrackEnd::Finished | TrackEnd::Failed(_)), "{}: {end:?}", copy.display());
                (change, matches!(end, TrackEnd::Failed(_)))
            });
        }
    }
    let mut failures = 0;
    while let Some(played) = within(PATIENCE, "all of them", playing.join_next()).await {
        let (change, failure) = played.unwrap();
        failures += u32::from(failure);
        assert!(!(change == "deleted" && failure && cfg!(unix)), "an open file outlives its name");
    }
    assert!(failures > 0, "a file that ends too early is no success");
    plays_on(&call).await;
}

/// Plays a tone for a while; then something goes wrong with it.
struct Faulty<F> {
    tone: Tone,
    reads: u32,
    fault: F,
}

fn faulty<F: FnMut() -> Result<bool, SourceError> + Send>(good_reads: u32, fault: F) -> Faulty<F> {
    Faulty { tone: Tone::new(440.0, 0.5, None), reads: good_reads, fault }
}

impl<F: FnMut() -> Result<bool, SourceError> + Send> Source for Faulty<F> {
    fn open(&mut self) -> Result<Info, SourceError> {
        Ok(Info::new(Format::Pcm { rate: 48_000, channels: 1 }))
    }

    fn read(&mut self, chunk: &mut Chunk) -> Result<bool, SourceError> {
        if self.reads == 0 {
            return (self.fault)();
        }
        self.reads -= 1;
        self.tone.read(chunk)
    }

    fn seek(&mut self, _to: Duration) -> Result<Duration, SourceError> {
        panic!("seeking was a bad idea")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_panics_or_fails_ends_its_own_track() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let (call, _listener) = pair(&server, &client, 1).await;
    let neighbour = call.play(Tone::new(1_000.0, 0.1, None));

    let before = sent(&call).await.0;
    let error = failed(&call.play(faulty(10, || panic!("out of tune"))), "a panic on the way").await;
    assert!(error.to_string().contains("out of tune"), "{error}");
    assert!(sent(&call).await.0 >= before + 10, "what had come of it was played");
    let error = failed(&call.play(faulty(0, || panic!("out of tune"))), "a panic at once").await;
    assert!(matches!(error, SourceError::Other { .. }), "{error:?}");
    let error = failed(&call.play(faulty(5, || Err(SourceError::other("radio", "off the air")))), "a failure").await;
    assert!(error.to_string().contains("off the air"), "{error}");

    let track = call.play(faulty(100_000, || Ok(false)));
    until("its start", || async { Some(track.position()).filter(|it| !it.is_zero()) }).await;
    assert!(within(PATIENCE, "a seek", track.seek(Duration::ZERO)).await.is_err());
    let error = failed(&track, "a panic in a seek").await;
    assert!(error.to_string().contains("seeking was a bad idea"), "{error}");

    assert_ne!(neighbour.phase(), Phase::Ended, "another track plays on");
    plays_on(&call).await;
}

/// A fault that blocks until the other end of the pipe is dropped, and tells when it and its source are gone.
fn blocking(release: Receiver<()>, gone: Sender<()>) -> impl FnMut() -> Result<bool, SourceError> + Send {
    move || {
        let _owned = &gone;
        let _ = release.recv();
        Ok(true)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_blocks_delays_nobody_and_is_let_go_at_leave() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let (call, _listener) = pair(&server, &client, 1).await;
    let (releases, blocked): (Vec<_>, Vec<_>) = (0..8)
        .map(|n| {
            let (release, released) = pipe();
            let (gone, gone_told) = pipe::<()>();
            let track = call.play(faulty(n * 5, blocking(released, gone)));
            (release, (track, gone_told))
        })
        .unzip();
    plays_on(&call).await;

    assert_eq!(within(PATIENCE, "leaving", call.leave()).await, Closed::Left);
    for (track, _) in &blocked {
        assert!(matches!(ended(track, "its end").await, TrackEnd::CallClosed));
    }
    drop(releases);
    for (_, gone) in blocked {
        until("the source's end", || async {
            matches!(gone.try_recv(), Err(std::sync::mpsc::TryRecvError::Disconnected)).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocking_sources_beyond_the_limit_of_readers_fail_typed() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config().max_readers(2));
    let (call, _listener) = pair(&server, &client, 1).await;
    let mut playing = JoinSet::new();
    let mut releases = Vec::new();
    for _ in 0..5 {
        let (release, released) = pipe();
        let (gone, _) = pipe();
        releases.push(release);
        let track = call.play(faulty(0, blocking(released, gone)));
        playing.spawn(async move { track.ended().await });
    }
    for _ in 0..3 {
        match within(PATIENCE, "a failure", playing.join_next()).await.unwrap().unwrap() {
            TrackEnd::Failed(error) => assert!(error.to_string().contains("blocked"), "{error}"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(playing.len(), 2, "those that found a thread still hold it");
    drop(releases);
    plays_on(&call).await;
}

/// Calls back when it is dropped, as a source of the application may, too.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_whose_drop_blocks_delays_nobody() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let (call, _listener) = pair(&server, &client, 1).await;
    let (release, released) = pipe::<()>();
    let (dropping, dropped) = pipe();
    let guard = OnDrop(move || {
        let _ = dropping.send(());
        let _ = released.recv();
    });
    let track = call.play(faulty(3, move || {
        let _owned = &guard;
        Ok(true)
    }));
    until("its start", || async { Some(track.position()).filter(|it| !it.is_zero()) }).await;
    track.stop();
    until("its drop", || async { dropped.try_recv().ok() }).await;
    let playing = call.clone();
    // Off this task: a `play` that blocks must not keep the clock of this test from running out.
    let play =
        tokio::task::spawn_blocking(move || playing.play(Tone::new(440.0, 0.5, Some(Duration::from_millis(100)))));
    let other = within(PATIENCE, "playing another track", play).await.unwrap();
    assert!(matches!(ended(&other, "another track").await, TrackEnd::Finished));
    drop(release);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sources_that_panic_when_dropped_cost_no_reader() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config().max_readers(2));
    let (call, _listener) = pair(&server, &client, 1).await;
    let (dropping, dropped) = pipe();
    for _ in 0..6 {
        let dropping = dropping.clone();
        let guard = OnDrop(move || {
            let _ = dropping.send(());
            panic!("dropped on the floor");
        });
        let track = call.play(faulty(3, move || {
            let _owned = &guard;
            Ok(true)
        }));
        until("its start", || async { Some(track.position()).filter(|it| !it.is_zero()) }).await;
        track.stop();
        until("its drop", || async { dropped.try_recv().ok() }).await;
    }
    plays_on(&call).await;
}
