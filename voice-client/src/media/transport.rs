use std::time::Instant;

use crypto::{Backend, Sealer};
use model::{RtpTime, SAMPLE_RATE, Ssrc};
use udp::Outgoing;

use super::Session;
use super::outbound::HEADER;

/// What a session gives the sending half: a key, and a stream.
pub(super) struct Transport {
    pub(super) sealer: Sealer,
    pub(super) outgoing: Outgoing,
    /// Samples by which the time of the next packet is ahead of the current beat.
    pub(super) ahead: u32,
    packets: u64,
    octets: u64,
}

/// The stream that we send, as a sender report tells it (RFC 3550, section 6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OwnStream {
    /// Which one.
    pub ssrc: Ssrc,
    /// RTP packets on the wire since it began.
    pub packets: u64,
    /// Bytes of their payload: without RTP header and transport encryption.
    pub octets: u64,
    /// What its RTP clock showed at a known moment.
    pub time: RtpTime,
    /// That moment.
    pub at: Instant,
}

impl Transport {
    /// A new key for the same stream, the `old` one, is a new sealer, but the same stream.
    pub(super) fn new(session: &Session, backend: Backend, old: Option<Transport>) -> Self {
        let sealer = Sealer::new(session.mode, &session.key, backend);
        let outgoing = Outgoing::new(session.ssrc, session.seq, session.time);
        match old {
            Some(old) => Self { sealer, ..old },
            None => Self { sealer, outgoing, ahead: 0, packets: 0, octets: 0 },
        }
    }

    /// Time passes, in samples.
    pub(super) fn pass(&mut self, elapsed: u64) {
        match u64::from(self.ahead).checked_sub(elapsed) {
            Some(ahead) => self.ahead = ahead as u32,
            None => {
                // The timestamp is modulo 2^32, and so is what it advances by.
                self.outgoing.advance((elapsed - u64::from(self.ahead)) as u32);
                self.ahead = 0;
            }
        }
    }

    /// A sealed packet of so many bytes went out.
    pub(super) fn sent(&mut self, bytes: usize) {
        self.outgoing.sent();
        self.packets += 1;
        self.octets += bytes.saturating_sub(HEADER + self.sealer.mode().overhead()) as u64;
    }

    pub(super) fn stream(&self, at: Instant) -> OwnStream {
        let time = RtpTime(self.outgoing.time().0.wrapping_sub(self.ahead));
        OwnStream { ssrc: self.outgoing.ssrc(), packets: self.packets, octets: self.octets, time, at }
    }
}

impl OwnStream {
    /// What its RTP clock shows at another moment.
    pub fn time_at(&self, now: Instant) -> RtpTime {
        let samples = |from: Instant, to: Instant| {
            let passed = to.saturating_duration_since(from).as_nanos();
            (passed * u128::from(SAMPLE_RATE) / 1_000_000_000) as u32
        };
        // The beat that was prepared last may be about to come.
        RtpTime(self.time.0.wrapping_add(samples(self.at, now)).wrapping_sub(samples(now, self.at)))
    }
}
