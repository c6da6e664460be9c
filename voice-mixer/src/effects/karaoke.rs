use std::f64::consts::TAU;

use voice_model::{CHANNELS, SAMPLE_RATE};

use super::error::check;
use super::{EffectError, INAUDIBLE, Stage, flushed};

/// Takes the voice out of music: subtracts the channels from each other, so that what is in the middle goes, and gives
/// back some bass, which is in the middle too.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Karaoke {
    /// How much of the other channel each one loses, 0 (changes nothing) to 1 (the default: all that is in the middle).
    pub level: f32,
    /// How much of the filtered middle comes back, 0 to 1; 1 by default.
    pub mono_level: f32,
    /// Middle of the band that comes back, 0 to 24,000 Hz; 220 Hz by default.
    pub filter_band: f32,
    /// Width of that band, above 0 and at most 24,000 Hz; 100 Hz by default.
    pub filter_width: f32,
}

impl Default for Karaoke {
    fn default() -> Self {
        Self { level: 1.0, mono_level: 1.0, filter_band: 220.0, filter_width: 100.0 }
    }
}

impl Karaoke {
    pub(super) fn stage(&self) -> Result<Option<Box<dyn Stage>>, EffectError> {
        check("karaoke", "level", self.level, 0.0..=1.0, "from 0 to 1")?;
        check("karaoke", "mono_level", self.mono_level, 0.0..=1.0, "from 0 to 1")?;
        check("karaoke", "filter_band", self.filter_band, 0.0..=24_000.0, "from 0 to 24,000 Hz")?;
        check("karaoke", "filter_width", self.filter_width, 0.1..=24_000.0, "from 0.1 to 24,000 Hz")?;
        if self.level == 0.0 {
            return Ok(None);
        }
        // A resonator of two poles whose peak is at the band and has unity gain.
        let per_sample = TAU / f64::from(SAMPLE_RATE);
        let radius = (-f64::from(self.filter_width) * per_sample).exp();
        let turn = 4.0 * radius / (1.0 + radius) * (f64::from(self.filter_band) * per_sample).cos();
        let input = (1.0 - turn * turn / (4.0 * radius)).max(0.0).sqrt() * (1.0 - radius);
        let tail = INAUDIBLE * SAMPLE_RATE as f32 * 2.0 / (TAU as f32 * self.filter_width);
        Ok(Some(Box::new(Sides {
            level: self.level,
            back: self.level * self.mono_level,
            factors: [input / CHANNELS as f64, turn, -radius],
            past: [0.0; 2],
            tail: tail as u32,
        })))
    }
}

struct Sides {
    level: f32,
    back: f32,
    factors: [f64; 3],
    /// The resonator's last two values, in `f64` because a narrow band is made of small differences.
    past: [f64; 2],
    tail: u32,
}

impl Stage for Sides {
    fn process(&mut self, frames: &mut [f32]) {
        let ([input, near, far], [mut last, mut before]) = (self.factors, self.past);
        for [left, right] in frames.as_chunks_mut::<CHANNELS>().0 {
            let middle = input * f64::from(*left + *right) + near * last + far * before;
            (last, before) = (middle, last);
            let back = middle as f32 * self.back;
            (*left, *right) = (*left - *right * self.level + back, *right - *left * self.level + back);
        }
        self.past = [last, before].map(|value| if flushed(value as f32) == 0.0 { 0.0 } else { value });
    }

    fn reset(&mut self) {
        self.past = [0.0; 2];
    }

    fn tail(&self) -> u32 {
        self.tail
    }
}

#[cfg(test)]
mod tests {
    use crate::effects::{Chain, Effect, Karaoke};

    #[test]
    fn without_the_bass_only_the_difference_stays() {
        let karaoke = Karaoke { level: 0.5, mono_level: 0.0, ..Karaoke::default() };
        let mut chain = Chain::new(&[Effect::Karaoke(karaoke)]).expect("a chain");
        let mut frames = [0.5, 0.25, -1.0, 1.0];
        chain.process(&mut frames);
        assert_eq!(frames, [0.375, 0.0, -1.5, 1.5]);
    }
}
