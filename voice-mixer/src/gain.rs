use voice_model::CHANNELS;

/// Shortest change of level, 5 ms at 48 kHz: shorter ones click.
const MIN_RAMP: u64 = 240;

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

    /// At full level and staying there: nothing to multiply with.
    pub(crate) fn is_unity(&self) -> bool {
        self.left == 0 && self.now == 1.0
    }

    /// Silent and staying so.
    pub(crate) fn is_silent(&self) -> bool {
        self.left == 0 && self.now == 0.0
    }

    pub(crate) fn is_steady(&self) -> bool {
        self.left == 0
    }

    /// Frames until the target is reached.
    pub(crate) fn left(&self) -> u64 {
        self.left
    }

    /// Adds interleaved stereo `samples` to `sum`, of the same length.
    pub(crate) fn add(&mut self, samples: &[f32], sum: &mut [f32]) {
        let ramped = (self.left.min((samples.len() / CHANNELS) as u64)) as usize;
        if ramped > 0 {
            let step = (self.target - self.now) / self.left as f32;
            let start = self.now + step;
            let pairs = sum.chunks_exact_mut(CHANNELS).zip(samples.chunks_exact(CHANNELS));
            for (index, (sum, samples)) in pairs.take(ramped).enumerate() {
                let level = start + step * index as f32;
                sum[0] += samples[0] * level;
                sum[1] += samples[1] * level;
            }
            self.left -= ramped as u64;
            self.now = if self.left == 0 { self.target } else { self.now + step * ramped as f32 };
        }
        let level = self.now;
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
