use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use mixer::{Metadata, Source, TrackId};

use super::action::Cue;
use super::marker::Marker;

/// Data of the application's own that travels with an entry or a marker.
pub(super) type Data = Arc<dyn Any + Send + Sync>;

/// The name of an entry or a marker, never given twice by the same queue.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct EntryId(pub(super) u64);

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Something to be played when its turn comes. Nothing is opened before.
pub struct Entry {
    pub(super) source: Box<dyn Source>,
    pub(super) metadata: Option<Metadata>,
    pub(super) duration: Option<Duration>,
    pub(super) volume: f32,
    pub(super) data: Option<Data>,
}

impl<S: Source + 'static> From<S> for Entry {
    fn from(source: S) -> Self {
        Self::new(source)
    }
}

impl Entry {
    /// An entry that plays `source` at full volume. Repeats and going back need [`Source::fresh`].
    pub fn new(source: impl Source + 'static) -> Self {
        Self { source: Box::new(source), metadata: None, duration: None, volume: 1.0, data: None }
    }

    /// With this metadata, whatever the source says of itself.
    #[must_use]
    pub fn metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = Some(metadata);
        self
    }

    /// With this length, until the source is open and knows better.
    #[must_use]
    pub fn duration(mut self, duration: Duration) -> Self {
        self.duration = Some(duration);
        self
    }

    /// At this volume: 1.0 is as loud as the source.
    #[must_use]
    pub fn volume(mut self, volume: f32) -> Self {
        self.volume = volume;
        self
    }

    /// With data of your own: who asked for it, where.
    #[must_use]
    pub fn data(mut self, data: impl Any + Send + Sync) -> Self {
        self.data = Some(Arc::new(data));
        self
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { metadata, duration, volume, .. } = self;
        f.debug_struct("Entry")
            .field("metadata", metadata)
            .field("duration", duration)
            .field("volume", volume)
            .finish_non_exhaustive()
    }
}

/// What is known of an entry. Cheap to clone.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Item {
    /// Its name.
    pub id: EntryId,
    /// What it was added with, else what its source says once it is open: of a station, what is heard now.
    pub metadata: Option<Metadata>,
    /// Its length, where its source or whoever added it knows it.
    pub duration: Option<Duration>,
    data: Tied,
}

/// Data that an item keeps, perhaps as the last one.
#[derive(Clone, Debug)]
struct Tied(Option<Data>);

impl Drop for Tied {
    fn drop(&mut self) {
        // User code: a panic in it must not end the task that tells events.
        let data = self.0.take();
        let _ = catch_unwind(AssertUnwindSafe(|| drop(data)));
    }
}

impl Item {
    /// The data that it was added with, if there are any of this type.
    pub fn data<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        self.data.0.clone()?.downcast().ok()
    }
}

/// One element of a queue.
#[derive(Clone, Debug)]
pub enum Element {
    /// Something to be played.
    Entry(Item),
    /// A mark between entries.
    Marker(EntryId, Marker),
}

impl Element {
    /// Its name.
    pub fn id(&self) -> EntryId {
        match self {
            Self::Entry(item) => item.id,
            Self::Marker(id, _) => *id,
        }
    }
}

/// An entry as the queue holds it.
pub(super) struct Held {
    pub(super) id: EntryId,
    /// What plays, or what that is made of; `None` once a source that can be had only once was handed out.
    pub(super) source: Option<Box<dyn Source>>,
    pub(super) given: Option<Metadata>,
    pub(super) told: Option<Metadata>,
    pub(super) duration: Option<Duration>,
    pub(super) volume: f32,
    pub(super) data: Option<Data>,
    /// The track that was made of it and waits.
    pub(super) live: Option<Live>,
}

impl Drop for Held {
    fn drop(&mut self) {
        // User code: a panic in it must not end the call's task.
        let (source, data) = (self.source.take(), self.data.take());
        let _ = catch_unwind(AssertUnwindSafe(|| drop(source)));
        let _ = catch_unwind(AssertUnwindSafe(|| drop(data)));
    }
}

/// A track in the mixer.
#[derive(Clone, Copy)]
pub(super) struct Live {
    pub(super) track: TrackId,
    pub(super) cue: Cue,
    pub(super) paused: bool,
    pub(super) loops: bool,
    pub(super) started: bool,
    /// It had a turn that was taken away again: a report that it started may be of that time.
    pub(super) recalled: bool,
}

impl Held {
    pub(super) fn new(id: EntryId, entry: Entry) -> Box<Self> {
        let Entry { source, metadata, duration, volume, data } = entry;
        let source = Some(source);
        Box::new(Self { id, source, given: metadata, told: None, duration, volume, data, live: None })
    }

    pub(super) fn item(&self) -> Item {
        let metadata = self.given.clone().or_else(|| self.told.clone());
        Item { id: self.id, metadata, duration: self.duration, data: Tied(self.data.clone()) }
    }

    /// What events of its end carry.
    pub(super) fn shared(&self) -> Arc<Item> {
        Arc::new(self.item())
    }

    /// What a track is made of: a copy, or the source itself when it can be had only once.
    pub(super) fn copy(&mut self) -> Option<Box<dyn Source>> {
        // User code: a panic in it must not end the call's task.
        let fresh = catch_unwind(AssertUnwindSafe(|| self.source.as_ref()?.fresh())).unwrap_or(None);
        fresh.or_else(|| self.source.take())
    }
}
