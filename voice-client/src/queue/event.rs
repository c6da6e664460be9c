use std::sync::Arc;

use mixer::{SourceError, TrackId};

use super::entry::{EntryId, Item};
use super::marker::Marker;
use super::upcoming::Remaining;

/// What happens in a queue.
///
/// Ends carry what is known of their entry, which the queue may have let go of by the time that they are read.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum QueueEvent {
    /// An entry is heard.
    Started {
        /// Which one.
        entry: EntryId,
        /// What plays it.
        track: TrackId,
    },
    /// An entry plays no more. With a crossfade, its turn ends when the next one is heard.
    Ended {
        /// Which one.
        item: Arc<Item>,
        /// How.
        how: How,
    },
    /// The source of an entry failed, before its turn or in it; takes the place of [`Ended`](Self::Ended). What had
    /// arrived was played, and the next one follows.
    Failed {
        /// Which one.
        item: Arc<Item>,
        /// Why.
        error: SourceError,
    },
    /// An entry was to be played again and cannot be; the queue goes on without it.
    Unrepeatable {
        /// Which one.
        item: Arc<Item>,
        /// Why.
        reason: Reason,
    },
    /// A marker was reached.
    Marker {
        /// Its name in the queue.
        id: EntryId,
        /// The marker.
        marker: Marker,
    },
    /// No more is left than was asked for: time to add something. Said once, and again after there was more.
    Low {
        /// What is left.
        remaining: Remaining,
    },
    /// Nothing plays and nothing is to come.
    Empty,
    /// The queue repeats, and each of its entries has failed in a row without a sound. It rests, its entries kept, until
    /// something is added, skipped or resumed.
    Stuck,
}

/// How the turn of an entry ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum How {
    /// It was played to its end.
    Finished,
    /// Something else was wanted: a skip, or going back.
    Skipped,
    /// The queue, its track or the call was stopped.
    Stopped,
    /// It was removed while it played.
    Removed,
}

/// Why an entry cannot be played again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Reason {
    /// Its source can be had only once: [`Source::fresh`](mixer::Source::fresh) yields nothing.
    OnlyOnce,
    /// It ended without a sound; repeating it would spin.
    Silent,
}
