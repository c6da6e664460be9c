use std::any::Any;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use mixer::{TrackEvent, TrackId};

use crate::driver::lock;
use crate::end::TrackEnd;
use crate::track::Track;

/// Whatever an application has tied to a track.
pub type Data = Arc<dyn Any + Send + Sync>;

/// The tracks of a player that have not ended.
#[derive(Default)]
pub(super) struct Tracks {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    tracks: HashMap<TrackId, Track>,
    over: bool,
}

impl Tracks {
    /// Adds a track; `false`, and it has ended, when the player is over.
    pub(super) fn insert(&self, track: &Track) -> bool {
        let mut known = lock(&self.known);
        if known.over {
            track.set_ended(TrackEnd::CallClosed);
            return false;
        }
        known.tracks.insert(track.id(), track.clone());
        true
    }

    pub(super) fn get(&self, id: TrackId) -> Option<Track> {
        lock(&self.known).tracks.get(&id).cloned()
    }

    pub(super) fn all(&self) -> Vec<Track> {
        let mut all: Vec<_> = lock(&self.known).tracks.values().cloned().collect();
        all.sort_by_key(Track::id);
        all
    }

    /// Tells a track's own readers what has happened to it.
    pub(super) fn tell(&self, id: TrackId, event: &TrackEvent) {
        if let Some(track) = self.get(id) {
            track.tell(event);
        }
    }

    /// A track has ended; `false` when that was known.
    pub(super) fn end(&self, id: TrackId, end: &TrackEnd) -> bool {
        let Some(track) = lock(&self.known).tracks.remove(&id) else { return false };
        track.set_ended(end.clone());
        forget(track);
        true
    }

    /// The player is over, and takes no more tracks; returns those that have not [ended](Self::end).
    pub(super) fn close(&self) -> Vec<TrackId> {
        let mut known = lock(&self.known);
        known.over = true;
        let mut left: Vec<_> = known.tracks.keys().copied().collect();
        left.sort();
        left
    }
}

/// Drops a handle, perhaps the last one, and with it what the application has tied to it: a panic in that must not end the
/// call's task.
fn forget(track: Track) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(track)));
}
