use voice_model::CHANNELS;

/// Shortest change of level, 5 ms at 48 kHz: shorter ones click.
const MIN_RAMP: u64 = 240;

/// Samples that are ramped together, so that the compiler makes vectors of them, and the frame that each belongs to.
const BLOCK: usize = 8;
const FRAME: [f32; BLOCK] = [0.0, 0.0, 1.0, 1.0, 2.0, 2.0, 3.0, 3.0];

/// A level that moves in a straight line to where it should be.
#[derive(Clone, Debug)]
pub(crate) struct Gain {
    now: f32,
    target: f32,
    /// Frames until the target is reached.
    left: u64,
}

impl Gain {
    pub(crate) fn new(level: f32) -> Self {
        Self { now: level, target: level, left: 0 }
    }

    pub(crate) fn ramp(&mut self, target: f32, frames: u64) {
        self.target = target;
        self.left = if target == self.now { 0 } else { frames.max(MIN_RAMP) };
    }

    /// As [`ramp`](Self::ramp), over exactly so many frames.
    pub(crate) fn ramp_within(&mut self, target: f32, frames: u64) {
        self.target = target;
        self.left = if target == self.now { 0 } else { frames.max(1) };
    }

    /// At full level and staying there: nothing to multiply with.
    pub(crate) fn is_unity(&self) -> bool {
        self.left == 0 && self.now == 1.0
    }

    /// Silent and staying so.
    pub(crate) fn is_silent(&self) -> bool {
        self.left == 0 && self.now == 0.0
    }

    /// Multiplies interleaved stereo in place.
    pub(crate) fn apply(&mut self, frames: &mut [f32]) {
        let count = frames.len() / CHANNELS;
        let ramped = self.left.min(count as u64) as usize;
        let (head, rest) = frames.split_at_mut(ramped * CHANNELS);
        if ramped > 0 {
            let step = (self.target - self.now) / self.left as f32;
            for (index, frame) in head.chunks_exact_mut(CHANNELS).enumerate() {
                let level = self.now + step * (index + 1) as f32;
                frame.iter_mut().for_each(|sample| *sample *= level);
            }
            self.left -= ramped as u64;
            self.now = if self.left == 0 { self.target } else { self.now + step * ramped as f32 };
        }
        if self.now != 1.0 {
            rest.iter_mut().for_each(|sample| *sample *= self.now);
        }
    }

    /// Is where it was to be.
    pub(crate) fn finish(&mut self) {
        (self.now, self.left) = (self.target, 0);
    }

    pub(crate) fn is_steady(&self) -> bool {
        self.left == 0
    }

    /// Frames until the target is reached.
    pub(crate) fn left(&self) -> u64 {
        self.left
    }

    /// Adds interleaved stereo `samples` to `sum`, of the same length, `scale` times as loud beside the level.
    pub(crate) fn add(&mut self, samples: &[f32], scale: f32, sum: &mut [f32]) {
        let ramped = (self.left.min((samples.len() / CHANNELS) as u64)) as usize;
        if ramped > 0 {
            let rise = (self.target - self.now) / self.left as f32;
            let step = rise * scale;
            let (samples, sum) = (&samples[..ramped * CHANNELS], &mut sum[..ramped * CHANNELS]);
            let mut level = self.now * scale + step;
            let blocks = sum.as_chunks_mut::<BLOCK>().0.iter_mut().zip(samples.as_chunks::<BLOCK>().0);
            for (sum, samples) in blocks {
                for ((sum, sample), frame) in sum.iter_mut().zip(samples).zip(FRAME) {
                    *sum += sample * (level + step * frame);
                }
                level += step * (BLOCK / CHANNELS) as f32;
            }
            let rest = samples.len() - samples.len() % BLOCK;
            for ((sum, sample), frame) in sum[rest..].iter_mut().zip(&samples[rest..]).zip(FRAME) {
                *sum += sample * (level + step * frame);
            }
            self.left -= ramped as u64;
            self.now = if self.left == 0 { self.target } else { self.now + rise * ramped as f32 };
        }
        let level = self.now * scale;
        let (samples, sum) = (&samples[ramped * CHANNELS..], &mut sum[ramped * CHANNELS..]);
        if level == 1.0 {
            for (sum, sample) in sum.iter_mut().zip(samples) {
                *sum += sample;
            }
        } else if level != 0.0 {
            for (sum, sample) in sum.iter_mut().zip(samples) {
                *sum += sample * level;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Gain;

    #[test]
    fn a_ramp_is_straight_however_it_is_cut() {
        let mut gain = Gain::new(1.0);
        gain.ramp(0.25, 1_001);
        let mut levels = Vec::new();
        for frames in [1, 3, 4, 5, 90, 480, 401, 17, 30] {
            let mut sum = vec![0.0; frames * 2];
            gain.add(&vec![1.0; frames * 2], 1.0, &mut sum);
            assert!(sum.chunks_exact(2).all(|frame| frame[0] == frame[1]));
            levels.extend(sum.chunks_exact(2).map(|frame| frame[0]));
        }
        for (n, level) in levels.iter().enumerate() {
            let ideal = 1.0 - 0.75 * (n + 1).min(1_001) as f32 / 1_001.0;
            assert!((level - ideal).abs() < 1e-5, "frame {n}: {level} instead of {ideal}");
        }
        assert!(gain.is_steady() && levels[1_001..].iter().all(|level| *level == 0.25));
    }

    #[test]
    fn short_ramps_take_five_milliseconds() {
        let mut gain = Gain::new(0.0);
        gain.ramp(1.0, 0);
        assert_eq!(gain.left(), 240);
        gain.ramp(0.0, 0);
        assert!(gain.is_silent(), "it is where it should be already");
    }
}
