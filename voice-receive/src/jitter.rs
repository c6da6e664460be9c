use std::time::Instant;

use voice_model::{RtpTime, Seq};

use crate::delay::Place;

/// A packet in the buffer; its bytes are had by [`Jitter::bytes`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Packet {
    pub(crate) seq: Seq,
    pub(crate) time: RtpTime,
    pub(crate) arrival: Instant,
    /// Its place among the others in time.
    pub(crate) place: Place,
    pub(crate) content: Content,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Content {
    /// An Opus packet.
    Audio {
        /// Per channel.
        samples: u32,
        /// The sender may stop after it.
        quiet: bool,
    },
    /// A packet of padding: uses a sequence number, says nothing.
    Empty,
    /// No Opus packet: uses a sequence number, its audio is lost.
    Broken,
}

/// What became of an inserted packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Insertion {
    Stored,
    Duplicate,
    /// Its place is past.
    Late {
        /// It had been counted as lost.
        was_lost: bool,
    },
    /// There was no room: the oldest packets went, others stayed.
    Overrun(Passed),
    /// Its sequence number is far from all others: the buffer was emptied and begins anew with it. What was lost before it
    /// is told if the sender is still the same.
    Restarted(Passed),
    /// Its sequence number is far behind: dropped, unless the following one confirms that the sender restarted.
    Suspect,
}

/// What lay where the buffer went on without playing it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Passed {
    /// Packets that had not arrived.
    pub(crate) lost: u32,
    /// Samples per channel of those that had.
    pub(crate) samples: u32,
}

/// The first packet with audio, and what lies before it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Head {
    pub(crate) packet: Packet,
    /// Samples per channel in it.
    pub(crate) samples: u32,
    /// The sender may stop after it.
    pub(crate) quiet: bool,
    /// Packets whose audio is missing before it.
    pub(crate) missing: u32,
}

/// How many past packets are remembered, to tell late ones from duplicates: 1.3 s.
const HISTORY: i32 = u64::BITS as i32;

/// A sequence number that is further ahead or behind comes from a sender that restarted, not from a gap of a minute
/// (`MAX_DROPOUT` in RFC 3550, appendix A.1).
const MAX_DISTANCE: i32 = 3000;

/// Reorders the packets of one speaker: a ring of slots, indexed by sequence number, and reused buffers, of which there
/// are as many as packets ever waited at a time.
#[derive(Debug)]
pub(crate) struct Jitter {
    capacity: usize,
    /// So many; none before the first packet.
    slots: Box<[Slot]>,
    buffers: Vec<Vec<u8>>,
    /// Buffers that no packet in the ring uses.
    free: Vec<usize>,
    /// The lowest sequence number that is not past; `None` before the first packet.
    next: Option<Seq>,
    /// Sequence numbers taken since the beginning or the last restart; while there are none, `next` may still go down.
    taken: u32,
    /// Bit `i`: packet `next - 1 - i` had arrived.
    history: u64,
    suspect: Option<Seq>,
    /// Packets with audio in the ring.
    packets: usize,
    /// Their samples per channel.
    samples: u32,
}

#[derive(Clone, Debug, Default)]
struct Slot {
    packet: Option<Packet>,
    /// Index of the buffer; stays when the packet has been taken.
    buffer: usize,
}

impl Jitter {
    /// `capacity` is a power of two, so that sequence numbers wrap into the ring without a seam.
    pub(crate) fn new(capacity: usize) -> Self {
        debug_assert!(capacity.is_power_of_two());
        Self {
            capacity,
            slots: Box::default(),
            buffers: Vec::new(),
            free: Vec::new(),
            next: None,
            taken: 0,
            history: 0,
            suspect: None,
            packets: 0,
            samples: 0,
        }
    }

    /// Forgets the stream and gives the memory back.
    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.capacity);
    }

    /// Packets with audio.
    pub(crate) fn packets(&self) -> usize {
        self.packets
    }

    /// Samples per channel that are buffered.
    pub(crate) fn samples(&self) -> u32 {
        self.samples
    }

    pub(crate) fn insert(&mut self, packet: Packet, bytes: &[u8]) -> Insertion {
        if self.slots.is_empty() {
            self.slots = vec![Slot::default(); self.capacity].into();
        }
        let next = *self.next.get_or_insert(packet.seq);
        let ahead = i32::from(packet.seq.since(next));
        let confirmed = self.suspect.take().is_some_and(|suspect| suspect.next() == packet.seq);
        let insertion = if (0..self.slots.len() as i32).contains(&ahead) {
            Insertion::Stored
        } else if ahead < 0 && self.taken == 0 && self.has_room_before(next, -ahead) {
            self.next = Some(packet.seq);
            Insertion::Stored
        } else if (-HISTORY..0).contains(&ahead) {
            let bit = 1 << (-ahead - 1);
            let known = self.history & bit != 0;
            self.history |= bit;
            let was_lost = ahead.unsigned_abs() <= self.taken;
            return if known { Insertion::Duplicate } else { Insertion::Late { was_lost } };
        } else if (-MAX_DISTANCE..0).contains(&ahead) && !confirmed {
            self.suspect = Some(packet.seq);
            return Insertion::Suspect;
        } else {
            self.make_room(packet.seq, ahead)
        };
        if self.get(packet.seq).is_some() {
            return Insertion::Duplicate;
        }
        let buffer = self.free.pop().unwrap_or_else(|| {
            self.buffers.push(Vec::new());
            self.buffers.len() - 1
        });
        let held = &mut self.buffers[buffer];
        held.clear();
        // In steps, so that packets which vary in size soon stop allocating.
        held.reserve(bytes.len().next_multiple_of(512));
        held.extend_from_slice(bytes);
        *self.slot(packet.seq) = Slot { packet: Some(packet), buffer };
        if let Content::Audio { samples, .. } = packet.content {
            self.packets += 1;
            self.samples += samples;
        }
        self.pass_empty();
        insertion
    }

    /// Notes the place of a packet that was stored.
    pub(crate) fn set_place(&mut self, seq: Seq, place: Place) {
        if let Some(packet) = &mut self.slot(seq).packet {
            packet.place = place;
        }
    }

    /// Padding comes in bursts: none of it may wait for audio and fill the ring.
    fn pass_empty(&mut self) {
        while let Some(next) = self.next
            && self.get(next).is_some_and(|packet| packet.content == Content::Empty)
        {
            self.remove(next);
            self.history = self.history << 1 | 1;
            self.next = Some(next.next());
        }
    }

    /// The first packet with audio.
    pub(crate) fn head(&self) -> Option<Head> {
        let next = self.next.filter(|_| self.packets > 0)?;
        let mut missing = 0;
        for offset in 0..self.slots.len() as u16 {
            match self.get(next + offset).map(|packet| (packet, packet.content)) {
                Some((packet, Content::Audio { samples, quiet })) => {
                    return Some(Head { packet, samples, quiet, missing });
                }
                Some((_, Content::Empty)) => {}
                Some((_, Content::Broken)) | None => missing += 1,
            }
        }
        None
    }

    /// Removes the head and everything before it; its bytes stay readable until the next insertion. Returns how many
    /// packets before it never arrived.
    pub(crate) fn take(&mut self, head: &Head) -> u32 {
        self.pass(head.packet.seq.next()).lost
    }

    /// Removes everything before `end`, which lies ahead.
    fn pass(&mut self, end: Seq) -> Passed {
        let before = self.samples;
        let mut lost = 0;
        let Some(mut next) = self.next else { return Passed::default() };
        while next != end {
            let packet = self.remove(next);
            self.history = self.history << 1 | u64::from(packet.is_some());
            lost += u32::from(packet.is_none());
            self.taken = self.taken.saturating_add(1);
            next = next.next();
        }
        self.next = Some(end);
        Passed { lost, samples: before - self.samples }
    }

    /// Whether the next packets may find no room.
    pub(crate) fn is_crowded(&self) -> bool {
        let capacity = self.slots.len();
        self.next.is_some_and(|next| (capacity - capacity / 8..capacity).any(|at| self.get(next + at as u16).is_some()))
    }

    /// Makes room for a packet so far ahead, or far behind: by passing over the oldest packets, or where nothing were left
    /// then, all that was there.
    fn make_room(&mut self, seq: Seq, ahead: i32) -> Insertion {
        let mut passed = Passed { lost: 0, samples: self.samples };
        if (0..=MAX_DISTANCE).contains(&ahead) {
            let room = self.slots.len() as u16 - 1;
            passed = self.pass(seq + room.wrapping_neg());
            if self.packets > 0 {
                return Insertion::Overrun(passed);
            }
            passed.lost += self.pass(seq).lost;
        }
        self.restart(seq);
        Insertion::Restarted(passed)
    }

    /// The bytes of a packet.
    pub(crate) fn bytes(&self, seq: Seq) -> &[u8] {
        &self.buffers[self.slots[self.index(seq)].buffer]
    }

    fn remove(&mut self, seq: Seq) -> Option<Packet> {
        let index = self.index(seq);
        let packet = self.slots[index].packet.take()?;
        self.free.push(self.slots[index].buffer);
        if let Content::Audio { samples, .. } = packet.content {
            self.packets -= 1;
            self.samples -= samples;
        }
        Some(packet)
    }

    fn restart(&mut self, next: Seq) {
        self.slots.iter_mut().for_each(|slot| slot.packet = None);
        self.free.clear();
        self.free.extend(0..self.buffers.len());
        self.next = Some(next);
        self.taken = 0;
        self.history = 0;
        self.packets = 0;
        self.samples = 0;
    }

    /// Whether the ring can begin `count` packets before `next` without running over its end.
    fn has_room_before(&self, next: Seq, count: i32) -> bool {
        let capacity = self.slots.len() as i32;
        count < capacity && (capacity - count..capacity).all(|offset| self.get(next + offset as u16).is_none())
    }

    fn get(&self, seq: Seq) -> Option<Packet> {
        self.slots[self.index(seq)].packet.filter(|packet| packet.seq == seq)
    }

    fn slot(&mut self, seq: Seq) -> &mut Slot {
        let index = self.index(seq);
        &mut self.slots[index]
    }

    fn index(&self, seq: Seq) -> usize {
        usize::from(seq.0) & (self.slots.len() - 1)
    }
}

#[cfg(test)]
mod tests;
