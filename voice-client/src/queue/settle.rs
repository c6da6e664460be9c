use std::sync::Arc;
use std::time::Duration;

use mixer::TrackId;

use super::action::{Action, Cue};
use super::entry::{EntryId, Held, Live};
use super::event::{How, QueueEvent, Reason};
use super::history::Rest;
use super::machine::{Current, Join, Low, Machine, Repeat};
use super::upcoming::Slot;

/// The two halves of every change: what becomes of the entry that plays, and what follows from how the queue is now.
impl Machine {
    /// Ends the turn of the current entry; its track goes on.
    pub(super) fn leave(&mut self, how: How, again: bool) -> Option<Live> {
        let Current { held, live, .. } = self.current.take()?;
        if live.started {
            self.barren = 0;
        }
        self.emit(QueueEvent::Ended { item: held.shared(), how });
        self.shelve(held, again);
        Some(live)
    }

    /// Puts away an entry that had its turn; `again` puts it to the end of the queue as well.
    pub(super) fn shelve(&mut self, held: Box<Held>, again: bool) {
        let item = held.item();
        let rest = match (held.source.is_some(), again) {
            (true, true) => {
                self.upcoming.push(Slot::Entry(held));
                Rest::Queued
            }
            (true, false) => Rest::Kept(held),
            (false, _) => {
                if again {
                    let item = Arc::new(item.clone());
                    self.emit(QueueEvent::Unrepeatable { item, reason: Reason::OnlyOnce });
                }
                Rest::Spent
            }
        };
        self.history.push(item, rest);
    }

    /// Begins with the next entry, after the markers before it.
    pub(super) fn advance(&mut self) {
        while self.current.is_none() && !self.closed {
            match self.upcoming.pop() {
                None => return,
                Some(Slot::Marker(id, marker)) => self.emit(QueueEvent::Marker { id, marker }),
                Some(Slot::Entry(held)) => self.begin(held),
            }
        }
    }

    /// Gives an entry its turn.
    pub(super) fn begin(&mut self, mut held: Box<Held>) {
        self.cued = self.cued.filter(|cued| *cued != held.id);
        let Some(mut live) = held.live.take() else {
            return self.play(held);
        };
        let track = live.track;
        if live.paused != self.paused {
            live.paused = self.paused;
            self.actions.push_back(Action::Pause { track, paused: self.paused });
        }
        // Also when it began by itself: what was asked of it meanwhile may have held it up.
        self.actions.push_back(Action::Cue { track, cue: Cue::Now });
        (live.cue, live.recalled) = (Cue::Now, false);
        self.current = Some(Current { held, live, heard: Duration::ZERO, asked: None });
        if live.started {
            self.started();
        }
    }

    /// Plays the current entry from its beginning, by another track; returns the one before.
    pub(super) fn replay(&mut self) -> Option<Live> {
        let Current { held, live, .. } = self.current.take()?;
        if let Some(cued) = self.cued.take() {
            // It may have begun, and nobody has told us yet.
            self.call_back(cued);
        }
        self.play(held);
        Some(live)
    }

    /// Gives an entry its turn, with a track that has to be made.
    fn play(&mut self, mut held: Box<Held>) {
        let entry = held.id;
        let Some(source) = held.copy() else {
            let item = held.shared();
            return self.emit(QueueEvent::Unrepeatable { item, reason: Reason::OnlyOnce });
        };
        let (track, paused, volume) = ((self.tracks)(), self.paused, held.volume);
        let data = held.data.clone();
        let (cue, loops) = (Cue::Now, self.loops(held.source.is_some()));
        self.actions.push_back(Action::Play { track, entry, source, volume, data, cue, paused, loops });
        let live = Live { track, cue, paused, loops, started: false, recalled: false };
        self.current = Some(Current { held, live, heard: Duration::ZERO, asked: None });
    }

    /// The current entry is heard.
    pub(super) fn started(&mut self) {
        let Some(Current { held, live, .. }) = &self.current else { return };
        let event = QueueEvent::Started { entry: held.id, track: live.track };
        self.barren = 0;
        self.emit(event);
    }

    /// Whether what plays, or is about to, is its own successor. What repeats with the queue must be there for it.
    fn loops(&self, repeatable: bool) -> bool {
        match self.repeat {
            Repeat::Off => false,
            Repeat::Track => true,
            Repeat::Queue => repeatable && self.upcoming.is_empty(),
        }
    }

    /// A repeating queue in which nothing can be played.
    pub(super) fn is_barren(&self) -> bool {
        let entries = self.upcoming.entries();
        self.repeat == Repeat::Queue && entries > 0 && self.barren >= entries
    }

    pub(super) fn emit(&mut self, event: QueueEvent) {
        self.actions.push_back(Action::Emit(event));
    }

    pub(super) fn stop_track(&mut self, track: TrackId) {
        let fade = self.fade;
        self.actions.push_back(Action::Stop { track, fade });
    }

    pub(super) fn tell_empty(&mut self) {
        if self.current.is_none() && self.upcoming.is_empty() {
            self.emit(QueueEvent::Empty);
        }
    }

    /// Brings tracks, wishes to be woken and warnings in line with the queue. Ends every method that changes anything.
    pub(super) fn settle(&mut self) {
        self.settle_loops();
        self.settle_next();
        self.settle_low();
        self.settle_wake();
    }

    fn settle_loops(&mut self) {
        let Some(current) = &self.current else { return };
        let loops = self.loops(current.held.source.is_some());
        if let Some(current) = self.current.as_mut().filter(|current| current.live.loops != loops) {
            current.live.loops = loops;
            self.actions.push_back(Action::Loops { track: current.live.track, loops });
        }
    }

    /// Has the track that follows made and cued, and no other.
    fn settle_next(&mut self) {
        let next = self.current.as_ref().and_then(|_| self.upcoming.next()).map(|held| held.id);
        if let Some(cued) = self.cued
            && (self.cued != next || self.follows_another())
        {
            self.cued = None;
            self.call_back(cued);
        }
        let due = self.is_due() && !self.is_barren();
        let Some(Current { live, .. }) = &self.current else { return };
        let overlap = self.overlap();
        let cue = if live.loops { Cue::Held } else { Cue::After { track: live.track, overlap } };
        let make = due && !live.loops;
        let Some(held) = self.upcoming.next_mut() else { return };
        if let Some(live) = &mut held.live {
            self.cued = Some(held.id);
            if live.cue != cue {
                live.cue = cue;
                self.actions.push_back(Action::Cue { track: live.track, cue });
            }
            if live.paused != self.paused {
                live.paused = self.paused;
                self.actions.push_back(Action::Pause { track: live.track, paused: self.paused });
            }
        } else if make && let Some(source) = held.copy() {
            let (track, paused, loops) = ((self.tracks)(), self.paused, false);
            let (entry, volume, data) = (held.id, held.volume, held.data.clone());
            self.cued = Some(entry);
            held.live = Some(Live { track, cue, paused, loops, started: false, recalled: false });
            self.actions.push_back(Action::Play { track, entry, source, volume, data, cue, paused, loops });
        }
    }

    /// Whether the next track is to follow one that does not play any more.
    fn follows_another(&self) -> bool {
        let current = self.current.as_ref().map(|current| current.live.track);
        let cue = self.upcoming.next().and_then(|held| held.live).map(|live| live.cue);
        matches!(cue, Some(Cue::After { track, .. }) if Some(track) != current)
    }

    /// Something else comes next: lets go of the track of this entry, unless it is the only one there can be.
    fn call_back(&mut self, id: EntryId) {
        let Some(held) = self.upcoming.get_mut(id) else { return };
        let Some(live) = &mut held.live else { return };
        let track = live.track;
        if held.source.is_some() {
            held.live = None;
            self.stop_track(track);
        } else if live.cue != Cue::Held {
            (live.cue, live.recalled) = (Cue::Held, true);
            self.actions.push_back(Action::Cue { track, cue: Cue::Held });
        }
    }

    fn overlap(&self) -> Duration {
        match self.join {
            Join::Gapless => Duration::ZERO,
            Join::Crossfade(overlap) => overlap,
        }
    }

    /// Where in the current entry the next one is to be made; `None` while that is unknown.
    fn preload_at(&self) -> Option<Duration> {
        let lead = self.preload.saturating_add(self.overlap());
        self.current.as_ref()?.held.duration.map(|duration| duration.saturating_sub(lead))
    }

    /// Whether the next entry is to be made now.
    fn is_due(&self) -> bool {
        let Some(current) = &self.current else { return false };
        current.live.started && self.preload_at().is_none_or(|at| current.heard >= at)
    }

    /// Asks to be woken at the first place of interest, if there is another one than was asked for.
    fn settle_wake(&mut self) {
        let Some(current) = &self.current else { return };
        let waits = self.upcoming.next().is_some_and(|held| held.live.is_none()) && !current.live.loops;
        let preload = self.preload_at().filter(|_| waits);
        let at = preload.into_iter().chain(self.low_at()).filter(|at| *at > current.heard).min();
        let Some(current) = &mut self.current else { return };
        if current.asked != at {
            current.asked = at;
            if let Some(at) = at {
                self.actions.push_back(Action::Wake { track: current.live.track, at });
            }
        }
    }

    /// Where in the current entry little is left.
    fn low_at(&self) -> Option<Duration> {
        let Some(Low::Left(left)) = self.low.filter(|_| self.armed && self.repeat == Repeat::Off) else { return None };
        let all = self.remaining(Duration::ZERO);
        (all.unknown == 0).then(|| all.known.saturating_sub(left))
    }

    fn settle_low(&mut self) {
        let Some(low) = self.low.filter(|_| self.repeat == Repeat::Off && !self.closed) else { return };
        let heard = self.current.as_ref().map_or(Duration::ZERO, |current| current.heard);
        let remaining = self.remaining(heard);
        let is_low = match low {
            Low::Entries(entries) => self.upcoming.entries() <= entries,
            Low::Left(left) => remaining.unknown == 0 && remaining.known <= left,
        };
        if is_low && self.armed {
            self.emit(QueueEvent::Low { remaining });
        }
        self.armed = !is_low;
    }
}
