//! HLS over real HTTP: the same samples as the file that was cut into segments, or a typed error.
#![cfg(feature = "hls")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support_http;

use std::time::Duration;

use aws_lc_rs::cipher::{AES_128, EncryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey};
use support_http::{Page, Server, drain, drain_and_keep, reader, step};
use voice_client::layer::mixer::prefetch::Step;
use voice_client::source::file::Bytes;
use voice_client::source::hls::{Hls, HlsError};
use voice_client::source::http::HttpError;
use voice_client::source::{Source, SourceError};

const BRIEFLY: Duration = Duration::from_millis(1);
const SECRET: [u8; 16] = *b"it is no secret!";

fn fixture(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/fixtures_hls/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What the uncut file sounds like.
async fn uncut(name: &str) -> Vec<f32> {
    let (heard, end) = drain(Box::new(Bytes::new(fixture(name)))).await;
    end.unwrap();
    assert!(heard.samples.len() > 130_000, "{name}");
    heard.samples
}

/// Serves the segments of a kind, and its playlist; returns the playlist's text.
fn serve(server: &Server, kind: &str) -> String {
    for n in 0..5 {
        server.put(&format!("/{kind}{n}.seg"), Page::new(fixture(&format!("{kind}{n}.seg"))));
    }
    if kind == "mp4" {
        server.put("/mp4.init", Page::new(fixture("mp4.init")));
    }
    let text = String::from_utf8(fixture(&format!("{kind}.m3u8"))).unwrap();
    server.put(&format!("/{kind}.m3u8"), Page::new(text.as_bytes()));
    text
}

fn hls(server: &Server, path: &str) -> Hls {
    Hls::new(format!("{}{path}", server.url)).retries(3, BRIEFLY)
}

async fn plays(source: Hls, expected: &[f32], what: &str) {
    let (heard, end) = drain(Box::new(source)).await;
    end.expect(what);
    assert_eq!(heard.samples.len(), expected.len(), "{what}");
    assert!(heard.samples == expected, "{what}");
}

#[track_caller]
fn cause(end: Result<(), SourceError>) -> HlsError {
    match end {
        Err(SourceError::Other { cause, .. }) => cause.downcast_ref::<HlsError>().expect("a HlsError").clone(),
        other => panic!("{other:?}"),
    }
}

async fn failure(source: Hls) -> HlsError {
    cause(drain(Box::new(source)).await.1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn segments_of_every_kind_sound_like_the_uncut_file() {
    let server = Server::start().await;
    for (kind, file) in [("ts", "sweep.aac"), ("mp4", "sweep.aac"), ("mp3", "sweep.mp3")] {
        let expected = uncut(file).await;
        serve(&server, kind);
        plays(hls(&server, &format!("/{kind}.m3u8")), &expected, kind).await;
        let mut source = hls(&server, &format!("/{kind}.m3u8"));
        let info = tokio::task::block_in_place(|| source.open()).unwrap();
        assert!(
            info.seekable && info.duration.unwrap().abs_diff(Duration::from_millis(3_220)) < Duration::from_millis(60)
        );
    }
}

/// Where frames of ADTS begin.
fn frames(adts: &[u8]) -> Vec<usize> {
    let mut at = vec![0];
    while let Some(head) = adts.get(*at.last().unwrap()..).filter(|rest| rest.len() > 7) {
        let length = usize::from(head[3] & 3) << 11 | usize::from(head[4]) << 3 | usize::from(head[5]) >> 5;
        at.push(at.last().unwrap() + length);
    }
    at
}

/// The same as packed AAC: a tag with the time before so many frames each.
fn packed(frames_each: usize) -> Vec<Vec<u8>> {
    let adts = fixture("sweep.aac");
    let frames = frames(&adts);
    let starts: Vec<_> = (0..frames.len() - 1).step_by(frames_each).collect();
    let segment = |first: usize| {
        let last = (first + frames_each).min(frames.len() - 1);
        let owner = b"com.apple.streaming.transportStreamTimestamp\0";
        let ticks = 0x1_FFFF_0000_u64 + (first as u64 * 1_024 * 90_000) / 44_100;
        let body = [&owner[..], &(ticks & 0x1_FFFF_FFFF).to_be_bytes()].concat();
        let frame = [b"PRIV", &(body.len() as u32).to_be_bytes()[..], &[0, 0], &body].concat();
        [b"ID3\x04\x00\x00\x00\x00\x00", &[frame.len() as u8][..], &frame, &adts[frames[first]..frames[last]]].concat()
    };
    starts.into_iter().map(segment).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packed_audio_encryption_and_byte_ranges_change_nothing() {
    let server = Server::start().await;
    let expected = uncut("sweep.aac").await;
    let segments = packed(30);
    server.put("/key", Page::new(&SECRET[..]));
    let mut text =
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:5\n#EXT-X-KEY:METHOD=AES-128,URI=\"key\"\n".to_owned();
    let mut whole = Vec::new();
    for (n, segment) in segments.iter().enumerate() {
        let iv = if n < 2 { n as u128 + 5 } else { 77 };
        if n == 2 {
            text += "#EXT-X-KEY:METHOD=AES-128,URI=\"key\",IV=0x4d\n";
        }
        let mut sealed = segment.clone();
        if n == 3 {
            text += "#EXT-X-KEY:METHOD=NONE\n";
        }
        if n < 3 {
            let key = UnboundCipherKey::new(&AES_128, &SECRET).unwrap();
            let key = PaddedBlockEncryptingKey::cbc_pkcs7(key).unwrap();
            key.less_safe_encrypt(&mut sealed, EncryptionContext::Iv128(iv.to_be_bytes().into())).unwrap();
        }
        let at = if n == 0 { format!("@{}", whole.len()) } else { String::new() };
        text += &format!("#EXTINF:0.69,\n#EXT-X-BYTERANGE:{}{at}\nall.bin\n", sealed.len());
        whole.extend(sealed);
    }
    text += "#EXT-X-ENDLIST\n";
    server.put("/packed.m3u8", Page::new(text.as_bytes()));
    server.put("/all.bin", Page { breaks: Some((900, 3)), ..Page::new(whole.clone()) });
    plays(hls(&server, "/packed.m3u8").retries(9, BRIEFLY), &expected, "ranges").await;
    server.put("/all.bin", Page { ranges: false, ..Page::new(whole) });
    plays(hls(&server, "/packed.m3u8"), &expected, "no ranges").await;
    assert_eq!(server.requests("/key").len(), 2, "one key, once for each player");
    server.put("/key", Page::new(&[7_u8; 16][..]));
    assert!(matches!(failure(hls(&server, "/packed.m3u8")).await, HlsError::Key { sequence: 5, .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_changes_behind_its_address_is_fetched_once_more() {
    let server = Server::start().await;
    let expected = uncut("sweep.aac").await;
    let other = [9_u8; 16];
    let next = Page::new(&other[..]);
    server.put("/key", Page { then: Some(Box::new(next)), ..Page::new(&SECRET[..]) });
    let mut text = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-KEY:METHOD=AES-128,URI=\"key\"\n".to_owned();
    for (n, mut segment) in packed(30).into_iter().enumerate() {
        let key = UnboundCipherKey::new(&AES_128, if n < 2 { &SECRET } else { &other }).unwrap();
        let key = PaddedBlockEncryptingKey::cbc_pkcs7(key).unwrap();
        key.less_safe_encrypt(&mut segment, EncryptionContext::Iv128((n as u128).to_be_bytes().into())).unwrap();
        server.put(&format!("/{n}"), Page::new(segment));
        text += &format!("#EXTINF:0.69,\n{n}\n");
    }
    server.put("/rotating.m3u8", Page::new((text + "#EXT-X-ENDLIST\n").as_bytes()));
    plays(hls(&server, "/rotating.m3u8"), &expected, "two keys").await;
    assert_eq!(server.requests("/key").len(), 2);
    // One that does not fit afterwards either is not asked for again and again.
    server.put("/2", Page::new(vec![1_u8; 64]));
    server.put("/key", Page::new(&SECRET[..]));
    assert!(matches!(failure(hls(&server, "/rotating.m3u8")).await, HlsError::Key { sequence: 2, .. }));
    assert_eq!(server.requests("/key").len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seeks_land_on_the_sample() {
    let server = Server::start().await;
    let mut text = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n".to_owned();
    for (n, segment) in packed(20).into_iter().enumerate() {
        server.put(&format!("/packed{n}"), Page::new(segment));
        // A playlist that is a little wrong.
        text += &format!("#EXTINF:0.5,\npacked{n}\n");
    }
    server.put("/packed.m3u8", Page::new((text + "#EXT-X-ENDLIST\n").as_bytes()));
    for (kind, file) in [("ts", "sweep.aac"), ("mp4", "sweep.aac"), ("mp3", "sweep.mp3"), ("packed", "sweep.aac")] {
        let expected = uncut(file).await;
        if kind != "packed" {
            serve(&server, kind);
        }
        let mut source: Box<dyn Source> = Box::new(hls(&server, &format!("/{kind}.m3u8")));
        for millis in [1_500, 2_900, 0, 700, 2_000, 60_000] {
            let landed = tokio::task::block_in_place(|| source.seek(Duration::from_millis(millis))).unwrap();
            let at = (millis as usize * 441 / 10).min(expected.len());
            let error = (landed.as_secs_f64() * 44_100.0 - at as f64).abs();
            assert!(error < 0.01, "{kind}: {landed:?}, not {at}");
            let (heard, end, back) = drain_and_keep(source).await;
            end.unwrap();
            assert_eq!(heard.samples.len(), expected.len() - at, "{kind} from {millis} ms");
            let worst = heard.samples.iter().zip(&expected[at..]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-6, "{kind} from {millis} ms: {worst}");
            source = back;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_streams_play_what_comes_and_end() {
    let server = Server::start().await;
    let all = serve(&server, "ts");
    let expected = uncut("sweep.aac").await;
    let entries: Vec<_> = all.lines().skip_while(|line| !line.starts_with("#EXTINF")).collect();
    let window = |first: usize, count: usize, end: &str| {
        let head = format!("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:{first}\n");
        Page::new((head + &entries[2 * first..2 * (first + count)].join("\n") + "\n" + end).as_bytes())
    };
    // Three segments, then nothing new, then the next, then the last, and the end.
    let last = window(2, 3, "#EXT-X-ENDLIST\n");
    let third = Page { then: Some(Box::new(last)), ..window(1, 3, "") };
    let second = Page { then: Some(Box::new(third)), ..window(0, 3, "") };
    let first = Page { then: Some(Box::new(second)), ..window(0, 3, "") };
    server.put("/live.m3u8", first);
    let mut source = hls(&server, "/live.m3u8");
    let info = tokio::task::block_in_place(|| source.open()).unwrap();
    assert!(!info.seekable && info.duration.is_none());
    assert!(matches!(source.seek(Duration::ZERO), Err(SourceError::Unseekable { .. })));
    let (heard, end) = drain(Box::new(source)).await;
    end.unwrap();
    assert!(heard.samples == expected);
    assert!(server.requests("/live.m3u8").len() >= 4);
    // From an edge that is further on, and one that stalls.
    server.put("/live.m3u8", window(0, 5, ""));
    let (heard, end) = drain(Box::new(hls(&server, "/live.m3u8").stall_timeout(Duration::from_secs(1)))).await;
    assert!(matches!(cause(end), HlsError::Stalled { .. }));
    let begun = expected.len() - heard.samples.len();
    assert!(begun > 60_000 && heard.samples[2_048..] == expected[begun + 2_048..], "{begun}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_playlist_that_cannot_be_had_has_nothing_new() {
    let server = Server::start().await;
    let all = serve(&server, "ts");
    let expected = uncut("sweep.aac").await;
    let entries: Vec<_> = all.lines().skip_while(|line| !line.starts_with("#EXTINF")).collect();
    let first = format!("#EXTM3U\n#EXT-X-TARGETDURATION:1\n{}\n", entries[..6].join("\n"));
    let rest = Page::new((first.clone() + &entries[6..10].join("\n") + "\n#EXT-X-ENDLIST\n").as_bytes());
    for (status, times) in [(404, 2), (403, 1), (503, 4)] {
        let mut page = rest.clone();
        for _ in 0..times {
            page = Page { then: Some(Box::new(page)), ..Page::status(status, "not now") };
        }
        server.put("/live.m3u8", Page { then: Some(Box::new(page)), ..Page::new(first.as_bytes()) });
        let (heard, end) = drain(Box::new(hls(&server, "/live.m3u8"))).await;
        end.unwrap();
        assert!(heard.samples == expected, "{status}");
    }
    // It has to come back some time.
    let gone = Page::status(404, "gone");
    server.put("/live.m3u8", Page { then: Some(Box::new(gone)), ..Page::new(first.as_bytes()) });
    let (_, end) = drain(Box::new(hls(&server, "/live.m3u8").stall_timeout(Duration::from_secs(1)))).await;
    assert!(matches!(cause(end), HlsError::Stalled { .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn discontinuities_change_codecs_and_the_best_stream_is_chosen() {
    let server = Server::start().await;
    let (ts, mp3) = (serve(&server, "ts"), serve(&server, "mp3"));
    serve(&server, "mp4");
    let (aac, mpeg) = (uncut("sweep.aac").await, uncut("sweep.mp3").await);
    let entries = |text: &str| {
        text.lines()
            .filter(|it| !it.starts_with("#EXTM3U") && !it.starts_with("#EXT-X"))
            .fold(String::new(), |all, line| all + line + "\n")
    };
    let text = format!(
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n{}#EXT-X-DISCONTINUITY\n{}#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"mp4.init\"\n{}#EXT-X-ENDLIST\n",
        entries(&ts),
        entries(&mp3),
        entries(&String::from_utf8(fixture("mp4.m3u8")).unwrap())
    );
    server.put("/both.m3u8", Page::new(text.as_bytes()));
    let master = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=900000,RESOLUTION=640x360,CODECS=\"avc1.4d401e,mp4a.40.2\"\nmissing.m3u8\n\
                  #EXT-X-STREAM-INF:BANDWIDTH=96000,CODECS=\"mp4a.40.2\"\nboth.m3u8\n";
    server.put("/dir.m3u8", Page::redirect("/master.m3u8"));
    server.put("/master.m3u8", Page::new(master.as_bytes()));
    plays(hls(&server, "/dir.m3u8"), &[&aac[..], &mpeg, &aac].concat(), "three in a row").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_played_is_named_after_what_can() {
    let server = Server::start().await;
    serve(&server, "ts");
    let expected = uncut("sweep.aac").await;
    server.put("/ac3.ts", Page::new(fixture("ac3.ts")));
    server.put("/text", Page::new(&b"WEBVTT\n\n"[..]));
    let list = |head: &str, segment: &str| {
        let text = format!("#EXTM3U\n#EXT-X-TARGETDURATION:1\n{head}#EXTINF:0.8,\n{segment}\n#EXT-X-ENDLIST\n");
        server.put("/list.m3u8", Page::new(text.as_bytes()));
        hls(&server, "/list.m3u8")
    };
    assert!(matches!(failure(list("", "ac3.ts")).await, HlsError::Codec { codec } if &*codec == "AC-3"));
    assert!(matches!(failure(list("", "text")).await, HlsError::Segment { sequence: 0, .. }));
    let sample = "#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"key\"\n";
    assert!(matches!(failure(list(sample, "ts0.seg")).await, HlsError::Encryption { .. }));
    assert!(matches!(
        failure(hls(&server, "/none.m3u8")).await,
        HlsError::Http { cause: HttpError::Status { status: 404, .. }, .. }
    ));
    server.put("/page", Page::new(&b"<html>"[..]));
    assert!(matches!(failure(hls(&server, "/page")).await, HlsError::Playlist { .. }));
    assert!(matches!(failure(Hls::new("nowhere")).await, HlsError::Http { cause: HttpError::Url { .. }, .. }));

    let (heard, end) = drain(Box::new(list("#EXTINF:0.8,\nts0.seg\n#EXTINF:0.8,\nts1.seg\n", "gone.ts"))).await;
    assert!(matches!(cause(end), HlsError::Http { what, .. } if &*what == "segment 2"));
    assert!(heard.samples.len() > 65_000 && heard.samples == expected[..heard.samples.len()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stalled_streams_hold_no_thread() {
    let server = Server::start().await;
    serve(&server, "ts");
    server.put("/ts0.seg", Page { stall: Some(1_000), ..Page::new(fixture("ts0.seg")) });
    let mut readers: Vec<_> = (0..20).map(|_| reader(Box::new(hls(&server, "/ts.m3u8")))).collect();
    while server.requests("/ts0.seg").len() < 20 {
        for (reader, _) in &mut readers {
            assert!(matches!(step(reader), Step::Waiting));
        }
        tokio::task::yield_now().await;
    }
}
