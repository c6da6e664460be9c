//! The least that works: packets are put in order for 100 ms, and silence is heard where one is missing.

use std::collections::BTreeMap;
use std::time::Duration;

use opus::{Channels, Decoder};
use voice_model::{FRAME_SAMPLES, SAMPLE_RATE};

use super::Receive;
use crate::Outcome;

const DEPTH: Duration = Duration::from_millis(100);

pub(super) struct Reorder {
    decoder: Decoder,
    packets: BTreeMap<u16, Vec<u8>>,
    /// When play-out starts.
    start: Option<Duration>,
    next: Option<u16>,
}

impl Reorder {
    pub(super) fn new() -> Outcome<Self> {
        let decoder = Decoder::new(SAMPLE_RATE, Channels::Stereo)?;
        Ok(Self { decoder, packets: BTreeMap::new(), start: None, next: None })
    }
}

impl Receive for Reorder {
    fn push(&mut self, now: Duration, number: u16, packet: &[u8]) {
        self.start.get_or_insert(now + DEPTH);
        if self.next.is_none_or(|next| number >= next) {
            self.packets.insert(number, packet.to_vec());
        }
    }

    fn tick(&mut self, now: Duration, pcm: &mut [f32]) -> Outcome<Option<u32>> {
        if self.start.is_none_or(|start| now < start) {
            return Ok(None);
        }
        let Some(number) = self.next.or_else(|| self.packets.keys().next().copied()) else { return Ok(None) };
        self.next = Some(number + 1);
        if let Some(packet) = self.packets.remove(&number) {
            self.decoder.decode_float(&packet, pcm, false)?;
        }
        Ok(Some(u32::from(number) * FRAME_SAMPLES as u32))
    }
}
