use std::time::Instant;

use model::{Ssrc, UserId};
use receive::{Decode, Heard};
use udp::rtcp;

use super::packet::{AudioPacket, MediaPacket};

/// Where media goes.
pub trait Sink {
    /// 20 ms of one user's audio.
    fn audio(&mut self, now: Instant, user: UserId, heard: &Heard<'_>);
    /// A packet of a known user, opened, as it came: before the jitter buffer, in the order of arrival.
    fn packet(&mut self, packet: &AudioPacket<'_>);

    /// Everybody was given out who is heard in this tick.
    fn tick(&mut self, _now: Instant) {}

    /// A stream is over, and forgotten.
    fn forget(&mut self, _ssrc: Ssrc) {}

    /// What is to be done to this user's packets; none is what [`receive::Config::decode`] says.
    fn wants(&self, _user: UserId) -> Option<Decode> {
        None
    }

    /// Whether there is a tick every 20 ms even when nobody is heard.
    fn is_continuous(&self) -> bool {
        false
    }

    /// Whether packets that are no Opus audio are wanted: they are opened for [`media`](Self::media) only.
    fn wants_media(&self) -> bool {
        false
    }

    /// A packet that is no Opus audio.
    fn media(&mut self, _packet: &MediaPacket<'_>) {}

    /// Whether RTCP is wanted: it is parsed for [`rtcp`](Self::rtcp).
    fn wants_rtcp(&self) -> bool {
        false
    }

    /// One packet of an RTCP compound, opened.
    fn rtcp(&mut self, _at: Instant, _packet: &rtcp::Packet) {}
}
