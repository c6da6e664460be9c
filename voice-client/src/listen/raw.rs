use std::time::Instant;

use model::{RtpTime, Seq, Ssrc, UserId};

use super::Block;
use super::block::Pool;
use crate::audio::Tap;
use crate::media::MediaPacket;

/// Buffers that are kept for raw media.
const KEPT: usize = 256;
/// Room in each: a datagram.
const ROOM: usize = 1_500;

/// One RTP packet that is no Opus audio, as it was sent: video, retransmissions, bandwidth probes.
///
/// Transport encryption, header extension and padding are off; end-to-end encryption is not.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RawMedia {
    /// When it was received.
    pub at: Instant,
    /// Who sent it, when the SSRC is one that speaks: op 12 tells which SSRCs of video are whose.
    pub user: Option<UserId>,
    /// RTP payload type.
    pub payload_type: u8,
    /// The stream.
    pub ssrc: Ssrc,
    /// RTP sequence number.
    pub seq: Seq,
    /// RTP timestamp, on the clock of its payload type: 90 kHz for video.
    pub time: RtpTime,
    /// RTP marker: of video, the last packet of a frame.
    pub marker: bool,
    /// The payload.
    pub payload: Block<u8>,
}

/// One RTCP packet, its transport encryption opened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rtcp {
    /// When it was received.
    pub at: Instant,
    /// What it says; feedback (types 205 and 206) is [`Other`](udp::rtcp::Packet::Other), raw.
    pub packet: udp::rtcp::Packet,
}

impl Rtcp {
    pub(crate) fn new(at: Instant, packet: &udp::rtcp::Packet) -> Self {
        Self { at, packet: packet.clone() }
    }
}

/// The writing half of a stream of [`RawMedia`].
pub(crate) struct MediaTap {
    tap: Tap<RawMedia>,
    pool: Pool<u8>,
}

impl MediaTap {
    pub(crate) fn new(tap: Tap<RawMedia>) -> Self {
        Self { tap, pool: Pool::new(KEPT, ROOM) }
    }

    /// Adds a packet; `false` when there is no room, and it is lost.
    pub(crate) fn push(&mut self, packet: &MediaPacket<'_>) -> bool {
        let MediaPacket { at, user, payload_type, ssrc, seq, time, marker, payload } = *packet;
        let pool = &self.pool;
        self.tap.push_with(|| {
            let payload = pool.block(payload.iter().copied());
            RawMedia { at, user, payload_type, ssrc, seq, time, marker, payload }
        })
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.tap.is_abandoned()
    }
}
