use voice_model::CHANNELS;

use super::error::check;
use super::lfo::Lfo;
use super::{EffectError, Stage};

/// The sound walks around the listener, from one channel to the other and back: "8D audio".
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Rotation {
    /// Turns per second, -100 to 100 Hz, backwards when negative; 0 (the default) changes nothing.
    pub hz: f32,
}

impl Rotation {
    pub(super) fn stage(&self) -> Result<Option<Box<dyn Stage>>, EffectError> {
        check("rotation", "hz", self.hz, -100.0..=100.0, "from -100 to 100 Hz")?;
        Ok(if self.hz == 0.0 { None } else { Some(Box::new(Turning(Lfo::new(self.hz, 0.0)))) })
    }
}

struct Turning(Lfo);

impl Stage for Turning {
    fn process(&mut self, frames: &mut [f32]) {
        for [left, right] in frames.as_chunks_mut::<CHANNELS>().0 {
            let half = 0.5 * self.0.next();
            *left *= 0.5 + half;
            *right *= 0.5 - half;
        }
        self.0.settle();
    }

    fn reset(&mut self) {
        self.0.reset();
    }
}

#[cfg(test)]
mod tests {
    use crate::effects::{Chain, Effect, Rotation};

    #[test]
    fn it_goes_from_the_middle_to_the_left_first() {
        let mut chain = Chain::new(&[Effect::Rotation(Rotation { hz: 0.5 })]).expect("a chain");
        let mut frames = vec![1.0; 96_000 * 2];
        for frames in frames.chunks_mut(1_920) {
            chain.process(frames);
        }
        for (n, frame) in frames.chunks_exact(2).enumerate() {
            let sine = (n as f64 * 0.5 / 48_000.0 * std::f64::consts::TAU).sin();
            assert!((f64::from(frame[0]) - (1.0 + sine) / 2.0).abs() < 1e-5, "frame {n}");
            assert!((f64::from(frame[1]) - (1.0 - sine) / 2.0).abs() < 1e-5, "frame {n}");
        }
    }
}
