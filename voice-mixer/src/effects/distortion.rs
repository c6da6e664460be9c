use super::error::check;
use super::{EffectError, Stage};

/// Bends the waveform: `offset + scale * (sin_offset + sin(x * sin_scale)) * (cos_offset + cos(x * cos_scale)) *
/// (tan_offset + tan(x * tan_scale))`, clipped at full scale.
///
/// All parameters are from -1,000 to 1,000. The defaults (offsets 0, scales 1) change nothing: as Lavalink does, they
/// switch the effect off.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Distortion {
    /// Added to the sine; 0 by default.
    pub sin_offset: f32,
    /// Steepness of the sine; 1 by default.
    pub sin_scale: f32,
    /// Added to the cosine; 0 by default.
    pub cos_offset: f32,
    /// Steepness of the cosine; 1 by default.
    pub cos_scale: f32,
    /// Added to the tangent; 0 by default.
    pub tan_offset: f32,
    /// Steepness of the tangent; 1 by default.
    pub tan_scale: f32,
    /// Added to the product; 0 by default.
    pub offset: f32,
    /// Volume of the product; 1 by default.
    pub scale: f32,
}

impl Default for Distortion {
    fn default() -> Self {
        Self {
            sin_offset: 0.0,
            sin_scale: 1.0,
            cos_offset: 0.0,
            cos_scale: 1.0,
            tan_offset: 0.0,
            tan_scale: 1.0,
            offset: 0.0,
            scale: 1.0,
        }
    }
}

impl Distortion {
    pub(super) fn stage(&self) -> Result<Option<Box<dyn Stage>>, EffectError> {
        for (parameter, value) in [
            ("sin_offset", self.sin_offset),
            ("sin_scale", self.sin_scale),
            ("cos_offset", self.cos_offset),
            ("cos_scale", self.cos_scale),
            ("tan_offset", self.tan_offset),
            ("tan_scale", self.tan_scale),
            ("offset", self.offset),
            ("scale", self.scale),
        ] {
            check("distortion", parameter, value, -1_000.0..=1_000.0, "from -1,000 to 1,000")?;
        }
        Ok(if *self == Self::default() { None } else { Some(Box::new(Shaper(*self))) })
    }
}

struct Shaper(Distortion);

impl Stage for Shaper {
    fn process(&mut self, frames: &mut [f32]) {
        let bend = self.0;
        for sample in frames {
            let (sine, _) = sin_cos(*sample * bend.sin_scale);
            let (_, cosine) = sin_cos(*sample * bend.cos_scale);
            let (rise, run) = sin_cos(*sample * bend.tan_scale);
            // Beside a pole the tangent is as large as it can be; clipping makes it full scale.
            let tangent = rise / if run.abs() < 1e-7 { 1e-7 } else { run };
            let product = (bend.sin_offset + sine) * (bend.cos_offset + cosine) * (bend.tan_offset + tangent);
            *sample = (bend.offset + bend.scale * product).clamp(-1.0, 1.0);
        }
    }

    fn reset(&mut self) {}
}

/// Sine and cosine to 3e-7 up to some hundred turns, without a branch, so that the compiler makes vectors of it; the
/// standard library's cost five times as much.
fn sin_cos(x: f32) -> (f32, f32) {
    /// Adding and subtracting it rounds to a whole number.
    const ROUND: f32 = 12_582_912.0;
    // Half of pi, in three parts so that whole multiples of the first two are exact.
    const PARTS: [f32; 3] = [1.570_312_5, 4.837_513e-4, 7.549_79e-8];
    let shifted = x * std::f32::consts::FRAC_2_PI + ROUND;
    let quarters = shifted - ROUND;
    let y = ((x - quarters * PARTS[0]) - quarters * PARTS[1]) - quarters * PARTS[2];
    let square = y * y;
    // The Taylor series; on a quarter turn the first term left out is below rounding.
    let sine = y + y * square * (-1.0 / 6.0 + square * (1.0 / 120.0 + square * (-1.0 / 5_040.0 + square / 362_880.0)));
    let cosine = 1.0
        + square
            * (-0.5
                + square * (1.0 / 24.0 + square * (-1.0 / 720.0 + square * (1.0 / 40_320.0 - square / 3_628_800.0))));
    let bits = shifted.to_bits();
    let (a, b) = if bits & 1 == 0 { (sine, cosine) } else { (cosine, sine) };
    (if bits & 2 == 0 { a } else { -a }, if bits.wrapping_add(1) & 2 == 0 { b } else { -b })
}

#[cfg(test)]
mod tests {
    use super::sin_cos;

    #[test]
    fn sine_and_cosine_are_those_of_the_standard_library() {
        for n in -300_000..300_000 {
            let x = n as f32 * 0.001;
            let (sine, cosine) = sin_cos(x);
            let exact = f64::from(x).sin_cos();
            assert!((f64::from(sine) - exact.0).abs() < 4e-7 && (f64::from(cosine) - exact.1).abs() < 4e-7, "{x}");
        }
    }
}
