//! One stream of Opus packets for any number of listeners: mixed and encoded once, heard in many calls.
//!
//! Who mixes owns a [`Station`] and pushes packets. Each call plays a [`Feed`] of its own, from [`Tuner::tap`]. Nobody waits
//! for anybody: a tap that falls behind skips, one that is ahead is idle.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
use std::time::Duration;

use voice_model::SAMPLE_RATE;

use crate::opus::{self, OpusError};
use crate::prefetch::{Feed, Ring};
use crate::source::sample;

mod slot;
mod tap;

pub use slot::MAX_PACKET;
use slot::Slot;
pub(crate) use tap::Tap;

/// Packets that are kept for taps which are behind.
const SLOTS: u64 = 64;

/// What a station and its taps share. Packets are numbered from 1 on.
struct Hall {
    slots: Box<[Slot]>,
    /// Number of the newest packet.
    newest: AtomicU64,
    closed: AtomicBool,
    /// Some tap has found nothing since the last packet: its call may rest.
    unheard: AtomicBool,
    taps: AtomicUsize,
    skipped: AtomicU64,
}

impl Hall {
    /// The place of a packet.
    fn slot(&self, number: u64) -> &Slot {
        &self.slots[(number % SLOTS) as usize]
    }
}

/// Where packets are pushed into. Dropping it ends all taps, after what is left to them.
pub struct Station {
    hall: Arc<Hall>,
    wake: Arc<dyn Fn() + Send + Sync>,
}

impl Station {
    /// A station without listeners. `wake` is called where packets are pushed, with the first packet after some tap had run
    /// out of them, and at the end: calls that rest are to be ended their rest. It must not block.
    pub fn new(wake: Arc<dyn Fn() + Send + Sync>) -> Self {
        let hall = Hall {
            slots: (0..SLOTS).map(|_| Slot::default()).collect(),
            newest: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            unheard: AtomicBool::new(true),
            taps: AtomicUsize::new(0),
            skipped: AtomicU64::new(0),
        };
        Self { hall: Arc::new(hall), wake }
    }

    /// Sends one Opus packet of any legal duration to all taps. Never blocks, never allocates.
    ///
    /// # Errors
    ///
    /// The packet is illegal or longer than [`MAX_PACKET`]; nothing was sent, and the next one may be better.
    pub fn push(&mut self, packet: &[u8]) -> Result<(), OpusError> {
        let samples = opus::samples(packet)?;
        if packet.len() > MAX_PACKET {
            return Err(OpusError::TooLong { len: packet.len(), max: MAX_PACKET });
        }
        let hall = &*self.hall;
        // Nobody else writes it.
        let number = hall.newest.load(Ordering::Relaxed) + 1;
        hall.slot(number).write(number, packet, samples as u16);
        // Who sees this number sees the packet.
        hall.newest.store(number, Ordering::Release);
        // Either a tap that finds nothing sees the packet when it looks again, or this sees that it found nothing.
        fence(Ordering::SeqCst);
        if hall.unheard.load(Ordering::Relaxed) {
            hall.unheard.store(false, Ordering::Relaxed);
            (self.wake)();
        }
        Ok(())
    }

    /// Where taps come from.
    pub fn tuner(&self) -> Tuner {
        Tuner { hall: Arc::clone(&self.hall), cushion: 2, max_lag: sample(Duration::from_millis(200), SAMPLE_RATE) }
    }

    /// How many taps there are.
    pub fn taps(&self) -> usize {
        self.hall.taps.load(Ordering::Relaxed)
    }

    /// Whether anybody listens.
    pub fn is_heard(&self) -> bool {
        self.taps() > 0
    }

    /// Ends it; the same as dropping it.
    pub fn close(self) {}
}

impl Drop for Station {
    fn drop(&mut self) {
        self.hall.closed.store(true, Ordering::Release);
        fence(Ordering::SeqCst);
        (self.wake)();
    }
}

/// Makes taps of a station. Cheap to clone.
#[derive(Clone)]
pub struct Tuner {
    hall: Arc<Hall>,
    cushion: u64,
    /// In samples at 48 kHz.
    max_lag: u64,
}

impl Tuner {
    /// With so many packets between a tap and the newest one when it joins or jumps, so that a late packet is no gap; 2 by
    /// default, at most 32.
    #[must_use]
    pub fn cushion(mut self, packets: usize) -> Self {
        self.cushion = packets.min(SLOTS as usize / 2) as u64;
        self
    }

    /// With taps that jump to the newest packet, less the cushion, when they are more than this behind it; 200 ms by default.
    /// At most 56 packets are possible.
    #[must_use]
    pub fn max_lag(mut self, lag: Duration) -> Self {
        self.max_lag = sample(lag, SAMPLE_RATE);
        self
    }

    /// A feed that hears the station from now on.
    ///
    /// Without packets it is idle: no underrun is counted. It ends with the station.
    pub fn tap(&self) -> Feed {
        let tap = Tap::new(Arc::clone(&self.hall), self.cushion, self.max_lag);
        Feed::open(Ring::Tap(Box::new(tap)), Arc::default())
    }

    /// How many taps there are.
    pub fn taps(&self) -> usize {
        self.hall.taps.load(Ordering::Relaxed)
    }

    /// Packets that taps skipped because they were too far behind, all together.
    pub fn skipped(&self) -> u64 {
        self.hall.skipped.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Station {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Station").field("taps", &self.taps()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Tuner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tuner").field("taps", &self.taps()).field("cushion", &self.cushion).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
