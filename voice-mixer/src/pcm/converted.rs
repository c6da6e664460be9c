use std::fmt;
use std::time::Duration;

use voice_model::{CHANNELS, SAMPLE_RATE};

use crate::resample::{Converter, RATES};
use crate::stereo::{MAX_CHANNELS, to_stereo};
use crate::{Chunk, Format, Info, Source, SourceError};

/// A source of PCM as 48 kHz stereo, whatever it yields: mixed down and resampled. Opus packets are passed on as they are.
pub struct Converted {
    source: Box<dyn Source>,
    inner: Chunk,
    converter: Option<Converter>,
    /// How the source has ended, once what came before has been handed out.
    end: Option<Result<bool, SourceError>>,
}

impl Converted {
    /// This source, converted.
    pub fn new(source: Box<dyn Source>) -> Self {
        Self { source, inner: Chunk::new(), converter: None, end: None }
    }

    /// The converter for this rate; what one for another rate still holds goes to `out`.
    fn converter(&mut self, rate: u32, channels: u16, out: &mut Vec<f32>) -> Result<&mut Converter, SourceError> {
        if !RATES.contains(&rate) || !(1..=MAX_CHANNELS).contains(&channels) {
            let reason = format!("it has {channels} channels at {rate} Hz").into();
            return Err(SourceError::Unsupported { name: "the source".into(), reason });
        }
        let converter = match self.converter.take() {
            Some(converter) if converter.rate() == rate => converter,
            old => {
                if let Some(mut old) = old {
                    old.finish(out);
                }
                Converter::new(rate).map_err(|error| SourceError::other("the source", error))?
            }
        };
        Ok(self.converter.insert(converter))
    }
}

impl Source for Converted {
    fn open(&mut self) -> Result<Info, SourceError> {
        let mut info = self.source.open()?;
        if let Format::Pcm { .. } = info.format {
            info.format = Format::Pcm { rate: SAMPLE_RATE, channels: CHANNELS as u16 };
        }
        Ok(info)
    }

    fn read(&mut self, chunk: &mut Chunk) -> Result<bool, SourceError> {
        if let Some(end) = &self.end {
            return end.clone();
        }
        self.inner.clear();
        let more = self.source.read(&mut self.inner);
        if let Ok(true) = more {
            if !self.inner.packet().is_empty() || self.inner.samples().is_empty() {
                std::mem::swap(chunk, &mut self.inner);
                return Ok(true);
            }
            if let Some(metadata) = self.inner.metadata() {
                chunk.set_metadata(metadata.clone());
            }
            let (rate, channels) = self.inner.layout();
            let out = chunk.pcm(SAMPLE_RATE, CHANNELS as u16);
            let samples = std::mem::take(&mut self.inner.samples);
            let converter = self.converter(rate, channels, out)?;
            to_stereo(&samples, channels, converter.input());
            converter.convert(out);
            self.inner.samples = samples;
            return Ok(true);
        }
        // What the resampler holds belongs before the end, and before a failure, in one chunk with which it comes.
        if let Some(mut converter) = self.converter.take() {
            converter.finish(chunk.pcm(SAMPLE_RATE, CHANNELS as u16));
            self.end = Some(more);
            return Ok(true);
        }
        more
    }

    fn seek(&mut self, to: Duration) -> Result<Duration, SourceError> {
        let landed = self.source.seek(to)?;
        (self.converter, self.end) = (None, None);
        Ok(landed)
    }

    fn is_ready(&mut self) -> bool {
        self.end.is_some() || self.source.is_ready()
    }

    fn fresh(&self) -> Option<Box<dyn Source>> {
        self.source.fresh().map(|source| Box::new(Self::new(source)) as _)
    }
}

impl fmt::Debug for Converted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Converted").field("rate", &self.converter.as_ref().map(Converter::rate)).finish_non_exhaustive()
    }
}
