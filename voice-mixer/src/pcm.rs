//! Raw PCM, from memory or from a stream.

use std::fmt;
use std::io::{self, Cursor, Read};
use std::sync::Arc;
use std::time::Duration;

use crate::source::{sample, time};
use crate::{Chunk, Format, Info, Source, SourceError};

/// Bytes asked for at once.
const CHUNK: usize = 16 * 1024;

/// How a sample is written, little-endian.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Encoding {
    /// 32-bit float, full scale at 1.0.
    F32,
    /// 16-bit signed integer.
    I16,
}

impl Encoding {
    fn len(self) -> usize {
        match self {
            Encoding::F32 => 4,
            Encoding::I16 => 2,
        }
    }
}

/// Interleaved samples of any rate in 1 to 8 channels.
///
/// Nothing is dropped: when the bytes end inside a sample or inside a frame of all channels, it is filled up with zeros.
pub struct Pcm {
    input: Input,
    encoding: Encoding,
    rate: u32,
    channels: u16,
    buffer: Vec<u8>,
    pending: usize,
    frames: u64,
}

enum Input {
    Memory(Cursor<Arc<[u8]>>),
    Stream(Box<dyn Read + Send>),
}

impl Pcm {
    /// From bytes in memory; seekable.
    pub fn bytes(bytes: impl Into<Arc<[u8]>>, encoding: Encoding, rate: u32, channels: u16) -> Self {
        Self::with(Input::Memory(Cursor::new(bytes.into())), encoding, rate, channels)
    }

    /// From samples in memory; seekable.
    pub fn samples(samples: &[f32], rate: u32, channels: u16) -> Self {
        let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        Self::bytes(bytes, Encoding::F32, rate, channels)
    }

    /// From a stream that is read once, such as the standard output of another program; unseekable.
    pub fn stream(stream: impl Read + Send + 'static, encoding: Encoding, rate: u32, channels: u16) -> Self {
        Self::with(Input::Stream(Box::new(stream)), encoding, rate, channels)
    }

    fn with(input: Input, encoding: Encoding, rate: u32, channels: u16) -> Self {
        Self { input, encoding, rate, channels, buffer: vec![0; CHUNK], pending: 0, frames: 0 }
    }

    fn frame_len(&self) -> usize {
        self.encoding.len() * usize::from(self.channels.max(1))
    }

    fn total_frames(&self) -> Option<u64> {
        match &self.input {
            Input::Memory(cursor) => Some(cursor.get_ref().len().div_ceil(self.frame_len()) as u64),
            Input::Stream(_) => None,
        }
    }
}

impl fmt::Debug for Pcm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { encoding, rate, channels, .. } = self;
        f.debug_struct("Pcm").field("encoding", encoding).field("rate", rate).field("channels", channels).finish()
    }
}

impl Source for Pcm {
    fn open(&mut self) -> Result<Info, SourceError> {
        let duration = self.total_frames().map(|frames| time(frames, self.rate));
        Ok(Info::new(Format::Pcm { rate: self.rate, channels: self.channels })
            .duration(duration)
            .seekable(duration.is_some()))
    }

    fn read(&mut self, chunk: &mut Chunk) -> Result<bool, SourceError> {
        let frame_len = self.frame_len();
        let spare = &mut self.buffer[self.pending..];
        let read = match &mut self.input {
            Input::Memory(cursor) => cursor.read(spare),
            Input::Stream(stream) => stream.read(spare),
        };
        let read = match read {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(true),
            Err(error) => {
                let (name, at) = ("PCM stream".into(), time(self.frames, self.rate));
                return Err(SourceError::Read { name, at, cause: Arc::new(error) });
            }
        };
        if read == 0 {
            if self.pending == 0 {
                return Ok(false);
            }
            self.buffer[self.pending..frame_len].fill(0);
            self.pending = frame_len;
        }
        let filled = self.pending + read;
        let whole = filled - filled % frame_len;
        let out = chunk.pcm(self.rate, self.channels);
        match self.encoding {
            Encoding::F32 => {
                out.extend(self.buffer[..whole].as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)));
            }
            Encoding::I16 => out.extend(
                self.buffer[..whole].as_chunks().0.iter().map(|bytes| f32::from(i16::from_le_bytes(*bytes)) / 32_768.0),
            ),
        }
        self.buffer.copy_within(whole..filled, 0);
        self.pending = filled - whole;
        self.frames += (whole / frame_len) as u64;
        Ok(true)
    }

    fn seek(&mut self, to: Duration) -> Result<Duration, SourceError> {
        let (frame_len, total) = (self.frame_len() as u64, self.total_frames());
        let (Input::Memory(cursor), Some(total)) = (&mut self.input, total) else {
            return Err(SourceError::Unseekable { name: "PCM stream".into() });
        };
        let frame = sample(to, self.rate).min(total);
        cursor.set_position(frame.saturating_mul(frame_len));
        (self.pending, self.frames) = (0, frame);
        Ok(time(frame, self.rate))
    }

    fn fresh(&self) -> Option<Box<dyn Source>> {
        let Input::Memory(cursor) = &self.input else { return None };
        Some(Box::new(Self::bytes(Arc::clone(cursor.get_ref()), self.encoding, self.rate, self.channels)))
    }
}
