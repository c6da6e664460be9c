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
/// Checksums of a frame's header and of a frame (RFC 9639, sections 9.1.8 and 9.3).
pub(super) const CRC_8: crc::Crc<u8> = crc::Crc::<u8>::new(&crc::CRC_8_SMBUS);
pub(super) const CRC_16: crc::Crc<u16> = crc::Crc::<u16>::new(&crc::CRC_16_UMTS);
/// Begins every frame of silence: 4,096 samples at 48 kHz, left and right, 16 bit (RFC 9639, section 9.1).
const SILENT_HEAD: [u8; 4] = [0xFF, 0xF8, 0xCA, 0x18];
/// Two subframes of a constant zero (RFC 9639, section 9.2.3).
const SILENT_BODY: [u8; 6] = [0; 6];
/// Bytes of silence written at a time.
const BATCH: usize = 16 * 1024;
/// Bytes of the longest frame of silence: its number takes 7, and there are two checksums.
const SILENT_FRAME: usize = SILENT_HEAD.len() + 7 + 1 + SILENT_BODY.len() + 2;

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
    /// Those of them that the encoder was asked for.
    encoded: usize,
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
        let sink = MemSink::new();
        Ok(Self { out, start, config, info, block, pending, sink, frames: 0, encoded: 0, written: 0, bytes })
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

    /// Appends `samples` per channel of silence. Whole frames of it are not encoded: hours take no time.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    pub fn silence(&mut self, samples: u64) -> io::Result<()> {
        let mut left = samples;
        if !self.pending.is_empty() {
            let part = left.min((BLOCK - self.pending.len() / CHANNELS) as u64);
            self.pending.resize(self.pending.len() + part as usize * CHANNELS, 0);
            left -= part;
            self.flush_whole()?;
        }
        if !self.pending.is_empty() {
            return Ok(());
        }
        self.silent_frames(left / BLOCK as u64)?;
        self.pending.resize((left % BLOCK as u64) as usize * CHANNELS, 0);
        Ok(())
    }

    fn silent_frames(&mut self, count: u64) -> io::Result<()> {
        let mut batch = Vec::with_capacity(BATCH.min(count as usize * SILENT_FRAME));
        let (mut left, mut batched) = (count, 0);
        while left > 0 {
            put_silent_frame(&mut batch, self.frames as u64 + batched);
            (left, batched) = (left - 1, batched + 1);
            if left == 0 || batch.len() + SILENT_FRAME > BATCH {
                self.out.write_all(&batch)?;
                self.bytes += batch.len() as u64;
                self.written += batched * BLOCK as u64;
                self.frames += batched as usize;
                batched = 0;
                batch.clear();
            }
        }
        Ok(())
    }

    /// Bytes of the file if silence went on up to so many samples.
    pub(super) fn bytes_at(&self, samples: u64) -> u64 {
        let more = samples.saturating_sub(self.written).div_ceil(BLOCK as u64);
        let shorter = 7 - number_len(self.frames as u64 + more);
        self.bytes + more * (SILENT_FRAME - shorter) as u64
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
        self.encoded += 1;
        self.pending.clear();
        Ok(())
    }
}

impl<W> std::fmt::Debug for Flac<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { written, bytes, frames, encoded, .. } = self;
        let mut debug = f.debug_struct("Flac");
        debug.field("written", written).field("bytes", bytes).field("frames", frames).field("encoded", encoded);
        debug.finish_non_exhaustive()
    }
}

/// Adds a frame of silence.
fn put_silent_frame(to: &mut Vec<u8>, number: u64) {
    let begun = to.len();
    to.extend(SILENT_HEAD);
    put_number(to, number);
    to.push(CRC_8.checksum(&to[begun..]));
    to.extend(SILENT_BODY);
    to.extend(CRC_16.checksum(&to[begun..]).to_be_bytes());
}

/// Adds the number of a frame, of up to 36 bits, as UTF-8 has its code points (RFC 9639, section 9.1.5).
fn put_number(to: &mut Vec<u8>, number: u64) {
    if number < 0x80 {
        to.push(number as u8);
        return;
    }
    let len = number_len(number);
    to.push((0xFF00_u16 >> len) as u8 | (number >> (6 * (len - 1))) as u8);
    to.extend((0..len - 1).rev().map(|rest| 0x80 | (number >> (6 * rest)) as u8 & 0x3F));
}

/// Bytes that such a number takes.
fn number_len(number: u64) -> usize {
    if number < 0x80 { 1 } else { (2..7).find(|len| number >> (5 * len + 1) == 0).unwrap_or(7) }
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

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::{BLOCK, Flac, HEADER, put_number, put_silent_frame};
    use crate::record::repair;

    #[test]
    fn a_frame_of_silence_is_what_the_encoder_makes() {
        let mut flac = Flac::new(Cursor::new(Vec::new())).expect("memory");
        let mut wanted = Vec::new();
        for number in 0..300 {
            flac.write(&[0.0; 2 * BLOCK]).expect("memory");
            put_silent_frame(&mut wanted, number);
        }
        assert_eq!(flac.encoded, 300);
        assert_eq!(flac.out.get_ref()[HEADER..], wanted);
    }

    #[test]
    fn numbers_are_coded_as_rfc_9639_says() {
        for number in
            [0, 0x7F, 0x80, 0x7FF, 0x800, 0xFFFF, 0x1_0000, 0x1F_FFFF, 0x20_0000, 0x3FF_FFFF, 0x400_0000, 0xF_FFFF_FFFF]
        {
            let mut coded = Vec::new();
            put_number(&mut coded, number);
            if let Some(text) = u32::try_from(number).ok().and_then(char::from_u32) {
                assert_eq!(coded, text.to_string().as_bytes());
            }
            let first = u64::from(coded[0]) & if coded.len() == 1 { 0x7F } else { 0x7F >> coded.len() };
            assert_eq!(coded[1..].iter().fold(first, |sum, byte| sum << 6 | u64::from(byte & 0x3F)), number);
        }
    }

    #[test]
    fn hours_of_silence_are_not_encoded() {
        let mut flac = Flac::new(Cursor::new(Vec::new())).expect("memory");
        let six_hours = 6 * 3_600 * 48_000;
        flac.write(&[0.25; 2 * 1_000]).expect("memory");
        flac.silence(six_hours).expect("memory");
        flac.write(&[0.25; 2 * 1_000]).expect("memory");
        assert!(flac.encoded <= 2 && flac.frames > 250_000, "{flac:?}");
        assert!(flac.bytes() <= flac.bytes_at(flac.samples()));
        let file = flac.finish().expect("memory").into_inner();
        let found = repair::flac(&mut Cursor::new(file.clone())).expect("a FLAC file");
        assert_eq!((found.samples, found.bytes, found.torn), (six_hours + 2_000, file.len() as u64, 0));
    }
}
