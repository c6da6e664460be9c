//! The bounded ring between a reader thread and the audio thread.
//!
//! A [`Reader`] owns a source and works when its [`step`](Reader::step) is called; the [`Feed`] at the other end belongs to
//! a [`Track`](crate::Track) and never blocks. The ring is made when the source has been opened, so a queued track costs
//! nothing. [`sink`] is the same without a source: packets are pushed from outside.

pub(crate) mod ending;
mod feed;
mod inlet;
mod mark;
mod push;
mod reader;
mod record;
mod sink;

use std::time::Duration;

pub use feed::Feed;
pub(crate) use feed::{Kind, Ring};
pub(crate) use mark::{Mark, MarkKind};
pub use push::{Flushed, PcmPusher, PushConfig, PushError, Pushed, pcm_sink};
pub use reader::{Reader, Step};
pub(crate) use record::Record;
pub use sink::{Push, Pusher, sink};

use crate::Source;

/// Size of the ring.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// How much audio is read ahead; 1 s by default, at least 120 ms are kept.
    pub length: Duration,
    /// How often it begins again at its end.
    pub loops: Loops,
    /// Loudness in LUFS to bring it to, where its tags say what it has; its volume is the source's own otherwise.
    pub loudness: Option<f32>,
}

/// How often something begins again at its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Loops {
    /// So many more times.
    Times(u32),
    /// Until it is stopped.
    Forever,
}

impl Default for Loops {
    fn default() -> Self {
        Self::Times(0)
    }
}

impl Loops {
    /// Takes one of them; `false` when none is left.
    pub(crate) fn take(&mut self) -> bool {
        match self {
            Loops::Forever => true,
            Loops::Times(0) => false,
            Loops::Times(left) => {
                *left -= 1;
                true
            }
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self { length: Duration::from_secs(1), loops: Loops::default(), loudness: None }
    }
}

impl Config {
    /// With this much read ahead.
    #[must_use]
    pub fn length(mut self, length: Duration) -> Self {
        self.length = length;
        self
    }

    /// With so many repetitions.
    #[must_use]
    pub fn loops(mut self, loops: Loops) -> Self {
        self.loops = loops;
        self
    }

    /// Brought to this loudness, in LUFS.
    #[must_use]
    pub fn loudness(mut self, target: Option<f32>) -> Self {
        self.loudness = target;
        self
    }
}

/// A reader of `source` and the feed that it fills. The source is opened by the first [`Reader::step`].
pub fn pipe(source: Box<dyn Source>, config: Config) -> (Reader, Feed) {
    Reader::new(source, config)
}

#[cfg(test)]
mod tests;
