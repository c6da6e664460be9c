use std::mem::offset_of;

use super::Track;
use crate::hint;

impl Track {
    /// Asks for what the next tick needs, in steps ([`hint::STEPS`]) of which the first concerns who has the track.
    pub(crate) fn prefetch(&mut self, step: usize) {
        match step {
            1 => hint::around(&self.paused, offset_of!(Self, paused), size_of::<Self>()),
            2 => {
                self.passed.prefetch();
                self.gauge.0.prefetch();
                self.feed.prefetch(step);
            }
            _ => self.feed.prefetch(step),
        }
    }

    /// Whether it is in the midst of packets that pass, and has nothing else to say or to do.
    pub(crate) fn can_cruise(&self) -> bool {
        let is_told = self.announced && self.was_started && !self.dry && !self.was_dry;
        is_told && !self.cut && self.decode.as_ref().is_none_or(|decode| decode.is_idle())
    }

    /// Copies its next packet to `out` when that is one of `frames`, all of them audio, and nothing is to be told before it;
    /// returns its length.
    pub(crate) fn cruise(&mut self, frames: usize, out: &mut [u8]) -> Option<usize> {
        if self.feed.has_marks() {
            return None;
        }
        let len = self.feed.take_frame(frames, out)?;
        self.taken += frames as u64;
        self.elapsed += frames as u64;
        self.passed.push(&out[..len], frames);
        Some(len)
    }
}
