use std::io::{self, Seek, SeekFrom, Write};

use flacenc::bitsink::MemSink;
use flacenc::component::{BitRepr, StreamInfo};
use flacenc::config;
use flacenc::error::{Verified, Verify};
use flacenc::source::{Fill, FrameBuf};
use voice_model::{CHANNELS, SAMPLE_RATE};

use crate::convert::to_i16;

/// Samples per channel in a frame.
pub(super) const BLOCK: usize = 4_096;
/// The smallest frame that the encoder makes.
const SMALLEST: usize = 32;
/// Bytes before the first frame: the mark, and one metadata block of 34 bytes (RFC 9639, sections 6 and 8.2).
pub(super) const HEADER: usize = 42;
const BITS: usize = 16;

/// A FLAC file of 16-bit PCM, 48 kHz, stereo (RFC 9639), that starts where the writer stands.
///
/// Frames are written one by one, so a program that is killed leaves all but the last 85 ms; the length in its header
/// is that of the last [`sync`](Self::sync).
pub struct Flac<W> {
    out: W,
    start: u64,
    config: Verified<config::Encoder>,
    info: StreamInfo,
    block: FrameBuf,
    /// Interleaved samples that are no whole frame yet.
    pending: Vec<i32>,
    sink: MemSink<u8>,
    frames: usize,
    written: u64,
    bytes: u64,
}

impl<W: Write + Seek> Flac<W> {
    /// Writes the header of an empty file.
    ///
    /// # Errors
    ///
    /// Those of the writer, as of every other method.
    pub fn new(mut out: W) -> io::Result<Self> {
        let start = out.stream_position()?;
        out.write_all(&header(0))?;
        let config = config::Encoder::default().into_verified().map_err(|(_, error)| failed(&error))?;
        let info = StreamInfo::new(SAMPLE_RATE as usize, CHANNELS, BITS).map_err(|error| failed(&error))?;
        let block = FrameBuf::with_size(CHANNELS, BLOCK).map_err(|error| failed(&error))?;
        let pending = Vec::with_capacity(BLOCK * CHANNELS);
        let bytes = HEADER as u64;
        Ok(Self { out, start, config, info, block, pending, sink: MemSink::new(), frames: 0, written: 0, bytes })
    }

    /// Samples per channel so far.
    pub fn samples(&self) -> u64 {
        self.written + (self.pending.len() / CHANNELS) as u64
    }

    /// Bytes written.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Appends interleaved samples, left and right; half a sample at the end is left out.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    pub fn write(&mut self, pcm: &[f32]) -> io::Result<()> {
        let mut rest = &pcm[..pcm.len() / CHANNELS * CHANNELS];
        while !rest.is_empty() {
            let (part, after) = rest.split_at(rest.len().min(BLOCK * CHANNELS - self.pending.len()));
            self.pending.extend(part.iter().map(|sample| i32::from(to_i16(*sample))));
            rest = after;
            self.flush_whole()?;
        }
        Ok(())
    }

    /// Appends `samples` per channel of silence.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    pub fn silence(&mut self, samples: u64) -> io::Result<()> {
        let mut left = samples * CHANNELS as u64;
        while left > 0 {
            let part = left.min((BLOCK * CHANNELS - self.pending.len()) as u64);
            self.pending.resize(self.pending.len() + part as usize, 0);
            left -= part;
            self.flush_whole()?;
        }
        Ok(())
    }

    /// Makes the header say how much has been written, and flushes the writer.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    pub fn sync(&mut self) -> io::Result<()> {
        self.out.seek(SeekFrom::Start(self.start))?;
        self.out.write_all(&header(self.written))?;
        self.out.seek(SeekFrom::Start(self.start + self.bytes))?;
        self.out.flush()
    }

    /// Writes what is left, makes the file whole and gives the writer back.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    pub fn finish(mut self) -> io::Result<W> {
        if !self.pending.is_empty() {
            self.pending.resize(self.pending.len().max(SMALLEST * CHANNELS), 0);
            self.block.resize(self.pending.len() / CHANNELS);
            self.flush_frame()?;
        }
        self.sync()?;
        Ok(self.out)
    }

    fn flush_whole(&mut self) -> io::Result<()> {
        if self.pending.len() < BLOCK * CHANNELS { Ok(()) } else { self.flush_frame() }
    }

    fn flush_frame(&mut self) -> io::Result<()> {
        self.block.fill_interleaved(&self.pending).map_err(|error| failed(&error))?;
        let frame = flacenc::encode_fixed_size_frame(&self.config, &self.block, self.frames, &self.info)
            .map_err(|error| failed(&error))?;
        self.sink.clear();
        frame.write(&mut self.sink).map_err(|error| failed(&error))?;
        self.out.write_all(self.sink.as_slice())?;
        self.bytes += self.sink.as_slice().len() as u64;
        self.written += (self.pending.len() / CHANNELS) as u64;
        self.frames += 1;
        self.pending.clear();
        Ok(())
    }
}

impl<W> std::fmt::Debug for Flac<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Flac").field("written", &self.written).field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

/// The encoder's errors cannot go to another thread; what they say can.
fn failed(error: &impl std::fmt::Display) -> io::Error {
    io::Error::other(error.to_string())
}

/// The header of a file of so many samples per channel: sizes of frames and the digest are left open (RFC 9639, section
/// 8.2).
pub(super) fn header(samples: u64) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..4].copy_from_slice(b"fLaC");
    // The last metadata block, STREAMINFO.
    header[4..8].copy_from_slice(&[0x80, 0, 0, 34]);
    header[8..10].copy_from_slice(&(BLOCK as u16).to_be_bytes());
    header[10..12].copy_from_slice(&(BLOCK as u16).to_be_bytes());
    let packed = u64::from(SAMPLE_RATE) << 44
        | (CHANNELS as u64 - 1) << 41
        | (BITS as u64 - 1) << 36
        | samples.min((1 << 36) - 1);
    header[18..26].copy_from_slice(&packed.to_be_bytes());
    header
}
