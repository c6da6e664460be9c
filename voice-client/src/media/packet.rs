use std::time::Instant;

use model::{RtpTime, Seq, Ssrc, UserId};

/// One audio packet of a known user, opened: what was in RTP, without extension, padding and encryption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AudioPacket<'a> {
    /// When it was received.
    pub at: Instant,
    /// Who sent it.
    pub user: UserId,
    /// The stream.
    pub ssrc: Ssrc,
    /// RTP sequence number.
    pub seq: Seq,
    /// RTP timestamp.
    pub time: RtpTime,
    /// The first packet after a gap, says the sender.
    pub marker: bool,
    /// Discord's speaking flags, when the header extension has them: bits as in op 5, 0 when the sender is silent.
    pub speaking: Option<u8>,
    /// The Opus packet; empty when all was padding.
    pub frame: &'a [u8],
}

/// When and how an audio packet came, for those who look at the network rather than listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Arrival {
    /// When it was received.
    pub at: Instant,
    /// Who sent it.
    pub user: UserId,
    /// The stream.
    pub ssrc: Ssrc,
    /// RTP sequence number.
    pub seq: Seq,
    /// RTP timestamp.
    pub time: RtpTime,
    /// Bytes of its Opus frame.
    pub len: usize,
}

/// One RTP packet that is no Opus audio: video, retransmissions, bandwidth probes. Without header extension, padding and
/// transport encryption, but end-to-end encrypted if it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MediaPacket<'a> {
    /// When it was received.
    pub at: Instant,
    /// Who sent it, if the SSRC is known.
    pub user: Option<UserId>,
    /// RTP payload type.
    pub payload_type: u8,
    /// The stream.
    pub ssrc: Ssrc,
    /// RTP sequence number.
    pub seq: Seq,
    /// RTP timestamp, on the clock of its payload type.
    pub time: RtpTime,
    /// RTP marker.
    pub marker: bool,
    /// The payload.
    pub payload: &'a [u8],
}

/// All about an audio packet but its content and its user.
#[derive(Clone, Copy)]
pub(super) struct Stamp {
    pub(super) at: Instant,
    pub(super) ssrc: Ssrc,
    pub(super) seq: Seq,
    pub(super) time: RtpTime,
    pub(super) marker: bool,
    pub(super) speaking: Option<u8>,
}

impl<'a> AudioPacket<'a> {
    pub(super) fn new(user: UserId, stamp: Stamp, frame: &'a [u8]) -> Self {
        let Stamp { at, ssrc, seq, time, marker, speaking } = stamp;
        Self { at, user, ssrc, seq, time, marker, speaking, frame }
    }
}

impl From<&AudioPacket<'_>> for Arrival {
    fn from(packet: &AudioPacket<'_>) -> Self {
        let AudioPacket { at, user, ssrc, seq, time, frame, .. } = *packet;
        Self { at, user, ssrc, seq, time, len: frame.len() }
    }
}
