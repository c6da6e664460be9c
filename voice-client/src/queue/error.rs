use super::entry::EntryId;

/// Why a queue did not do as asked. Nothing has changed then.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueueError {
    /// It is not among what is to come: it has ended, was removed, or is of another queue.
    #[error("element {id} is not in the queue any more; take its id from what `upcoming` lists")]
    NotQueued {
        /// The missing one.
        id: EntryId,
    },
    /// It is the one that plays, and has no place among those to come.
    #[error("entry {entry} plays already; move and skip to entries that are to come, or go back to restart it")]
    Playing {
        /// The one that plays.
        entry: EntryId,
    },
    /// It is a marker, which cannot be played.
    #[error("element {id} is a marker; skip to an entry, or use `skip_to_marker`")]
    IsMarker {
        /// The marker.
        id: EntryId,
    },
    /// Its source can be had only once.
    #[error("entry {entry} can be played only once; add it again with a source that can be had afresh")]
    Unrepeatable {
        /// The one that plays on instead.
        entry: EntryId,
    },
    /// Nothing that could be played again has been played before.
    #[error("nothing was played before that can be played again")]
    NoHistory,
}
