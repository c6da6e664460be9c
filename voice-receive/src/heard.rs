use std::time::Duration;

use voice_model::{RtpTime, Seq, Ssrc};

/// What one speaker gives out in a tick.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Heard<'a> {
    /// Whose stream.
    pub ssrc: Ssrc,
    /// Timestamp of the first sample. Grows by what was heard, except where play-out resynchronizes, waits for a packet
    /// that may still come, or was made faster or slower: by what it grows less, samples were put in.
    pub time: RtpTime,
    /// Sequence number of the packet that the first sample comes from, when it comes from one.
    pub seq: Option<Seq>,
    /// Where the samples come from; of several origins the greatest, see [`Kind`].
    pub kind: Kind,
    /// How many samples come from where.
    pub mix: Mix,
    /// 960 samples per channel at 48 kHz, interleaved left, right, nominally within -1 to 1. Empty when this is a
    /// packet.
    pub pcm: &'a [f32],
    /// The Opus packet, where packets are wanted; empty for a lost one or a pause, and with samples.
    pub packet: &'a [u8],
    /// Duration in samples per channel.
    pub samples: u32,
    /// Audio of this speaker that is buffered and not yet given out.
    pub depth: Duration,
}

/// Where samples come from. The order is by how much there is to worry about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The sender was silent: a silence frame, a pause in its timestamps, or a gap too long to conceal.
    Silence,
    /// A packet.
    Received,
    /// The packet was lost; the next one carried a coarser copy of it (RFC 6716, section 2.1.7).
    Fec,
    /// The packet was lost; a later one carried a deep description of it (DRED of libopus 1.6, feature `deep`).
    Dred,
    /// The packet was lost or late: made up from what came before. In packets mode: lost.
    Concealed,
}

/// Samples per channel by origin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mix {
    /// Of [`Kind::Silence`].
    pub silence: u32,
    /// Of [`Kind::Received`].
    pub received: u32,
    /// Of [`Kind::Fec`].
    pub fec: u32,
    /// Of [`Kind::Dred`].
    pub dred: u32,
    /// Of [`Kind::Concealed`].
    pub concealed: u32,
}

impl Mix {
    pub(crate) fn of(kind: Kind, samples: u32) -> Self {
        let mut mix = Self::default();
        mix.add(kind, samples);
        mix
    }

    pub(crate) fn add(&mut self, kind: Kind, samples: u32) {
        match kind {
            Kind::Silence => self.silence += samples,
            Kind::Received => self.received += samples,
            Kind::Fec => self.fec += samples,
            Kind::Dred => self.dred += samples,
            Kind::Concealed => self.concealed += samples,
        }
    }
}
