use std::f64::consts::TAU;

use voice_model::{CHANNELS, SAMPLE_RATE};

use super::error::check;
use super::{EffectError, INAUDIBLE, Stage, flushed};

/// 15 bands, two thirds of an octave wide each, at [`Equalizer::FREQUENCIES`].
///
/// Each band is what a band-pass filter lets through of the sound; four times its gain of that is added to the sound.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Equalizer {
    /// Gain per band, -0.25 (the band is gone) through 0 (the default, unchanged) and 0.25 (doubled) to 1 (five times).
    pub gains: [f32; Self::BANDS],
}

impl Equalizer {
    /// How many bands there are.
    pub const BANDS: usize = 15;

    /// The middle of each band in Hz.
    pub const FREQUENCIES: [f32; Self::BANDS] = [
        25.0, 40.0, 63.0, 100.0, 160.0, 250.0, 400.0, 630.0, 1_000.0, 1_600.0, 2_500.0, 4_000.0, 6_300.0, 10_000.0,
        16_000.0,
    ];

    pub(super) fn stage(&self) -> Result<Option<Box<dyn Stage>>, EffectError> {
        for (gain, name) in self.gains.into_iter().zip(NAMES) {
            check("equalizer", name, gain, -0.25..=1.0, "from -0.25 to 1")?;
        }
        let bands = || Self::FREQUENCIES.into_iter().zip(self.gains).filter(|(_, gain)| *gain != 0.0);
        let Some((lowest, _)) = bands().next() else { return Ok(None) };
        let mut banks = vec![Bank::default(); bands().count().div_ceil(LANES)];
        for (index, (frequency, gain)) in bands().enumerate() {
            banks[index / LANES].set(index % LANES, frequency, gain);
        }
        // A band is 0.47 of its frequency wide, and decays by half of that times two pi.
        let tail = INAUDIBLE * SAMPLE_RATE as f32 / (0.47 / 2.0 * TAU as f32 * lowest);
        Ok(Some(Box::new(Bands { banks, tail: tail as u32 })))
    }
}

const NAMES: [&str; Equalizer::BANDS] = [
    "gain at 25 Hz",
    "gain at 40 Hz",
    "gain at 63 Hz",
    "gain at 100 Hz",
    "gain at 160 Hz",
    "gain at 250 Hz",
    "gain at 400 Hz",
    "gain at 630 Hz",
    "gain at 1,000 Hz",
    "gain at 1,600 Hz",
    "gain at 2,500 Hz",
    "gain at 4,000 Hz",
    "gain at 6,300 Hz",
    "gain at 10,000 Hz",
    "gain at 16,000 Hz",
];

/// Bands that are computed together, so that the compiler makes vectors of them.
const LANES: usize = 8;

/// Frames that go through all banks together.
const BLOCK: usize = 32;

struct Bands {
    banks: Vec<Bank>,
    tail: u32,
}

/// Band-pass filters of two integrators with trapezoidal steps, whose state keeps its precision in `f32` at 25 Hz too.
#[derive(Clone, Copy, Default)]
struct Bank {
    /// Factors from the first integrator, and from the input less the second one, to the band.
    keep: [f32; LANES],
    push: [f32; LANES],
    /// Factors to the second integrator.
    mix: [f32; LANES],
    drive: [f32; LANES],
    gain: [f32; LANES],
    first: [[f32; LANES]; CHANNELS],
    second: [[f32; LANES]; CHANNELS],
}

impl Bank {
    fn set(&mut self, lane: usize, frequency: f32, gain: f32) {
        let middle = TAU * f64::from(frequency) / f64::from(SAMPLE_RATE);
        // A third of an octave below its middle a band lets half of the power through.
        let edge = middle * (-1.0_f64 / 3.0).exp2();
        let width = (edge.cos() - middle.cos()) / edge.sin();
        let (warped, damping) = ((middle / 2.0).tan(), 2.0 * width / middle.sin());
        let scale = 1.0 / (1.0 + warped * (warped + damping));
        self.keep[lane] = scale as f32;
        self.push[lane] = (warped * scale) as f32;
        self.mix[lane] = (warped * scale) as f32;
        self.drive[lane] = (warped * warped * scale) as f32;
        self.gain[lane] = (4.0 * f64::from(gain) * damping) as f32;
    }

    /// Adds what the bands make of `dry` to `wet`.
    fn add(&mut self, channel: usize, dry: &[f32; BLOCK], wet: &mut [f32; BLOCK], frames: usize) {
        let (mut first, mut second) = (self.first[channel], self.second[channel]);
        let Self { keep, push, mix, drive, gain, .. } = *self;
        for (sample, sum) in dry.iter().zip(wet).take(frames) {
            let mut out = [0.0; LANES];
            for lane in 0..LANES {
                let input = *sample - second[lane];
                let band = keep[lane] * first[lane] + push[lane] * input;
                let low = second[lane] + mix[lane] * first[lane] + drive[lane] * input;
                first[lane] = 2.0 * band - first[lane];
                second[lane] = 2.0 * low - second[lane];
                out[lane] = band * gain[lane];
            }
            *sum += ((out[0] + out[4]) + (out[1] + out[5])) + ((out[2] + out[6]) + (out[3] + out[7]));
        }
        (self.first[channel], self.second[channel]) = (first, second);
    }
}

impl Stage for Bands {
    fn process(&mut self, frames: &mut [f32]) {
        for block in frames.chunks_mut(BLOCK * CHANNELS) {
            for channel in 0..CHANNELS {
                let mut dry = [0.0; BLOCK];
                for (dry, sample) in dry.iter_mut().zip(block.iter().skip(channel).step_by(CHANNELS)) {
                    *dry = *sample;
                }
                let mut wet = dry;
                for bank in &mut self.banks {
                    bank.add(channel, &dry, &mut wet, block.len() / CHANNELS);
                }
                for (sample, wet) in block.iter_mut().skip(channel).step_by(CHANNELS).zip(wet) {
                    *sample = wet;
                }
            }
        }
        for bank in &mut self.banks {
            bank.first = bank.first.map(|states| states.map(flushed));
            bank.second = bank.second.map(|states| states.map(flushed));
        }
    }

    fn reset(&mut self) {
        for bank in &mut self.banks {
            bank.first = Default::default();
            bank.second = Default::default();
        }
    }

    fn tail(&self) -> u32 {
        self.tail
    }
}

#[cfg(test)]
mod tests {
    use crate::effects::{Chain, Effect, EffectError, Equalizer};

    #[test]
    fn a_wrong_gain_is_named() {
        let mut equalizer = Equalizer::default();
        equalizer.gains[14] = 1.5;
        let error = Chain::new(&[Effect::Equalizer(equalizer)]).expect_err("too much");
        assert_eq!(error.to_string(), "equalizer: gain at 16,000 Hz is 1.5, but it has to be from -0.25 to 1");
        assert!(matches!(error, EffectError::OutOfRange { value: 1.5, .. }));
    }

    #[test]
    fn it_is_the_same_however_it_is_cut() {
        let effect = [Effect::Equalizer(Equalizer { gains: [0.2; 15] })];
        let input: Vec<f32> = (0..3_000).map(|n| ((n * 7_919 % 1_001) as f32 / 500.0 - 1.0) * 0.3).collect();
        let (mut whole, mut cut) = (input.clone(), input);
        let mut chain = Chain::new(&effect).expect("a chain");
        whole.chunks_mut(1_920).for_each(|frames| chain.process(frames));
        let mut chain = Chain::new(&effect).expect("a chain");
        cut.chunks_mut(74).for_each(|frames| chain.process(frames));
        assert_eq!(whole, cut);
    }
}
