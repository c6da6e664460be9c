//! Sources that make their audio themselves.

use std::f64::consts::TAU;
use std::time::Duration;

use voice_model::SAMPLE_RATE;

use crate::source::{sample, time};
use crate::{Chunk, Format, Info, Source, SourceError};

/// Samples per chunk: 20 ms.
const CHUNK: u64 = 960;

/// A sine tone, 48 kHz mono.
#[derive(Clone, Debug)]
pub struct Tone {
    frequency: f64,
    amplitude: f32,
    span: Span,
}

impl Tone {
    /// A tone of `frequency` Hz whose peaks are at `amplitude` (full scale is 1.0), endless when `duration` is `None`.
    pub fn new(frequency: f64, amplitude: f32, duration: Option<Duration>) -> Self {
        Self { frequency, amplitude, span: Span::new(duration) }
    }
}

/// Silence, 48 kHz mono.
#[derive(Clone, Debug)]
pub struct Silence(Span);

impl Silence {
    /// Silence of this length, endless when `duration` is `None`.
    pub fn new(duration: Option<Duration>) -> Self {
        Self(Span::new(duration))
    }
}

impl Source for Tone {
    fn open(&mut self) -> Result<Info, SourceError> {
        Ok(self.span.info())
    }

    fn read(&mut self, chunk: &mut Chunk) -> Result<bool, SourceError> {
        let range = self.span.take();
        let step = self.frequency / f64::from(SAMPLE_RATE);
        // The phase of each sample comes from its index, so that a seek lands on exactly the same samples.
        let sine = |n: u64| ((n as f64 * step).fract() * TAU).sin() as f32 * self.amplitude;
        chunk.pcm(SAMPLE_RATE, 1).extend(range.clone().map(sine));
        Ok(!range.is_empty())
    }

    fn seek(&mut self, to: Duration) -> Result<Duration, SourceError> {
        Ok(self.span.seek(to))
    }

    fn fresh(&self) -> Option<Box<dyn Source>> {
        let span = Span { next: 0, ..self.span };
        Some(Box::new(Self { span, ..*self }))
    }
}

impl Source for Silence {
    fn open(&mut self) -> Result<Info, SourceError> {
        Ok(self.0.info())
    }

    fn read(&mut self, chunk: &mut Chunk) -> Result<bool, SourceError> {
        let range = self.0.take();
        chunk.pcm(SAMPLE_RATE, 1).extend(range.clone().map(|_| 0.0));
        Ok(!range.is_empty())
    }

    fn seek(&mut self, to: Duration) -> Result<Duration, SourceError> {
        Ok(self.0.seek(to))
    }

    fn fresh(&self) -> Option<Box<dyn Source>> {
        Some(Box::new(Self(Span { next: 0, ..self.0 })))
    }
}

/// Which samples are still to come.
#[derive(Clone, Copy, Debug)]
struct Span {
    next: u64,
    end: Option<u64>,
}

impl Span {
    fn new(duration: Option<Duration>) -> Self {
        Self { next: 0, end: duration.map(|duration| sample(duration, SAMPLE_RATE)) }
    }

    fn info(&self) -> Info {
        let duration = self.end.map(|end| time(end, SAMPLE_RATE));
        Info::new(Format::Pcm { rate: SAMPLE_RATE, channels: 1 }).duration(duration).seekable(true)
    }

    fn take(&mut self) -> std::ops::Range<u64> {
        let start = self.next;
        self.next = start.saturating_add(CHUNK).min(self.end.unwrap_or(u64::MAX)).max(start);
        start..self.next
    }

    fn seek(&mut self, to: Duration) -> Duration {
        self.next = sample(to, SAMPLE_RATE).min(self.end.unwrap_or(u64::MAX));
        time(self.next, SAMPLE_RATE)
    }
}
