use std::io;
use std::ops::Range;
use std::sync::Mutex;

use mixer::opus::OpusError;
use mixer::pcm::Converted;
use mixer::{Chunk, Format, Info, Metadata, Source, SourceError};
use model::{CHANNELS, FRAME_SAMPLES, MAX_PACKET_SAMPLES, SAMPLE_RATE};
use opus::{Application, Bitrate, Channels, Decoder, Encoder};

use super::store::Store;
use super::{CacheError, Form, lock};

/// Bytes of the largest packet of 20 ms.
const MAX_PACKET: usize = 1_276;

/// Bytes of the largest packet that is kept; a legal one of 120 ms has less, without padding.
const MAX_KEPT: usize = u16::MAX as usize;

/// The one reader of the source that is cached: brings what it yields into the form in which it is kept.
pub(super) struct Intake {
    /// Gone when it has ended.
    source: Option<Converted>,
    form: Form,
    limit: u64,
    info: Option<Info>,
    chunk: Chunk,
    coder: Option<Coder>,
    coded: Coded,
}

/// What came of a chunk, in the form in which it is kept. Its buffers are reused.
#[derive(Default)]
struct Coded {
    metadata: Option<Metadata>,
    /// Interleaved stereo.
    pcm: Vec<f32>,
    bytes: Vec<u8>,
    packets: Vec<Packet>,
}

/// One packet among the bytes.
struct Packet {
    bytes: Range<usize>,
    samples: u16,
    /// How many of them at both ends are no audio.
    cut: (u32, u32),
}

enum Coder {
    /// It comes as it is kept.
    None,
    Encode(Box<Encoding>),
    Decode(Decoder, Vec<f32>),
}

struct Encoding {
    encoder: Encoder,
    /// Interleaved samples that do not fill a packet yet.
    pending: Vec<f32>,
    /// How many samples the encoder is late by, which the first packets have too many.
    delay: u32,
    skip: u32,
    packet: Vec<u8>,
}

impl Intake {
    pub(super) fn new(source: Box<dyn Source>, form: Form, limit: u64) -> Self {
        let source = Some(Converted::new(source));
        Self { source, form, limit, info: None, chunk: Chunk::new(), coder: None, coded: Coded::default() }
    }

    pub(super) fn set_limit(&mut self, limit: u64) {
        self.limit = limit;
    }

    pub(super) fn is_ready(&mut self) -> bool {
        self.source.as_mut().is_none_or(Source::is_ready)
    }

    /// What the source says of itself, in the form in which it is kept.
    pub(super) fn open(&mut self) -> Result<Info, SourceError> {
        if let Some(info) = &self.info {
            return Ok(info.clone());
        }
        let Some(source) = &mut self.source else { return Err(SourceError::Deserted) };
        let mut info = source.open()?;
        let coder = match (self.form, info.format) {
            (Form::Pcm, Format::Pcm { .. }) | (Form::Opus { .. }, Format::Opus) => Coder::None,
            (Form::Pcm, Format::Opus) => {
                info.format = Format::Pcm { rate: SAMPLE_RATE, channels: CHANNELS as u16 };
                let decoder = Decoder::new(SAMPLE_RATE, Channels::Stereo).map_err(libopus)?;
                Coder::Decode(decoder, vec![0.0; MAX_PACKET_SAMPLES * CHANNELS])
            }
            (Form::Opus { bitrate }, Format::Pcm { .. }) => {
                info.format = Format::Opus;
                Coder::Encode(Box::new(Encoding::new(bitrate).map_err(libopus)?))
            }
        };
        self.coder = Some(coder);
        Ok(self.info.insert(info.seekable(true)).clone())
    }

    /// Takes one chunk in; `false` at the end.
    pub(super) fn step(&mut self, store: &Mutex<Store>) -> Result<bool, SourceError> {
        self.coded.clear();
        // Coded first, so that the store is locked for no longer than it takes to copy.
        let read = self.code();
        let mut store = lock(store);
        self.coded.append(&mut store).map_err(|cause| CacheError::Storage { cause: cause.into() })?;
        if store.bytes() > self.limit {
            return Err(CacheError::Full { limit: self.limit }.into());
        }
        drop(store);
        read
    }

    /// Reads one chunk and codes it; `false` at the end. What was coded before an error counts.
    fn code(&mut self) -> Result<bool, SourceError> {
        self.open()?;
        let (Some(source), Some(coder)) = (&mut self.source, &mut self.coder) else { return Ok(false) };
        self.chunk.clear();
        let read = source.read(&mut self.chunk);
        self.coded.metadata = self.chunk.metadata().cloned();
        take(coder, &self.chunk, &mut self.coded)?;
        if let (Coder::Encode(encoding), false) = (coder, matches!(read, Ok(true))) {
            encoding.finish(&mut self.coded)?;
        }
        read
    }

    /// Lets go of the source.
    pub(super) fn end(&mut self) {
        (self.source, self.coder, self.coded) = (None, None, Coded::default());
    }
}

impl Coded {
    fn clear(&mut self) {
        self.metadata = None;
        self.pcm.clear();
        self.bytes.clear();
        self.packets.clear();
    }

    fn add_packet(&mut self, packet: &[u8], samples: u16, cut: (u32, u32)) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(packet);
        self.packets.push(Packet { bytes: start..self.bytes.len(), samples, cut });
    }

    fn append(&mut self, store: &mut Store) -> io::Result<()> {
        if let Some(metadata) = self.metadata.take() {
            store.add_news(metadata);
        }
        if !self.pcm.is_empty() {
            store.add_pcm(&self.pcm)?;
        }
        for Packet { bytes, samples, cut } in self.packets.drain(..) {
            store.add_packet(&self.bytes[bytes], samples, cut)?;
        }
        Ok(())
    }
}

fn take(coder: &mut Coder, chunk: &Chunk, coded: &mut Coded) -> Result<(), SourceError> {
    if !chunk.packet().is_empty() {
        let illegal = |cause| SourceError::Opus { name: "the source".into(), cause };
        let samples = mixer::opus::samples(chunk.packet()).map_err(illegal)? as u16;
        if chunk.packet().len() > MAX_KEPT {
            return Err(illegal(OpusError::TooLong { len: chunk.packet().len(), max: MAX_KEPT }));
        }
        return match coder {
            Coder::Decode(decoder, pcm) => {
                let decoded = decoder.decode_float(chunk.packet(), pcm, false).unwrap_or_else(|_| {
                    // What libopus refuses is silence, as in the mixer.
                    pcm.fill(0.0);
                    usize::from(samples)
                });
                let (skip, trim) = chunk.cut();
                let end = decoded.saturating_sub(trim as usize);
                coded.pcm.extend_from_slice(&pcm[(skip as usize).min(end) * CHANNELS..end * CHANNELS]);
                Ok(())
            }
            _ => {
                coded.add_packet(chunk.packet(), samples, chunk.cut());
                Ok(())
            }
        };
    }
    match coder {
        Coder::Encode(encoding) => encoding.push(chunk.samples(), coded),
        _ => {
            coded.pcm.extend_from_slice(chunk.samples());
            Ok(())
        }
    }
}

impl Encoding {
    fn new(bitrate: u32) -> opus::Result<Self> {
        let mut encoder = Encoder::new(SAMPLE_RATE, Channels::Stereo, Application::Audio)?;
        encoder.set_bitrate(Bitrate::Bits(bitrate.clamp(6_000, 510_000) as i32))?;
        let delay = encoder.get_lookahead()?.max(0) as u32;
        Ok(Self { encoder, pending: Vec::new(), delay, skip: delay, packet: vec![0; MAX_PACKET] })
    }

    fn push(&mut self, samples: &[f32], coded: &mut Coded) -> Result<(), SourceError> {
        self.pending.extend_from_slice(samples);
        let whole = self.pending.len() - self.pending.len() % (FRAME_SAMPLES * CHANNELS);
        let pending = std::mem::take(&mut self.pending);
        for frame in pending[..whole].chunks_exact(FRAME_SAMPLES * CHANNELS) {
            self.encode(frame, 0, coded)?;
        }
        self.pending.extend_from_slice(&pending[whole..]);
        Ok(())
    }

    /// Encodes what is left, and silence until the encoder has let all of it out.
    fn finish(&mut self, coded: &mut Coded) -> Result<(), SourceError> {
        let left = self.pending.len() / CHANNELS + self.delay as usize;
        let mut padding = left.next_multiple_of(FRAME_SAMPLES) - left;
        let silence = vec![0.0; (self.delay as usize + padding) * CHANNELS];
        self.pending.extend(silence);
        let pending = std::mem::take(&mut self.pending);
        let mut frames = pending.chunks_exact(FRAME_SAMPLES * CHANNELS).peekable();
        while let Some(frame) = frames.next() {
            let trim = if frames.peek().is_none() { std::mem::take(&mut padding) } else { 0 };
            self.encode(frame, trim as u32, coded)?;
        }
        Ok(())
    }

    fn encode(&mut self, frame: &[f32], trim: u32, coded: &mut Coded) -> Result<(), SourceError> {
        let len = self.encoder.encode_float(frame, &mut self.packet).map_err(libopus)?;
        let skip = std::mem::take(&mut self.skip);
        coded.add_packet(&self.packet[..len], FRAME_SAMPLES as u16, (skip, trim));
        Ok(())
    }
}

fn libopus(error: opus::Error) -> SourceError {
    SourceError::other("cache", error)
}

#[cfg(test)]
mod tests {
    use mixer::generate::Tone;

    use super::super::Storage;
    use super::*;

    #[test]
    fn what_is_coded_waits_for_nobody_who_reads_and_nobody_for_it() {
        let form = Form::Opus { bitrate: 64_000 };
        let store = Mutex::new(Store::new(form, Storage::Memory));
        let mut intake = Intake::new(Box::new(Tone::new(440.0, 0.5, None)), form, 1 << 20);
        {
            // Somebody reads meanwhile.
            let reading = store.lock().unwrap();
            while intake.coded.packets.len() < 10 {
                assert!(intake.code().unwrap());
            }
            assert_eq!(reading.len(), 0, "nothing is there before it is appended");
        }
        let (packets, bytes) = (intake.coded.packets.len() as u64, intake.coded.bytes.len() as u64);
        intake.coded.append(&mut store.lock().unwrap()).unwrap();
        let stored = store.lock().unwrap();
        assert!(stored.len() == packets && stored.bytes() > bytes, "{} of {packets} packets", stored.len());
    }
}
