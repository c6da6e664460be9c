use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rtrb::{Producer, RingBuffer};
use voice_model::SAMPLE_RATE;

use super::Feed;
use super::feed::{Arrived, Ring, SinkSide};
use super::record::{HEADER, Record};
use crate::opus::{self, OpusError};
use crate::source::sample;

/// Longest packet that a sink takes, in bytes: what libopus recommends as buffer for one packet.
const MAX_PACKET: usize = 4_000;

/// A feed of Opus packets that are pushed from outside: a raw sink.
///
/// At most `capacity` of audio and one packet more are queued: 20 ms are right for who wants to be woken for each frame.
/// `on_drain` is called on the audio thread whenever a packet has been taken, and when the feed is dropped; it must not
/// block, waking a task is what it is for.
///
/// A sink without packets is idle: no underrun is counted, and it ends when its [`Pusher`] is dropped.
pub fn sink(capacity: Duration, on_drain: Arc<dyn Fn() + Send + Sync>) -> (Pusher, Feed) {
    let capacity = u32::try_from(sample(capacity, SAMPLE_RATE)).unwrap_or(u32::MAX).clamp(1, SAMPLE_RATE);
    // The shortest packets, of 120 samples, are small: three of the longest packets and 64 bytes for each 120 samples.
    let bytes = 3 * (HEADER + MAX_PACKET) + capacity as usize / 120 * 64;
    let (producer, consumer) = RingBuffer::new(bytes);
    let (mut arrival, arrived) = RingBuffer::new(1);
    let _ = arrival.push(Arrived::from(Ring::Opus(consumer)));
    let queued = Arc::new(AtomicU32::new(0));
    let side = SinkSide { queued: Arc::clone(&queued), on_drain };
    let feed = Feed::new(arrived, Arc::default(), Some(side));
    (Pusher { ring: producer, queued, capacity, arrival }, feed)
}

/// The end of a raw sink that packets are pushed into.
pub struct Pusher {
    ring: Producer<u8>,
    queued: Arc<AtomicU32>,
    capacity: u32,
    /// Lives as long as the pusher: its end is the feed's end.
    arrival: Producer<Arrived>,
}

/// What became of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Push {
    /// It is queued.
    Done,
    /// There is no room now; push it again when `on_drain` was called.
    Full,
    /// The feed was dropped: nobody takes packets any more.
    Closed,
}

impl Pusher {
    /// Queues one Opus packet of any legal duration. Never blocks.
    ///
    /// # Errors
    ///
    /// The packet is illegal or longer than 4,000 bytes; nothing was queued, and the next one may be better.
    pub fn push(&mut self, packet: &[u8]) -> Result<Push, OpusError> {
        let samples = opus::samples(packet)? as u16;
        if packet.len() > MAX_PACKET {
            return Err(OpusError::TooLong { len: packet.len(), max: MAX_PACKET });
        }
        if self.is_closed() {
            return Ok(Push::Closed);
        }
        if self.queued.load(Ordering::Acquire) >= self.capacity {
            return Ok(Push::Full);
        }
        let record = Record { len: packet.len() as u16, samples, skip: 0, trim: 0 };
        // Counted first, or the audio thread could take it before it was.
        self.queued.fetch_add(u32::from(samples), Ordering::AcqRel);
        if record.push(packet, &mut self.ring) {
            return Ok(Push::Done);
        }
        self.queued.fetch_sub(u32::from(samples), Ordering::AcqRel);
        Ok(Push::Full)
    }

    /// Whether the feed was dropped.
    pub fn is_closed(&self) -> bool {
        self.arrival.is_abandoned()
    }

    /// How much audio is queued.
    pub fn queued(&self) -> Duration {
        opus::time(u64::from(self.queued.load(Ordering::Acquire)))
    }
}

impl fmt::Debug for Pusher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pusher").field("queued", &self.queued()).finish_non_exhaustive()
    }
}
