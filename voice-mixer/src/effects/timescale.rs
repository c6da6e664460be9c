use super::EffectError;
use super::error::check;

/// Tempo and pitch of a track. Tempo is `speed * rate`, pitch is `pitch * rate`.
///
/// Each parameter, and each of these two products, is from 0.25 to 4; `speed / pitch` is from 0.125 to 8.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Timescale {
    /// Factor of tempo alone; 1 by default.
    pub speed: f32,
    /// Factor of pitch alone; 1 by default.
    pub pitch: f32,
    /// Factor of both, as a record that turns faster or slower; 1 by default.
    pub rate: f32,
}

impl Default for Timescale {
    fn default() -> Self {
        Self { speed: 1.0, pitch: 1.0, rate: 1.0 }
    }
}

impl Timescale {
    /// Whether it changes nothing.
    pub fn is_neutral(&self) -> bool {
        self.speed * self.rate == 1.0 && self.pitch * self.rate == 1.0
    }

    /// How much faster the source is played.
    pub fn tempo(&self) -> f64 {
        f64::from(self.speed) * f64::from(self.rate)
    }

    pub(super) fn check(&self) -> Result<(), EffectError> {
        for (parameter, value) in [
            ("speed", self.speed),
            ("pitch", self.pitch),
            ("rate", self.rate),
            ("speed * rate", self.speed * self.rate),
            ("pitch * rate", self.pitch * self.rate),
        ] {
            check("timescale", parameter, value, 0.25..=4.0, "from 0.25 to 4")?;
        }
        check("timescale", "speed / pitch", self.speed / self.pitch, 0.125..=8.0, "from 0.125 to 8")
    }

    /// Input frames per frame that is spliced, and of those per frame of output.
    pub(super) fn ratios(&self) -> (f64, f64) {
        (f64::from(self.pitch) * f64::from(self.rate), f64::from(self.speed) / f64::from(self.pitch))
    }
}
