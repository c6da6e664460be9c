use voice_model::{CHANNELS, SAMPLE_RATE};

/// Samples per channel in a block of the limiter: it looks 10 ms ahead.
const BLOCK: usize = SAMPLE_RATE as usize / 100;
/// How far ahead of what was given out audio may be: a minute.
const AHEAD: u64 = 60 * SAMPLE_RATE as u64;
/// How much the limiter's gain recovers per block: from half to full in a quarter of a second.
const RECOVERY: f32 = 0.02;

/// The sum of all tracks, in order, limited to full scale; as it is as long as it stays below.
///
/// The limiter looks 10 ms ahead: its gain moves in straight lines from block to block, and is low enough before a
/// peak begins. That delay is no matter in a file, and it is why this is another one than
/// [`voice_receive::Mixdown`](crate::Mixdown), which mixes live, 20 ms in and 20 ms out.
#[derive(Debug)]
pub struct Mixdown {
    /// Samples per channel given out.
    position: u64,
    /// The sum from there on, interleaved.
    sum: Vec<f32>,
    /// Gain where the next block begins.
    gain: f32,
    limited: u64,
    missed: u64,
}

impl Default for Mixdown {
    fn default() -> Self {
        Self { position: 0, sum: Vec::new(), gain: 1.0, limited: 0, missed: 0 }
    }
}

impl Mixdown {
    /// An empty sum, from the start of the time line.
    pub fn new() -> Self {
        Self::default()
    }

    /// Samples per channel given out so far.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Blocks of 10 ms in which the gain was below 1.
    pub fn limited(&self) -> u64 {
        self.limited
    }

    /// Samples per channel that were left out, because they came too late or too early.
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// Adds interleaved audio that begins at `position`. What was given out already is left out, and so is what is more
    /// than a minute ahead of that: memory is bounded.
    pub fn add(&mut self, position: u64, pcm: &[f32]) {
        let whole = pcm.len() / CHANNELS;
        let early = self.position.saturating_sub(position).min(whole as u64) as usize;
        let at = position.saturating_sub(self.position).min(AHEAD);
        let taken = (whole - early).min((AHEAD - at) as usize);
        self.missed += (whole - taken) as u64;
        let pcm = &pcm[early * CHANNELS..(early + taken) * CHANNELS];
        let at = at as usize * CHANNELS;
        if pcm.is_empty() {
            return;
        }
        if self.sum.len() < at + pcm.len() {
            self.sum.resize(at + pcm.len(), 0.0);
        }
        self.sum[at..].iter_mut().zip(pcm).for_each(|(sum, value)| *sum += value);
    }

    /// Gives out whole blocks up to `position`: where they begin, interleaved. Silence is not given out.
    ///
    /// # Errors
    ///
    /// Those of `out`, at once.
    pub fn release<E>(&mut self, position: u64, out: &mut impl FnMut(u64, &[f32]) -> Result<(), E>) -> Result<(), E> {
        let mut done = 0;
        let mut result = Ok(());
        while result.is_ok() && self.position + BLOCK as u64 <= position {
            let at = done * BLOCK * CHANNELS;
            if at >= self.sum.len() && self.gain >= 1.0 {
                // Nothing sounds: on to the end, in whole blocks.
                self.position += (position - self.position) / BLOCK as u64 * BLOCK as u64;
                break;
            }
            let (this, next) = (self.needed(done), self.needed(done + 1));
            let goal = this.min(next).min(self.gain + RECOVERY);
            let end = (at + BLOCK * CHANNELS).min(self.sum.len());
            if self.gain < 1.0 || goal < 1.0 {
                self.limited += 1;
                let (gain, slope) = (self.gain, (goal - self.gain) / BLOCK as f32);
                let block = self.sum.get_mut(at..end).unwrap_or_default();
                block.iter_mut().enumerate().for_each(|(at, value)| {
                    *value *= gain + slope * (at / CHANNELS) as f32;
                });
            }
            self.gain = goal;
            if at < end {
                result = out(self.position, &self.sum[at..end]);
            }
            self.position += BLOCK as u64;
            done += 1;
        }
        self.sum.drain(..(done * BLOCK * CHANNELS).min(self.sum.len()));
        result
    }

    /// The gain that a block needs, counted from the first one that is there.
    fn needed(&self, block: usize) -> f32 {
        let from = (block * BLOCK * CHANNELS).min(self.sum.len());
        let to = (from + BLOCK * CHANNELS).min(self.sum.len());
        let peak = self.sum[from..to].iter().fold(0.0_f32, |peak, value| peak.max(value.abs()));
        if peak > 1.0 { 1.0 / peak } else { 1.0 }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::Mixdown;

    fn all(mix: &mut Mixdown, to: u64) -> Vec<f32> {
        let mut whole = Vec::new();
        let _: Result<(), Infallible> = mix.release(to, &mut |at, pcm| {
            whole.resize(2 * at as usize, 0.0);
            whole.extend_from_slice(pcm);
            Ok(())
        });
        whole
    }

    #[test]
    fn one_speaker_comes_out_as_he_went_in() {
        let mut mix = Mixdown::new();
        let pcm: Vec<f32> = (0..9_600).map(|at| (at as f32 * 0.01).sin()).collect();
        mix.add(480, &pcm);
        let out = all(&mut mix, 48_000);
        assert_eq!(&out[960..960 + pcm.len()], &pcm[..]);
        assert_eq!((mix.limited(), mix.position()), (0, 48_000));
    }

    #[test]
    fn two_are_aligned_and_never_too_loud() {
        let mut mix = Mixdown::new();
        mix.add(0, &[0.25; 2 * 960]);
        mix.add(700, &[0.5; 2 * 960]);
        mix.add(2_400, &[0.9; 2 * 960]);
        mix.add(2_400, &[0.9; 2 * 960]);
        let out = all(&mut mix, 96_000);
        assert_eq!((out[2 * 699], out[2 * 700], out[2 * 960]), (0.25, 0.75, 0.5));
        let peak = out.iter().fold(0.0_f32, |peak, value| peak.max(value.abs()));
        assert!((0.95..=1.0).contains(&peak), "{peak}");
        assert!(mix.limited() > 0);
        mix.add(90_000, &[0.5; 2]);
        assert!(all(&mut mix, 200_000).iter().all(|value| *value == 0.0), "too late");
    }

    #[test]
    fn what_is_too_early_or_too_late_is_counted_and_takes_no_memory() {
        let mut mix = Mixdown::new();
        mix.add(u64::MAX, &[0.5; 2 * 960]);
        mix.add(60 * 48_000 - 100, &[0.5; 2 * 960]);
        assert_eq!((mix.missed(), mix.sum.len()), (960 + 860, 2 * 60 * 48_000));
        all(&mut mix, 120 * 48_000);
        mix.add(120 * 48_000 - 60, &[0.5; 2 * 960]);
        mix.add(0, &[0.5; 2 * 960]);
        assert_eq!(mix.missed(), 960 + 860 + 60 + 960);
    }

    #[test]
    fn silence_is_not_given_out() {
        let mut mix = Mixdown::new();
        assert!(all(&mut mix, 480_000_007).is_empty());
        assert_eq!(mix.position(), 480_000_000);
        mix.add(480_000_480, &[0.5; 960]);
        let mut first = None;
        let _: Result<(), Infallible> = mix.release(480_000_960, &mut |at, pcm| {
            first.get_or_insert((at, pcm[959]));
            Ok(())
        });
        assert_eq!(first, Some((480_000_000, 0.0)));
    }
}
