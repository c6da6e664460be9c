use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use model::{RtpTime, Seq, Ssrc, UserId};

use crate::media::AudioPacket;

/// Bytes of a packet's header in the ring.
const HEADER: usize = 28;

/// All about a packet but its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Since the start of the recording.
    pub(crate) at: Duration,
    pub(crate) user: UserId,
    pub(crate) ssrc: Ssrc,
    pub(crate) seq: Seq,
    pub(crate) time: RtpTime,
}

/// Where the receive task puts packets for a recording: a ring of bytes that never makes it wait.
pub(crate) struct PacketTap {
    ring: rtrb::Producer<u8>,
    start: Instant,
    missed: Arc<AtomicU64>,
}

/// The other end.
pub(crate) struct Packets {
    ring: rtrb::Consumer<u8>,
    frame: Vec<u8>,
    missed: Arc<AtomicU64>,
}

/// A ring of so many bytes, whose times are counted from `start`.
pub(crate) fn packets(bytes: usize, start: Instant) -> (PacketTap, Packets) {
    let (producer, consumer) = rtrb::RingBuffer::new(bytes.max(64 * 1024));
    let missed = Arc::new(AtomicU64::new(0));
    let tap = PacketTap { ring: producer, start, missed: missed.clone() };
    (tap, Packets { ring: consumer, frame: Vec::new(), missed })
}

impl PacketTap {
    /// Adds a packet, or counts it as missed. Neither waits nor allocates.
    ///
    /// A packet that was held up, and arrived before the start, is not of this recording.
    pub(crate) fn push(&mut self, packet: &AudioPacket<'_>) {
        let Some(at) = packet.at.checked_duration_since(self.start) else { return };
        let frame = packet.frame;
        let len = u16::try_from(frame.len()).ok().filter(|_| self.ring.slots() >= HEADER + frame.len());
        let Some(len) = len else {
            self.missed.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let mut header = [0; HEADER];
        header[0..8].copy_from_slice(&(at.as_nanos() as u64).to_le_bytes());
        header[8..16].copy_from_slice(&packet.user.get().to_le_bytes());
        header[16..20].copy_from_slice(&packet.ssrc.0.to_le_bytes());
        header[20..24].copy_from_slice(&packet.time.0.to_le_bytes());
        header[24..26].copy_from_slice(&packet.seq.0.to_le_bytes());
        header[26..28].copy_from_slice(&len.to_le_bytes());
        // There is room for both.
        let _ = self.ring.push_entire_slice(&header);
        let _ = self.ring.push_entire_slice(frame);
    }

    /// Whether the recording is over.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.ring.is_abandoned()
    }
}

impl Packets {
    /// The next packet, if all of it is there and it arrived no later than `until` after the start.
    pub(crate) fn pop(&mut self, until: Duration) -> Option<(Header, &[u8])> {
        let chunk = self.ring.read_chunk(HEADER).ok()?;
        let (first, second) = chunk.as_slices();
        let mut header = [0; HEADER];
        header[..first.len()].copy_from_slice(first);
        header[first.len()..].copy_from_slice(second);
        let len = usize::from(u16::from_le_bytes([header[26], header[27]]));
        let long = |header: &[u8], at: usize| u64::from_le_bytes(std::array::from_fn(|byte| header[at + byte]));
        let at = Duration::from_nanos(long(&header, 0));
        if at > until {
            return None;
        }
        if self.ring.slots() < HEADER + len {
            return None;
        }
        self.ring.pop_entire_slice(&mut header).ok()?;
        self.frame.resize(len, 0);
        self.ring.pop_entire_slice(&mut self.frame).ok()?;
        let word = |at: usize| u32::from_le_bytes(std::array::from_fn(|byte| header[at + byte]));
        let header = Header {
            at,
            user: UserId::new(long(&header, 8))?,
            ssrc: Ssrc(word(16)),
            time: RtpTime(word(20)),
            seq: Seq(u16::from_le_bytes([header[24], header[25]])),
        };
        Some((header, &self.frame))
    }

    /// Packets that found no room.
    pub(crate) fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use model::{RtpTime, Seq, Ssrc, UserId};

    use super::{Header, packets};
    use crate::media::AudioPacket;

    #[test]
    fn packets_come_out_as_they_went_in_and_what_has_no_room_is_counted() {
        #[expect(clippy::disallowed_methods, reason = "a point in time, any one")]
        let start = std::time::Instant::now();
        let (mut tap, mut ring) = packets(0, start);
        let user = UserId::new(7).expect("not zero");
        let frame = [5; 1_000];
        let at = Duration::from_millis(1_500);
        let packet = |seq| AudioPacket {
            at: start + at,
            user,
            ssrc: Ssrc(3),
            seq: Seq(seq),
            time: RtpTime(9),
            marker: false,
            speaking: None,
            frame: &frame,
        };
        assert!(ring.pop(Duration::MAX).is_none());
        for round in 0..10 {
            let allocated = allocation_counter::measure(|| (0..50).for_each(|seq| tap.push(&packet(seq))));
            assert_eq!(allocated.count_total, 0, "on the receive task");
            for seq in 0..50 {
                let wanted = Header { at, user, ssrc: Ssrc(3), seq: Seq(seq), time: RtpTime(9) };
                assert_eq!(ring.pop(Duration::MAX), Some((wanted, &frame[..])), "round {round}");
            }
        }
        (0..100).for_each(|seq| tap.push(&packet(seq)));
        assert_eq!(ring.missed(), 100 - 64 * 1024 / 1_028);
        drop(ring);
        assert!(tap.is_abandoned());
    }

    #[test]
    fn what_arrived_before_the_start_is_left_out_and_what_comes_after_the_moment_waits() {
        #[expect(clippy::disallowed_methods, reason = "a point in time, any one")]
        let now = std::time::Instant::now();
        let start = now + Duration::from_secs(2);
        let (mut tap, mut ring) = packets(0, start);
        let ms = Duration::from_millis;
        for (seq, at) in [start - ms(1), start, start + ms(30)].into_iter().enumerate() {
            let user = UserId::new(7).expect("not zero");
            let (ssrc, seq, time) = (Ssrc(3), Seq(seq as u16), RtpTime(9));
            tap.push(&AudioPacket { at, user, ssrc, seq, time, marker: false, speaking: None, frame: &[5; 10] });
        }
        let mut next = |until| ring.pop(ms(until)).map(|(header, _)| (header.at, header.seq));
        assert_eq!(next(20), Some((ms(0), Seq(1))));
        assert_eq!(next(20), None);
        assert_eq!(next(30), Some((ms(30), Seq(2))));
        assert_eq!(ring.missed(), 0);
    }
}
