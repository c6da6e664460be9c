use ::opus::{Channels, Decoder};
use tracing::error;
use voice_model::{CHANNELS, FRAME_SAMPLES, MAX_PACKET_SAMPLES, SAMPLE_RATE};

use crate::history::History;
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
    /// The packet that was decoded last, which is still in `packet`.
    last: Option<Record>,
}

/// Frames over which a skip is hidden: 5 ms.
const SPLICE: usize = 240;

/// Packets up to this duration, 60 ms, can be brought back into step: there is no room for two longer ones.
const MAX_ALIGNED: usize = 2_880;

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

impl Decoded {
    fn add(&mut self, more: &Self) {
        self.audible += more.audible;
        self.oversized += more.oversized;
        self.undecodable += more.undecodable;
    }
}

impl Decode {
    pub(crate) fn new() -> Self {
        let decoder = Decoder::new(SAMPLE_RATE, Channels::Stereo);
        let decoder = decoder.map_err(|error| error!(%error, "libopus")).ok();
        Self {
            decoder,
            packet: vec![0; 1 + crate::opus::MAX_FRAME],
            pcm: vec![0.0; ROOM].into(),
            start: 0,
            end: 0,
            last: None,
        }
    }

    /// Decoded frames that were not played yet.
    pub(crate) fn frames(&self) -> usize {
        (self.end - self.start) / CHANNELS
    }

    /// Forgets the past, and lets `history`, the packets that were sent last without being decoded, take its place. Their last
    /// samples fill `past`, as far as there are any.
    pub(crate) fn resume(&mut self, history: &History, past: &mut [f32]) {
        self.forget();
        past.fill(0.0);
        let Self { decoder: Some(decoder), packet, pcm, .. } = self else { return };
        let _ = decoder.reset_state();
        history.replay(packet, |packet| {
            let decoded = decoder.decode_float(packet, pcm, false).unwrap_or(0) * CHANNELS;
            let len = decoded.min(past.len());
            past.copy_within(len.., 0);
            let at = past.len() - len;
            past[at..].copy_from_slice(&pcm[decoded - len..decoded]);
        });
    }

    /// Drops what was decoded and not played.
    pub(crate) fn forget(&mut self) {
        (self.start, self.end, self.last) = (0, 0, None);
    }

    /// Whether nothing was decoded since packets passed, or ever.
    pub(crate) fn is_idle(&self) -> bool {
        self.last.is_none() && self.frames() == 0
    }

    /// How much of the packet that was decoded last has been played, when the rest of it is all that is left.
    pub(crate) fn offset(&self) -> Option<usize> {
        let last = self.last.filter(|last| last.skip == 0 && last.trim == 0 && last.len > 0)?;
        usize::from(last.samples).checked_sub(self.frames())
    }

    /// Takes the packet back that was decoded last and not played wholly, to be sent as it is: its bytes and samples.
    pub(crate) fn give_back(&mut self, out: &mut [u8]) -> Option<(usize, usize)> {
        let last = self.last.filter(|last| self.frames() > 0 && last.skip == 0 && last.trim == 0 && last.len > 0);
        self.forget();
        let last = last?;
        let packet = &self.packet[..usize::from(last.len)];
        out.get_mut(..packet.len())?.copy_from_slice(packet);
        Some((packet.len(), usize::from(last.samples)))
    }

    /// Skips so much that after the next `frames` just `lag` samples of the packet that was decoded last will have been
    /// played; the seam is a short cross-fade. Does nothing while too little has been read ahead.
    pub(crate) fn align(&mut self, feed: &mut Feed, lag: usize, frames: usize) -> Decoded {
        let mut decoded = Decoded::default();
        for _ in 0..4 {
            let whole = self.last.filter(|last| last.skip == 0 && last.trim == 0 && last.len > 0);
            let Some(last) = whole.map(|last| usize::from(last.samples)) else { return decoded };
            if !(lag..=MAX_ALIGNED).contains(&last) {
                return decoded;
            }
            let wanted = frames + last - lag;
            if last % frames == 0 {
                // Longer packets come into step by themselves, some frames later, unless they are off by a part of one.
                let surplus = (self.frames() + last).wrapping_sub(wanted % last) % frames;
                if self.frames() >= surplus + SPLICE {
                    self.splice(surplus);
                    return decoded;
                }
            } else if let Some(surplus) = self.frames().checked_sub(wanted) {
                self.splice(surplus);
                return decoded;
            }
            let before = self.frames();
            decoded.add(&self.fill(feed, before + 1));
            if self.frames() == before {
                return decoded;
            }
        }
        decoded
    }

    /// Skips `frames`, behind a cross-fade from what comes before to what comes after.
    fn splice(&mut self, frames: usize) {
        let skip = frames * CHANNELS;
        let (start, fade) = (self.start, SPLICE.min(self.frames() - frames) * CHANNELS);
        for index in 0..if skip == 0 { 0 } else { fade } {
            let part = (index / CHANNELS + 1) as f32 / SPLICE as f32;
            let (before, after) = (self.pcm[start + index], self.pcm[start + skip + index]);
            self.pcm[start + skip + index] = before + (after - before) * part.min(1.0);
        }
        self.start += skip;
    }

    /// Decodes packets until there are so many frames, or the feed is empty.
    pub(crate) fn fill(&mut self, feed: &mut Feed, frames: usize) -> Decoded {
        let mut decoded = Decoded::default();
        while self.frames() < frames {
            let Some(record) = feed.peek() else { break };
            if (self.frames() + usize::from(record.samples)) * CHANNELS > ROOM {
                break;
            }
            self.pcm.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            self.packet.resize(self.packet.len().max(usize::from(record.len)), 0);
            feed.pop(record, &mut self.packet);
            self.last = Some(record);
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
