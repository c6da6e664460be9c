use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mixer::{Chunk, Info, Source, SourceError};

use super::Shared;
use super::store::{Place, sample, time};
use crate::driver;

/// How often a seek to what is not cached yet looks again while somebody else reads the source.
const PAUSE: Duration = Duration::from_millis(5);

/// So many looks in a row that see nothing new are enough: ten seconds.
const LOOKS: u32 = 2_000;

/// So many in all: a minute. A station has not said today what it will say in an hour.
const ALL_LOOKS: u32 = 12_000;

/// One reader of a [`Cache`](super::Cache), at a position of its own.
///
/// A seek to what is not cached yet reads until it is there. It gives up, and everything goes on as before, when its track has
/// ended, when another seek was asked for, or when it has waited for its source for a minute in all or for ten
/// seconds without news.
pub struct CachedSource {
    shared: Arc<Shared>,
    place: Place,
}

impl CachedSource {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, place: Place::default() }
    }
}

impl Source for CachedSource {
    fn open(&mut self) -> Result<Info, SourceError> {
        self.shared.open()
    }

    fn read(&mut self, chunk: &mut Chunk) -> Result<bool, SourceError> {
        // Asked before looking: what was cached before the end is read first.
        let end = self.shared.end();
        if self.shared.read(&mut self.place, chunk)? {
            return Ok(true);
        }
        match end {
            Some(Ok(())) => Ok(false),
            Some(Err(error)) => Err(error),
            None => {
                self.shared.advance();
                self.shared.read(&mut self.place, chunk)?;
                Ok(true)
            }
        }
    }

    fn seek(&mut self, to: Duration) -> Result<Duration, SourceError> {
        self.shared.open()?;
        let target = sample(to);
        let (mut looks, mut all) = (0, 0);
        while self.shared.samples() <= target && self.shared.end().is_none() {
            // The source is where it was: whoever gave the seek up may seek again, or read on.
            if looks >= LOOKS || all >= ALL_LOOKS || !driver::is_sought() {
                return Err(SourceError::Unseekable { name: "what is not cached yet".into() });
            }
            if (self.shared.is_ready() && self.shared.advance()) || self.shared.wait(PAUSE) {
                looks = 0;
            } else {
                (looks, all) = (looks + 1, all + 1);
            }
        }
        let (place, landed) = self.shared.find(target);
        self.place = place;
        Ok(time(landed))
    }

    fn is_ready(&mut self) -> bool {
        self.shared.has(self.place) || self.shared.end().is_some() || self.shared.is_ready()
    }

    fn fresh(&self) -> Option<Box<dyn Source>> {
        Some(Box::new(Self::new(self.shared.clone())))
    }
}

impl fmt::Debug for CachedSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedSource").field("place", &self.place.at).finish_non_exhaustive()
    }
}
