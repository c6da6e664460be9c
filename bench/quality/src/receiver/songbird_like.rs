//! What songbird 0.6.1 does with a stream of 20 ms packets, stated anew: its own buffer is private, behind a socket, TLS
//! with public roots, and a real clock.
//!
//! Packets wait in slots by sequence number. Play-out starts when five slots are taken (100 ms), and from then on every tick
//! takes one slot: a packet is decoded, an empty slot is concealed by libopus, never recovered from the next
//! packet. When no slot is left, five have to fill again before anything is heard. Its timestamps matter only where
//! the sender paused, and it starts over where sequence numbers jump; neither happens here, so neither is here.

use std::collections::VecDeque;
use std::time::Duration;

use opus::{Channels, Decoder};
use voice_model::{FRAME_SAMPLES, SAMPLE_RATE};

use super::Receive;
use crate::Outcome;

/// Slots that have to fill, its default.
const DEPTH: usize = 5;
/// Slots there can be.
const SLOTS: i16 = 64;

pub(super) struct SongbirdLike {
    decoder: Decoder,
    slots: VecDeque<Option<Vec<u8>>>,
    /// Number of the packet that belongs into the first slot.
    next: Option<u16>,
    filling: bool,
}

impl SongbirdLike {
    pub(super) fn new() -> Outcome<Self> {
        let decoder = Decoder::new(SAMPLE_RATE, Channels::Stereo)?;
        Ok(Self { decoder, slots: VecDeque::new(), next: None, filling: true })
    }
}

impl Receive for SongbirdLike {
    fn push(&mut self, _now: Duration, number: u16, packet: &[u8]) {
        let next = *self.next.get_or_insert(number);
        let slot = number.wrapping_sub(next) as i16;
        if !(0..SLOTS).contains(&slot) {
            return;
        }
        let slot = slot as usize;
        if self.slots.len() <= slot {
            self.slots.resize(slot + 1, None);
        }
        self.slots[slot] = Some(packet.to_vec());
        self.filling &= self.slots.len() < DEPTH;
    }

    fn tick(&mut self, _now: Duration, pcm: &mut [f32]) -> Outcome<Option<u32>> {
        if self.filling {
            return Ok(None);
        }
        let (Some(slot), Some(next)) = (self.slots.pop_front(), &mut self.next) else { return Ok(None) };
        let time = u32::from(*next) * FRAME_SAMPLES as u32;
        *next = next.wrapping_add(1);
        self.filling = self.slots.is_empty();
        self.decoder.decode_float(&slot.unwrap_or_default(), pcm, false)?;
        Ok(Some(time))
    }
}
