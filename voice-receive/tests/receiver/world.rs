use std::time::{Duration, Instant};

use voice_model::{RtpTime, SILENCE_FRAME, Seq};
use voice_receive::{Config, Mix};

use crate::script::{Dice, SSRC, Script};

/// A sender, a link and a receiver in virtual time. The receiver ticks on a grid of 20 ms, whatever the sender does.
pub(crate) struct World {
    pub(crate) script: Script,
    start: Instant,
    dice: Dice,
    arrivals: Vec<Arrival>,
    /// The Gilbert-Elliott model is in its bad state.
    bad: bool,
    /// Packets that were not lost.
    pub(crate) arrived: u64,
    /// Those of them with speech.
    pub(crate) spoken: u64,
    seq: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Arrival {
    at: Duration,
    /// In the order in which they were sent.
    number: u32,
    seq: u16,
    time: u32,
    packet: Option<usize>,
}

/// What the network does.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Link {
    /// Every packet is delayed by up to this.
    pub(crate) jitter: Duration,
    /// Chances of going into and out of a state in which half is lost, of 1,000.
    pub(crate) burst: Option<(u64, u64)>,
    /// Chances of a copy, of 1,000.
    pub(crate) duplicates: u64,
    /// How much faster the sender's clock runs, in millionths.
    pub(crate) drift: i64,
}

impl World {
    pub(crate) fn new(config: Config, seed: u64) -> Self {
        let script = Script::new(config);
        let start = script.now;
        let dice = Dice(seed);
        Self { script, start, dice, arrivals: Vec::new(), bad: false, arrived: 0, spoken: 0, seq: 0 }
    }

    /// From the beginning of the world to that of a frame on the sender's clock.
    pub(crate) fn sent(number: u32, drift: i64) -> Duration {
        let nanos = i128::from(number) * 20_000_000;
        Duration::from_nanos((nanos - nanos * i128::from(drift) / 1_000_000) as u64)
    }

    /// Sends a frame of the sender's clock, `packet` being `None` for a silence frame.
    pub(crate) fn send(&mut self, link: &Link, number: u32, packet: Option<usize>) {
        let at = Self::sent(number, link.drift) + Duration::from_millis(1);
        let jitter = self.dice.roll(link.jitter.as_nanos().max(1) as u64);
        self.send_at(link, at + Duration::from_nanos(jitter), number, packet);
    }

    /// Sends a packet that is lost.
    pub(crate) fn lose(&mut self) {
        self.seq = self.seq.wrapping_add(1);
    }

    /// The same as `send`, with a delay of its own.
    pub(crate) fn send_at(&mut self, link: &Link, at: Duration, number: u32, packet: Option<usize>) {
        let seq = self.seq;
        self.seq = seq.wrapping_add(1);
        if let Some((into, out)) = link.burst {
            self.bad = if self.bad { self.dice.roll(1000) >= out } else { self.dice.roll(1000) < into };
            if self.bad && self.dice.roll(2) == 0 {
                return;
            }
        }
        self.arrived += 1;
        self.spoken += u64::from(packet.is_some());
        let arrival = Arrival { at, number, seq, time: number.wrapping_mul(960), packet };
        self.arrivals.push(arrival);
        if self.dice.roll(1000) < link.duplicates {
            self.arrivals.push(Arrival { at: at + Duration::from_millis(self.dice.roll(30)), ..arrival });
        }
    }

    /// Ticks until then, `phase` after each frame of the receiver's clock.
    pub(crate) fn run(&mut self, packets: &[Vec<u8>], phase: Duration, until: Duration) {
        self.arrivals.sort();
        let mut next = 0;
        loop {
            let now = self.script.now + phase;
            if now >= self.start + until {
                break;
            }
            while let Some(arrival) = self.arrivals.get(next).filter(|arrival| self.start + arrival.at <= now) {
                let frame = arrival.packet.map_or(&SILENCE_FRAME[..], |packet| &packets[packet % packets.len()]);
                let at = self.start + arrival.at;
                self.script.receiver.push(at, SSRC, Seq(arrival.seq), RtpTime(arrival.time), frame);
                next += 1;
            }
            self.script.tick_at(now);
        }
        self.arrivals.drain(..next);
    }

    pub(crate) fn mix(&self) -> Mix {
        self.script.mix()
    }
}
