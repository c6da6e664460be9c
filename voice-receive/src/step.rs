use voice_model::{RtpTime, Seq};

use crate::heard::Kind;

/// A stretch of the stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Step {
    /// Timestamp of the first sample.
    pub(crate) time: RtpTime,
    /// Samples per channel to play; more than asked for only when they come from a packet. May be none.
    pub(crate) samples: u32,
    /// Samples per channel by which the stream moves on: as many, or none while a packet is waited for, or more where
    /// what was made up while waiting stands for a lost packet.
    pub(crate) moves: u32,
    pub(crate) source: Source,
}

/// Where the samples of a step come from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Source {
    /// This packet, without its first `cut` samples, which are past.
    Packet {
        seq: Seq,
        cut: u32,
        quiet: bool,
    },
    /// The copy that this packet carries of the audio before it.
    Redundancy {
        of: Seq,
    },
    /// What this packet says about what began so many samples before it; if it does not, what came before.
    Dred {
        of: Seq,
        before: u32,
        run: u32,
    },
    /// What came before, `run` samples ago.
    Concealment {
        run: u32,
    },
    Silence,
}

impl Source {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Packet { quiet: false, .. } => Kind::Received,
            Self::Redundancy { .. } => Kind::Fec,
            Self::Concealment { .. } | Self::Dred { .. } => Kind::Concealed,
            Self::Packet { quiet: true, .. } | Self::Silence => Kind::Silence,
        }
    }

    /// The packet that it needs.
    pub(crate) fn seq(&self) -> Option<Seq> {
        match *self {
            Self::Packet { seq, .. } | Self::Redundancy { of: seq } | Self::Dred { of: seq, .. } => Some(seq),
            Self::Concealment { .. } | Self::Silence => None,
        }
    }
}
