use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

/// Where a track is, readable from any thread at any time: the audio thread writes, nobody waits.
#[derive(Clone, Default, Debug)]
pub struct Gauge {
    shared: Arc<Shared>,
}

#[derive(Default, Debug)]
struct Shared {
    /// Nanoseconds in the source.
    position: AtomicU64,
    /// Samples at 48 kHz of the source that were played since the track began, repetitions included.
    played: AtomicU64,
    phase: AtomicU8,
}

/// What a track is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Its source has not yielded anything yet, or it waits for the track before it.
    Waiting,
    /// It plays.
    Playing,
    /// It is paused.
    Paused,
    /// It has ended.
    Ended,
}

impl Gauge {
    /// The place in the source that is heard next.
    pub fn position(&self) -> Duration {
        Duration::from_nanos(self.shared.position.load(Ordering::Relaxed))
    }

    /// Audio of the source that was played since the track began: repetitions count, what a seek skipped does not.
    pub fn played(&self) -> Duration {
        crate::opus::time(self.played_samples())
    }

    /// [`played`](Self::played) in samples at 48 kHz.
    pub fn played_samples(&self) -> u64 {
        self.shared.played.load(Ordering::Relaxed)
    }

    /// What it is doing.
    pub fn phase(&self) -> Phase {
        match self.shared.phase.load(Ordering::Relaxed) {
            0 => Phase::Waiting,
            1 => Phase::Playing,
            2 => Phase::Paused,
            _ => Phase::Ended,
        }
    }

    pub(crate) fn set(&self, phase: Phase, position: Duration, played: u64) {
        let nanos = u64::try_from(position.as_nanos()).unwrap_or(u64::MAX);
        self.shared.position.store(nanos, Ordering::Relaxed);
        self.shared.played.store(played, Ordering::Relaxed);
        self.set_phase(phase);
    }

    /// Asks for its memory.
    pub(crate) fn prefetch(&self) {
        crate::hint::start(&*self.shared);
    }

    pub(crate) fn set_phase(&self, phase: Phase) {
        self.shared.phase.store(phase as u8, Ordering::Relaxed);
    }
}
