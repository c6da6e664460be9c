use ::opus::{Channels, Decoder};
use tracing::error;
use voice_model::{CHANNELS, FRAME_SAMPLES, MAX_PACKET_SAMPLES, SAMPLE_RATE};

use crate::prefetch::{Feed, Record};

/// Interleaved samples that one frame less one sample and the longest packet take together.
const ROOM: usize = (FRAME_SAMPLES + MAX_PACKET_SAMPLES) * CHANNELS;

/// What an Opus track that cannot pass through is decoded with. Packets of any duration go in, frames come out.
///
/// The decoder takes 27 KiB and is made when it is first needed.
pub(crate) struct Decode {
    decoder: Option<Decoder>,
    packet: Vec<u8>,
    pcm: Box<[f32]>,
    /// The part of `pcm` that is decoded and not played.
    start: usize,
    end: usize,
}

/// What came of decoding some packets.
#[derive(Default)]
pub(crate) struct Decoded {
    /// Samples of them that are part of the audio.
    pub(crate) audible: u64,
    /// Packets that had been too long for the ring.
    pub(crate) oversized: u64,
    /// Packets that libopus refused; they are silence.
    pub(crate) undecodable: u64,
}

impl Decode {
    pub(crate) fn new() -> Self {
        let decoder = Decoder::new(SAMPLE_RATE, Channels::Stereo);
        let decoder = decoder.map_err(|error| error!(%error, "libopus")).ok();
        Self { decoder, packet: vec![0; 1 + crate::opus::MAX_FRAME], pcm: vec![0.0; ROOM].into(), start: 0, end: 0 }
    }

    /// Decoded frames that were not played yet.
    pub(crate) fn frames(&self) -> usize {
        (self.end - self.start) / CHANNELS
    }

    /// Forgets the past, and lets `packet`, which was sent last without being decoded, be the only memory of it.
    pub(crate) fn resume(&mut self, packet: &[u8]) {
        (self.start, self.end) = (0, 0);
        if let Some(decoder) = &mut self.decoder {
            let _ = decoder.reset_state();
            if !packet.is_empty() {
                let _ = decoder.decode_float(packet, &mut self.pcm, false);
            }
        }
    }

    /// Decodes packets until a frame is complete or the feed is empty.
    pub(crate) fn fill(&mut self, feed: &mut Feed) -> Decoded {
        let mut decoded = Decoded::default();
        while self.frames() < FRAME_SAMPLES {
            let Some(record) = feed.peek() else { break };
            self.pcm.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            self.packet.resize(self.packet.len().max(usize::from(record.len)), 0);
            feed.pop(record, &mut self.packet);
            decoded.audible += record.audible();
            decoded.oversized += u64::from(record.len == 0);
            decoded.undecodable += u64::from(!self.decode(record));
        }
        decoded
    }

    /// Decodes `packet` behind what is there; `false` when it became silence.
    ///
    /// A packet before the audio leaves no trace. The first one that is part of it keeps its length, with silence in place
    /// of what is not audio: so packets stay aligned with frames and can pass through again later.
    fn decode(&mut self, record: Record) -> bool {
        let len = usize::from(record.samples) * CHANNELS;
        let room = &mut self.pcm[self.end..];
        let room = &mut room[..len.min(ROOM)];
        let packet = &self.packet[..usize::from(record.len)];
        let done = match &mut self.decoder {
            Some(decoder) if !packet.is_empty() => decoder.decode_float(packet, room, false).is_ok(),
            _ => packet.is_empty(),
        };
        if !done || packet.is_empty() {
            room.fill(0.0);
        }
        if !record.is_preroll() {
            room[..usize::from(record.skip) * CHANNELS].fill(0.0);
            self.end += len - usize::from(record.trim) * CHANNELS;
        }
        done
    }

    /// Up to `frames` decoded frames, to be played now.
    pub(crate) fn take(&mut self, frames: usize) -> &[f32] {
        let start = self.start;
        self.start = (start + frames * CHANNELS).min(self.end);
        &self.pcm[start..self.start]
    }
}
