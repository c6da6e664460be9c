use std::f64::consts::TAU;

use voice_model::SAMPLE_RATE;

/// A slow sine, made by turning a pointer a little per frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lfo {
    sin: f64,
    cos: f64,
    step: (f64, f64),
    start: (f64, f64),
}

impl Lfo {
    /// A sine of `frequency` Hz that begins at `phase`, in turns.
    pub(super) fn new(frequency: f32, phase: f64) -> Self {
        let (sin, cos) = (phase * TAU).sin_cos();
        let step = (f64::from(frequency) * TAU / f64::from(SAMPLE_RATE)).sin_cos();
        Self { sin, cos, step, start: (sin, cos) }
    }

    /// Its value, -1 to 1, before it moves on by one frame.
    pub(super) fn next(&mut self) -> f32 {
        let value = self.sin;
        let (sin, cos) = self.step;
        (self.sin, self.cos) = (self.sin * cos + self.cos * sin, self.cos * cos - self.sin * sin);
        value as f32
    }

    /// Brings the pointer back to its length, which rounding changes slowly: to be called now and then.
    pub(super) fn settle(&mut self) {
        let length = self.sin.hypot(self.cos);
        self.sin /= length;
        self.cos /= length;
    }

    pub(super) fn reset(&mut self) {
        (self.sin, self.cos) = self.start;
    }
}

#[cfg(test)]
mod tests {
    use super::Lfo;

    #[test]
    fn it_is_still_in_phase_after_an_hour() {
        let mut lfo = Lfo::new(3.0, 0.25);
        for n in 0..3_600 * 48_000_u64 {
            let value = lfo.next();
            if n % 960 == 0 {
                lfo.settle();
            }
            if n % 4_001 == 0 {
                let ideal = ((n as f64 * 3.0 / 48_000.0 + 0.25).fract() * std::f64::consts::TAU).sin();
                assert!((f64::from(value) - ideal).abs() < 1e-6, "frame {n}: {value} instead of {ideal}");
            }
        }
    }
}
