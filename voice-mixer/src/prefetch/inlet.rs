use std::time::Duration;

use rtrb::{Consumer, Producer, RingBuffer};
use voice_model::CHANNELS;

use super::feed::Arrived;
use super::record::{HEADER, Record};
use crate::opus;

/// Longest packet that is kept, in bytes: far more than a datagram holds.
pub(super) const MAX_PACKET: usize = 8_192;

/// Room of a first ring for a second of packets, in bytes: 64 kbit/s, and what stands before them.
const FIRST: usize = 10_000;

/// Least room of a first ring: two of the largest packets that fit into a datagram.
const LEAST: usize = 2_560;

/// Most room for a second of packets: 510 kbit/s, which is all that Opus has.
const MOST: usize = 64_000;

/// The reader's end of a ring.
pub(super) enum Inlet {
    Pcm(Producer<f32>),
    Opus(Packets),
}

impl Inlet {
    /// Whether its feed is no more.
    pub(super) fn is_abandoned(&self) -> bool {
        match self {
            Self::Pcm(ring) => ring.is_abandoned(),
            Self::Opus(packets) => packets.is_abandoned(),
        }
    }

    /// For about how long what is in it lasts.
    pub(super) fn lasts(&self) -> Duration {
        match self {
            Self::Pcm(ring) => opus::time(((ring.buffer().capacity() - ring.slots()) / CHANNELS) as u64),
            Self::Opus(packets) => packets.lasts(),
        }
    }
}

/// A ring of packets. How many bytes a time takes is known only from the packets themselves: it begins small, and a larger ring
/// takes its place when the time that fits in is too short. The feed goes over to that when it has emptied the one before.
pub(super) struct Packets {
    ring: Producer<u8>,
    /// The one before, to be dropped here when the feed has dropped its end: the audio thread is not to free it.
    before: Option<Producer<u8>>,
    wanted: Duration,
    /// What was pushed lately.
    bytes: u64,
    samples: u64,
    /// The packet that was pushed last.
    last: (u64, u64),
}

impl Packets {
    /// For so much audio.
    pub(super) fn new(wanted: Duration) -> (Self, Consumer<u8>) {
        let (ring, consumer) = RingBuffer::new(room(FIRST, wanted).max(LEAST));
        (Self { ring, before: None, wanted, bytes: 0, samples: 0, last: (0, 0) }, consumer)
    }

    fn lasts(&self) -> Duration {
        let used = (self.ring.buffer().capacity() - self.ring.slots()) as u64;
        let at = |bytes: u64, samples: u64| used.saturating_mul(samples) / bytes.max(1);
        // Where packets have become larger, what has been small before says nothing of the time to come.
        opus::time(at(self.bytes, self.samples).min(at(self.last.0, self.last.1)))
    }

    fn is_abandoned(&self) -> bool {
        self.ring.is_abandoned() && self.before.as_ref().is_none_or(Producer::is_abandoned)
    }

    /// Puts a packet in; `false` when there is no room now.
    pub(super) fn push(&mut self, record: Record, packet: &[u8], arrival: &mut Producer<Arrived>) -> bool {
        if self.before.as_ref().is_some_and(Producer::is_abandoned) {
            self.before = None;
        }
        let pushed = record.push(packet, &mut self.ring)
            || (self.grow(HEADER + packet.len(), arrival) && record.push(packet, &mut self.ring));
        if pushed {
            if opus::time(self.samples) > self.wanted {
                (self.bytes, self.samples) = (self.bytes / 2, self.samples / 2);
            }
            self.last = ((HEADER + packet.len()) as u64, u64::from(record.samples));
            (self.bytes, self.samples) = (self.bytes + self.last.0, self.samples + self.last.1);
        }
        pushed
    }

    /// Goes on with a larger ring, if that is wanted and the feed has taken the last one.
    fn grow(&mut self, needed: usize, arrival: &mut Producer<Arrived>) -> bool {
        let capacity = self.ring.buffer().capacity();
        let is_short = self.lasts() < self.wanted && capacity < room(MOST, self.wanted);
        if (!is_short && needed <= capacity) || self.before.is_some() || arrival.is_full() {
            return false;
        }
        let (ring, consumer) = RingBuffer::new((2 * capacity).max(needed));
        self.before = Some(std::mem::replace(&mut self.ring, ring));
        arrival.push(Arrived::Grown(consumer)).is_ok()
    }
}

/// Bytes for so much time, a minute at most.
fn room(second: usize, time: Duration) -> usize {
    time.as_millis().min(60_000) as usize * second / 1_000
}
