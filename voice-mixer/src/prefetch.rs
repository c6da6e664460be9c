//! The bounded ring between a reader thread and the audio thread.
//!
//! A [`Reader`] owns a source and works when its [`step`](Reader::step) is called; the [`Feed`] at the other end belongs to
//! a [`Track`](crate::Track) and never blocks. The ring is made when the source has been opened, so a queued track costs
//! nothing. [`sink`] is the same without a source: packets are pushed from outside.

mod feed;
mod reader;
mod record;
mod sink;

use std::time::Duration;

pub use feed::Feed;
pub(crate) use feed::Ring;
pub use reader::{Reader, Step};
pub(crate) use record::Record;
pub use sink::{Push, Pusher, sink};

use crate::Source;

/// Size of the ring.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// How much audio is read ahead; 1 s by default, at least 60 ms are kept.
    pub length: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { length: Duration::from_secs(1) }
    }
}

impl Config {
    /// With this much read ahead.
    #[must_use]
    pub fn length(mut self, length: Duration) -> Self {
        self.length = length;
        self
    }
}

/// A reader of `source` and the feed that it fills. The source is opened by the first [`Reader::step`].
pub fn pipe(source: Box<dyn Source>, config: Config) -> (Reader, Feed) {
    Reader::new(source, config)
}

#[cfg(test)]
mod tests;
