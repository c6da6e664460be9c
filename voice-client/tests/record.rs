//! Recordings of real calls, over real sockets.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use loopback::{Config as Behaviour, Loopback};
use serde_json::Value;
use support::{PATIENCE, asset, channel, config, encrypted, guild, info, plain, until, user, within};
use voice_client::source::file::File;
use voice_client::{
    Call, Client, Closed, Consent, Ended, Limit, MixFormat, RecordError, RecordFormat, Recorder, RecorderConfig,
    repair_recording,
};

/// Two who speak and one who records.
async fn three(server: &Loopback, client: &Client) -> [Call; 3] {
    let mut calls = Vec::new();
    for id in 1..=3 {
        let info = info(server, user(id), guild(1), channel(1)).await;
        calls.push(within(PATIENCE, "a join", client.join(info)).await.expect("a call"));
    }
    calls.try_into().unwrap_or_else(|_| unreachable!("three joined"))
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).expect("a file")).expect("JSON")
}

fn lines(folder: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join("events.jsonl")).expect("events");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Waits until there are so many users in the recording, and so many bytes.
async fn recorded(recorder: &Recorder, users: usize, bytes: u64) {
    until("a recording of everybody", || async {
        let stats = recorder.stats();
        (stats.users >= users && stats.bytes >= bytes).then_some(())
    })
    .await;
}

/// How long the sound of a WAV file is, and its level there.
fn sound(path: &Path) -> (usize, f64) {
    let file = std::fs::read(path).expect("a file");
    let samples: Vec<f64> =
        file[80..].chunks(4).map(|pair| f64::from(i16::from_le_bytes([pair[0], pair[1]])) / 32_768.0).collect();
    let loud = samples.iter().filter(|sample| sample.abs() > 0.01).count();
    (samples.len(), loud as f64 / samples.len() as f64)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_speakers_are_two_files_of_equal_length_and_a_mix() {
    let server = encrypted(Behaviour::default()).await;
    let client = Client::new(config());
    let [one, two, ear] = three(&server, &client).await;
    for call in [&one, &two, &ear] {
        within(PATIENCE, "an encrypted group", call.encrypted()).await.expect("encryption");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let into = folder.path().join("made/of it");
    let config = RecorderConfig::new(&into).format(RecordFormat::Wav).mix(Some(MixFormat::Flac));
    let recorder = Recorder::start(&ear, config.clone()).await.expect("a recording");
    let first = one.play(File::new(asset("arpeggio-48k-stereo.flac")));
    let second = two.play(File::new(asset("bells-44k-mono.wav")));
    recorder.note("here we go");
    within(PATIENCE, "the first file", first.ended()).await;
    within(PATIENCE, "the second file", second.ended()).await;
    recorded(&recorder, 2, 400_000).await;
    let recording = within(PATIENCE, "the end of the recording", recorder.stop()).await.expect("a good recording");
    assert_eq!(recording.ended, Ended::Stopped);
    assert_eq!(recording.missed, 0);
    assert_eq!(recording.files.keys().copied().collect::<Vec<_>>(), [user(1), user(2)]);
    let lengths: BTreeMap<_, _> = recording.files.iter().map(|(user, files)| (*user, sound(&files[0]))).collect();
    let samples = recording.report.samples as usize;
    for (user, (length, loud)) in &lengths {
        assert_eq!(*length, samples, "{user}");
        assert!(*loud > 0.2, "{user}: {loud}");
    }
    assert_eq!(recording.mix, [into.join("mix.flac")]);
    let session = json(&into.join("session.json"));
    assert_eq!(session["users"]["1"]["lost"], 0);
    assert_eq!(session["users"]["2"]["files"][0]["name"], "2.wav");
    assert!(session["start_unix_ms"].as_u64() > Some(1_600_000_000_000));
    let events = lines(&into);
    let has = |event: &str, user: Option<&str>| {
        events.iter().any(|line| line["event"] == event && user.is_none_or(|user| line["user"] == user))
    };
    assert!(has("start", None) && has("end", None) && has("note", None), "{events:#?}");
    assert!(has("speaking", Some("1")) && has("speaking", Some("2")) && has("epoch", Some("1")), "{events:#?}");

    let again = Recorder::start(&ear, config.clone()).await.expect_err("there is one already");
    assert!(matches!(&again, RecordError::Exists(path) if path.ends_with("session.json")), "{again}");
    std::fs::write(into.join("theirs.wav"), b"not of the recording").expect("a file");
    let again = Recorder::start(&ear, config.overwrite(true)).await.expect("another one");
    assert!(lines(&into).iter().any(|line| line["event"] == "present" && line["user"] == "1"));
    drop(again);
    until("the files of a dropped recorder", || async { into.join("session.json").exists().then_some(()) }).await;
    assert!(!into.join("1.wav").exists() && !into.join("2.wav").exists(), "those of the earlier recording are gone");
    assert!(into.join("theirs.wav").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_the_call_ends_the_recording_and_consent_counts() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let [one, two, ear] = three(&server, &client).await;
    let folder = tempfile::tempdir().expect("a folder");
    let into = folder.path();
    let config = RecorderConfig::new(into).consent(Consent::Allowed);
    let recorder = Recorder::start(&ear, config).await.expect("a recording");
    recorder.allow(user(2));
    let file = asset("arpeggio-48k-stereo.flac");
    let tracks = [one.play(File::new(&file)), two.play(File::new(&file))];
    recorded(&recorder, 1, 5_000).await;
    within(PATIENCE, "leaving", ear.leave()).await;
    let recording = within(PATIENCE, "the end", recorder.finished()).await.expect("a good recording");
    assert_eq!(recording.ended, Ended::CallOver(Closed::Left));
    assert_eq!(recording.files.values().flatten().collect::<Vec<_>>(), [&into.join("2.ogg")]);
    assert!(lines(into).iter().any(|line| line["event"] == "consent" && line["user"] == "2"));
    drop(tracks);
    let over = Recorder::start(&ear, RecorderConfig::new(into)).await.expect_err("the call is over");
    assert!(matches!(over, RecordError::CallOver(Closed::Left)), "{over}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_unwritable_folders_and_a_missing_ffmpeg_are_told() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let [_one, _two, ear] = three(&server, &client).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    std::fs::write(&file, b"no folder").expect("a file");
    let error = Recorder::start(&ear, RecorderConfig::new(&file)).await.expect_err("no folder");
    assert!(matches!(error, RecordError::Folder { .. }) && error.to_string().contains("file"), "{error}");
    let config = RecorderConfig::new(folder.path()).format(RecordFormat::Mp3).ffmpeg("/nowhere/ffmpeg");
    let error = Recorder::start(&ear, config).await.expect_err("no ffmpeg");
    assert!(error.to_string().contains("/nowhere/ffmpeg") && error.to_string().contains("install"), "{error}");
    let config = RecorderConfig::new(folder.path()).max_duration(Some(Duration::from_millis(300)));
    let recorder = Recorder::start(&ear, config).await.expect("a recording");
    let recording = within(PATIENCE, "the limit", recorder.finished()).await.expect("a good recording");
    assert_eq!(recording.ended, Ended::Limit(Limit::Duration));
    assert_eq!(recording.report.samples, 14_400);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_ffmpeg_costs_nothing() {
    use std::os::unix::fs::PermissionsExt;
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let [one, _two, ear] = three(&server, &client).await;
    let folder = tempfile::tempdir().expect("a folder");
    let ffmpeg = folder.path().join("ffmpeg");
    std::fs::write(&ffmpeg, "#!/bin/sh\n[ \"$1\" = -version ] && exit 0\necho out of order >&2\nexit 1\n")
        .expect("a script");
    std::fs::set_permissions(&ffmpeg, std::fs::Permissions::from_mode(0o755)).expect("a script");
    let into = folder.path().join("recording");
    let config = RecorderConfig::new(&into).format(RecordFormat::Mp3).ffmpeg(&ffmpeg);
    let recorder = Recorder::start(&ear, config).await.expect("a recording");
    let track = one.play(File::new(asset("arpeggio-48k-stereo.flac")));
    recorded(&recorder, 1, 5_000).await;
    drop(track);
    let error = within(PATIENCE, "the end", recorder.stop()).await.expect_err("ffmpeg is out of order");
    let RecordError::Convert { file, text, kept } = error else { panic!("{error}") };
    assert_eq!((file, text.as_str()), (into.join("1.ogg"), "out of order"));
    assert!(into.join("1.ogg").exists() && into.join("session.json").exists());
    assert_eq!(kept.files[&user(1)], [into.join("1.ogg")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_program_leaves_is_repaired() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let [one, two, ear] = three(&server, &client).await;
    let folder = tempfile::tempdir().expect("a folder");
    let (alive, killed) = (folder.path().join("alive"), folder.path().join("killed"));
    let recorder = Recorder::start(&ear, RecorderConfig::new(&alive)).await.expect("a recording");
    let file = asset("arpeggio-48k-stereo.flac");
    let tracks = [one.play(File::new(&file)), two.play(File::new(&file))];
    recorded(&recorder, 2, 20_000).await;
    std::fs::create_dir(&killed).expect("a folder");
    for entry in std::fs::read_dir(&alive).expect("a folder") {
        let entry = entry.expect("an entry");
        std::fs::copy(entry.path(), killed.join(entry.file_name())).expect("a copy");
    }
    let busy = repair_recording(&alive).expect_err("it is being recorded");
    assert_eq!(busy.kind(), std::io::ErrorKind::ResourceBusy, "{busy}");
    let running =
        Recorder::start(&ear, RecorderConfig::new(&alive).overwrite(true)).await.expect_err("not two at once");
    assert!(matches!(running, RecordError::Running(_)), "{running}");
    std::fs::write(killed.join("song.wav"), b"not of the recording").expect("a file");
    drop((recorder, tracks));
    // In the middle of a line, and of a page.
    let append = |name: &str, torn: &[u8]| {
        let whole = std::fs::read(killed.join(name)).expect("a file");
        std::fs::write(killed.join(name), [&whole, torn].concat()).expect("a file");
    };
    append("events.jsonl", b"{\"t\":1.5,\"ev");
    append("1.ogg", b"OggS\0\0torn");
    let repaired = repair_recording(&killed).expect("a repair");
    assert_eq!(repaired.len(), 2);
    for file in &repaired {
        let it = file.result.as_ref().expect("a whole file");
        assert!(it.samples > 24_000, "{file:?}");
        assert_eq!(std::fs::metadata(&file.path).expect("a file").len(), it.bytes);
    }
    assert_eq!(repaired[0].result.as_ref().expect("a whole file").torn, 10);
    let session = json(&killed.join("session.json"));
    assert_eq!((&session["repaired"], &session["ended"]), (&Value::Bool(true), &Value::from("killed")));
    assert_eq!(session["users"]["2"]["files"][0]["name"], "2.ogg");
    assert!(lines(&killed).len() > 2);
    assert!(repair_recording(&killed).expect("nothing to do").is_empty());
    repair_recording(folder.path()).expect_err("no recording");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_rejoins_goes_on_in_the_same_track() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let [one, _two, ear] = three(&server, &client).await;
    let folder = tempfile::tempdir().expect("a folder");
    let recorder = Recorder::start(&ear, RecorderConfig::new(folder.path())).await.expect("a recording");
    let file = asset("ding-48k-mono.wav");
    within(PATIENCE, "the first time", one.play(File::new(&file)).ended()).await;
    recorded(&recorder, 1, 1_000).await;
    within(PATIENCE, "leaving", one.leave()).await;
    let info = info(&server, user(1), guild(1), channel(1)).await;
    let one = within(PATIENCE, "another join", client.join(info)).await.expect("a call");
    let before = recorder.stats().bytes;
    within(PATIENCE, "the second time", one.play(File::new(&file)).ended()).await;
    recorded(&recorder, 1, before + 1_000).await;
    let recording = within(PATIENCE, "the end", recorder.stop()).await.expect("a good recording");
    assert_eq!(recording.files.values().flatten().count(), 1);
    let report = &recording.report.users[&user(1)];
    assert_eq!((report.ssrcs.len(), report.track.lost), (2, 0), "{report:?}");
    let events = lines(folder.path());
    let told = |event: &str| events.iter().filter(|line| line["event"] == event && line["user"] == "1").count();
    assert_eq!((told("leave"), told("join")), (1, 1), "{events:#?}");
    // A machine that is busy elsewhere may make a sender skip time as well.
    assert!(told("epoch") >= 2, "{events:#?}");
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_ends_the_recording_and_keeps_what_there_is() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let [one, two, ear] = three(&server, &client).await;
    let folder = tempfile::tempdir().expect("a folder");
    std::os::unix::fs::symlink("/dev/full", folder.path().join("1.ogg")).expect("a link");
    let recorder =
        Recorder::start(&ear, RecorderConfig::new(folder.path()).overwrite(true)).await.expect("a recording");
    let file = asset("arpeggio-48k-stereo.flac");
    let second = two.play(File::new(&file));
    recorded(&recorder, 1, 5_000).await;
    let first = one.play(File::new(&file));
    let error = within(PATIENCE, "the failure", recorder.finished()).await.expect_err("the disk is full");
    drop((first, second));
    let text = error.to_string();
    assert!(text.contains("1.ogg") && text.contains("is kept"), "{text}");
    let RecordError::Write { source, kept, .. } = error else { panic!("{text}") };
    assert_eq!((source.kind(), &kept.ended), (std::io::ErrorKind::StorageFull, &Ended::Failed));
    let whole = &kept.report.users[&user(2)].files[0];
    assert!(whole.bytes > 5_000 && whole.samples > 24_000, "{whole:?}");
    assert_eq!(std::fs::metadata(folder.path().join("2.ogg")).expect("a file").len(), whole.bytes);
    assert!(json(&folder.path().join("session.json"))["error"].as_str().is_some_and(|text| text.contains("1.ogg")));
}
