//! Virtual people: they speak into clocks that drift, over a network that delays, loses and reorders.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use voice_model::{RtpTime, Seq, Ssrc, UserId};
use voice_receive::record::{Folder, Recorder};

/// Samples that every packet takes at least.
pub(crate) const DELAY: f64 = 1_920.0;

/// A reproducible random number generator (SplitMix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (x ^ (x >> 31)) as f64 / u64::MAX as f64
    }
}

/// Somebody who speaks.
pub(crate) struct Person {
    pub(crate) user: UserId,
    pub(crate) ppm: f64,
    /// How much of the time they speak; 1 is without pause.
    pub(crate) talk: f64,
    pub(crate) loss: f64,
    /// Mean of the jitter in samples.
    pub(crate) jitter: f64,
    /// Their RTP clock stands still in pauses, as that of some libraries does.
    pub(crate) stands_still: bool,
    ssrc: u32,
    seq: u16,
    base: u32,
    /// Samples on their own clock.
    own: f64,
    skipped: f64,
    spurt: f64,
    random: Random,
    /// Packets that were sent and not lost.
    pub(crate) sent: u64,
}

/// A packet under way. Ordered by arrival.
#[derive(PartialEq)]
pub(crate) struct Flight {
    pub(crate) arrival: f64,
    pub(crate) user: UserId,
    pub(crate) ssrc: Ssrc,
    pub(crate) seq: Seq,
    pub(crate) time: RtpTime,
    pub(crate) captured: f64,
    pub(crate) frame: Vec<u8>,
}

impl Eq for Flight {}

impl PartialOrd for Flight {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Flight {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.arrival.total_cmp(&other.arrival)
    }
}

impl Person {
    pub(crate) fn new(number: u64, ppm: f64, talk: f64) -> Self {
        let mut random = Random(number);
        let base = (random.next() * f64::from(u32::MAX)) as u32;
        Self {
            user: UserId::new(1_000 + number).expect("not zero"),
            ppm,
            talk,
            loss: 0.01,
            jitter: 240.0,
            stands_still: false,
            ssrc: number as u32 + 1,
            seq: 65_000,
            base,
            own: 0.0,
            skipped: 0.0,
            spurt: 0.0,
            random,
            sent: 0,
        }
    }

    /// As after a reconnect: everything is new but the clock's crystal.
    pub(crate) fn reconnect(&mut self) {
        self.ssrc += 1_000;
        self.seq = (self.random.next() * 65_536.0) as u16;
        self.base = (self.random.next() * f64::from(u32::MAX)) as u32;
    }

    /// What they say until `until`, in samples of real time. A frame begins with 0xF8 and when it was captured.
    pub(crate) fn speak(&mut self, until: f64, quiet: bool, mut frame: impl FnMut(u64) -> Vec<u8>, fly: &mut Flights) {
        let rate = 1.0 + self.ppm * 1e-6;
        while self.own / rate < until {
            let captured = self.own / rate;
            let time = self.base.wrapping_add((self.own - self.skipped) as i64 as u32);
            self.own += 960.0;
            self.spurt -= 960.0;
            if self.spurt < 0.0 && self.talk < 1.0 {
                // Two seconds of speech, then a pause.
                let pause =
                    (96_000.0 * (1.0 - self.talk) / self.talk * 2.0 * self.random.next() / 960.0).round() * 960.0;
                self.own += pause;
                if self.stands_still {
                    self.skipped += pause;
                }
                self.spurt = 192_000.0 * self.random.next();
            }
            if quiet {
                continue;
            }
            let seq = self.seq;
            self.seq = self.seq.wrapping_add(1);
            if self.random.next() < self.loss {
                continue;
            }
            self.sent += 1;
            let jitter = -self.jitter * (1.0 - self.random.next()).max(1e-9).ln();
            fly.push(Reverse(Flight {
                arrival: captured + DELAY + jitter.min(14_400.0),
                user: self.user,
                ssrc: Ssrc(self.ssrc),
                seq: Seq(seq),
                time: RtpTime(time),
                captured,
                frame: frame(captured as u64),
            }));
        }
    }
}

pub(crate) type Flights = BinaryHeap<Reverse<Flight>>;

/// A frame that says when it was captured: 20 ms of CELT by its first byte.
pub(crate) fn stamped(captured: u64) -> Vec<u8> {
    let mut frame = vec![0xF8];
    frame.extend(captured.to_le_bytes());
    frame.extend([0x55; 51]);
    frame
}

/// When a stamped frame was captured.
pub(crate) fn captured(frame: &[u8]) -> Option<u64> {
    (frame.len() == 60).then(|| u64::from_le_bytes(frame[1..9].try_into().expect("eight bytes")))
}

pub(crate) fn duration(samples: f64) -> Duration {
    Duration::from_secs_f64(samples / 48_000.0)
}

/// Lands what arrives until `until`.
pub(crate) fn land<F: Folder>(recorder: &mut Recorder<F>, flights: &mut Flights, until: f64) {
    while flights.peek().is_some_and(|flight| flight.0.arrival <= until) {
        let Some(Reverse(it)) = flights.pop() else { return };
        recorder.push(duration(it.arrival), it.user, it.ssrc, it.seq, it.time, &it.frame);
    }
}
