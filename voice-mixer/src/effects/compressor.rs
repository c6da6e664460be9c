use std::time::Duration;

use voice_model::{CHANNELS, SAMPLE_RATE};

use super::error::check;
use super::{EffectError, Stage};

/// Makes loud passages quieter: a peak above `threshold_db` keeps only `1 / ratio` of the decibels it is above it. Both
/// channels get the gain that the louder one asks for.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Compressor {
    /// Where it begins, -60 to 0 dB of full scale; -18 dB by default.
    pub threshold_db: f32,
    /// Decibels in per decibel out, above the threshold: 1 (changes nothing) to 100; 4 by default.
    pub ratio: f32,
    /// Time constant of getting quieter, at most 1 s; 5 ms by default.
    pub attack: Duration,
    /// Time constant of getting louder again, at most 5 s; 150 ms by default.
    pub release: Duration,
    /// Width of the rounding around the threshold, 0 to 24 dB; 6 dB by default.
    pub knee_db: f32,
    /// Gain after it, -24 to 24 dB; 0 by default.
    pub makeup_db: f32,
}

impl Default for Compressor {
    fn default() -> Self {
        Self {
            threshold_db: -18.0,
            ratio: 4.0,
            attack: Duration::from_millis(5),
            release: Duration::from_millis(150),
            knee_db: 6.0,
            makeup_db: 0.0,
        }
    }
}

impl Compressor {
    pub(super) fn stage(&self) -> Result<Option<Box<dyn Stage>>, EffectError> {
        check("compressor", "threshold_db", self.threshold_db, -60.0..=0.0, "from -60 to 0 dB")?;
        check("compressor", "ratio", self.ratio, 1.0..=100.0, "from 1 to 100")?;
        check("compressor", "attack", self.attack.as_secs_f32(), 0.0..=1.0, "at most 1 second")?;
        check("compressor", "release", self.release.as_secs_f32(), 0.0..=5.0, "at most 5 seconds")?;
        check("compressor", "knee_db", self.knee_db, 0.0..=24.0, "from 0 to 24 dB")?;
        check("compressor", "makeup_db", self.makeup_db, -24.0..=24.0, "from -24 to 24 dB")?;
        if self.ratio == 1.0 && self.makeup_db == 0.0 {
            return Ok(None);
        }
        let slope = 1.0 - 1.0 / self.ratio;
        Ok(Some(Box::new(Reducer {
            threshold: self.threshold_db * OCTAVES_PER_DB,
            knee: self.knee_db * OCTAVES_PER_DB,
            slope,
            quiet: 10.0_f32.powf((self.threshold_db - self.knee_db / 2.0) / 20.0),
            attack: share(self.attack),
            release: share(self.release),
            makeup: self.makeup_db * OCTAVES_PER_DB,
            reduction: 0.0,
        })))
    }
}

/// Levels are powers of two in here: 6.02 dB are one.
const OCTAVES_PER_DB: f32 = 0.166_096_4;

/// The share of the way to its target that a level goes per sample.
fn share(constant: Duration) -> f32 {
    1.0 - (-1.0 / (constant.as_secs_f32() * SAMPLE_RATE as f32)).exp()
}

struct Reducer {
    threshold: f32,
    knee: f32,
    slope: f32,
    /// Up to here nothing is reduced.
    quiet: f32,
    attack: f32,
    release: f32,
    makeup: f32,
    /// How much is taken away at present.
    reduction: f32,
}

impl Reducer {
    /// What should be taken away from a peak.
    fn target(&self, peak: f32) -> f32 {
        if peak <= self.quiet {
            return 0.0;
        }
        let above = peak.log2() - self.threshold;
        if above * 2.0 >= self.knee {
            self.slope * above
        } else {
            self.slope * (above + self.knee / 2.0).powi(2) / (2.0 * self.knee)
        }
    }
}

impl Stage for Reducer {
    fn process(&mut self, frames: &mut [f32]) {
        for frame in frames.as_chunks_mut::<CHANNELS>().0 {
            let target = self.target(frame[0].abs().max(frame[1].abs()));
            let share = if target > self.reduction { self.attack } else { self.release };
            self.reduction += (target - self.reduction) * share;
            let gain = (self.makeup - self.reduction).exp2();
            *frame = frame.map(|sample| sample * gain);
        }
        if self.reduction < 1e-6 {
            self.reduction = 0.0;
        }
    }

    fn reset(&mut self) {
        self.reduction = 0.0;
    }
}

#[cfg(test)]
mod tests {
    use crate::effects::{Chain, Compressor, Effect};

    #[test]
    fn its_curve_bends_where_it_should() {
        let compressor = Compressor { threshold_db: -20.0, ratio: 4.0, knee_db: 10.0, ..Compressor::default() };
        for level in [-60.0_f64, -30.0, -25.0, -22.0, -20.0, -17.0, -15.0, -10.0, 0.0] {
            let mut chain = Chain::new(&[Effect::Compressor(compressor)]).expect("a chain");
            let input = 10.0_f64.powf(level / 20.0);
            let mut frames = vec![input as f32; 96_000];
            frames.chunks_mut(1_920).for_each(|frames| chain.process(frames));
            let above = level + 20.0;
            let ideal = match above {
                ..=-5.0 => level,
                5.0.. => level - above * 0.75,
                _ => level - 0.75 * (above + 5.0).powi(2) / 20.0,
            };
            let out = 20.0 * f64::from(frames[95_999]).log10();
            assert!((out - ideal).abs() < 0.01, "{level} dB became {out} instead of {ideal}");
        }
    }
}
