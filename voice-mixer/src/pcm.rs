//! Raw PCM, from memory or from a stream.

mod converted;

use std::fmt;
use std::io::{self, Cursor, Read};
use std::sync::Arc;
use std::time::Duration;

pub use self::converted::Converted;
use crate::source::{sample, time};
use crate::{Chunk, Format, Info, Source, SourceError};

/// Bytes asked for at once.
const CHUNK: usize = 16 * 1024;

/// How a sample is written; little-endian unless it says otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Encoding {
    /// 32-bit float, full scale at 1.0.
    F32,
    /// 64-bit float, full scale at 1.0.
    F64,
    /// 16-bit signed integer.
    I16,
    /// 16-bit signed integer, big-endian.
    I16Be,
    /// 24-bit signed integer in three bytes.
    I24,
    /// 32-bit signed integer.
    I32,
    /// 8-bit unsigned integer, silent at 128.
    U8,
}

impl Encoding {
    /// Bytes per sample.
    pub fn bytes(self) -> usize {
        match self {
            Encoding::U8 => 1,
            Encoding::I16 | Encoding::I16Be => 2,
            Encoding::I24 => 3,
            Encoding::F32 | Encoding::I32 => 4,
            Encoding::F64 => 8,
        }
    }

    /// The byte that silence is made of.
    fn silence(self) -> u8 {
        if self == Encoding::U8 { 128 } else { 0 }
    }

    /// Appends whole samples; full scale of integers is the largest negative one.
    fn decode(self, bytes: &[u8], out: &mut Vec<f32>) {
        const I24: f32 = (1 << 23) as f32;
        const I32: f64 = (1_u32 << 31) as f64;
        match self {
            Encoding::F32 => out.extend(bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes))),
            Encoding::F64 => out.extend(bytes.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes) as f32)),
            Encoding::I16 => {
                out.extend(bytes.as_chunks().0.iter().map(|bytes| f32::from(i16::from_le_bytes(*bytes)) / 32_768.0));
            }
            Encoding::I16Be => {
                out.extend(bytes.as_chunks().0.iter().map(|bytes| f32::from(i16::from_be_bytes(*bytes)) / 32_768.0));
            }
            Encoding::I24 => out.extend(
                // Shifted down from the top of 32 bits, so that the sign comes along.
                bytes.as_chunks().0.iter().map(|&[a, b, c]| (i32::from_le_bytes([0, a, b, c]) >> 8) as f32 / I24),
            ),
            Encoding::I32 => {
                let wide = bytes.as_chunks().0.iter().map(|bytes| f64::from(i32::from_le_bytes(*bytes)));
                out.extend(wide.map(|sample| (sample / I32) as f32));
            }
            Encoding::U8 => out.extend(bytes.iter().map(|byte| (f32::from(*byte) - 128.0) / 128.0)),
        }
    }
}

/// Interleaved samples of any rate in 1 to 8 channels.
///
/// Nothing is dropped: when the bytes end inside a sample or inside a frame of all channels, it is filled up with silence.
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
        self.encoding.bytes() * usize::from(self.channels.max(1))
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
            self.buffer[self.pending..frame_len].fill(self.encoding.silence());
            self.pending = frame_len;
        }
        let filled = self.pending + read;
        let whole = filled - filled % frame_len;
        self.encoding.decode(&self.buffer[..whole], chunk.pcm(self.rate, self.channels));
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

#[cfg(test)]
mod tests {
    use super::{Encoding, Pcm};
    use crate::{Chunk, Source};

    fn decode(bytes: &[u8], encoding: Encoding, channels: u16) -> Vec<f32> {
        let mut source = Pcm::bytes(bytes, encoding, 48_000, channels);
        let (mut chunk, mut samples) = (Chunk::new(), Vec::new());
        while source.read(&mut chunk).expect("memory") {
            samples.extend_from_slice(chunk.samples());
            chunk.clear();
        }
        samples
    }

    #[test]
    fn every_encoding_has_its_full_scale_and_silence() {
        for (encoding, bytes) in [
            (Encoding::U8, vec![0, 128, 192]),
            (Encoding::I16, vec![0, 0x80, 0, 0, 0, 0x40]),
            (Encoding::I16Be, vec![0x80, 0, 0, 0, 0x40, 0]),
            (Encoding::I24, vec![0, 0, 0x80, 0, 0, 0, 0, 0, 0x40]),
            (Encoding::I32, vec![0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0x40]),
            (Encoding::F32, [-1.0_f32, 0.0, 0.5].iter().flat_map(|sample| sample.to_le_bytes()).collect()),
            (Encoding::F64, [-1.0_f64, 0.0, 0.5].iter().flat_map(|sample| sample.to_le_bytes()).collect()),
        ] {
            assert_eq!(bytes.len(), 3 * encoding.bytes());
            assert_eq!(decode(&bytes, encoding, 1), [-1.0, 0.0, 0.5], "{encoding:?}");
            assert_eq!(decode(&bytes, encoding, 2), [-1.0, 0.0, 0.5, 0.0], "{encoding:?}: half a frame");
        }
        assert_eq!(decode(&[0xFF, 0xFF, 0xFF], Encoding::I24, 1), [-1.0 / 8_388_608.0]);
        assert_eq!(decode(&[0xFF, 0xFF, 0x7F], Encoding::I24, 1), [8_388_607.0 / 8_388_608.0]);
    }

    /// As many bytes as two frames of 60 ms have, and one sample of stereo more: nothing is dropped.
    #[test]
    fn every_sample_arrives_whatever_the_length() {
        for len in [2 * 11_520_usize, 2 * 11_520 + 4, 2 * 11_520 + 5, 2 * 11_520 + 7, 16 * 1_024, 16 * 1_024 + 1] {
            let bytes: Vec<u8> = (0..len).map(|n| (n * 31 + n / 256) as u8).collect();
            let padded = len.next_multiple_of(4);
            let expected: Vec<f32> = (0..padded / 2)
                .map(|n| {
                    let byte = |at: usize| bytes.get(at).copied().unwrap_or(0);
                    f32::from(i16::from_le_bytes([byte(2 * n), byte(2 * n + 1)])) / 32_768.0
                })
                .collect();
            assert_eq!(decode(&bytes, Encoding::I16, 2), expected, "{len} bytes");
        }
    }
}
