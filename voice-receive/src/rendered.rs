use std::time::Duration;

use voice_model::{RtpTime, Seq, Ssrc};

use crate::heard::{Heard, Kind, Mix};

/// What speakers gave out, kept so that it can be delivered elsewhere than where they were ticked. Reused, it allocates
/// nothing.
#[derive(Debug, Default)]
pub struct Rendered {
    frames: Vec<Kept>,
    pcm: Vec<f32>,
    packets: Vec<u8>,
}

/// A [`Heard`] whose samples and bytes are elsewhere: so many of them.
#[derive(Debug)]
struct Kept {
    ssrc: Ssrc,
    time: RtpTime,
    seq: Option<Seq>,
    kind: Kind,
    mix: Mix,
    pcm: usize,
    packet: usize,
    samples: u32,
    depth: Duration,
}

impl Rendered {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets everything, but for the memory.
    pub fn clear(&mut self) {
        self.frames.clear();
        self.pcm.clear();
        self.packets.clear();
    }

    /// Keeps a copy.
    pub fn keep(&mut self, heard: &Heard<'_>) {
        let Heard { ssrc, time, seq, kind, mix, pcm, packet, samples, depth } = *heard;
        self.pcm.extend_from_slice(pcm);
        self.packets.extend_from_slice(packet);
        self.frames.push(Kept { ssrc, time, seq, kind, mix, pcm: pcm.len(), packet: packet.len(), samples, depth });
    }

    /// All that was kept, in order.
    pub fn iter(&self) -> impl Iterator<Item = Heard<'_>> {
        let (mut pcm, mut packets) = (&self.pcm[..], &self.packets[..]);
        self.frames.iter().map(move |kept| {
            let Kept { ssrc, time, seq, kind, mix, samples, depth, .. } = *kept;
            let (samples_of_this, packet);
            (samples_of_this, pcm) = pcm.split_at(kept.pcm);
            (packet, packets) = packets.split_at(kept.packet);
            Heard { ssrc, time, seq, kind, mix, pcm: samples_of_this, packet, samples, depth }
        })
    }
}
