//! Audio files, on disk or in memory, told apart by their content.
//!
//! Ogg Opus and WebM (Matroska) Opus come out as Opus packets, everything else (WAV, AIFF, FLAC, ALAC, MP3, AAC in M4A,
//! Ogg Vorbis, ...) as PCM. Seeks are exact to the sample (PCM) or to the packet (Opus), whatever the container has to
//! help; in the worst case the file is read again from its beginning.

mod container;
mod decoded;
mod packets;
mod padding;
mod stream;

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use symphonia::core::codecs::audio::well_known::CODEC_ID_OPUS;

use self::container::{Container, Origin};
use self::decoded::Decoded;
use self::packets::Packets;
pub use self::stream::Input;
use crate::{Chunk, Info, Source, SourceError};

/// A file on disk, opened when it is first read.
pub struct File(Media);

/// A file in memory.
pub struct Bytes(Media);

impl File {
    /// The file at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let name: Arc<str> = path.display().to_string().into();
        Self(Media { origin: Origin::Path(path), name, stream: None })
    }
}

impl Bytes {
    /// The file with this content.
    pub fn new(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self::named("a file in memory", bytes)
    }

    /// The file with this content, and a name for error messages.
    pub fn named(name: impl Into<Arc<str>>, bytes: impl Into<Arc<[u8]>>) -> Self {
        Self(Media { origin: Origin::Memory(bytes.into()), name: name.into(), stream: None })
    }
}

/// A file out of anything that can be read: opened when it is first read, and again when it is to be played anew.
pub struct Streamed(Media);

impl Streamed {
    /// The file that `open` yields from its beginning, each time it is called; and a name for error messages.
    ///
    /// `open` may be called more than once before anything is played. An error of it becomes
    /// [`SourceError::Open`], one of the [`Input`] [`SourceError::Read`], with what they carry inside.
    pub fn new(
        name: impl Into<Arc<str>>,
        open: impl Fn() -> io::Result<Box<dyn Input>> + Send + Sync + 'static,
    ) -> Self {
        Self(Media { origin: Origin::Stream(Arc::new(open)), name: name.into(), stream: None })
    }
}

macro_rules! delegate {
    ($($source:ident),*) => {$(
        impl Source for $source {
            fn open(&mut self) -> Result<Info, SourceError> {
                self.0.with(|stream| match stream {
                    Stream::Pcm(decoded) => Ok(decoded.info()),
                    Stream::Opus(packets) => Ok(packets.info()),
                })
            }

            fn read(&mut self, chunk: &mut Chunk) -> Result<bool, SourceError> {
                self.0.with(|stream| match stream {
                    Stream::Pcm(decoded) => decoded.read(chunk),
                    Stream::Opus(packets) => packets.read(chunk),
                })
            }

            fn seek(&mut self, to: Duration) -> Result<Duration, SourceError> {
                self.0.with(|stream| match stream {
                    Stream::Pcm(decoded) => decoded.seek(to),
                    Stream::Opus(packets) => packets.seek(to),
                })
            }
        }

        impl fmt::Debug for $source {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($source)).field(&self.0.name).finish()
            }
        }
    )*};
}

delegate!(File, Bytes, Streamed);

struct Media {
    origin: Origin,
    name: Arc<str>,
    stream: Option<Stream>,
}

enum Stream {
    Pcm(Box<Decoded>),
    Opus(Box<Packets>),
}

impl Media {
    /// Runs `work` on the opened file. A demultiplexer or decoder that panics on a damaged file has failed like any other.
    fn with<T>(&mut self, work: impl FnOnce(&mut Stream) -> Result<T, SourceError>) -> Result<T, SourceError> {
        // After a panic the stream is dropped unseen, so nobody meets it half-changed.
        let result = catch_unwind(AssertUnwindSafe(|| work(self.stream()?)));
        result.unwrap_or_else(|_| {
            self.stream = None;
            let (name, reason) = (Arc::clone(&self.name), "it makes the decoder panic".into());
            Err(SourceError::Damaged { name, at: Duration::ZERO, reason })
        })
    }

    fn stream(&mut self) -> Result<&mut Stream, SourceError> {
        let stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                let container = Container::open(self.origin.clone(), Arc::clone(&self.name))?;
                if container.params().codec == CODEC_ID_OPUS {
                    Stream::Opus(Box::new(Packets::new(container)?))
                } else {
                    Stream::Pcm(Box::new(Decoded::new(container)?))
                }
            }
        };
        Ok(self.stream.insert(stream))
    }
}
