//! Anything that can be read asynchronously: files and raw PCM.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support_http;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use support_http::{drain, fixture, reader, step, wav};
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use voice_client::layer::mixer::prefetch::Step;
use voice_client::source::file::Bytes;
use voice_client::source::pcm::{Encoding, Pcm};
use voice_client::source::{AsyncPcm, AsyncSource, Source, SourceError};

/// Yields some bytes, then fails.
struct Failing(io::Cursor<Vec<u8>>);

impl AsyncRead for Failing {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.0).poll_read(context, buffer);
        if buffer.filled().len() == before { Poll::Ready(Err(io::Error::other("the tape tore"))) } else { polled }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_every_kind_sound_as_from_memory() {
    for name in ["stereo.wav", "stereo.flac", "stereo.mp3", "vorbis.ogg", "opus.ogg", "live.webm"] {
        let (expected, end) = drain(Box::new(Bytes::new(fixture(name)))).await;
        end.unwrap();
        let (mut writer, stream) = tokio::io::duplex(777);
        let bytes = fixture(name);
        tokio::spawn(async move { writer.write_all(&bytes).await });
        let mut source = AsyncSource::new(name, stream);
        assert!(source.fresh().is_none());
        assert!(matches!(source.seek(std::time::Duration::ZERO), Err(SourceError::Unseekable { .. })));
        let (heard, end) = drain(Box::new(source)).await;
        end.expect(name);
        assert!(heard == expected, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pcm_comes_as_it_is() {
    let bytes: Vec<u8> = wav(100_000)[44..].to_vec();
    let (expected, _) = drain(Box::new(Pcm::bytes(bytes.clone(), Encoding::I16, 24_000, 1))).await;
    let (mut writer, stream) = tokio::io::duplex(1_001);
    tokio::spawn(async move { writer.write_all(&bytes).await });
    let (heard, end) = drain(Box::new(AsyncPcm::new("a voice", stream, Encoding::I16, 24_000, 1))).await;
    end.unwrap();
    assert!(heard == expected && heard.samples.len() == 100_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_fails_is_played_that_far_and_its_error_kept() {
    let file = wav(200_000);
    let (expected, _) = drain(Box::new(Bytes::new(file.clone()))).await;
    let (heard, end) =
        drain(Box::new(AsyncSource::new("tape", Failing(io::Cursor::new(file[..300_000].to_vec()))))).await;
    assert!(heard.samples.len() > 100_000 && heard.samples == expected.samples[..heard.samples.len()]);
    let Err(SourceError::Other { name, cause }) = end else { panic!("{end:?}") };
    assert_eq!(&*name, "tape");
    assert_eq!(cause.downcast_ref::<io::Error>().unwrap().to_string(), "the tape tore");
    let (_, end) = drain(Box::new(AsyncSource::new("tape", Failing(io::Cursor::default())))).await;
    assert!(end.unwrap_err().to_string().contains("the tape tore"));
    let (_, end) =
        drain(Box::new(AsyncPcm::new("tape", Failing(io::Cursor::default()), Encoding::F32, 48_000, 2))).await;
    assert!(end.unwrap_err().to_string().contains("the tape tore"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_waits_holds_no_thread_and_is_dropped_with_its_source() {
    let (mut writer, stream) = tokio::io::duplex(4_096);
    let (mut reader, feed) = reader(Box::new(AsyncSource::new("a stream", stream)));
    for _ in 0..100 {
        assert!(matches!(step(&mut reader), Step::Waiting));
        tokio::task::yield_now().await;
    }
    drop((reader, feed));
    // Nobody reads any more: sooner or later that is an error.
    while writer.write_all(&[0; 1_000]).await.is_ok() {
        tokio::task::yield_now().await;
    }
}
