use voice_model::{CHANNELS, FRAME_SAMPLES};

use super::Chain;

/// The place that a track, a group or a call has for its [`Chain`]. Chains are changed while they play, by a crossfade.
///
/// One without a chain is small: what a crossfade needs belongs to the chains.
#[derive(Debug, Default)]
pub struct Rack {
    chain: Option<Chain>,
    /// What is faded out, when it was a chain.
    old: Option<Chain>,
    spent: Option<Chain>,
    /// Frames of the crossfade still to come.
    left: u32,
    /// What the last two frames still had of the old chain, and so what is missing when that is taken away at once.
    last: [[f32; CHANNELS]; 2],
    /// What was missing when a chain was taken away at once and how it moved, and the frames over which it fades.
    gap: [[f32; CHANNELS]; 2],
    closing: u32,
}

/// Frames of a crossfade: 20 ms.
const FADE: u32 = 960;

/// Frames over which a gap closes: 5 ms. Its slope is followed for the first few only, as a line soon leads far away.
const CLOSE: u32 = 240;
const SLOPE: u32 = 24;

impl Rack {
    /// A rack without a chain.
    pub fn new() -> Self {
        Self::default()
    }

    /// Goes over to `chain`, or to the sound without effects, within 20 ms. Returns a chain that is not needed any more,
    /// to be dropped off the audio thread: one that [`take_spent`](Self::take_spent) would have returned, or, before the
    /// last change has ended, the oldest of the three.
    pub fn replace(&mut self, chain: Option<Chain>) -> Option<Chain> {
        if self.chain.is_none() && chain.is_none() && self.left == 0 {
            return self.spent.take();
        }
        let gone = if self.left > 0 {
            let [before, last] = self.last;
            let slope = [last[0] - before[0], last[1] - before[1]];
            // A gap that is still closing goes on from where it is.
            let rest = self.gap_at(self.closing);
            self.gap = [[last[0] + rest[0], last[1] + rest[1]], slope];
            self.closing = CLOSE;
            self.old.take()
        } else {
            self.spent.take()
        };
        self.old = std::mem::replace(&mut self.chain, chain);
        self.left = if self.old.is_some() || self.chain.is_some() { FADE } else { 0 };
        self.last = Default::default();
        gone
    }

    /// Applies the chain to interleaved stereo at 48 kHz, in place.
    pub fn process(&mut self, frames: &mut [f32]) {
        for frames in frames.chunks_mut(FRAME_SAMPLES * CHANNELS) {
            if self.left > 0 {
                self.fade(frames);
            } else if let Some(chain) = &mut self.chain {
                chain.process(frames);
            }
            if self.closing > 0 {
                self.close(frames);
            }
        }
    }

    /// A chain whose fade-out has ended, to be dropped off the audio thread.
    pub fn take_spent(&mut self) -> Option<Chain> {
        self.spent.take()
    }

    /// Whether a chain is about to be spent.
    pub(crate) fn is_fading(&self) -> bool {
        self.left > 0
    }

    /// Whether it has nothing to do: no chain with an effect, and no crossfade.
    pub fn is_neutral(&self) -> bool {
        self.left == 0 && self.closing == 0 && self.chain.as_ref().is_none_or(Chain::is_empty)
    }

    /// Samples per channel that it sounds on from now on if only silence comes ([`Chain::tail`]).
    pub fn tail(&self) -> u32 {
        let now = self.chain.as_ref().map_or(0, Chain::tail);
        let old = self.old.as_ref().map_or(0, Chain::tail).min(self.left);
        now.max(old).max(self.closing)
    }

    fn fade(&mut self, frames: &mut [f32]) {
        // At least one of them is there: a fade from nothing to nothing does not begin.
        let mut scratch = self.old.as_mut().or(self.chain.as_mut()).map(Chain::lend).unwrap_or_default();
        if let Some(old) = scratch.get_mut(..frames.len()) {
            old.copy_from_slice(frames);
            if let Some(chain) = &mut self.old {
                chain.process(old);
            }
            if let Some(chain) = &mut self.chain {
                chain.process(frames);
            }
            self.blend(old, frames);
        }
        if let Some(lender) = self.old.as_mut().or(self.chain.as_mut()) {
            lender.restore(scratch);
        }
        if self.left == 0 {
            // It is empty: `replace` takes it out before each fade.
            self.spent = self.old.take();
        }
    }

    fn blend(&mut self, old: &[f32], frames: &mut [f32]) {
        for (frame, old) in frames.as_chunks_mut::<CHANNELS>().0.iter_mut().zip(old.as_chunks::<CHANNELS>().0) {
            let Some(left) = self.left.checked_sub(1) else { break };
            self.left = left;
            let share = smooth(left as f32 / FADE as f32);
            let rest = [(old[0] - frame[0]) * share, (old[1] - frame[1]) * share];
            self.last = [self.last[1], rest];
            *frame = [frame[0] + rest[0], frame[1] + rest[1]];
        }
    }

    fn close(&mut self, frames: &mut [f32]) {
        for frame in frames.as_chunks_mut::<CHANNELS>().0 {
            let Some(closing) = self.closing.checked_sub(1) else { break };
            self.closing = closing;
            let gap = self.gap_at(closing);
            *frame = [frame[0] + gap[0], frame[1] + gap[1]];
        }
    }

    /// What is added to close the gap, `closing` frames before it is closed.
    fn gap_at(&self, closing: u32) -> [f32; CHANNELS] {
        if closing == 0 {
            return [0.0; CHANNELS];
        }
        let passed = CLOSE - closing;
        let share = smooth(closing as f32 / CLOSE as f32);
        let along = passed as f32 * smooth(SLOPE.saturating_sub(passed) as f32 / SLOPE as f32);
        let [gap, slope] = self.gap;
        [gap[0] * share + slope[0] * along, gap[1] * share + slope[1] * along]
    }
}

/// From 0 to 1 with level ends.
fn smooth(x: f32) -> f32 {
    x * x * (3.0 - 2.0 * x)
}

#[cfg(test)]
mod tests {
    use super::Rack;
    use crate::effects::{Chain, Effect, Volume};

    fn volume(level: f32) -> Option<Chain> {
        Some(Chain::new(&[Effect::Volume(Volume { level })]).expect("a chain"))
    }

    #[test]
    fn an_unused_one_is_small_and_does_nothing() {
        assert!(size_of::<Rack>() <= 96, "{}", size_of::<Rack>());
        let mut rack = Rack::new();
        assert!(rack.is_neutral() && rack.replace(None).is_none() && rack.is_neutral());
        let mut frames = [0.1, f32::NAN];
        rack.process(&mut frames);
        assert!(frames[0] == 0.1 && frames[1].is_nan());
    }

    #[test]
    fn chains_come_back_once_they_are_faded_out() {
        let mut rack = Rack::new();
        assert!(rack.replace(volume(0.5)).is_none() && !rack.is_neutral());
        let mut frames = vec![1.0; 960 * 2];
        rack.process(&mut frames);
        assert!(frames.is_sorted_by(|a, b| a >= b), "it only goes down");
        assert_eq!((frames[1_919], rack.take_spent().is_some()), (0.5, false));
        assert!(rack.replace(None).is_none());
        rack.process(&mut vec![1.0; 958 * 2]);
        assert!(rack.take_spent().is_none() && !rack.is_neutral());
        rack.process(&mut [1.0; 4]);
        assert!(rack.is_neutral() && rack.take_spent().is_some() && rack.take_spent().is_none());
    }

    #[test]
    fn the_oldest_of_three_comes_back_at_once() {
        let mut rack = Rack::new();
        rack.replace(volume(0.5));
        rack.process(&mut vec![1.0; 1_920]);
        assert!(rack.replace(volume(0.25)).is_none());
        rack.process(&mut vec![1.0; 960]);
        let mut oldest = rack.replace(volume(1.5)).expect("the first chain");
        let mut frames = [1.0; 2];
        oldest.process(&mut frames);
        assert_eq!(frames, [0.5, 0.5]);
        rack.process(&mut vec![1.0; 1_920]);
        assert!(rack.take_spent().is_some());
        let mut frames = [1.0; 2];
        rack.process(&mut frames);
        assert_eq!(frames, [1.5, 1.5]);
    }
}
