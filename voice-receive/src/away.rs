use std::time::Instant;

use voice_model::{RtpTime, Seq};

use crate::speaker::Speaker;
use crate::{Decode, Stats};

/// Packets kept for a speaker that is away.
const MAX_PACKETS: usize = 128;

/// Their bytes in all.
const MAX_BYTES: usize = 64 << 10;

/// What is kept for a speaker until it is given back.
#[derive(Debug, Default)]
pub(crate) struct Away {
    /// As they were when it left.
    pub(crate) stats: Stats,
    decode: Option<Decode>,
    packets: Vec<Kept>,
    bytes: Vec<u8>,
}

#[derive(Debug)]
struct Kept {
    arrival: Instant,
    seq: Seq,
    time: RtpTime,
    len: usize,
}

impl Away {
    /// Keeps a packet. One that there is no room for is as good as lost on its way here.
    pub(crate) fn push(&mut self, arrival: Instant, seq: Seq, time: RtpTime, frame: &[u8]) {
        if self.packets.len() < MAX_PACKETS && self.bytes.len() + frame.len() <= MAX_BYTES {
            self.packets.push(Kept { arrival, seq, time, len: frame.len() });
            // In steps, so that packets which vary in size soon stop allocating.
            self.bytes.reserve(frame.len().next_multiple_of(4096));
            self.bytes.extend_from_slice(frame);
        }
    }

    /// Keeps what the speaker is to give out.
    pub(crate) fn set_decode(&mut self, decode: Decode) {
        self.decode = Some(decode);
    }

    /// Does to the speaker what happened while it was away.
    pub(crate) fn apply(&mut self, speaker: &mut Speaker) {
        if let Some(decode) = self.decode.take() {
            speaker.set_decode(decode);
        }
        let mut bytes = self.bytes.as_slice();
        for Kept { arrival, seq, time, len } in self.packets.drain(..) {
            let (frame, rest) = bytes.split_at(len);
            speaker.push(arrival, seq, time, frame);
            bytes = rest;
        }
        self.bytes.clear();
    }
}
