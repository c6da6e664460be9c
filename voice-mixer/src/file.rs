//! Audio files, on disk or in memory, told apart by their content.
//!
//! Ogg Opus, WebM (Matroska) Opus and DCA come out as Opus packets, everything else (WAV, AIFF, FLAC, ALAC, MP3, AAC in M4A,
//! Ogg Vorbis, ...) as PCM. Seeks are exact to the sample (PCM) or to the packet (Opus), whatever the container has to
//! help; in the worst case the file is read again from its beginning.

mod container;
mod dca;
mod decoded;
mod packets;
mod padding;
mod priming;
mod stream;
mod tags;

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use symphonia::core::codecs::audio::well_known::CODEC_ID_OPUS;

use self::container::{Container, Origin};
use self::dca::Dca;
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
                    Stream::Dca(dca) => Ok(dca.info()),
                })
            }

            fn read(&mut self, chunk: &mut Chunk) -> Result<bool, SourceError> {
                self.0.with(|stream| match stream {
                    Stream::Pcm(decoded) => decoded.read(chunk),
                    Stream::Opus(packets) => packets.read(chunk),
                    Stream::Dca(dca) => dca.read(chunk),
                })
            }

            fn seek(&mut self, to: Duration) -> Result<Duration, SourceError> {
                self.0.with(|stream| match stream {
                    Stream::Pcm(decoded) => decoded.seek(to),
                    Stream::Opus(packets) => packets.seek(to),
                    Stream::Dca(dca) => dca.seek(to),
                })
            }

            fn fresh(&self) -> Option<Box<dyn Source>> {
                Some(Box::new(Self(self.0.fresh())))
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
    Dca(Box<Dca>),
}

impl Stream {
    fn open(origin: &Origin, name: &Arc<str>) -> Result<Self, SourceError> {
        if let Some(dca) = Dca::open(origin, name)? {
            return Ok(Stream::Dca(Box::new(dca)));
        }
        let container = match Container::open(origin.clone(), Arc::clone(name)) {
            Ok(container) => container,
            Err(error @ SourceError::NotAudio { .. }) => {
                // The oldest DCA has no mark of its own, so that everything else goes first.
                let dca = Dca::open_headless(origin, name).ok().flatten().ok_or(error)?;
                return Ok(Stream::Dca(Box::new(dca)));
            }
            Err(error) => return Err(error),
        };
        if container.params().codec == CODEC_ID_OPUS {
            return Ok(Stream::Opus(Box::new(Packets::new(container)?)));
        }
        Ok(Stream::Pcm(Box::new(Decoded::new(container)?)))
    }
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

    /// The same file once more, not opened.
    fn fresh(&self) -> Self {
        Self { origin: self.origin.clone(), name: Arc::clone(&self.name), stream: None }
    }

    fn stream(&mut self) -> Result<&mut Stream, SourceError> {
        let stream = match self.stream.take() {
            Some(stream) => stream,
            None => Stream::open(&self.origin, &self.name)?,
        };
        Ok(self.stream.insert(stream))
    }
}
