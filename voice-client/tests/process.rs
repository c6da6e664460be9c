//! Real programs as sources: what they print is played, how they end is told, and none is left behind.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::timeout;
use voice_client::source::file::File;
use voice_client::source::pcm::Encoding;
use voice_client::source::process::{Output, Process, ProcessError};
use voice_client::source::{Chunk, Format, Source, SourceError};

const PATIENCE: Duration = Duration::from_secs(60);

const BYTES: Output = Output::Pcm { encoding: Encoding::U8, rate: 48_000, channels: 1 };

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../voice-mixer/tests/fixtures").join(name)
}

fn shell(script: &str) -> Process {
    Process::new("sh").args(["-c", script, "sh"]).yields(BYTES)
}

/// Reads a source to its end, as a reader thread would: all its samples and packets, and how it ends.
fn drain(source: &mut dyn Source) -> (Vec<f32>, Vec<Vec<u8>>, Result<(), SourceError>) {
    let (mut samples, mut packets, mut chunk) = (Vec::new(), Vec::new(), Chunk::new());
    let end = loop {
        chunk.clear();
        match source.read(&mut chunk) {
            Ok(true) => {}
            Ok(false) => break Ok(()),
            Err(error) => break Err(error),
        }
        samples.extend_from_slice(chunk.samples());
        packets.extend(Some(chunk.packet().to_vec()).filter(|packet| !packet.is_empty()));
    };
    (samples, packets, end)
}

/// The bytes that samples of [`BYTES`] were.
fn bytes(samples: &[f32]) -> Vec<u8> {
    samples.iter().map(|sample| (sample * 128.0 + 128.0) as u8).collect()
}

/// Runs `work` on a thread that may block, in the runtime's context.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    timeout(PATIENCE, spawn_blocking(work)).await.expect("it takes too long").expect("no panic")
}

/// Plays a process of [`BYTES`] to its end.
async fn play(mut process: Process) -> (Vec<u8>, Result<(), SourceError>) {
    blocking(move || {
        let (samples, _, end) = drain(&mut process);
        (bytes(&samples), end)
    })
    .await
}

fn cause(error: &SourceError) -> &ProcessError {
    let SourceError::Other { cause, .. } = error else { panic!("{error:?}") };
    cause.downcast_ref().expect("a process's own error")
}

#[tokio::test]
async fn what_a_program_prints_is_played_whole_and_again() {
    let content: Vec<u8> = (0..1_000_000_u32).map(|n| (n * 7 + n / 251) as u8).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("content");
    std::fs::write(&path, &content).unwrap();
    let process = Process::new("cat").arg(&path).yields(BYTES);
    let mut fresh = process.fresh().expect("it can be started again");
    let (played, end) = play(process).await;
    assert!(played == content && end.is_ok(), "{} bytes, {end:?}", played.len());
    let again = blocking(move || drain(&mut *fresh)).await;
    assert_eq!(bytes(&again.0), content);
}

#[tokio::test]
async fn nothing_is_seen_by_a_shell() {
    let words = "$(touch /tmp/x); `id` 'a' \"b\" * -n && exit 1";
    let process = Process::new("printf").args(["%s", words]).yields(BYTES);
    assert_eq!(String::from_utf8(play(process).await.0).unwrap(), words);
    let process = shell("printf '%s %s' \"$WORD\" \"$PWD\"").env("WORD", "*").current_dir("/");
    assert_eq!(String::from_utf8(play(process).await.0).unwrap(), "* /");
}

#[tokio::test]
async fn a_failure_comes_after_what_was_printed_with_code_and_words() {
    let (played, end) = play(shell("printf music; echo 'the record is scratched' >&2; exit 3")).await;
    assert_eq!(played, b"music");
    let error = end.unwrap_err();
    let ProcessError::Failed { code, stderr, .. } = cause(&error) else { panic!("{error:?}") };
    assert_eq!((*code, &**stderr), (Some(3), "the record is scratched"));
    assert!(error.to_string().contains("(exit code 3): the record is scratched"), "{error}");

    let (_, end) = play(shell("kill -9 $$")).await;
    assert!(matches!(cause(&end.unwrap_err()), ProcessError::Failed { code: None, .. }));

    // More than any pipe holds, and only its end is kept.
    let (played, end) = play(shell("head -c 300000 /dev/zero | tr '\\0' x >&2; printf a; echo last >&2; exit 1")).await;
    assert_eq!(played, b"a");
    let error = end.unwrap_err();
    let ProcessError::Failed { stderr, .. } = cause(&error) else { panic!("{error:?}") };
    assert!(stderr.len() <= 4_096 && stderr.len() > 4_000 && stderr.ends_with("xlast"), "{} bytes", stderr.len());
}

#[tokio::test]
async fn a_missing_program_is_an_error_that_says_what_to_install() {
    for (process, advice) in [
        (Process::ffmpeg("song.mp3").binary("/nowhere/ffmpeg"), "install FFmpeg"),
        (Process::new("no-such-program-here"), "PATH"),
    ] {
        let error = blocking(move || {
            let mut process = process;
            process.open().map(drop).unwrap_err()
        })
        .await;
        assert!(matches!(cause(&error), ProcessError::Missing { .. }), "{error:?}");
        assert!(error.to_string().contains(advice), "{error}");
    }
    let error = blocking(|| Process::new(env!("CARGO_MANIFEST_DIR")).open().map(drop).unwrap_err()).await;
    assert!(matches!(cause(&error), ProcessError::Start { .. }), "{error:?}");
}

#[test]
fn without_a_runtime_it_is_an_error_and_no_panic() {
    let error = Process::new("cat").open().unwrap_err();
    assert!(matches!(cause(&error), ProcessError::NoRuntime { .. }), "{error:?}");
}

#[tokio::test]
async fn a_file_that_a_program_prints_is_played() {
    let mut process = Process::new("cat").arg(fixture("opus.ogg")).yields(Output::Media);
    let (info, packets, end) = blocking(move || {
        let info = process.open().unwrap();
        let (_, packets, end) = drain(&mut process);
        (info, packets, end)
    })
    .await;
    assert_eq!(info.format, Format::Opus);
    assert!(!info.seekable);
    assert_eq!(packets, drain(&mut File::new(fixture("opus.ogg"))).1);
    end.unwrap();

    let process = Process::new("cat").arg(fixture("stereo.flac")).yields(Output::Media);
    let samples = blocking(move || drain(&mut { process })).await.0;
    assert_eq!(samples, drain(&mut File::new(fixture("stereo.flac"))).0);

    let script = format!("cat '{}'; echo broken >&2; exit 7", fixture("opus.ogg").display());
    let process = shell(&script).yields(Output::Media);
    let (_, packets, end) = blocking(move || drain(&mut { process })).await;
    assert_eq!(packets.len(), 51, "what came is played");
    assert!(matches!(cause(&end.unwrap_err()), ProcessError::Failed { code: Some(7), .. }));
}

#[tokio::test]
async fn a_seek_starts_it_again_from_there() {
    let mut process = shell("printf '%s' \"$*\"").start_option("--from").arg("rest");
    assert!(matches!(shell("").seek(Duration::ZERO), Err(SourceError::Unseekable { .. })));
    let heard = blocking(move || {
        let mut heard = vec![bytes(&drain(&mut process).0)];
        for millis in [1_500, 0, 250] {
            let to = Duration::from_millis(millis);
            assert_eq!(process.seek(to).unwrap(), to);
            heard.push(bytes(&drain(&mut process).0));
        }
        heard
    })
    .await;
    let heard: Vec<_> = heard.iter().map(|bytes| String::from_utf8_lossy(bytes)).collect();
    assert_eq!(heard, ["rest", "--from 1.500000 rest", "rest", "--from 0.250000 rest"]);
}

#[tokio::test]
async fn ffmpeg_is_asked_for_48_khz_stereo() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("ffmpeg");
    // Written by another process: what this one has open for writing could not be started by a thread that forks.
    let write = ["-c", "printf '%s' \"$2\" > \"$1\" && chmod +x \"$1\"", "sh"];
    let content = "#!/bin/sh\nprintf '%s|' \"$@\"\n";
    assert!(Command::new("sh").args(write).arg(&script).arg(content).status().unwrap().success());
    let mut process = Process::ffmpeg("a film.mkv").binary(&script).yields(BYTES);
    let heard = blocking(move || {
        process.seek(Duration::from_millis(61_500)).unwrap();
        bytes(&drain(&mut process).0)
    })
    .await;
    assert_eq!(
        String::from_utf8(heard).unwrap(),
        "-nostdin|-hide_banner|-loglevel|error|-ss|61.500000|-i|a film.mkv|-map|0:a:0|-f|f32le|-ar|48000|-ac|2|pipe:1|"
    );
    let info = Process::ffmpeg("a film.mkv").binary("cat").open().unwrap();
    assert_eq!(info.format, Format::Pcm { rate: 48_000, channels: 2 });
    assert!(info.seekable);
}

/// Whether there is such a process, alive or a zombie.
fn exists(pid: &str) -> bool {
    Command::new("kill").args(["-0", pid]).stderr(std::process::Stdio::null()).status().unwrap().success()
}

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, wait).await.expect(what);
}

/// Starts a program that prints its id and goes on as the script says; returns it when it has.
async fn begun(rest: &str) -> (Process, String) {
    let mut process = shell(&format!("printf '%s\\n' $$; {rest}"));
    blocking(move || {
        let (mut chunk, mut heard) = (Chunk::new(), Vec::new());
        while !heard.contains(&b'\n') {
            chunk.clear();
            assert!(process.read(&mut chunk).unwrap());
            heard.extend(bytes(chunk.samples()));
        }
        let line = heard.split(|byte| *byte == b'\n').next().unwrap();
        (process, String::from_utf8(line.to_vec()).unwrap())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_sources_leave_no_program_and_no_zombie() {
    let mut running = Vec::new();
    for rest in ["exec sleep 1000", "exec cat /dev/zero", "trap '' TERM; while :; do sleep 1; done"] {
        for _ in 0..4 {
            running.push(begun(rest).await);
        }
    }
    assert!(running.iter().all(|(_, pid)| exists(pid)));
    for (process, pid) in running {
        drop(process);
        until("its end", || !exists(&pid)).await;
    }
    // One that ends by itself, heard or not, is no zombie either.
    let (process, pid) = begun("exit 1").await;
    until("its end", || !exists(&pid)).await;
    assert!(play(process).await.1.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_program_started_is_ended_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let note = folder.path().join("child");
    let script = "sh -c 'echo $$ > note; mv note child; exec sleep 1000' > /dev/null 2> /dev/null & wait";
    let mut process = shell(script).current_dir(folder.path());
    assert_eq!(process.open().unwrap().format, Format::Pcm { rate: 48_000, channels: 1 });
    until("a child", || note.exists()).await;
    let child = std::fs::read_to_string(&note).unwrap().trim().to_owned();
    assert!(exists(&child));
    drop(process);
    // A zombie has nobody but this machine's first process to bury it.
    until("its end", || !exists(&child) || is_zombie(&child)).await;
}

/// Whether a process has ended and its parent has not looked yet.
fn is_zombie(pid: &str) -> bool {
    let state = Command::new("ps").args(["-o", "stat=", "-p", pid]).output().unwrap().stdout;
    state.starts_with(b"Z")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seek_ends_the_run_before() {
    let (process, pid) = begun("exec sleep 1000").await;
    let mut process = process.start_option("--from");
    let process = blocking(move || {
        process.seek(Duration::from_secs(1)).unwrap();
        process
    })
    .await;
    until("its end", || !exists(&pid)).await;
    drop(process);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_ready_when_there_is_something_to_read() {
    let folder = tempfile::tempdir().unwrap();
    let go = folder.path().join("go");
    let script = format!("while [ ! -e '{}' ]; do sleep 0.01; done; printf on", go.display());
    let (mut process, _) = begun(&script).await;
    assert!(!process.is_ready(), "nothing more was printed");
    std::fs::write(&go, "").unwrap();
    until("more", || process.is_ready()).await;
    assert_eq!(play(process).await.0, b"on");

    // A file's header is waited for without anybody asking for it.
    let mut media = Process::new("cat").arg(fixture("opus.ogg")).yields(Output::Media);
    until("a header", || media.is_ready()).await;
    assert_eq!(media.open().unwrap().format, Format::Opus);
}
