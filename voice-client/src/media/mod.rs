//! The 20 ms path, without sockets or clocks: what a clock thread and a receive task do to packets.
//!
//! Calls drive it by themselves; it is public for who wants to drive it with a clock of their own, to measure it or to
//! simulate it.
//!
//! Control and media have different owners. [`Update`] is all that control says to media, [`Notice`] all that media
//! says to control.

mod command;
mod guard;
mod held;
mod hope;
mod inbound;
mod openers;
mod outbound;
mod packet;
mod reports;
mod sink;

use crypto::{Key, Mode};
use mixer::{Ended, Track, TrackEvent, TrackId};
use model::{RtpTime, Seq, Ssrc, UserId};

pub use command::{Command, Removed};
pub use inbound::{Inbound, InboundSettings};
pub use outbound::{Outbound, OutboundSettings, Prepared};
pub use packet::{Arrival, AudioPacket, MediaPacket};
pub use sink::Sink;

/// Bytes of a [`Packet`].
pub(crate) const PACKET: usize = 1_500;

/// Room for one datagram: Discord's media stays below the usual MTU.
pub type Packet = [u8; PACKET];

/// Control to media. Each half takes what concerns it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Update {
    /// A session was described: seal and open with it from now on.
    Session(Session),
    /// There is no session: nothing is sent, tracks wait.
    Detach,
    /// Send nothing, but let tracks run.
    Mute(bool),
    /// Drop incoming audio.
    Deaf(bool),
    /// This SSRC is this user's.
    Speaker {
        /// The stream.
        ssrc: Ssrc,
        /// Whose it is.
        user: UserId,
    },
    /// The user left: forget what belongs to them.
    Gone(UserId),
    /// End speech properly; [`Notice::Farewelled`] says when that is done.
    Farewell,
    /// What end-to-end encryption has each half do.
    Dave(dave::Update),
}

/// What a session description means for media.
#[derive(Clone, Debug)]
pub struct Session {
    /// Our stream.
    pub ssrc: Ssrc,
    /// Transport mode.
    pub mode: Mode,
    /// Transport key, of both directions.
    pub key: Key,
    /// First sequence number of a new stream; a stream of the same SSRC runs on instead.
    pub seq: Seq,
    /// First RTP timestamp of a new stream; a stream of the same SSRC runs on instead.
    pub time: RtpTime,
    /// Whether the call is end-to-end encrypted: nothing is sent, and nothing plain accepted, until an [`Update::Dave`]
    /// says otherwise. What was said since the last [`Update::Detach`] stays said.
    pub encrypted: bool,
}

/// Media to control.
#[non_exhaustive]
pub enum Notice {
    /// The silence that ends speech was sent, or there was nothing to end.
    Farewelled,
    /// The sealer has no nonce left.
    KeyExhausted,
    /// Something has happened to a track.
    Track {
        /// Which one.
        id: TrackId,
        /// What.
        event: TrackEvent,
    },
    /// A track ended; it is dropped by who reads this.
    TrackEnded {
        /// Which one.
        id: TrackId,
        /// How.
        ended: Ended,
        /// The track, to drop.
        track: Box<Track>,
    },
    /// Something to drop; a track among it was stopped.
    Dispose(Removed),
}
