use std::f64::consts::PI;

/// Filters between samples: for each of [`PHASES`] places between two samples the weights of their neighbours.
pub(super) struct Kernel {
    /// Rows of `taps` weights; one more than the phases, as two rows are blended.
    rows: Vec<f32>,
    taps: usize,
    ratio: f64,
}

/// Places between two samples that have weights of their own.
const PHASES: usize = 128;

/// Samples on either side that count, as long as nothing has to be filtered away.
const HALF: usize = 12;

/// Where the filter ends, as a share of the highest frequency: what is above 22 kHz is given up.
const CUTOFF: f64 = 0.92;

/// Highest ratio.
const MAX_RATIO: f64 = 4.0;

impl Kernel {
    /// Samples on either side that count at most.
    pub(super) const REACH: usize = HALF * MAX_RATIO as usize;

    pub(super) fn new(ratio: f64) -> Self {
        let mut kernel = Self { rows: vec![0.0; (PHASES + 1) * 2 * Self::REACH], taps: 0, ratio: 0.0 };
        kernel.set(ratio);
        kernel
    }

    /// Samples on either side that count.
    pub(super) fn half(&self) -> usize {
        self.taps / 2
    }

    /// Makes weights for `ratio` samples of input per sample of output.
    pub(super) fn set(&mut self, ratio: f64) {
        let ratio = ratio.clamp(1.0, MAX_RATIO);
        if ratio == self.ratio {
            return;
        }
        self.ratio = ratio;
        // A multiple of four on either side, so that rows are whole vectors.
        let half = ((HALF as f64 * ratio / 4.0).ceil() as usize * 4).min(Self::REACH);
        self.taps = 2 * half;
        let cutoff = CUTOFF / ratio;
        for (phase, row) in self.rows.chunks_exact_mut(self.taps).take(PHASES + 1).enumerate() {
            let place = phase as f64 / PHASES as f64;
            let mut sum = 0.0;
            let first = -((half - 1) as f64) - place;
            // Sines of evenly spaced angles, made by turning: ten times as fast as one by one.
            let mut sines = Turning::new(PI * cutoff * first, PI * cutoff);
            let mut window = Turning::new(PI * (first / half as f64 + 1.0), PI / half as f64);
            for (tap, weight) in row.iter_mut().enumerate() {
                let angle = PI * cutoff * (first + tap as f64);
                let (sine, _) = sines.next();
                let sinc = if angle.abs() < 1e-9 { 1.0 } else { sine / angle };
                let cos = window.next().1;
                // Blackman's window; the cosine of the double angle comes from that of the angle.
                let value = sinc * (0.42 - 0.5 * cos + 0.08 * (2.0 * cos * cos - 1.0));
                sum += value;
                *weight = value as f32;
            }
            // A constant stays as it is, whatever the phase.
            row.iter_mut().for_each(|weight| *weight /= sum as f32);
        }
    }

    /// The value `place` (0 to 1) behind the middle of each of `inputs`, which are `2 * half` samples long.
    pub(super) fn at(&self, place: f64, inputs: [&[f32]; 2]) -> [f32; 2] {
        let position = place * PHASES as f64;
        let phase = (position as usize).min(PHASES - 1);
        let blend = (position - phase as f64) as f32;
        let rows = &self.rows[phase * self.taps..][..2 * self.taps];
        let (near, far) = rows.split_at(self.taps);
        let (near, far) = (near.as_chunks::<8>().0, far.as_chunks::<8>().0);
        let [left, right] = inputs.map(|input| input.as_chunks::<8>().0);
        let mut sums = [[0.0_f32; 8]; 2];
        for (((near, far), left), right) in near.iter().zip(far).zip(left).zip(right) {
            for lane in 0..8 {
                let weight = near[lane] + blend * (far[lane] - near[lane]);
                sums[0][lane] += weight * left[lane];
                sums[1][lane] += weight * right[lane];
            }
        }
        sums.map(|sum| sum.into_iter().sum())
    }
}

/// Sine and cosine of angles with equal distances.
struct Turning {
    now: (f64, f64),
    step: (f64, f64),
}

impl Turning {
    fn new(start: f64, step: f64) -> Self {
        Self { now: start.sin_cos(), step: step.sin_cos() }
    }

    fn next(&mut self) -> (f64, f64) {
        let ((sin, cos), (step_sin, step_cos)) = (self.now, self.step);
        self.now = (sin * step_cos + cos * step_sin, cos * step_cos - sin * step_sin);
        (sin, cos)
    }
}

#[cfg(test)]
mod tests {
    use super::Kernel;

    #[test]
    fn a_sine_is_read_between_its_samples_and_what_is_too_high_is_gone() {
        for (ratio, frequency, gain) in
            [(0.5, 1_000.0, 1.0), (1.0, 15_000.0, 1.0), (4.0, 3_000.0, 1.0), (2.0, 14_500.0, 0.0), (4.0, 7_500.0, 0.0)]
        {
            let kernel = Kernel::new(ratio);
            let turn = std::f64::consts::TAU * frequency / 48_000.0;
            let input: Vec<f32> = (0..2 * kernel.half()).map(|n| (n as f64 * turn).sin() as f32).collect();
            for place in [0.0, 0.1, 0.25, 0.503, 0.99, 1.0] {
                let [left, right] = kernel.at(place, [&input, &input]);
                let ideal = gain * ((kernel.half() as f64 - 1.0 + place) * turn).sin();
                assert!(
                    (f64::from(left) - ideal).abs() < 2e-3 && left == right,
                    "{ratio} {frequency} {place}: {left} {ideal}"
                );
            }
        }
    }
}
