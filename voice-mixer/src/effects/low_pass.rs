use voice_model::CHANNELS;

use super::error::check;
use super::{EffectError, INAUDIBLE, Stage, flushed};

/// Dulls: each sample goes only `1 / smoothing` of the way from the one before to its own value.
///
/// That is a filter of one pole: 6 dB per octave from about `48,000 / (2 pi smoothing)` Hz on, 380 Hz by default.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct LowPass {
    /// 1 (changes nothing) to 1,000; 20 by default.
    pub smoothing: f32,
}

impl Default for LowPass {
    fn default() -> Self {
        Self { smoothing: 20.0 }
    }
}

impl LowPass {
    pub(super) fn stage(&self) -> Result<Option<Box<dyn Stage>>, EffectError> {
        check("low pass", "smoothing", self.smoothing, 1.0..=1_000.0, "from 1 to 1,000")?;
        if self.smoothing == 1.0 {
            return Ok(None);
        }
        let tail = (self.smoothing * INAUDIBLE) as u32;
        Ok(Some(Box::new(Smoother { share: 1.0 / self.smoothing, value: [0.0; CHANNELS], tail })))
    }
}

struct Smoother {
    share: f32,
    value: [f32; CHANNELS],
    tail: u32,
}

impl Stage for Smoother {
    fn process(&mut self, frames: &mut [f32]) {
        for frame in frames.as_chunks_mut::<CHANNELS>().0 {
            for (value, sample) in self.value.iter_mut().zip(frame) {
                *value += (*sample - *value) * self.share;
                *sample = *value;
            }
        }
        self.value = self.value.map(flushed);
    }

    fn reset(&mut self) {
        self.value = [0.0; CHANNELS];
    }

    fn tail(&self) -> u32 {
        self.tail
    }
}

#[cfg(test)]
mod tests {
    use crate::effects::{Chain, Effect, LowPass};

    #[test]
    fn a_step_is_approached_by_the_same_share_every_sample() {
        let mut chain = Chain::new(&[Effect::LowPass(LowPass { smoothing: 8.0 })]).expect("a chain");
        let mut frames = vec![1.0; 400];
        chain.process(&mut frames);
        for (n, frame) in frames.chunks_exact(2).enumerate() {
            let ideal = 1.0 - (7.0_f64 / 8.0).powi(n as i32 + 1);
            assert!((f64::from(frame[0]) - ideal).abs() < 1e-6 && frame[0] == frame[1], "frame {n}");
        }
    }
}
