use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use mixer::{Info, Metadata, TrackId};

use super::action::{Action, Cue};
use super::entry::{Element, EntryId, Held, Item, Live};
use super::event::{How, QueueEvent, Reason};
use super::history::History;
use super::marker::Marker;
use super::upcoming::{Remaining, Slot, Upcoming};
use crate::end::TrackEnd;

/// How long before its turn an entry is made ready.
const PRELOAD: Duration = Duration::from_secs(10);
/// What is cut off in the middle fades out this long, so as not to click.
const FADE: Duration = Duration::from_millis(10);
/// Entries that history holds.
const HISTORY: usize = 100;

/// What a queue plays again by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Repeat {
    /// Nothing.
    #[default]
    Off,
    /// The entry that plays, until it is skipped; then the one that plays after it. The mixer loops it, without a gap.
    Track,
    /// Everything: what has ended or was skipped goes to the end of the queue. Markers do not come back.
    Queue,
}

/// How one entry follows the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum Join {
    /// With the next sample.
    #[default]
    Gapless,
    /// The one fades out while the other fades in, for this long. Entries that were skipped end at once.
    Crossfade(Duration),
}

/// What going back means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Back {
    /// To the entry before.
    Previous,
    /// To the beginning of the entry that plays, when more of it than this was played; else to the entry before.
    RestartAfter(Duration),
}

/// How little is low.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Low {
    /// No more entries than this are to come after the one that plays.
    Entries(usize),
    /// No more than this is left, of known length all of it.
    Left(Duration),
}

/// A queue: what plays, what is to come, what was, and which tracks that takes.
///
/// Holds no clock and does no I/O. Whoever calls a method drains [`poll_action`](Self::poll_action) afterwards, under the
/// same lock. When several things are asked of it, the last one holds; tracks of which it has let go may still be reported
/// and are passed over.
pub(crate) struct Machine {
    pub(super) tracks: Box<dyn FnMut() -> TrackId + Send>,
    pub(super) ids: u64,
    pub(super) current: Option<Current>,
    pub(super) upcoming: Upcoming,
    pub(super) history: History,
    /// The next entry, when its track was made and is to follow the one that plays.
    pub(super) cued: Option<EntryId>,
    /// What still sounds in a crossfade.
    pub(super) tails: Vec<TrackId>,
    pub(super) repeat: Repeat,
    pub(super) join: Join,
    pub(super) preload: Duration,
    pub(super) fade: Duration,
    pub(super) low: Option<Low>,
    /// There was more than little since that was said.
    pub(super) armed: bool,
    pub(super) paused: bool,
    /// Nothing begins by itself until somebody asks for something.
    pub(super) stuck: bool,
    pub(super) closed: bool,
    /// Entries that ended in a row without a sound.
    pub(super) barren: usize,
    pub(super) actions: VecDeque<Action>,
}

/// The entry that plays.
pub(super) struct Current {
    pub(super) held: Box<Held>,
    pub(super) live: Live,
    /// A place that it has got to.
    pub(super) heard: Duration,
    /// The place at which we are to be woken.
    pub(super) asked: Option<Duration>,
}

impl Machine {
    /// An empty queue that names its tracks with `tracks`.
    pub(crate) fn new(tracks: impl FnMut() -> TrackId + Send + 'static) -> Self {
        Self {
            tracks: Box::new(tracks),
            ids: 0,
            current: None,
            upcoming: Upcoming::default(),
            history: History::new(HISTORY),
            cued: None,
            tails: Vec::new(),
            repeat: Repeat::Off,
            join: Join::Gapless,
            preload: PRELOAD,
            fade: FADE,
            low: None,
            armed: true,
            paused: false,
            stuck: false,
            closed: false,
            barren: 0,
            actions: VecDeque::new(),
        }
    }

    /// The next thing to be done, in order.
    pub(crate) fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// What is played again. Does not touch what sounds.
    pub(crate) fn set_repeat(&mut self, repeat: Repeat) {
        (self.repeat, self.barren) = (repeat, 0);
        self.settle();
    }

    /// How entries follow each other, from the coming one on.
    pub(crate) fn set_join(&mut self, join: Join) {
        self.join = join;
        self.settle();
    }

    /// How long before its turn the next entry is opened and read ahead; 10 s unless told. One that follows something of
    /// unknown length is opened when that begins.
    pub(crate) fn set_preload(&mut self, preload: Duration) {
        self.preload = preload;
        self.settle();
    }

    /// How long what is cut off in the middle fades out; 10 ms unless told.
    pub(crate) fn set_fade(&mut self, fade: Duration) {
        self.fade = fade;
    }

    /// How many entries are remembered; 100 unless told.
    pub(crate) fn set_history(&mut self, most: usize) {
        self.history.set_most(most);
    }

    /// When to say [`QueueEvent::Low`]: now if it is so already, later whenever it comes to that, by `stop` and `clear` too.
    /// Not while anything repeats.
    pub(crate) fn set_low(&mut self, low: Option<Low>) {
        (self.low, self.armed) = (low, true);
        self.settle();
    }

    /// What is played again.
    pub(crate) fn repeat(&self) -> Repeat {
        self.repeat
    }

    /// Whether it was paused.
    pub(crate) fn is_paused(&self) -> bool {
        self.paused
    }

    /// The entry that plays, be it paused or not ready yet, and its track.
    pub(crate) fn current(&self) -> Option<(Item, TrackId)> {
        self.current.as_ref().map(|current| (current.held.item(), current.live.track))
    }

    /// What is to come, the next one first. Places in it are what [`insert`](Self::insert) and
    /// [`move_to`](Self::move_to) take.
    pub(crate) fn upcoming(&self) -> Vec<Element> {
        self.upcoming.iter().map(Slot::element).collect()
    }

    /// The markers among what is to come, the next one first.
    pub(crate) fn markers(&self) -> Vec<(EntryId, Marker)> {
        let marker = |slot: &Slot| match slot {
            Slot::Marker(id, marker) => Some((*id, marker.clone())),
            Slot::Entry(_) => None,
        };
        self.upcoming.iter().filter_map(marker).collect()
    }

    /// What had its turn, the latest first.
    pub(crate) fn history(&self) -> Vec<Item> {
        self.history.items().cloned().collect()
    }

    /// Entries that play or are to come. Markers do not count.
    pub(crate) fn len(&self) -> usize {
        self.upcoming.entries() + usize::from(self.current.is_some())
    }

    /// Whether nothing plays and nothing is to come.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How much is left, when the entry that plays has got to `position`.
    pub(crate) fn remaining(&self, position: Duration) -> Remaining {
        let rest = |current: &Current| current.held.duration.map(|duration| duration.saturating_sub(position));
        self.upcoming.remaining(self.current.as_ref().map(rest))
    }

    /// The first sample of a track is heard.
    pub(crate) fn handle_started(&mut self, track: TrackId) {
        if let Some(current) = self.current.as_mut().filter(|current| current.live.track == track) {
            if !std::mem::replace(&mut current.live.started, true) {
                self.started();
            }
            return self.settle();
        }
        let Some(held) = self.upcoming.by_track(track) else { return };
        let (id, repeatable) = (held.id, held.source.is_some());
        let Some(live) = &mut held.live else { return };
        live.started = true;
        if live.recalled {
            return;
        }
        if self.cued == Some(id) && matches!(live.cue, Cue::After { .. }) && self.current.is_some() {
            // It has taken over, in a crossfade or before the end of the other was reported.
            if let Some(left) = self.leave(How::Finished, self.repeat == Repeat::Queue) {
                self.tails.push(left.track);
            }
            self.advance();
        } else if repeatable {
            // Called back too late: a new one is made in its turn.
            held.live = None;
            self.cued = self.cued.filter(|cued| *cued != id);
            self.stop_track(track);
        } else {
            live.recalled = true;
        }
        self.settle();
    }

    /// From now on something else is heard of a track: the next title of a station.
    pub(crate) fn handle_metadata(&mut self, track: TrackId, metadata: &Metadata) {
        match self.current.as_mut().filter(|current| current.live.track == track) {
            Some(current) => current.held.told = Some(metadata.clone()),
            None => {
                if let Some(held) = self.upcoming.by_track(track) {
                    held.told = Some(metadata.clone());
                }
            }
        }
    }

    /// A track was opened.
    pub(crate) fn handle_info(&mut self, track: TrackId, info: &Info) {
        let told = Some(&info.metadata).filter(|metadata| !metadata.is_empty());
        if let Some(current) = self.current.as_mut().filter(|current| current.live.track == track) {
            current.held.told = told.cloned().or(current.held.told.take());
            current.held.duration = info.duration.or(current.held.duration);
        } else if let Some(held) = self.upcoming.by_track(track) {
            held.told = told.cloned().or(held.told.take());
            if let Some(duration) = info.duration {
                self.upcoming.set_duration(track, duration);
            }
        }
        self.settle();
    }

    /// The track of the current entry was moved to another place.
    pub(crate) fn handle_seeked(&mut self, track: TrackId, to: Duration) {
        if let Some(current) = self.current.as_mut().filter(|current| current.live.track == track) {
            (current.heard, current.asked) = (to, None);
            self.settle();
        }
    }

    /// A track has got to `at`, as [`Action::Wake`] wanted to know.
    pub(crate) fn handle_wake(&mut self, track: TrackId, at: Duration) {
        if let Some(current) = self.current.as_mut().filter(|current| current.live.track == track) {
            current.heard = current.heard.max(at);
            current.asked = current.asked.filter(|asked| *asked > at);
            self.settle();
        }
    }

    /// A track has ended.
    pub(crate) fn handle_ended(&mut self, track: TrackId, end: &TrackEnd) {
        self.closed |= matches!(end, TrackEnd::CallClosed);
        let tails = self.tails.len();
        self.tails.retain(|tail| *tail != track);
        if self.tails.len() < tails {
            return;
        }
        if self.current.as_ref().is_some_and(|current| current.live.track == track) {
            self.current_ended(end);
        } else if let Some(held) = self.upcoming.take_by_track(track) {
            self.waiting_ended(held, end);
        }
        self.settle();
    }

    /// Whether nothing can be played any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Nothing can be played any more.
    pub(crate) fn close(&mut self) {
        self.closed = true;
        if let Some(track) = self.current.as_ref().map(|current| current.live.track) {
            self.handle_ended(track, &TrackEnd::CallClosed);
        }
    }

    fn current_ended(&mut self, end: &TrackEnd) {
        let heard = self.current.as_ref().is_some_and(|current| current.live.started);
        let again = self.repeat == Repeat::Queue && !self.closed;
        match end {
            TrackEnd::Stopped | TrackEnd::CallClosed => _ = self.leave(How::Stopped, again),
            TrackEnd::Finished => {
                self.barren += 1;
                if self.repeat == Repeat::Track && self.play_again(heard) {
                    return;
                }
                self.leave(How::Finished, again);
            }
            TrackEnd::Failed(error) => {
                self.barren = if heard { 0 } else { self.barren + 1 };
                let Some(Current { held, .. }) = self.current.take() else { return };
                self.emit(QueueEvent::Failed { item: held.shared(), error: error.clone() });
                match (heard, again) {
                    (true, again) => self.shelve(held, again),
                    (false, true) if held.source.is_some() => self.upcoming.push(Slot::Entry(held)),
                    _ => {}
                }
            }
        }
        if self.closed {
            return;
        }
        self.stuck = self.is_barren();
        if self.stuck {
            self.emit(QueueEvent::Stuck);
            return;
        }
        self.advance();
        self.tell_empty();
    }

    /// Repeats what ended although it was to loop; `false` when that cannot be.
    fn play_again(&mut self, heard: bool) -> bool {
        let Some(current) = &self.current else { return false };
        let item = current.held.shared();
        let reason = match (&current.held.source, heard) {
            (Some(_), true) => {
                self.emit(QueueEvent::Ended { item, how: How::Finished });
                return self.replay().is_some();
            }
            (Some(_), false) => Reason::Silent,
            (None, _) => Reason::OnlyOnce,
        };
        self.emit(QueueEvent::Unrepeatable { item, reason });
        false
    }

    /// A track that waited for its turn, or had it taken away, has ended: its entry is passed over.
    fn waiting_ended(&mut self, mut held: Box<Held>, end: &TrackEnd) {
        if let Some(live) = held.live.take().filter(|live| live.started) {
            self.emit(QueueEvent::Started { entry: held.id, track: live.track });
        }
        self.cued = self.cued.filter(|cued| *cued != held.id);
        match end {
            TrackEnd::Failed(error) => {
                self.barren += 1;
                self.emit(QueueEvent::Failed { item: held.shared(), error: error.clone() });
            }
            TrackEnd::Finished => {
                self.barren += 1;
                self.emit(QueueEvent::Ended { item: held.shared(), how: How::Finished });
            }
            TrackEnd::Stopped => self.emit(QueueEvent::Ended { item: held.shared(), how: How::Stopped }),
            TrackEnd::CallClosed => {}
        }
        if self.repeat == Repeat::Queue && held.source.is_some() {
            self.upcoming.push(Slot::Entry(held));
        }
    }
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine")
            .field("current", &self.current())
            .field("upcoming", &self.upcoming.entries())
            .field("repeat", &self.repeat)
            .field("paused", &self.paused)
            .finish_non_exhaustive()
    }
}
