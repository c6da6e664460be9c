use std::f64::consts::{PI, SQRT_2};

use voice_model::{CHANNELS, SAMPLE_RATE};

use super::error::check;
use super::{EffectError, INAUDIBLE, Stage, flushed};

/// Takes the bass away: a Butterworth filter of second order, 12 dB per octave.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct HighPass {
    /// Where it takes 3 dB, 10 to 20,000 Hz; 80 Hz by default, below voices and above rumble.
    pub frequency: f32,
}

impl Default for HighPass {
    fn default() -> Self {
        Self { frequency: 80.0 }
    }
}

impl HighPass {
    pub(super) fn stage(&self) -> Result<Option<Box<dyn Stage>>, EffectError> {
        check("high pass", "frequency", self.frequency, 10.0..=20_000.0, "from 10 to 20,000 Hz")?;
        let warped = (PI * f64::from(self.frequency) / f64::from(SAMPLE_RATE)).tan();
        let scale = 1.0 / (1.0 + warped * (warped + SQRT_2));
        let tail = INAUDIBLE * SAMPLE_RATE as f32 / (PI as f32 * SQRT_2 as f32 * self.frequency);
        Ok(Some(Box::new(StateVariable {
            warped: warped as f32,
            scale: scale as f32,
            first: [0.0; CHANNELS],
            second: [0.0; CHANNELS],
            tail: tail as u32,
        })))
    }
}

/// A filter of two integrators with trapezoidal steps. At 10 Hz in `f32` it is exact to rounding, where a filter with
/// delayed outputs as its state would lose ten bits.
struct StateVariable {
    warped: f32,
    scale: f32,
    first: [f32; CHANNELS],
    second: [f32; CHANNELS],
    tail: u32,
}

impl Stage for StateVariable {
    fn process(&mut self, frames: &mut [f32]) {
        for frame in frames.as_chunks_mut::<CHANNELS>().0 {
            let states = self.first.iter_mut().zip(&mut self.second);
            for (sample, (first, second)) in frame.iter_mut().zip(states) {
                let high = (*sample - (self.warped + SQRT_2 as f32) * *first - *second) * self.scale;
                let band = self.warped * high + *first;
                let low = self.warped * band + *second;
                *first = self.warped * high + band;
                *second = self.warped * band + low;
                *sample = high;
            }
        }
        self.first = self.first.map(flushed);
        self.second = self.second.map(flushed);
    }

    fn reset(&mut self) {
        self.first = [0.0; CHANNELS];
        self.second = [0.0; CHANNELS];
    }

    fn tail(&self) -> u32 {
        self.tail
    }
}

#[cfg(test)]
mod tests {
    use crate::effects::{Chain, Effect, HighPass};

    #[test]
    fn a_constant_goes_away() {
        let mut chain = Chain::new(&[Effect::HighPass(HighPass { frequency: 100.0 })]).expect("a chain");
        let mut frames = vec![1.0; 9_600];
        for frames in frames.chunks_mut(1_920) {
            chain.process(frames);
        }
        assert!(frames[0] > 0.98, "{}", frames[0]);
        assert!(frames[9_000..].iter().all(|sample| sample.abs() < 1e-6), "{:?}", frames.last());
    }
}
