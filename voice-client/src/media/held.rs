use std::collections::VecDeque;
use std::time::{Duration, Instant};

use model::{RtpTime, Seq, Ssrc};

/// Packets held in all, about two seconds of two speakers.
const PACKETS: usize = 200;
/// Bytes held in all.
const BYTES: usize = 64 * 1024;

/// Packets of an SSRC whose user is not known yet: held for a short, bounded while, in order of arrival.
pub(super) struct Held {
    /// Longest wait. Op 5 follows first audio within a round trip.
    patience: Duration,
    packets: VecDeque<Packet>,
    bytes: usize,
}

/// One opened audio packet and when it came.
pub(super) struct Packet {
    pub(super) at: Instant,
    pub(super) ssrc: Ssrc,
    pub(super) seq: Seq,
    pub(super) time: RtpTime,
    pub(super) frame: Box<[u8]>,
}

impl Held {
    pub(super) fn new(patience: Duration) -> Self {
        Self { patience, packets: VecDeque::new(), bytes: 0 }
    }

    /// Holds a packet; returns how many older ones had to go for it.
    pub(super) fn push(&mut self, packet: Packet) -> u64 {
        self.bytes += packet.frame.len();
        self.packets.push_back(packet);
        let mut dropped = 0;
        while self.packets.len() > PACKETS || self.bytes > BYTES {
            dropped += u64::from(self.pop_front());
        }
        dropped
    }

    /// Takes what is held for `ssrc`, in order of arrival.
    pub(super) fn take(&mut self, ssrc: Ssrc) -> impl Iterator<Item = Packet> + use<> {
        let (taken, kept): (VecDeque<_>, VecDeque<_>) = self.packets.drain(..).partition(|packet| packet.ssrc == ssrc);
        self.packets = kept;
        self.bytes = self.packets.iter().map(|packet| packet.frame.len()).sum();
        taken.into_iter()
    }

    /// Lets go of what has waited too long; returns how many packets that were.
    pub(super) fn expire(&mut self, now: Instant) -> u64 {
        let mut dropped = 0;
        while self.packets.front().is_some_and(|packet| now >= packet.at + self.patience) {
            dropped += u64::from(self.pop_front());
        }
        dropped
    }

    /// Lets go of everything; returns how many packets that were.
    pub(super) fn clear(&mut self) -> u64 {
        let dropped = self.packets.len() as u64;
        *self = Self::new(self.patience);
        dropped
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.packets.front().map(|packet| packet.at + self.patience)
    }

    fn pop_front(&mut self) -> bool {
        let Some(packet) = self.packets.pop_front() else { return false };
        self.bytes -= packet.frame.len();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(2);

    /// Some moment: tests need one to start from.
    #[expect(clippy::disallowed_methods, reason = "time in these tests starts anywhere")]
    fn start() -> Instant {
        Instant::now()
    }

    fn packet(at: Instant, ssrc: u32, seq: u16, len: usize) -> Packet {
        Packet { at, ssrc: Ssrc(ssrc), seq: Seq(seq), time: RtpTime(0), frame: vec![0; len].into() }
    }

    #[test]
    fn packets_come_back_in_order_and_only_their_own() {
        let now = start();
        let mut held = Held::new(PATIENCE);
        for seq in 0..6 {
            held.push(packet(now, u32::from(seq % 2), seq, 100));
        }
        let seqs: Vec<u16> = held.take(Ssrc(1)).map(|packet| packet.seq.0).collect();
        assert_eq!(seqs, [1, 3, 5]);
        assert_eq!(held.bytes, 300);
        assert_eq!(held.take(Ssrc(1)).count(), 0);
    }

    #[test]
    fn packets_and_bytes_are_bounded_and_drops_counted() {
        let now = start();
        let mut held = Held::new(PATIENCE);
        let dropped: u64 = (0..1_000).map(|seq| held.push(packet(now, 7, seq, 100))).sum();
        assert_eq!(dropped, 800);
        let dropped: u64 = (0..1_000).map(|seq| held.push(packet(now, 7, seq, 1_400))).sum();
        assert!(held.bytes <= BYTES && held.packets.len() <= PACKETS);
        assert_eq!(dropped, 1_200 - held.packets.len() as u64);
    }

    #[test]
    fn patience_ends() {
        let now = start();
        let mut held = Held::new(PATIENCE);
        held.push(packet(now, 7, 1, 10));
        held.push(packet(now + Duration::from_secs(1), 7, 2, 10));
        assert_eq!(held.poll_timeout(), Some(now + PATIENCE));
        assert_eq!(held.expire(now + PATIENCE), 1);
        assert_eq!(held.take(Ssrc(7)).count(), 1);
    }
}
