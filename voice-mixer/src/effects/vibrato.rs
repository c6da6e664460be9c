use std::ops::Bound::{Excluded, Included};

use voice_model::CHANNELS;

use super::error::check;
use super::lfo::Lfo;
use super::{EffectError, Stage};

/// The pitch trembles: the sound goes through a delay that swings between 0 and `depth` times 2 ms.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Vibrato {
    /// How often per second, above 0 and at most 14 Hz; 2 by default.
    pub frequency: f32,
    /// How far, 0 (not at all) to 1; 0.5 by default. Pitch goes up and down by `depth * frequency * 0.63` percent.
    pub depth: f32,
}

impl Default for Vibrato {
    fn default() -> Self {
        Self { frequency: 2.0, depth: 0.5 }
    }
}

impl Vibrato {
    pub(super) fn stage(&self) -> Result<Option<Box<dyn Stage>>, EffectError> {
        let within = (Excluded(0.0), Included(14.0));
        check("vibrato", "frequency", self.frequency, within, "above 0 and at most 14 Hz")?;
        check("vibrato", "depth", self.depth, 0.0..=1.0, "from 0 to 1")?;
        if self.depth == 0.0 {
            return Ok(None);
        }
        // It begins at the shortest delay, where the sound is nearly the one without it.
        let lfo = Lfo::new(self.frequency, 0.75);
        Ok(Some(Box::new(Delay { lfo, half: SWING * self.depth / 2.0, past: [[0.0; CHANNELS]; SIZE], at: 0 })))
    }
}

/// Longest swing in frames: 2 ms.
const SWING: f32 = 96.0;

/// Frames kept: the longest delay, and the neighbours that the interpolation needs.
const SIZE: usize = 128;

struct Delay {
    lfo: Lfo,
    half: f32,
    past: [[f32; CHANNELS]; SIZE],
    at: usize,
}

impl Stage for Delay {
    fn process(&mut self, frames: &mut [f32]) {
        for frame in frames.as_chunks_mut::<CHANNELS>().0 {
            self.at = (self.at + 1) % SIZE;
            self.past[self.at] = *frame;
            // One frame more than the swing: the curve through four points needs a newer one.
            let delay = 1.0 + self.half * (1.0 + self.lfo.next());
            let whole = delay as usize;
            let older = delay - whole as f32;
            let [newest, new, old, oldest] =
                [whole - 1, whole, whole + 1, whole + 2].map(|back| self.past[(self.at + SIZE - back) % SIZE]);
            for (channel, sample) in frame.iter_mut().enumerate() {
                *sample = curve([newest[channel], new[channel], old[channel], oldest[channel]], older);
            }
        }
        self.lfo.settle();
    }

    fn reset(&mut self) {
        self.lfo.reset();
        self.past = [[0.0; CHANNELS]; SIZE];
    }

    fn tail(&self) -> u32 {
        SIZE as u32
    }
}

/// The cubic through the two middle points whose slopes there are those of their neighbours, at `x` of the way.
fn curve([before, from, to, after]: [f32; 4], x: f32) -> f32 {
    let (slope_from, slope_to) = ((to - before) / 2.0, (after - from) / 2.0);
    let (rise, bend) = (to - from, slope_from + slope_to);
    from + x * (slope_from + x * (3.0 * rise - slope_from - bend + x * (bend - 2.0 * rise)))
}

#[cfg(test)]
mod tests {
    use super::curve;
    use crate::effects::{Chain, Effect, Vibrato};

    #[test]
    fn the_curve_follows_a_parabola() {
        let square = |x: f32| x * x;
        for x in [0.0, 0.25, 0.7, 1.0] {
            let points = [-1.0, 0.0, 1.0, 2.0].map(square);
            assert!((curve(points, x) - square(x)).abs() < 1e-6, "{x}");
        }
    }

    #[test]
    fn a_ramp_is_delayed_as_the_swing_says() {
        let mut chain = Chain::new(&[Effect::Vibrato(Vibrato { frequency: 10.0, depth: 1.0 })]).expect("a chain");
        let ramp = |n: usize| n as f32 / 48_000.0;
        let mut frames: Vec<f32> = (0..48_000).flat_map(|n| [ramp(n); 2]).collect();
        frames.chunks_mut(1_000).for_each(|frames| chain.process(frames));
        for (n, frame) in frames.chunks_exact(2).enumerate().skip(200) {
            let swing = 48.0 * (1.0 - (n as f64 * 10.0 / 48_000.0 * std::f64::consts::TAU).cos());
            let delay = (f64::from(ramp(n)) - f64::from(frame[0])) * 48_000.0;
            assert!((delay - 1.0 - swing).abs() < 0.02, "frame {n}: {delay} instead of {swing}");
        }
    }
}
