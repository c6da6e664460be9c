//! Files and stations over real HTTP: the same samples as from memory, whatever happens on the way, or a typed error.
#![cfg(feature = "http")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support_http;

use std::time::Duration;

use support_http::{Heard, Page, Server, drain, drain_and_keep, fixture, reader, step, wav};
use voice_client::layer::mixer::prefetch::Step;
use voice_client::source::file::Bytes;
use voice_client::source::http::{Http, HttpError};
use voice_client::source::{Format, Source, SourceError};

const BRIEFLY: Duration = Duration::from_millis(1);

async fn memory(bytes: Vec<u8>) -> Heard {
    let (heard, end) = drain(Box::new(Bytes::new(bytes))).await;
    end.unwrap();
    assert!(!heard.samples.is_empty() || !heard.packets.is_empty());
    heard
}

fn http(url: &str) -> Http {
    Http::new(url).retries(3, BRIEFLY)
}

#[track_caller]
fn cause(result: Result<(), SourceError>) -> HttpError {
    match result {
        Err(SourceError::Other { cause, .. }) => cause.downcast_ref::<HttpError>().expect("a HttpError").clone(),
        other => panic!("{other:?}"),
    }
}

async fn failure(source: Http) -> HttpError {
    cause(drain(Box::new(source)).await.1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_sound_as_they_do_from_memory() {
    let server = Server::start().await;
    let names =
        ["stereo.wav", "stereo.flac", "stereo.mp3", "vorbis.ogg", "opus.ogg", "live.webm", "aac.m4a", "alac.m4a"];
    for name in names {
        let expected = memory(fixture(name)).await;
        let plain = server.put(&format!("/plain/{name}"), Page::new(fixture(name)));
        let broken =
            server.put(&format!("/broken/{name}"), Page { breaks: Some((3_000, 9)), ..Page::new(fixture(name)) });
        for source in [http(&plain), http(&plain).ranges_of(5_000), http(&broken).retries(20, BRIEFLY)] {
            let (heard, end) = drain(Box::new(source)).await;
            end.expect(name);
            assert!(heard == expected, "{name}");
        }
    }
    let ranges = server.requests("/plain/stereo.wav");
    assert!(ranges.iter().any(|it| it.headers["range"] == "bytes=5000-9999"), "{ranges:?}");
    let resumed = server.requests("/broken/stereo.wav");
    assert!(resumed.iter().any(|it| it.headers["range"].ends_with('-') && it.headers.contains_key("if-range")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_ranges_or_length_it_plays_on_and_seeks_by_beginning_again() {
    let server = Server::start().await;
    let long = wav(400_000);
    let files = ["stereo.flac", "stereo.mp3", "vorbis.ogg"].map(|name| (name, fixture(name)));
    for (name, file) in files.into_iter().chain([("long.wav", long)]) {
        let expected = memory(file.clone()).await;
        let whole = Page { ranges: false, ..Page::new(file) };
        let chunked = Page { length: false, ..whole.clone() };
        for (kind, page) in [("whole", whole), ("chunked", chunked)] {
            let path = format!("/{kind}/{name}");
            let mut source: Box<dyn Source> = Box::new(http(&server.put(&path, page)));
            let info = tokio::task::block_in_place(|| source.open()).unwrap();
            assert!(info.seekable, "{name}");
            let Format::Pcm { rate, channels } = info.format else { panic!("{info:?}") };
            // Played to its end it begins again; from there on a seek ahead reads on.
            for (millis, requests) in [(0, 1), (100, 1), (60, 2), (90_000, 2), (0, 3)] {
                let to = Duration::from_millis(millis);
                let landed = tokio::task::block_in_place(|| source.seek(to)).unwrap();
                assert!(landed <= to && (millis > 1_000 || to - landed < Duration::from_millis(1)), "{landed:?}");
                if (millis, requests) == (100, 1) {
                    continue;
                }
                let at = (millis as usize * rate as usize / 1_000 * usize::from(channels)).min(expected.samples.len());
                let (heard, end, back) = drain_and_keep(source).await;
                end.expect(name);
                assert!(heard.samples == expected.samples[at..], "{name} {kind} from {millis} ms");
                assert_eq!(server.requests(&path).len(), requests, "{name} {kind} {millis}");
                source = back;
            }
        }
    }
    // Behind the place where it broke off, too.
    let file = wav(400_000);
    let expected = memory(file.clone()).await.samples;
    let url = server.put("/breaks", Page { ranges: false, breaks: Some((300_000, 1)), ..Page::new(file) });
    let (heard, end, mut source) = drain_and_keep(Box::new(http(&url))).await;
    assert!(matches!(cause(end), HttpError::RangeIgnored { .. }) && heard.samples.len() < 200_000);
    assert_eq!(source.seek(Duration::from_secs(5)).unwrap(), Duration::from_secs(5));
    let (heard, end) = drain(source).await;
    end.unwrap();
    assert!(heard.samples == expected[240_000..]);
    // Packets are left out up to the goal: what sounds is as long as the rest.
    let expected = memory(fixture("opus.ogg")).await.packets;
    let mut source = http(&server.put("/opus", Page { ranges: false, ..Page::new(fixture("opus.ogg")) }));
    let to = Duration::from_millis(500);
    assert_eq!(tokio::task::block_in_place(|| source.seek(to)).unwrap(), to);
    let packets = drain(Box::new(source)).await.0.packets;
    assert!(packets == expected[expected.len() - packets.len()..] && (26..=32).contains(&packets.len()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seek_by_reading_on_holds_no_thread_and_gives_way_to_another() {
    let server = Server::start().await;
    let file = wav(400_000);
    // Says no more half way: whoever waited for the goal would wait for long.
    let url = server.put("/half", Page { ranges: false, stall: Some(400_000), ..Page::new(file) });
    let (mut reader, _feed) = reader(Box::new(http(&url).idle_timeout(Duration::from_secs(600))));
    while !matches!(step(&mut reader), Step::Full) {
        tokio::task::yield_now().await;
    }
    let (_feed, landed) = tokio::task::block_in_place(|| reader.seek(Duration::from_secs(8))).unwrap();
    assert_eq!(landed, Duration::from_secs(8));
    for _ in 0..100 {
        assert!(matches!(step(&mut reader), Step::Waiting));
        tokio::task::yield_now().await;
    }
    let (_feed, landed) = tokio::task::block_in_place(|| reader.seek(Duration::from_secs(1))).unwrap();
    assert_eq!(landed, Duration::from_secs(1));
    while !matches!(step(&mut reader), Step::Full) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seeks_land_where_they_do_in_memory() {
    let server = Server::start().await;
    // Far more than a pipe holds.
    let file = wav(1_000_000);
    let url = server.put("/long.wav", Page::new(file.clone()));
    let expected = memory(file).await.samples;
    let mut source: Box<dyn Source> = Box::new(http(&url));
    for millis in [15_000, 15_100, 20_000, 0, 3_000, 20_800, 40_000] {
        let to = Duration::from_millis(millis);
        let landed = tokio::task::block_in_place(|| source.seek(to)).unwrap();
        let at = expected.len().min(millis as usize * 48);
        assert!((landed.as_secs_f64() * 48_000.0 - at as f64).abs() < 0.01, "{landed:?} {at}");
        let (heard, end, back) = drain_and_keep(source).await;
        end.unwrap();
        assert!(heard.samples == expected[at..], "from {millis} ms");
        source = back;
    }
    for name in ["stereo.mp3", "stereo.flac", "aac.m4a", "opus.ogg", "vorbis.ogg"] {
        let url = server.put(&format!("/{name}"), Page::new(fixture(name)));
        let (mut remote, mut local): (Box<dyn Source>, Box<dyn Source>) =
            (Box::new(http(&url)), Box::new(Bytes::new(fixture(name))));
        for millis in [300, 50, 0] {
            let to = Duration::from_millis(millis);
            let landed = tokio::task::block_in_place(|| remote.seek(to)).unwrap();
            assert_eq!(landed, local.seek(to).unwrap(), "{name}");
            let (heard, _, back) = drain_and_keep(remote).await;
            remote = back;
            let (expected, _, back) = drain_and_keep(local).await;
            local = back;
            assert!(heard == expected, "{name} from {millis} ms");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redirects_are_followed_and_circles_are_not() {
    let server = Server::start().await;
    let expected = memory(fixture("stereo.flac")).await;
    server.put("/there", Page { breaks: Some((9_000, 2)), ..Page::new(fixture("stereo.flac")) });
    let url = server.put("/here", Page::redirect("/there"));
    let (heard, end) = drain(Box::new(http(&url))).await;
    end.unwrap();
    assert!(heard == expected);
    server.put("/a", Page::redirect("/b"));
    let url = server.put("/b", Page::redirect("/a"));
    assert!(matches!(failure(http(&url)).await, HttpError::Redirects { .. }));
    assert!(server.requests("/a").len() + server.requests("/b").len() <= 12);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_had_is_a_typed_error() {
    let server = Server::start().await;
    let error = failure(http(&format!("{}/missing", server.url))).await;
    assert!(matches!(&error, HttpError::Status { status: 404, body } if &**body == "no such page here"), "{error}");
    let long = server.put("/long", Page::status(500, &"x".repeat(100_000)));
    assert!(matches!(failure(http(&long)).await, HttpError::Status { status: 500, body } if body.len() == 512));
    assert!(matches!(failure(http("ftp://host/file")).await, HttpError::Url { .. }));
    assert!(matches!(failure(http("song.mp3")).await, HttpError::Url { .. }));
    assert!(matches!(failure(http(&long).header("a b", "c")).await, HttpError::Header { .. }));
    assert!(matches!(failure(http("http://127.0.0.1:1/x")).await, HttpError::Connect { .. }));
    let zipped = server.put("/zip", Page::new(fixture("stereo.mp3")).header("Content-Encoding", "gzip"));
    assert!(matches!(failure(http(&zipped)).await, HttpError::Encoded { .. }));
    let hls = server.put("/hls", Page::new(&b"#EXTM3U\n#EXT-X-TARGETDURATION:4\n"[..]));
    assert!(matches!(failure(http(&hls)).await, HttpError::IsHls));
    let silent = server.put("/silent", Page { stall: Some(0), ..Page::new(wav(10_000)) });
    let silent = http(&silent).idle_timeout(BRIEFLY).retries(0, BRIEFLY);
    assert!(matches!(failure(silent).await, HttpError::Silent { .. } | HttpError::Truncated { .. }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let other = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, b"SSH-2.0-OpenSSH_9.2\r\n").await;
    });
    let error = failure(http(&other)).await;
    assert!(matches!(error, HttpError::NotHttp | HttpError::Connect { .. }), "{error:?}");
    let letter = server.put("/letter", Page::new("To whom it may concern. ".repeat(9_000).as_bytes()));
    let (_, end) = drain(Box::new(http(&letter))).await;
    assert!(matches!(end, Err(SourceError::NotAudio { .. })), "{end:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_had_at_first_is_asked_for_again() {
    let server = Server::start().await;
    let expected = memory(fixture("stereo.flac")).await;
    let page = Page::new(fixture("stereo.flac"));
    let busy = |next: Page| Page { then: Some(Box::new(next)), ..Page::status(503, "busy") };
    let url = server.put("/busy", busy(busy(page)));
    let (heard, end) = drain(Box::new(http(&url))).await;
    end.unwrap();
    assert!(heard == expected);
    let url = server.put("/closed", Page::status(503, "closed"));
    assert!(matches!(failure(http(&url)).await, HttpError::Status { status: 503, .. }));
    assert_eq!(server.requests("/closed").len(), 3);
    let url = server.put("/gone", Page::status(410, "gone"));
    assert!(matches!(failure(http(&url)).await, HttpError::Status { status: 410, .. }));
    assert_eq!(server.requests("/gone").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_breaks_off_for_good_is_played_that_far() {
    let server = Server::start().await;
    let file = wav(500_000);
    let expected = memory(file.clone()).await;
    let page = Page::new(file);
    let plays_then = async |path: &str, page: Page| {
        let (heard, end) = drain(Box::new(http(&server.put(path, page)))).await;
        assert!(heard.samples.len() > 100_000 && heard.samples.len() < expected.samples.len(), "{path}");
        assert!(heard.samples == expected.samples[..heard.samples.len()], "{path}");
        cause(end)
    };
    // A file that can be sought is looked at from its end first, which would be the second request.
    let broken = Page { breaks: Some((400_000, 1)), ranges: false, ..page.clone() };
    let then = |next: Page| Page { then: Some(Box::new(next)), ..broken.clone() };

    let gone = plays_then("/gone", then(Page::status(410, "gone"))).await;
    assert!(matches!(gone, HttpError::Status { status: 410, .. }), "{gone}");
    let ignored = plays_then("/ignored", then(Page { ranges: false, ..page.clone() })).await;
    assert!(matches!(ignored, HttpError::RangeIgnored { .. }), "{ignored}");
    let other = Page { etag: Some("\"two\"".into()), ..page.clone() };
    let changed = plays_then("/changed", then(other.clone())).await;
    assert!(matches!(changed, HttpError::Changed { .. }), "{changed}");
    let failing = plays_then("/failing", then(Page::status(503, "busy"))).await;
    let HttpError::Truncated { at, len, attempts, cause } = failing else { panic!("{failing}") };
    assert_eq!((at, len, attempts), (400_000, Some(1_000_044), 3));
    assert!(matches!(*cause, HttpError::Status { status: 503, .. }));
    let short = plays_then("/short", then(Page { breaks: Some((0, 99)), ..page.clone() })).await;
    assert!(matches!(short, HttpError::Truncated { at: 400_000, .. }), "{short}");
    assert_eq!(server.requests("/short").iter().filter(|it| it.headers["range"] == "bytes=400000-").count(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stations_tell_their_name_and_titles_and_come_back() {
    let server = Server::start().await;
    let song = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures_hls/sweep.mp3")).unwrap().repeat(9);
    let expected = memory(song.clone()).await;
    let interval = 8_000;
    let mut wire = Vec::new();
    for (n, part) in song.chunks(interval).enumerate() {
        wire.extend(part);
        if part.len() == interval {
            let mut text = if n % 6 == 0 { format!("StreamTitle='Band - Song {n}';").into_bytes() } else { Vec::new() };
            text.resize(text.len().next_multiple_of(16), 0);
            wire.push((text.len() / 16) as u8);
            wire.extend(text);
        }
    }
    let station = Page { ranges: false, length: false, etag: None, ..Page::new(wire) };
    let station =
        station.header("icy-metaint", "8000").header("icy-name", "Radio Loopback").header("icy-url", "http://r/");
    let url = server.put("/live", station);
    for list in ["#EXTM3U\n#EXTINF:-1,Radio\n/live\n", "[playlist]\nFile1=/live\nLength1=-1\n"] {
        server.put("/list", Page::new(list.as_bytes()));
        let mut source: Box<dyn Source> = Box::new(http(&format!("{}/list", server.url)));
        let info = tokio::task::block_in_place(|| source.open()).unwrap();
        assert_eq!(info.metadata.title.as_deref(), Some("Radio Loopback"));
        assert_eq!(info.metadata.url.as_deref(), Some("http://r/"));
        assert!(!info.seekable && source.fresh().is_some());
        let (heard, end) = drain(source).await;
        end.unwrap();
        assert!(heard.samples == expected.samples);
        let titles: Vec<_> = heard.titles.iter().map(|(_, title)| title.as_str()).collect();
        assert_eq!(titles, ["Song 0", "Song 6", "Song 12"]);
        for ((at, _), n) in heard.titles.iter().zip([1, 7, 13]) {
            let at = *at as f64 / expected.samples.len() as f64 * song.len() as f64;
            // A demultiplexer reads ahead by as much.
            assert!((at - (n * interval) as f64).abs() < 34_000.0, "{at} {n}");
        }
    }
    assert_eq!(server.requests("/live")[0].headers["icy-metadata"], "1");
    server.put("/list", Page::new(format!("{url}list\n").as_bytes()).header("Content-Type", "audio/x-mpegurl"));
    server.put("/livelist", Page::new(&b"#EXTM3U\n/live\n"[..]));
    assert!(matches!(failure(http(&format!("{}/list", server.url))).await, HttpError::Playlist { .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stations_that_break_off_are_called_again_and_old_ones_are_understood() {
    let server = Server::start().await;
    let song = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures_hls/sweep.mp3")).unwrap();
    let expected = memory(song.clone()).await;
    let station = Page { ranges: false, length: false, etag: None, ..Page::new(song) };
    let named = station.clone().header("Icy-Name", "Radio Loopback");
    let url = server.put("/breaking", Page { breaks: Some((9_000, 1)), ..named.clone() });
    let (heard, end) = drain(Box::new(http(&url))).await;
    end.unwrap();
    assert!(heard.samples.len() > expected.samples.len() * 3 / 2, "{}", heard.samples.len());
    assert!(!server.requests("/breaking")[1].headers.contains_key("range"), "a station has no byte to go on from");

    let old = Page { status: 0, ..station.clone() }.header("icy-name", "Old Radio");
    let mut source: Box<dyn Source> = Box::new(http(&server.put("/old", old)).retries(0, BRIEFLY));
    let info = tokio::task::block_in_place(|| source.open()).unwrap();
    assert_eq!(info.metadata.title.as_deref(), Some("Old Radio"));
    let (heard, end) = drain(source).await;
    assert!(matches!(cause(end), HttpError::Truncated { .. }));
    assert!(heard.samples == expected.samples);

    // One that hangs up is called again; one that always does is given up, however much it says each time.
    let url = server.put("/hangs-up", Page { closes: true, then: Some(Box::new(named.clone())), ..named.clone() });
    let (heard, end) = drain(Box::new(http(&url))).await;
    end.unwrap();
    assert!(heard.samples.len() > expected.samples.len() * 3 / 2, "{}", heard.samples.len());
    let long = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures_hls/sweep.mp3")).unwrap().repeat(9);
    assert!(long.len() > 100_000);
    let url = server.put("/restless", Page { closes: true, body: long.into(), ..named });
    let error = failure(http(&url)).await;
    assert!(matches!(error, HttpError::Truncated { len: None, attempts: 3, .. }), "{error}");
    assert_eq!(server.requests("/restless").len(), 4);
    // What is no station ends there.
    let url = server.put("/file", Page { closes: true, ..station });
    let (heard, end) = drain(Box::new(http(&url))).await;
    end.unwrap();
    assert!(heard.samples == expected.samples);
    assert_eq!(server.requests("/file").len(), 1);
}

/// The length counts the metadata as well, so that neither it nor parts say anything of the audio.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stations_that_say_how_long_they_are_are_not_believed() {
    let server = Server::start().await;
    let song = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures_hls/sweep.mp3")).unwrap();
    let expected = memory(song.clone()).await.samples;
    let wire: Vec<u8> = song.chunks(4_000).flat_map(|part| [part, &[0]].concat()).collect();
    for ranges in [false, true] {
        let page = Page { ranges, ..Page::new(wire.clone()).header("icy-metaint", "4000") };
        let url = server.put("/whole", page.clone());
        let (heard, end) = drain(Box::new(http(&url))).await;
        end.unwrap();
        assert!(heard.samples == expected, "{} of {}", heard.samples.len(), expected.len());
        // After a break it is called, not asked for the rest.
        let path = format!("/breaking/{ranges}");
        let url = server.put(&path, Page { breaks: Some((9_000, 1)), ..page });
        let (heard, end) = drain(Box::new(http(&url))).await;
        end.unwrap();
        assert!(heard.samples.len() > expected.len(), "{}", heard.samples.len());
        let requests = server.requests(&path);
        assert!(requests.len() == 2 && !requests[1].headers.contains_key("range"), "{requests:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_stalled_sources_hold_no_thread() {
    let server = Server::start().await;
    let url = server.put("/stalled", Page { stall: Some(20_000), ..Page::new(wav(100_000)) });
    let mut readers: Vec<_> = (0..100).map(|_| reader(Box::new(http(&url)))).collect();
    // Until all of them have been asked for, and longer.
    while server.requests("/stalled").len() < 100 {
        for (reader, _) in &mut readers {
            assert!(matches!(step(reader), Step::Waiting));
        }
        tokio::task::yield_now().await;
    }
    for _ in 0..100 {
        for (reader, _) in &mut readers {
            assert!(matches!(step(reader), Step::Waiting));
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fresh_ones_play_from_the_beginning() {
    let server = Server::start().await;
    let expected = memory(fixture("stereo.flac")).await;
    let url = server.put("/f", Page::new(fixture("stereo.flac")));
    let (_, end, source) = drain_and_keep(Box::new(http(&url).header("X-Key", "1"))).await;
    end.unwrap();
    let (heard, end) = drain(source.fresh().unwrap()).await;
    end.unwrap();
    assert!(heard == expected);
    assert!(server.requests("/f").iter().all(|it| it.headers["x-key"] == "1"));
}

#[test]
fn without_a_runtime_it_says_so() {
    let error = http("http://127.0.0.1:1/").open().unwrap_err();
    assert!(error.to_string().contains("tokio runtime"), "{error}");
}
