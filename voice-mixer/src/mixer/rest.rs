//! When nothing sounds.

use std::time::Duration;

use super::Mixer;
use super::group::Group;
use crate::gain::Gain;
use crate::source::sample;
use crate::track::Track;

impl Mixer {
    /// Whether ticks come to nothing until a track is added, goes on after a pause, or gets something pushed into its sink.
    pub fn is_idle(&self) -> bool {
        let nothing_left = self.ahead < self.period() && self.tail == 0;
        let nothing_to_say = self.ended.is_empty();
        // One that waits for a track that is not there begins with the next tick.
        let is_lost = |track: &Track| track.waits_for().is_some_and(|(before, _)| self.index(before).is_none());
        let rests = |track: &Track| track.is_resting() && !is_lost(track);
        nothing_left && nothing_to_say && self.tracks.iter().all(|(_, track)| rests(track))
    }

    /// Says that no tick follows until something is added or changed, [idle](Self::is_idle) as it is. Volumes that were on their
    /// way get there, and what was ducked comes back: nobody would hear how, only that it came too late.
    pub fn rest(&mut self) {
        if self.is_still() {
            self.groups.iter_mut().for_each(Group::forget);
            self.gain.finish();
        }
    }

    /// Idle, and not for a moment only, as one is whose sink waits for more.
    pub(super) fn is_still(&self) -> bool {
        self.is_idle() && !self.tracks.iter().any(|(_, track)| track.waits_for_more())
    }
}

/// Moves a gain, at once where nothing sounds: nobody would hear the way, only that it came too late.
pub(super) fn turn(gain: &mut Gain, idle: bool, volume: f32, ramp: Duration) {
    let volume = crate::track::limited(volume);
    if idle {
        *gain = Gain::new(volume);
    } else {
        gain.ramp(volume, sample(ramp, voice_model::SAMPLE_RATE));
    }
}
