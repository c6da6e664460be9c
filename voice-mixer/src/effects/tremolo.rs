use std::ops::Bound::{Excluded, Included};

use voice_model::CHANNELS;

use super::error::check;
use super::lfo::Lfo;
use super::{EffectError, Stage};

/// The volume trembles.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Tremolo {
    /// How often per second, above 0, at most 24,000 Hz; 2 by default.
    pub frequency: f32,
    /// How far the volume goes down, 0 (not at all) to 1 (to silence); 0.5 by default.
    pub depth: f32,
}

impl Default for Tremolo {
    fn default() -> Self {
        Self { frequency: 2.0, depth: 0.5 }
    }
}

impl Tremolo {
    pub(super) fn stage(&self) -> Result<Option<Box<dyn Stage>>, EffectError> {
        let within = (Excluded(0.0), Included(24_000.0));
        check("tremolo", "frequency", self.frequency, within, "above 0 and at most 24,000 Hz")?;
        check("tremolo", "depth", self.depth, 0.0..=1.0, "from 0 to 1")?;
        if self.depth == 0.0 {
            return Ok(None);
        }
        // It begins at full volume, where the sound without it is.
        Ok(Some(Box::new(Trembling { lfo: Lfo::new(self.frequency, 0.25), half: self.depth / 2.0 })))
    }
}

struct Trembling {
    lfo: Lfo,
    half: f32,
}

impl Stage for Trembling {
    fn process(&mut self, frames: &mut [f32]) {
        for frame in frames.as_chunks_mut::<CHANNELS>().0 {
            let gain = 1.0 - self.half + self.half * self.lfo.next();
            *frame = frame.map(|sample| sample * gain);
        }
        self.lfo.settle();
    }

    fn reset(&mut self) {
        self.lfo.reset();
    }
}

#[cfg(test)]
mod tests {
    use crate::effects::{Chain, Effect, Tremolo};

    #[test]
    fn it_begins_at_full_volume_and_dips_by_its_depth_at_its_rate() {
        let mut chain = Chain::new(&[Effect::Tremolo(Tremolo { frequency: 5.0, depth: 0.6 })]).expect("a chain");
        let mut frames = vec![1.0; 48_000 * 2];
        for frames in frames.chunks_mut(700) {
            chain.process(frames);
        }
        for (n, frame) in frames.chunks_exact(2).enumerate() {
            let turn = n as f64 * 5.0 / 48_000.0 * std::f64::consts::TAU;
            let ideal = 0.7 + 0.3 * turn.cos();
            assert!((f64::from(frame[0]) - ideal).abs() < 1e-5 && frame[0] == frame[1], "frame {n}");
        }
    }
}
