//! What 48 kHz stereo becomes for those who want it otherwise: other rates, one channel, whole numbers.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Indexing, Resampler};
use voice_model::{CHANNELS, FRAME_SAMPLES, SAMPLE_RATE};

/// Samples per channel that are resampled at once: 10 ms. The filter is as long, and its delay half of that.
const BLOCK: usize = FRAME_SAMPLES / 2;

/// Samples in a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Rate {
    /// 48 kHz, what Opus decodes to: nothing is resampled.
    #[default]
    Hz48000,
    /// 24 kHz.
    Hz24000,
    /// 16 kHz, what most speech recognisers want.
    Hz16000,
    /// 8 kHz, telephony.
    Hz8000,
}

impl Rate {
    /// Samples in a second, per channel.
    pub const fn hertz(self) -> u32 {
        match self {
            Self::Hz48000 => 48_000,
            Self::Hz24000 => 24_000,
            Self::Hz16000 => 16_000,
            Self::Hz8000 => 8_000,
        }
    }
}

/// One side or two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Channels {
    /// The mean of left and right.
    Mono,
    /// Interleaved left, right.
    #[default]
    Stereo,
}

impl Channels {
    /// 1 or 2.
    pub const fn count(self) -> usize {
        match self {
            Self::Mono => 1,
            Self::Stereo => CHANNELS,
        }
    }
}

/// What a sample is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SampleKind {
    /// Full scale is 1.0; what is beyond is kept.
    #[default]
    F32,
    /// Full scale is 32,767; what is beyond is cut off.
    I16,
}

/// A form of PCM. The default is what Opus decodes to: 48 kHz, stereo, `f32`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Format {
    /// Samples in a second.
    pub rate: Rate,
    /// One side or two.
    pub channels: Channels,
    /// What a sample is.
    pub sample: SampleKind,
}

impl Format {
    /// What speech recognisers take: 16 kHz, mono, `i16`.
    pub const SPEECH: Self = Self { rate: Rate::Hz16000, channels: Channels::Mono, sample: SampleKind::I16 };

    /// Samples per channel in 20 ms: 960, 480, 320 or 160.
    pub const fn samples(self) -> usize {
        FRAME_SAMPLES * self.rate.hertz() as usize / SAMPLE_RATE as usize
    }

    /// Samples of all channels in 20 ms.
    pub const fn frame_len(self) -> usize {
        self.samples() * self.channels.count()
    }
}

/// Brings one stream of 48 kHz stereo into another rate and number of channels, 20 ms at a time: 20 ms in, exactly 20 ms out.
///
/// Another rate comes [`delay`](Self::delay) later than it went in: the timestamp of what comes out is that much less. Nothing
/// is allocated once it is made.
pub struct Converter {
    format: Format,
    resampler: Option<Fft<f32>>,
    /// In the channels that are wanted.
    input: Vec<f32>,
    output: Vec<f32>,
}

impl Converter {
    /// A converter that has heard nothing yet.
    pub fn new(format: Format) -> Self {
        let channels = format.channels.count();
        let resampler = (format.rate != Rate::Hz48000).then(|| {
            let (from, to) = (SAMPLE_RATE as usize, format.rate.hertz() as usize);
            Fft::new(from, to, BLOCK, channels, FixedSync::Both).expect("invariant: whole ratios and a block of them")
        });
        let room = |samples: usize, needed: bool| vec![0.0; if needed { samples } else { 0 }];
        let input = room(FRAME_SAMPLES * channels, resampler.is_some() || format.channels == Channels::Mono);
        let output = room(format.frame_len(), resampler.is_some());
        Self { format, resampler, input, output }
    }

    /// What it makes.
    pub fn format(&self) -> Format {
        self.format
    }

    /// By how many samples at 48 kHz what comes out is later than what went in: 240 (5 ms) for another rate, else 0.
    pub fn delay(&self) -> u32 {
        let ratio = SAMPLE_RATE / self.format.rate.hertz();
        self.resampler.as_ref().map_or(0, |resampler| resampler.output_delay() as u32 * ratio)
    }

    /// Forgets the stream so far: what comes next follows silence.
    pub fn reset(&mut self) {
        if let Some(resampler) = &mut self.resampler {
            resampler.reset();
        }
    }

    /// Converts 20 ms, 960 samples per channel, interleaved; a missing rest is silence. Gives [`Format::frame_len`] samples, as `f32`
    /// whatever the format says: [`to_i16`] does the rest.
    pub fn convert<'a>(&'a mut self, pcm: &'a [f32]) -> &'a [f32] {
        if self.input.is_empty() {
            return pcm;
        }
        let channels = self.format.channels.count();
        self.input.fill(0.0);
        match self.format.channels {
            Channels::Stereo => {
                let len = pcm.len().min(self.input.len());
                self.input[..len].copy_from_slice(&pcm[..len]);
            }
            Channels::Mono => {
                for (mono, both) in self.input.iter_mut().zip(pcm.chunks_exact(CHANNELS)) {
                    *mono = (both[0] + both[1]) / 2.0;
                }
            }
        }
        let Some(resampler) = &mut self.resampler else { return &self.input };
        let frames_out = self.output.len() / channels;
        let input =
            InterleavedSlice::new(&self.input[..], channels, FRAME_SAMPLES).expect("invariant: 20 ms of whole frames");
        let mut output =
            InterleavedSlice::new_mut(&mut self.output[..], channels, frames_out).expect("invariant: whole frames");
        let blocks = FRAME_SAMPLES / BLOCK;
        for block in 0..blocks {
            let (input_offset, output_offset) = (block * BLOCK, block * frames_out / blocks);
            let indexing = Indexing { input_offset, output_offset, ..Indexing::default() };
            resampler
                .process_into_buffer(&input, &mut output, Some(&indexing))
                .expect("invariant: the buffers hold 20 ms, which are whole blocks");
        }
        &self.output
    }
}

/// Rounds to whole numbers: full scale is 32,767, what is beyond is cut off.
pub fn to_i16(sample: f32) -> i16 {
    (sample.clamp(-1.0, 1.0) * f32::from(i16::MAX)).round() as i16
}

#[cfg(test)]
mod tests;
