//! Cruising: packets of the only track pass, tick after tick, and nobody has asked for anything in between. Such a tick looks at
//! the next packet and at nothing else. It is the life of most calls that play music.

use super::{Mixer, Tick};

impl Mixer {
    /// Asks the processor for what the next tick needs, if that is only a packet of the first track, in so many steps
    /// ([`crate::hint::STEPS`]), of which the first concerns who has the mixer.
    pub fn prefetch(&mut self, step: usize) {
        if let Some((_, track)) = self.tracks.first_mut() {
            track.prefetch(step);
        }
    }

    /// Whether a tick like this one can be followed by others of its kind.
    pub(super) fn can_cruise(&mut self, tick: Tick) -> bool {
        let period = self.period();
        let whole = matches!(tick, Tick::Frame { samples, more: false, .. } if samples as usize == period);
        let passed = whole && self.ahead == 0 && self.passing.is_some() && self.groups.is_empty();
        passed && matches!(&self.tracks[..], [(_, track)] if track.can_cruise())
    }

    /// The next tick of this kind; `None` when there is more to it.
    pub(super) fn cruise(&mut self, out: &mut [u8]) -> Option<Tick> {
        let period = self.period();
        let (_, track) = self.tracks.first_mut()?;
        let len = track.cruise(period, out)?;
        let empty = track.feed().is_empty();
        debug_assert!(track.is_untouched(), "somebody has changed the track");
        debug_assert!(self.can_pass(0), "somebody has changed the mix");
        self.stats.passthrough_frames += 1;
        self.cruising = true;
        if empty && self.tracks.first_mut()?.1.feed().end().is_some() {
            self.retire_over(0);
        }
        Some(Tick::Frame { len, samples: period as u32, more: false })
    }
}
