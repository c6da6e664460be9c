use std::collections::VecDeque;
use std::time::{Duration, Instant};

use model::{SILENCE_FRAME, Ssrc, UserId};

use super::packet::Stamp;

/// Packets held in all, two seconds of ten speakers.
const PACKETS: usize = 1_000;
/// Packets held of one stream: who sends what nobody can open has no more than two seconds' worth of it kept.
const PACKETS_OF_ONE: usize = 100;
/// Bytes held in all.
const BYTES: usize = 256 * 1024;

/// Packets of an SSRC whose user is not known yet, or whose sender's key is not: held for a short, bounded while, in order
/// of arrival.
pub(super) struct Held {
    /// Longest wait. Op 5 follows first audio within a round trip.
    patience: Duration,
    packets: VecDeque<Packet>,
    bytes: usize,
}

/// What a packet waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lacks {
    /// The user of its SSRC.
    User,
    /// Any secret of its sender.
    Secret,
    /// The secret that it was sealed with.
    RightSecret,
}

/// One audio packet, its transport seal opened.
pub(super) struct Packet {
    pub(super) lacks: Lacks,
    /// Whose it is, if that is known already.
    pub(super) user: Option<UserId>,
    pub(super) stamp: Stamp,
    /// No key that was there opens it.
    pub(super) tried: bool,
    pub(super) frame: Box<[u8]>,
}

impl Packet {
    /// A packet that nobody could open, tried with everybody's keys if it is sealed.
    pub(super) fn new(lacks: Lacks, user: Option<UserId>, stamp: Stamp, frame: &[u8]) -> Self {
        let tried = !frame.is_empty() && *frame != SILENCE_FRAME;
        Self { lacks, user, stamp, tried, frame: frame.into() }
    }
}

impl Held {
    pub(super) fn new(patience: Duration) -> Self {
        Self { patience, packets: VecDeque::new(), bytes: 0 }
    }

    /// Holds a packet, and tells `drop` of older ones that have to go for it.
    pub(super) fn push(&mut self, packet: Packet, mut drop: impl FnMut(Packet)) {
        let ssrc = packet.stamp.ssrc;
        if self.count(ssrc) >= PACKETS_OF_ONE
            && let Some(oldest) = self.packets.iter().position(|held| held.stamp.ssrc == ssrc)
            && let Some(packet) = self.packets.remove(oldest)
        {
            self.bytes -= packet.frame.len();
            drop(packet);
        }
        self.bytes += packet.frame.len();
        self.packets.push_back(packet);
        while self.packets.len() > PACKETS || self.bytes > BYTES {
            let Some(packet) = self.pop_front() else { return };
            drop(packet);
        }
    }

    /// Packets held of a stream.
    fn count(&self, ssrc: Ssrc) -> usize {
        self.packets.iter().filter(|held| held.stamp.ssrc == ssrc).count()
    }

    /// Packets held of a stream that everybody's keys were tried with.
    pub(super) fn tried(&self, ssrc: Ssrc) -> usize {
        self.packets.iter().filter(|held| held.tried && held.stamp.ssrc == ssrc).count()
    }

    /// Offers what is held of these streams, in order of arrival; what `offer` gives back is held on.
    pub(super) fn offer(
        &mut self,
        is_theirs: impl Fn(&Packet) -> bool,
        mut offer: impl FnMut(Packet) -> Option<Packet>,
    ) {
        if !self.packets.iter().any(&is_theirs) {
            return;
        }
        for _ in 0..self.packets.len() {
            let Some(packet) = self.pop_front() else { return };
            let kept = if is_theirs(&packet) { offer(packet) } else { Some(packet) };
            if let Some(packet) = kept {
                self.bytes += packet.frame.len();
                self.packets.push_back(packet);
            }
        }
    }

    /// Tells `drop` of what has waited too long.
    pub(super) fn expire(&mut self, now: Instant, mut drop: impl FnMut(Packet)) {
        while self.packets.front().is_some_and(|packet| now >= packet.stamp.at + self.patience) {
            let Some(packet) = self.pop_front() else { return };
            drop(packet);
        }
    }

    /// Tells `drop` of everything.
    pub(super) fn clear(&mut self, mut drop: impl FnMut(Packet)) {
        while let Some(packet) = self.pop_front() {
            drop(packet);
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.packets.front().map(|packet| packet.stamp.at + self.patience)
    }

    fn pop_front(&mut self) -> Option<Packet> {
        let packet = self.packets.pop_front()?;
        self.bytes -= packet.frame.len();
        Some(packet)
    }
}

#[cfg(test)]
mod tests {
    use model::{RtpTime, Seq};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(2);

    /// Some moment: tests need one to start from.
    #[expect(clippy::disallowed_methods, reason = "time in these tests starts anywhere")]
    fn start() -> Instant {
        Instant::now()
    }

    fn packet(at: Instant, ssrc: u32, seq: u16, len: usize) -> Packet {
        Packet {
            lacks: Lacks::User,
            user: None,
            stamp: Stamp { at, ssrc: Ssrc(ssrc), seq: Seq(seq), time: RtpTime(0), marker: false, speaking: None },
            tried: false,
            frame: vec![0; len].into(),
        }
    }

    fn push(held: &mut Held, packet: Packet) -> usize {
        let mut dropped = 0;
        held.push(packet, |_| dropped += 1);
        dropped
    }

    fn take(held: &mut Held, ssrc: u32) -> Vec<u16> {
        let mut seqs = Vec::new();
        held.offer(
            |packet| packet.stamp.ssrc == Ssrc(ssrc),
            |packet| {
                seqs.push(packet.stamp.seq.0);
                None
            },
        );
        seqs
    }

    #[test]
    fn packets_come_back_in_order_and_only_their_own() {
        let now = start();
        let mut held = Held::new(PATIENCE);
        for seq in 0..6 {
            push(&mut held, packet(now, u32::from(seq % 2), seq, 100));
        }
        assert_eq!(take(&mut held, 1), [1, 3, 5]);
        assert_eq!(held.bytes, 300);
        assert!(take(&mut held, 1).is_empty());
    }

    #[test]
    fn what_is_given_back_keeps_its_place() {
        let now = start();
        let mut held = Held::new(PATIENCE);
        for seq in 0..6 {
            push(&mut held, packet(now, u32::from(seq % 2), seq, 100));
        }
        held.offer(|packet| packet.stamp.ssrc == Ssrc(0), |packet| (packet.stamp.seq != Seq(2)).then_some(packet));
        assert_eq!((take(&mut held, 0), take(&mut held, 1)), (vec![0, 4], vec![1, 3, 5]));
        assert_eq!(held.bytes, 0);
    }

    #[test]
    fn packets_and_bytes_are_bounded_and_drops_counted() {
        let now = start();
        let mut held = Held::new(PATIENCE);
        let dropped: usize = (0..1_800).map(|seq| push(&mut held, packet(now, u32::from(seq % 20), seq, 100))).sum();
        assert_eq!(dropped, 800);
        let dropped: usize = (0..1_000).map(|seq| push(&mut held, packet(now, u32::from(seq % 20), seq, 1_400))).sum();
        assert!(held.bytes <= BYTES && held.packets.len() <= PACKETS);
        assert_eq!(dropped, 2_000 - held.packets.len());
    }

    #[test]
    fn one_stream_leaves_room_for_others() {
        let now = start();
        let mut held = Held::new(PATIENCE);
        push(&mut held, packet(now, 1, 0, 100));
        let dropped: usize = (0..10_000).map(|seq| push(&mut held, packet(now, 7, seq, 100))).sum();
        assert_eq!(dropped, 9_900);
        assert_eq!((take(&mut held, 1), take(&mut held, 7)), (vec![0], (9_900..10_000).collect()));
        assert_eq!(held.bytes, 0);
    }

    #[test]
    fn patience_ends() {
        let now = start();
        let mut held = Held::new(PATIENCE);
        push(&mut held, packet(now, 7, 1, 10));
        push(&mut held, packet(now + Duration::from_secs(1), 7, 2, 10));
        assert_eq!(held.poll_timeout(), Some(now + PATIENCE));
        let mut expired = Vec::new();
        held.expire(now + PATIENCE, |packet| expired.push(packet.stamp.seq.0));
        assert_eq!(expired, [1]);
        assert_eq!(take(&mut held, 7), [2]);
    }
}
