use std::sync::Mutex;

use mixer::opus::OpusError;
use mixer::pcm::Converted;
use mixer::{Chunk, Format, Info, Source, SourceError};
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
        Self { source, form, limit, info: None, chunk: Chunk::new(), coder: None }
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
        self.open()?;
        let (Some(source), Some(coder)) = (&mut self.source, &mut self.coder) else { return Ok(false) };
        self.chunk.clear();
        let read = source.read(&mut self.chunk);
        // Coded first, so that the store is locked for no longer than it takes to copy.
        let mut store = lock(store);
        if let Some(metadata) = self.chunk.metadata() {
            store.add_news(metadata.clone());
        }
        take(coder, &self.chunk, &mut store)?;
        if let (Coder::Encode(encoding), false) = (coder, matches!(read, Ok(true))) {
            encoding.finish(&mut store)?;
        }
        if store.bytes() > self.limit {
            return Err(CacheError::Full { limit: self.limit }.into());
        }
        drop(store);
        read
    }

    /// Lets go of the source.
    pub(super) fn end(&mut self) {
        (self.source, self.coder) = (None, None);
    }
}

fn take(coder: &mut Coder, chunk: &Chunk, store: &mut Store) -> Result<(), SourceError> {
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
                let audible = &pcm[(skip as usize).min(end) * CHANNELS..end * CHANNELS];
                store.add_pcm(audible).map_err(stored)
            }
            _ => store.add_packet(chunk.packet(), samples, chunk.cut()).map_err(stored),
        };
    }
    match coder {
        Coder::Encode(encoding) => encoding.push(chunk.samples(), store),
        _ => store.add_pcm(chunk.samples()).map_err(stored),
    }
}

impl Encoding {
    fn new(bitrate: u32) -> opus::Result<Self> {
        let mut encoder = Encoder::new(SAMPLE_RATE, Channels::Stereo, Application::Audio)?;
        encoder.set_bitrate(Bitrate::Bits(bitrate.clamp(6_000, 510_000) as i32))?;
        let delay = encoder.get_lookahead()?.max(0) as u32;
        Ok(Self { encoder, pending: Vec::new(), delay, skip: delay, packet: vec![0; MAX_PACKET] })
    }

    fn push(&mut self, samples: &[f32], store: &mut Store) -> Result<(), SourceError> {
        self.pending.extend_from_slice(samples);
        let whole = self.pending.len() - self.pending.len() % (FRAME_SAMPLES * CHANNELS);
        let pending = std::mem::take(&mut self.pending);
        for frame in pending[..whole].chunks_exact(FRAME_SAMPLES * CHANNELS) {
            self.encode(frame, 0, store)?;
        }
        self.pending.extend_from_slice(&pending[whole..]);
        Ok(())
    }

    /// Encodes what is left, and silence until the encoder has let all of it out.
    fn finish(&mut self, store: &mut Store) -> Result<(), SourceError> {
        let left = self.pending.len() / CHANNELS + self.delay as usize;
        let mut padding = left.next_multiple_of(FRAME_SAMPLES) - left;
        let silence = vec![0.0; (self.delay as usize + padding) * CHANNELS];
        self.pending.extend(silence);
        let pending = std::mem::take(&mut self.pending);
        let mut frames = pending.chunks_exact(FRAME_SAMPLES * CHANNELS).peekable();
        while let Some(frame) = frames.next() {
            let trim = if frames.peek().is_none() { std::mem::take(&mut padding) } else { 0 };
            self.encode(frame, trim as u32, store)?;
        }
        Ok(())
    }

    fn encode(&mut self, frame: &[f32], trim: u32, store: &mut Store) -> Result<(), SourceError> {
        let len = self.encoder.encode_float(frame, &mut self.packet).map_err(libopus)?;
        let skip = std::mem::take(&mut self.skip);
        store.add_packet(&self.packet[..len], FRAME_SAMPLES as u16, (skip, trim)).map_err(stored)
    }
}

fn libopus(error: opus::Error) -> SourceError {
    SourceError::other("cache", error)
}

fn stored(cause: std::io::Error) -> SourceError {
    CacheError::Storage { cause: cause.into() }.into()
}
