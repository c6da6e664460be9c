use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use super::feed::End;

/// What a reader and its feed share beside the ring: little, so that an audio thread finds all of it in one place.
#[derive(Default, Debug)]
pub(crate) struct Ending {
    result: OnceLock<End>,
    /// How many marks were made so far, modulo 2^32.
    marks: AtomicU32,
}

impl Ending {
    /// How the source ended, if it has.
    pub(crate) fn get(&self) -> Option<&End> {
        self.result.get()
    }

    /// It has ended so, unless it had ended before.
    pub(crate) fn set(&self, end: End) {
        let _ = self.result.set(end);
    }

    /// There is one more mark.
    pub(crate) fn mark(&self) {
        self.marks.fetch_add(1, Ordering::Release);
    }

    /// How many marks were made so far.
    pub(crate) fn marks(&self) -> u32 {
        self.marks.load(Ordering::Acquire)
    }
}
