use std::slice;
use std::time::{Duration, Instant};

use model::{RtpTime, Seq, Ssrc, UserId};
use receive::Kind;
use receive::convert::Format;

use super::Block;

/// What a [`Listener`](super::Listener) hears: 20 ms of somebody, an Opus packet, or 20 ms of everybody.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Sound {
    /// Who is heard.
    pub who: Who,
    /// When it was given out, which is when it would sound.
    pub at: Instant,
    /// RTP timestamp of the first sample, at 48 kHz whatever the format; a mix has a clock of its own, which begins with it.
    pub time: RtpTime,
    /// Sequence number of the packet that it begins with, when it begins with one.
    pub seq: Option<Seq>,
    /// Received, recovered, concealed or silence; of a mix, the worst.
    pub kind: Kind,
    /// How much more of this user is buffered; zero for a mix.
    pub depth: Duration,
    /// Its duration in samples per channel at 48 kHz: 960 for PCM, 120 to 5,760 for Opus.
    pub samples: u32,
    /// What is heard.
    pub content: Content,
}

/// Who is heard in a [`Sound`].
#[derive(Clone, Debug)]
pub enum Who {
    /// One user.
    User {
        /// Who.
        user: UserId,
        /// Their stream.
        ssrc: Ssrc,
    },
    /// Everybody who spoke in these 20 ms, nobody in silence.
    Mix(Block<UserId>),
}

/// What is heard in a [`Sound`].
#[derive(Clone, Debug)]
pub enum Content {
    /// An Opus packet; empty when it was lost, or the sender paused.
    Opus(Block<u8>),
    /// Samples, interleaved, full scale at 1.0.
    F32(Format, Block<f32>),
    /// Samples, interleaved, full scale at 32,767.
    I16(Format, Block<i16>),
}

impl Sound {
    /// Who is heard: one user, or those in a mix.
    pub fn users(&self) -> &[UserId] {
        match &self.who {
            Who::User { user, .. } => slice::from_ref(user),
            Who::Mix(users) => users,
        }
    }

    /// The samples, when they are `f32`; else none.
    pub fn f32(&self) -> &[f32] {
        if let Content::F32(_, samples) = &self.content { samples } else { &[] }
    }

    /// The samples, when they are `i16`; else none.
    pub fn i16(&self) -> &[i16] {
        if let Content::I16(_, samples) = &self.content { samples } else { &[] }
    }

    /// The Opus packet, when it is one; else nothing.
    pub fn opus(&self) -> &[u8] {
        if let Content::Opus(packet) = &self.content { packet } else { &[] }
    }
}
