//! When the turn of a track comes: its cue, and the one before and behind it.

use voice_model::SAMPLE_RATE;

use super::fade::Fade;
use super::{Cue, Phase, Track, TrackId};
use crate::prefetch::{Kind, Loops};
use crate::source::sample;

impl Track {
    /// Samples until its end, when that is known: it does not repeat, and its length is known or all of it is here.
    pub(crate) fn remaining(&mut self) -> Option<u64> {
        if self.loops != Loops::Times(0) {
            return None;
        }
        let speed = self.stretch.as_ref().map_or(1.0, |stretch| stretch.settings().tempo());
        let source = if self.feed.end().is_some() && self.feed.kind() == Some(Kind::Pcm) {
            self.feed.frames() as u64 + self.held()
        } else {
            self.feed.length()?.saturating_sub(sample(self.place(), SAMPLE_RATE))
        };
        Some((source as f64 / speed) as u64)
    }

    /// Samples that the whole source takes at its speed, when its length is known.
    pub(crate) fn whole(&self) -> Option<u64> {
        let speed = self.stretch.as_ref().map_or(1.0, |stretch| stretch.settings().tempo());
        Some((self.feed.length()? as f64 / speed) as u64)
    }

    /// Whether it plays now, and is not on its way from or to another track.
    pub(crate) fn is_under_way(&self) -> bool {
        self.started && self.cue == Cue::Now && !self.paused && !self.stopping && self.fade.is_none()
    }

    /// Whether all of its audio was played; its effects may still sound.
    pub(crate) fn is_played_out(&mut self) -> bool {
        let ended = self.feed.end().is_some();
        // What is in it is not known before it was asked for.
        let empty = self.cut || (self.feed.kind().is_none() || self.feed.is_empty());
        self.cue == Cue::Now && (ended || self.cut) && empty && self.held() == 0
    }

    /// Frames that it played in this period, without what its effects sounded on.
    pub(crate) fn heard(&self) -> usize {
        self.heard
    }

    /// Whether it could begin at once.
    pub(crate) fn is_ready(&mut self, frames: usize) -> bool {
        match self.feed.kind() {
            None => false,
            Some(Kind::Pcm) => self.feed.frames() >= frames,
            Some(Kind::Packets) => !self.feed.is_empty(),
        }
    }

    /// It begins in the middle of a period, behind so many frames, where the one before ended.
    pub(crate) fn join(&mut self, from: usize) {
        self.joined = Some(from);
    }

    /// Whether it is still to be mixed in this period, because the one before ended in it.
    pub(crate) fn has_joined(&self) -> bool {
        self.joined.is_some()
    }

    /// Where in this period it is to be mixed.
    pub(crate) fn take_join(&mut self) -> usize {
        self.joined.take().unwrap_or(0)
    }

    /// The track that it waits for, and over how many samples the two fade into each other.
    pub(crate) fn waits_for(&self) -> Option<(TrackId, u64)> {
        match self.cue {
            Cue::After { track, crossfade } => Some((track, sample(crossfade, SAMPLE_RATE))),
            Cue::Now | Cue::Held => None,
        }
    }

    pub(crate) fn set_cue(&mut self, cue: Cue) {
        self.cue = cue;
        self.tell_gauge();
    }

    /// Has ended, though it may be kept for a while.
    pub(crate) fn finish(&self) {
        self.gauge.0.set_phase(Phase::Ended);
    }

    /// Lets it begin, fading in over so many samples.
    pub(crate) fn begin(&mut self, crossfade: u64) {
        (self.cue, self.follows) = (Cue::Now, true);
        if crossfade > 0 {
            self.fade = Some(Fade::inward(crossfade));
        }
    }

    /// Lets it fade out over its last samples.
    pub(crate) fn give_way(&mut self, crossfade: u64) {
        self.fade = Some(Fade::outward(crossfade));
    }
}
