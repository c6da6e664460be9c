use std::collections::VecDeque;

use crate::effects::{Chain, Limiter, Stretch};
use crate::track::Happened;
use crate::{Metadata, TimerId, Track, TrackId};

/// What happens to a track while it plays. Its end comes by [`Mixer::pop_ended`](crate::Mixer::pop_ended).
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum TrackEvent {
    /// Its source is open.
    Playable,
    /// Its first sound was played.
    Started,
    /// It was paused.
    Paused,
    /// It goes on.
    Resumed,
    /// It begins again.
    Looped,
    /// Its source has not delivered in time. Told once, until it plays again.
    Underrun,
    /// Another part of its source was sought.
    Seeked {
        /// Where it is now.
        position: std::time::Duration,
    },
    /// Something else is heard from here on: the next title of a radio station.
    Metadata(Box<Metadata>),
    /// A timed event.
    Timer(TimerId),
}

impl From<Happened> for TrackEvent {
    fn from(happened: Happened) -> Self {
        match happened {
            Happened::Playable => Self::Playable,
            Happened::Started => Self::Started,
            Happened::Looped => Self::Looped,
            Happened::Underrun => Self::Underrun,
            Happened::Metadata(metadata) => Self::Metadata(metadata),
            Happened::Timer(id) => Self::Timer(id),
        }
    }
}

/// Events that wait to be asked for. More are dropped and counted: they are asked for after each tick.
pub(super) struct Happenings {
    queue: VecDeque<(TrackId, TrackEvent)>,
    bound: usize,
    pub(super) missed: u64,
}

/// Events that wait at most: four a track, whether there are few tracks or many.
const PER_TRACK: usize = 4;
const LEAST: usize = 8;
const MOST: usize = 1_024;

impl Happenings {
    pub(super) fn new() -> Self {
        Self { queue: VecDeque::new(), bound: 0, missed: 0 }
    }

    /// Makes room for so many tracks, of which each can have a few things to say in a tick.
    pub(super) fn reserve(&mut self, tracks: usize) {
        self.bound = self.bound.max((PER_TRACK * tracks).clamp(LEAST, MOST));
        self.queue.reserve(self.bound - self.queue.len());
    }

    /// Whether there was room for it.
    pub(super) fn push(&mut self, id: TrackId, event: TrackEvent) -> bool {
        let room = self.queue.len() < self.bound;
        if room {
            self.queue.push_back((id, event));
        } else {
            self.missed += 1;
        }
        room
    }

    pub(super) fn pop(&mut self) -> Option<(TrackId, TrackEvent)> {
        self.queue.pop_front()
    }
}

/// What the mixer is done with, to be dropped off the audio thread.
#[derive(Debug)]
#[non_exhaustive]
pub enum Spent {
    /// A track.
    Track(TrackId, Box<Track>),
    /// Effects.
    Effects(Chain),
    /// A stretch that was not needed.
    Stretch(Box<Stretch>),
    /// A limiter.
    Limiter(Box<Limiter>),
}
