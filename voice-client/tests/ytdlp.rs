//! What is asked of yt-dlp, and what comes of its answers and failures. The program here is a script that behaves as the
//! real one does, and as it should not.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[cfg(feature = "http")]
mod support_http;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use voice_client::source::file::File;
use voice_client::source::process::ProcessError;
use voice_client::source::ytdlp::{YtDlp, YtDlpError};
use voice_client::source::{Art, Chunk, Format, Info, Source, SourceError};

const PATIENCE: Duration = Duration::from_secs(60);

const VIDEO: &str = r#"{"_type":"video","id":"1","title":"Two tones","uploader":"Oscillator","duration":61.5,
    "thumbnail":"https://example.com/1.jpg","webpage_url":"https://example.com/watch?v=1","url":"https://cdn.example.com/a",
    "protocol":"https","format_id":"251","is_live":false,"acodec":"opus","formats":[{"url":"x","filesize":null}],
    "http_headers":{"User-Agent":"Mozilla/5.0","Accept":"*/*"}}"#;

const LIST: &str = r#"{"_type":"playlist","title":"All of them","entries":[
    {"_type":"url","id":"1","url":"https://example.com/watch?v=1","title":"One","channel":"Oscillator","duration":null,
     "thumbnails":[{"url":"https://example.com/small.jpg"},{"url":"https://example.com/large.jpg"}]},
    null, {"id":"without a place"},
    {"_type":"url","url":"https://example.com/watch?v=2","title":"Two","duration":200},
    {"_type":"url","url":"https://example.com/watch?v=3","title":"Three","duration":-1}]}"#;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../voice-mixer/tests/fixtures").join(name)
}

/// A program in a folder of its own, and what it was asked for.
struct Fake {
    folder: TempDir,
}

impl Fake {
    /// One that does what this script says, in the folder in which the answers are.
    fn new(script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let fake = Self { folder };
        let log = fake.path("asked");
        let script = format!(
            "#!/bin/sh\nprintf '%s\\n' \"$@\" >> '{}'; echo . >> '{}'\ncd '{}'\n{script}\n",
            log.display(),
            log.display(),
            fake.folder.path().display()
        );
        std::fs::write(fake.path("video"), VIDEO).unwrap();
        std::fs::write(fake.path("list"), LIST).unwrap();
        std::fs::copy(fixture("opus.ogg"), fake.path("opus.ogg")).unwrap();
        let program = fake.path("yt-dlp");
        // Written by another process: what this one has open for writing could not be started by a thread that forks.
        let write = ["-c", "printf '%s' \"$2\" > \"$1\" && chmod +x \"$1\"", "sh"];
        assert!(Command::new("sh").args(write).arg(&program).arg(script).status().unwrap().success());
        fake
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn source(&self, query: &str) -> YtDlp {
        YtDlp::new(query).binary(self.path("yt-dlp"))
    }

    /// The arguments of each time it was started.
    fn asked(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.path("asked")).unwrap_or_default();
        log.split_terminator("\n.\n").map(|one| one.replace('\n', " ")).collect()
    }
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("it takes too long")
}

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, wait).await.expect(what);
}

const OWN: &str = "--ignore-config --no-progress --no-warnings";
const ONE: &str = "--format ba[acodec=opus][protocol~='^https?$']/ba[protocol~='^https?$']/b[protocol~='^https?$']/ba/b \
                   --no-playlist --playlist-items 1";

#[tokio::test]
async fn a_page_is_resolved() {
    let fake = Fake::new("cat video");
    let source = fake.source("https://example.com/watch?v=1&list=2").arguments(["--cookies", "my cookies"]);
    let resolved = within(source.resolve()).await.unwrap();
    assert_eq!(resolved.metadata.title.as_deref(), Some("Two tones"));
    assert_eq!(resolved.metadata.artist.as_deref(), Some("Oscillator"));
    assert_eq!(resolved.metadata.url.as_deref(), Some("https://example.com/watch?v=1"));
    assert_eq!(resolved.metadata.art, Some(Art::Url("https://example.com/1.jpg".into())));
    assert_eq!(resolved.duration, Some(Duration::from_millis(61_500)));
    assert_eq!((&*resolved.url, &*resolved.protocol, &*resolved.format), ("https://cdn.example.com/a", "https", "251"));
    assert!(!resolved.live && resolved.headers.contains(&("User-Agent".into(), "Mozilla/5.0".into())));
    assert!(!format!("{resolved:?}").contains("cdn"), "a URL that opens somebody's account is not for logs");
    let asked = format!("{OWN} --dump-single-json {ONE} --cookies my cookies -- https://example.com/watch?v=1&list=2");
    assert_eq!(fake.asked(), [asked]);
}

#[tokio::test]
async fn words_are_searched_for_and_are_never_options() {
    let fake = Fake::new("cat list");
    let search = fake.source("--exec rm -rf $(HOME); \"'");
    let found = within(search.search(5)).await.unwrap();
    assert_eq!(
        fake.asked(),
        [format!("{OWN} --dump-single-json --flat-playlist --playlist-end 5 -- ytsearch5:--exec rm -rf $(HOME); \"'")]
    );
    let titles: Vec<_> = found.iter().map(|found| found.metadata.title.as_deref().unwrap()).collect();
    assert_eq!(titles, ["One", "Two", "Three"], "what has no place is left out");
    assert_eq!(found[0].metadata.artist.as_deref(), Some("Oscillator"));
    assert_eq!(found[0].metadata.art, Some(Art::Url("https://example.com/large.jpg".into())));
    let durations: Vec<_> = found.iter().map(|found| found.duration).collect();
    assert_eq!(durations, [None, Some(Duration::from_secs(200)), None]);

    let list = fake.source("https://example.com/list");
    assert_eq!(within(list.playlist(2)).await.unwrap(), found[..2]);
    assert!(fake.asked()[1].ends_with("--playlist-end 2 -- https://example.com/list"));
    // A search is resolved to the first that is found.
    let fake = Fake::new("echo '{\"entries\":[null,{\"entries\":['; cat video; echo ']}]}'");
    let resolved = within(fake.source("two tones").resolve()).await.unwrap();
    assert_eq!(resolved.metadata.title.as_deref(), Some("Two tones"));
    assert!(fake.asked()[0].ends_with("-- ytsearch1:two tones"));
    assert!(within(fake.source("x").of(&found[1]).resolve()).await.is_ok());
    assert!(fake.asked()[1].ends_with("-- https://example.com/watch?v=2"));
}

#[tokio::test]
async fn a_missing_program_is_an_error_that_says_what_to_install() {
    let error = within(YtDlp::new("x").binary("/nowhere/yt-dlp").resolve()).await.unwrap_err();
    assert!(matches!(error, YtDlpError::Process(ProcessError::Missing { .. })), "{error:?}");
    assert!(error.to_string().contains("install yt-dlp"), "{error}");
}

#[tokio::test]
async fn failures_have_code_words_and_advice() {
    for (script, advice) in [
        ("echo null; echo 'ERROR: [youtube] 1: Sign in to confirm that you are no bot' >&2; exit 1", "pass cookies"),
        ("echo 'ERROR: Unsupported URL: https://x' >&2; exit 1", "does not know this site"),
        ("echo 'ERROR: [youtube] 1: Video unavailable' >&2; exit 1", "may be private"),
        ("echo 'Usage: yt-dlp: error: no such option: --x' >&2; exit 1", "check the arguments"),
        ("echo 'ERROR: something new' >&2; exit 1", "update yt-dlp"),
    ] {
        let error = within(Fake::new(script).source("https://x").resolve()).await.unwrap_err();
        let YtDlpError::Failed { code: Some(1), stderr } = &error else { panic!("{error:?}") };
        assert!(script.contains(&**stderr) && !stderr.is_empty(), "{stderr}");
        assert!(error.to_string().contains(advice) && error.to_string().contains("exit code 1"), "{error}");
    }
    for script in ["echo null", "echo '{'", "echo '[]'", "echo '{\"title\":\"x\"}'", "echo '{\"duration\":\"x\"}'", ":"]
    {
        let error = within(Fake::new(script).source("https://x").resolve()).await.unwrap_err();
        assert!(matches!(error, YtDlpError::Answer { .. }), "{script}: {error:?}");
    }
    let nothing = Fake::new("echo '{\"entries\":[]}'");
    let error = within(nothing.source("nobody knows").resolve()).await.unwrap_err();
    assert!(matches!(&error, YtDlpError::NothingFound { query } if &**query == "nobody knows"), "{error:?}");
    assert_eq!(within(nothing.source("nobody knows").search(3)).await.unwrap(), []);
}

/// Whether the program that wrote its id beside it is there, alive or a zombie.
fn exists(fake: &Fake) -> bool {
    let pid = std::fs::read_to_string(fake.path("pid")).unwrap();
    Command::new("kill").args(["-0", pid.trim()]).stderr(Stdio::null()).status().unwrap().success()
}

#[tokio::test]
async fn one_that_hangs_or_talks_too_much_is_ended() {
    let fake = Fake::new("echo $$ > pid; echo 'waiting for godot' >&2; exec sleep 1000");
    let error = within(fake.source("https://x").timeout(Duration::from_secs(2)).resolve()).await.unwrap_err();
    assert!(matches!(&error, YtDlpError::TimedOut { .. }) && error.to_string().contains("godot"), "{error:?}");
    assert!(!exists(&fake));

    let fake = Fake::new("echo $$ > pid; exec cat /dev/zero");
    let error = within(fake.source("https://x").resolve()).await.unwrap_err();
    assert!(matches!(error, YtDlpError::TooMuch { .. }), "{error:?}");
    assert!(!exists(&fake));
}

/// What a source says of itself, and its packets.
async fn play(mut source: Box<dyn Source>) -> (Info, Vec<Vec<u8>>) {
    let work = spawn_blocking(move || {
        let info = source.open().unwrap();
        let (mut packets, mut chunk) = (Vec::new(), Chunk::new());
        while source.read(&mut chunk).unwrap() {
            packets.push(chunk.packet().to_vec());
        }
        (info, packets)
    });
    within(work).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_a_lazy_source_that_plays_what_was_resolved() {
    // Neither HTTP nor HLS: it is downloaded by the program itself.
    let script = "case \"$*\" in *--dump*) sed 's/\"https\",/\"http_dash_segments\",/' video;; *) cat opus.ogg;; esac";
    let fake = Fake::new(script);
    let mut source = fake.source("two tones");
    let fresh = source.fresh().unwrap();
    assert!(fake.asked().is_empty(), "nothing is asked before it is wanted");
    assert!(!source.is_ready(), "it waits, without a thread");
    until("an answer", || source.is_ready()).await;
    let (info, packets) = play(Box::new(source)).await;
    assert_eq!((info.format, info.duration), (Format::Opus, Some(Duration::from_millis(61_500))));
    assert_eq!(info.metadata.title.as_deref(), Some("Two tones"));
    assert_eq!(packets, play(Box::new(File::new(fixture("opus.ogg")))).await.1);
    let asked = fake.asked();
    assert!(asked.len() == 2 && asked[1].contains(" --output - "), "{asked:?}");
    assert!(asked[1].ends_with("-- https://example.com/watch?v=1"), "the page, not the search again: {asked:?}");
    // Without anybody asking whether it is ready, too.
    assert_eq!(play(fresh).await.1, packets);
}

/// What is on the web is fetched here, with the header that yt-dlp names.
#[cfg(feature = "http")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_http_serves_is_fetched_without_the_program() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/a", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let mut heads = String::new();
        // As many connections as there are: the server is dropped at the end.
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            heads = String::from_utf8(head).unwrap();
            let body = std::fs::read(fixture("opus.ogg")).unwrap();
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            // Who has found out enough hangs up.
            let _ = stream.write_all(&[answer.as_bytes(), &body].concat()).await;
            if heads.contains("Mozilla/5.0") {
                break;
            }
        }
        heads
    });
    let fake = Fake::new(&format!("sed 's#https://cdn.example.com/a#{url}#' video"));
    let (info, packets) = play(Box::new(fake.source("https://example.com/watch?v=1"))).await;
    assert_eq!(info.metadata.title.as_deref(), Some("Two tones"));
    assert_eq!(packets, play(Box::new(File::new(fixture("opus.ogg")))).await.1);
    assert!(within(server).await.unwrap().to_ascii_lowercase().contains("user-agent: mozilla/5.0"));
    assert_eq!(fake.asked().len(), 1);
}

/// All samples to the end.
fn rest(source: &mut dyn Source) -> Result<Vec<f32>, SourceError> {
    let (mut samples, mut chunk) = (Vec::new(), Chunk::new());
    loop {
        chunk.clear();
        if !source.read(&mut chunk)? {
            return Ok(samples);
        }
        samples.extend_from_slice(chunk.samples());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_is_sought_in_by_reading_on_and_by_beginning_again() {
    let script = "case \"$*\" in *--dump*) sed 's/\"https\",/\"http_dash_segments\",/' video;; \
                  *) if rm broken; then head -c 9000 song; exit 1; else cat song; fi;; esac";
    let fake = Fake::new(script);
    std::fs::copy(fixture("stereo.flac"), fake.path("song")).unwrap();
    let mut source = fake.source("two tones");
    let work = spawn_blocking(move || {
        let expected = rest(&mut File::new(fixture("stereo.flac"))).unwrap();
        let info = source.open().unwrap();
        assert!(info.seekable, "{info:?}");
        let Format::Pcm { rate, channels: 2 } = info.format else { panic!("{info:?}") };
        for (millis, runs) in [(300, 2), (100, 3), (0, 4)] {
            let to = Duration::from_millis(millis);
            assert_eq!(source.seek(to).unwrap(), to);
            let at = millis as usize * rate as usize / 1_000 * 2;
            assert!(rest(&mut source).unwrap() == expected[at..], "from {millis} ms");
            assert_eq!(fake.asked().len(), runs, "{:?}", fake.asked());
        }
        // Behind the place where a download broke off, too.
        std::fs::write(fake.path("broken"), "").unwrap();
        assert_eq!(source.seek(Duration::ZERO).unwrap(), Duration::ZERO);
        rest(&mut source).unwrap_err();
        assert_eq!(source.seek(Duration::from_millis(300)).unwrap(), Duration::from_millis(300));
        assert!(rest(&mut source).unwrap() == expected[300 * rate as usize / 1_000 * 2..]);
    });
    within(work).await.unwrap();
}

/// Addresses that were resolved are good for some hours: after that they are asked for once more.
#[cfg(feature = "http")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_has_expired_is_resolved_anew() {
    use support_http::{Page, Server, wav};

    let server = Server::start().await;
    let file = wav(2_000_000);
    let expired = |n: u32| server.put(&format!("/{n}"), Page::status([401, 403, 404, 410][n as usize % 4], "too late"));
    let opened = |n: u32| server.put(&format!("/{n}"), Page::new(file.clone()));
    // Each answer names the next address.
    let script = "n=$(cat n); echo $((n + 1)) > n; sed \"s#https://cdn.example.com/a#URL/$n#\" video";
    let fake = Fake::new(&script.replace("URL", &server.url));
    std::fs::write(fake.path("n"), "0").unwrap();
    opened(0);
    let mut source = fake.source("https://example.com/watch?v=1");
    let expected = wav_samples(&file);
    let mut chunk = Chunk::new();
    let at = |seconds: u64| Duration::from_secs(seconds);
    tokio::task::block_in_place(|| {
        // As it is played.
        let mut heard = Vec::new();
        while heard.len() < 5_000 {
            chunk.clear();
            assert!(source.read(&mut chunk).unwrap());
            heard.extend_from_slice(chunk.samples());
        }
        expired(0);
        opened(1);
        heard.extend(rest(&mut source).unwrap());
        assert!(heard == expected, "{} samples of {}", heard.len(), expected.len());
        // Where a seek goes.
        expired(1);
        opened(2);
        assert_eq!(source.seek(at(20)).unwrap(), at(20));
        assert!(rest(&mut source).unwrap() == expected[960_000..]);
        // When it is repeated, with another thought of where.
        expired(2);
        opened(3);
        assert_eq!(source.seek(Duration::ZERO).unwrap(), Duration::ZERO);
        assert_eq!(source.seek(at(30)).unwrap(), at(30));
        assert!(rest(&mut source).unwrap() == expected[1_440_000..]);
        assert_eq!(fake.asked().len(), 4);
        // What is refused at once, too, is refused.
        expired(3);
        expired(4);
        source.seek(Duration::ZERO).unwrap();
        let error = rest(&mut source).unwrap_err();
        assert!(error.to_string().contains("401"), "{error}");
    });
    assert_eq!(fake.asked().len(), 5);
}

/// Those of a mono file of 16 bits.
#[cfg(feature = "http")]
fn wav_samples(file: &[u8]) -> Vec<f32> {
    file[44..].chunks(2).map(|it| f32::from(i16::from_le_bytes([it[0], it[1]])) / 32_768.0).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_source_ends_with_the_cause_and_a_dropped_one_asks_no_longer() {
    let fake = Fake::new("echo 'ERROR: Private video' >&2; exit 1");
    let mut source = fake.source("https://x");
    let error = within(spawn_blocking(move || source.open().map(drop).unwrap_err())).await.unwrap();
    let SourceError::Other { cause, .. } = &error else { panic!("{error:?}") };
    assert!(matches!(cause.downcast_ref(), Some(YtDlpError::Failed { code: Some(1), .. })), "{error:?}");

    let fake = Fake::new("echo $$ > started; mv started pid; exec sleep 1000");
    let mut source = fake.source("https://x");
    assert!(!source.is_ready());
    until("its start", || fake.path("pid").exists()).await;
    drop(source);
    until("its end", || !exists(&fake)).await;
}

#[test]
fn without_a_runtime_it_is_an_error_and_no_panic() {
    let mut source = YtDlp::new("x");
    assert!(source.is_ready());
    assert!(source.open().unwrap_err().to_string().contains("no tokio runtime"));
}
