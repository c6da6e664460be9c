use std::time::{Duration, Instant};

use voice_model::{RtpTime, SAMPLE_RATE};

use crate::Config;
use crate::jitter::Packet;
use crate::playout::{TICK, samples};

/// Learns from the arrivals of one speaker's packets how long they must be waited for. All durations are in samples per
/// channel.
///
/// A packet's delay is how much longer it took than the fastest of the last two seconds, so that clocks which drift apart
/// change nothing. Delays go into a histogram that forgets; the target is the delay within which the wanted share of
/// packets arrives, or the latest spike, and a margin. Packets out of order need no count of their own: they are late by
/// as much as they were overtaken.
#[derive(Debug)]
pub(crate) struct Delay {
    limits: Limits,
    line: Option<Line>,
    /// Lines begun so far.
    lines: u32,
    fastest: Fastest,
    histogram: Histogram,
    spike: Spike,
    /// What a tick needs beyond the first packet that it plays.
    rest: u32,
    /// What the packets that may wait last.
    room: u32,
    target: u32,
    /// Packets since the quantile was last looked up.
    unseen: u32,
    /// Within which the wanted share of packets arrives.
    usual: u32,
}

#[derive(Debug)]
struct Limits {
    min: u32,
    max: u32,
    margin: u32,
    /// The share of packets that may come later.
    tail: f32,
    await_redundancy: bool,
    /// Packets that may wait: three of four that there is room for, so that some may come early.
    packets: u32,
}

/// Where a packet belongs in time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Place {
    /// Which line: only places on the same can be compared.
    line: u32,
    /// Its timestamp, without wrapping, since the first of the line.
    position: i64,
}

/// A run of packets whose timestamps and arrivals go together.
#[derive(Clone, Copy, Debug)]
struct Line {
    number: u32,
    /// When its first packet came.
    start: Instant,
    /// Of the last packet.
    time: RtpTime,
    place: i64,
    /// How long that took, but for a constant.
    taken: i64,
}

/// A packet that took longer or less long by more than this than the one before was not delayed: a clock was set.
const JUMP: u64 = SAMPLE_RATE as u64;

/// Between looks at the histogram, in packets.
const LOOK: u32 = 16;

impl Delay {
    pub(crate) fn new(config: &Config) -> Self {
        let (min, max, margin) = (samples(config.min_delay), samples(config.max_delay), samples(config.margin));
        let tail = f32::from(1000 - config.covered) / 1000.0;
        let packets = u32::try_from(config.max_packets).unwrap_or(u32::MAX) / 4 * 3;
        Self {
            limits: Limits { min, max, margin, tail, await_redundancy: config.await_redundancy, packets },
            line: None,
            lines: 0,
            fastest: Fastest::default(),
            histogram: Histogram::new(max),
            spike: Spike::default(),
            rest: 0,
            room: u32::MAX,
            target: margin.clamp(min, max),
            unseen: 0,
            usual: 0,
        }
    }

    /// How long a packet is to be waited for after the fastest could have come.
    pub(crate) fn target(&self) -> u32 {
        self.target
    }

    /// What comes next cannot be compared with what came before.
    pub(crate) fn restart(&mut self) {
        self.line = None;
    }

    /// How much later than the fastest could have come this packet is, when it is played now.
    pub(crate) fn lead(&self, now: Instant, packet: &Packet) -> u32 {
        match self.line.filter(|line| line.number == packet.place.line) {
            Some(line) => self.late(passed(line.start, now) - packet.place.position),
            None => samples(now.saturating_duration_since(packet.arrival)),
        }
    }

    fn late(&self, taken: i64) -> u32 {
        let late = taken - self.fastest.least.map_or(taken, |(_, least)| least);
        u32::try_from(late.max(0)).unwrap_or(u32::MAX)
    }

    /// Takes note of a packet of so many samples per channel.
    pub(crate) fn observe(&mut self, now: Instant, time: RtpTime, samples: u32) -> Place {
        let line = self.follow(now, time);
        self.line = Some(line);
        self.fastest.add(line.place + line.taken, line.taken);
        let delay = self.late(line.taken);
        self.rest = TICK.saturating_sub(samples);
        self.room = self.limits.packets.saturating_mul(samples);
        self.histogram.add(delay);
        self.unseen += 1;
        if self.unseen >= LOOK {
            self.unseen = 0;
            self.usual = self.histogram.quantile(self.limits.tail);
        }
        // One that may still have been in time, thanks to the grid of ticks, is no spike.
        if delay > self.target.saturating_add(TICK) {
            self.spike.raise(now, delay);
        }
        self.spike.sink(now);
        self.aim();
        Place { line: line.number, position: line.place }
    }

    /// A lost packet can be recovered from the next, when that is waited for.
    pub(crate) fn await_redundancy(&mut self, now: Instant, samples: u32) {
        if self.limits.await_redundancy {
            self.spike.raise(now, samples);
            self.aim();
        }
    }

    fn aim(&mut self) {
        let wanted = self.usual.max(self.spike.height).saturating_add(self.limits.margin);
        self.target = wanted.clamp(self.limits.min, self.limits.max).min(self.room).max(self.rest);
    }

    /// The line on which this packet is the last: a new one where it does not follow the one before.
    fn follow(&mut self, now: Instant, time: RtpTime) -> Line {
        let next = self.line.map(|last| {
            let place = last.place + i64::from(time.since(last.time));
            Line { time, place, taken: passed(last.start, now) - place, ..last }
        });
        match (next, self.line) {
            (Some(next), Some(last)) if next.taken.abs_diff(last.taken) <= JUMP => next,
            _ => {
                self.fastest = Fastest::default();
                self.lines = self.lines.wrapping_add(1);
                Line { number: self.lines, start: now, time, place: 0, taken: 0 }
            }
        }
    }
}

/// From `start` to `now`, which may be before it.
fn passed(start: Instant, now: Instant) -> i64 {
    let samples = |duration: Duration| {
        let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX).min(1 << 40);
        seconds * i64::from(SAMPLE_RATE) + i64::from(duration.subsec_nanos()) * 6 / 125_000
    };
    match now.checked_duration_since(start) {
        Some(after) => samples(after),
        None => -samples(start.saturating_duration_since(now)),
    }
}

/// The least of the last two seconds, in eight parts.
#[derive(Debug, Default)]
struct Fastest {
    parts: [Option<(i64, i64)>; 8],
    /// The part that is being filled, and the least of all.
    least: Option<(i64, i64)>,
}

impl Fastest {
    const PART: i64 = SAMPLE_RATE as i64 / 4;

    fn add(&mut self, arrival: i64, taken: i64) {
        let number = arrival.div_euclid(Self::PART);
        let part = &mut self.parts[number.rem_euclid(8) as usize];
        let lowest = match *part {
            Some((of, lowest)) if of == number => lowest.min(taken),
            _ => taken,
        };
        *part = Some((number, lowest));
        let least = match self.least {
            Some((of, least)) if of == number => least.min(taken),
            _ => {
                let recent = self.parts.iter().flatten().filter(|(of, _)| (number - 7..=number).contains(of));
                recent.map(|(_, lowest)| *lowest).min().unwrap_or(taken)
            }
        };
        self.least = Some((number, least));
    }
}

/// How many packets had which delay, the older the less they count.
#[derive(Debug)]
struct Histogram {
    buckets: [f32; BUCKETS],
    /// The highest that counts.
    top: usize,
    /// Samples in a bucket, but for the first, as a power of two.
    shift: u32,
    /// What the next packet counts. It grows instead of all others shrinking.
    weight: f32,
    total: f32,
}

const BUCKETS: usize = 128;

/// Delays up to half a millisecond are none.
const NOISE: u32 = SAMPLE_RATE / 2000;

/// By which a packet counts more than the one before it: twice as much in seven seconds.
const GROW: f32 = 1.002;

impl Histogram {
    fn new(longest: u32) -> Self {
        // 2.7 ms, which is finer than any tick, or what it takes to cover the longest.
        let width = longest.div_ceil(BUCKETS as u32 - 2).max(128).next_power_of_two();
        Self { buckets: [0.0; BUCKETS], top: 0, shift: width.ilog2(), weight: 1.0, total: 0.0 }
    }

    fn add(&mut self, delay: u32) {
        let past = delay.saturating_sub(NOISE);
        let bucket = ((past >> self.shift) as usize + usize::from(past > 0)).min(BUCKETS - 1);
        self.buckets[bucket] += self.weight;
        self.top = self.top.max(bucket);
        self.total += self.weight;
        self.weight *= GROW;
        if self.weight > 1e6 {
            self.buckets.iter_mut().for_each(|bucket| *bucket /= self.weight);
            self.total /= self.weight;
            self.weight = 1.0;
            self.top = self.buckets.iter().rposition(|bucket| *bucket > 1e-3).unwrap_or(0);
        }
    }

    /// The delay that all but `tail` of the packets keep within.
    fn quantile(&self, tail: f32) -> u32 {
        let mut left = tail * self.total;
        for bucket in (1..=self.top).rev() {
            left -= self.buckets[bucket];
            if left < 0.0 {
                return NOISE + ((bucket as u32) << self.shift);
            }
        }
        0
    }
}

/// The latest delay that was far above the target: kept for a while, then sinking.
#[derive(Debug, Default)]
struct Spike {
    height: u32,
    since: Option<Instant>,
}

impl Spike {
    /// Seconds before it sinks.
    const HOLD: u64 = 2;

    fn raise(&mut self, now: Instant, height: u32) {
        if height >= self.height {
            *self = Self { height, since: Some(now) };
        }
    }

    fn sink(&mut self, now: Instant) {
        if self.since.is_some_and(|since| now.saturating_duration_since(since).as_secs() >= Self::HOLD) {
            self.height -= self.height.div_ceil(64);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use voice_model::RtpTime;

    use super::{Delay, Histogram};
    use crate::{Config, Preset};

    struct Stream {
        delay: Delay,
        start: Instant,
        number: u32,
    }

    impl Stream {
        fn new(preset: Preset) -> Self {
            #[allow(clippy::disallowed_methods)]
            Self { delay: Delay::new(&Config::preset(preset).in_range()), start: Instant::now(), number: 0 }
        }

        /// The next packet, so many microseconds late.
        fn packet(&mut self, micros: u64) -> u128 {
            let now = self.start + Duration::from_micros(u64::from(self.number) * 20_000 + micros);
            self.delay.observe(now, RtpTime((u32::MAX - 9600).wrapping_add(960 * self.number)), 960);
            self.number += 1;
            u128::from(self.delay.target() / 48)
        }
    }

    #[test]
    fn the_target_covers_the_wanted_share() {
        let mut histogram = Histogram::new(11_520);
        (0..1000).for_each(|number| histogram.add(number % 100 * 48));
        for (tail, wanted) in [(0.5, 49), (0.1, 89), (0.03, 96), (0.0, 99)] {
            let found = histogram.quantile(tail) / 48;
            assert!((wanted..wanted + 5).contains(&found), "{tail}: {found}");
        }
        assert_eq!(Histogram::new(0).quantile(0.0), 0);
    }

    #[test]
    fn what_is_beyond_the_histogram_is_its_end() {
        let mut histogram = Histogram::new(96_000);
        histogram.add(u32::MAX);
        assert!(histogram.quantile(0.01) >= 95_000);
    }

    #[test]
    fn weights_stay_in_bounds() {
        let mut histogram = Histogram::new(11_520);
        (0..100_000).for_each(|number| histogram.add(if number < 90_000 { 4800 } else { 0 }));
        assert!(histogram.total.is_finite() && histogram.weight <= 1e6);
        assert_eq!(histogram.quantile(0.03), 0);
    }

    #[test]
    fn clocks_that_drift_apart_are_no_delay() {
        for (preset, target) in [(Preset::LowLatency, 0), (Preset::Balanced, 8), (Preset::Recording, 100)] {
            let mut stream = Stream::new(preset);
            // 200 millionths slow, for an hour.
            for number in 0..180_000 {
                assert_eq!(stream.packet(number * 4), target);
            }
        }
    }

    #[test]
    fn a_spike_is_followed_at_once_and_forgotten() {
        let mut stream = Stream::new(Preset::Balanced);
        (0..100).for_each(|_| assert_eq!(stream.packet(0), 8));
        assert_eq!(stream.packet(100_000), 108);
        (0..90).for_each(|_| assert!(stream.packet(0) >= 90));
        let after = (0..1000).position(|_| stream.packet(0) == 8).expect("forgotten");
        assert!(after < 500, "{after} packets");
    }

    #[test]
    fn the_target_has_bounds() {
        let mut stream = Stream::new(Preset::Balanced);
        stream.packet(0);
        assert_eq!(stream.packet(900_000), 240);
    }

    #[test]
    fn a_clock_that_was_set_is_no_delay() {
        let mut stream = Stream::new(Preset::Balanced);
        (0..10).for_each(|_| assert_eq!(stream.packet(0), 8));
        assert_eq!(stream.packet(1_500_000), 8);
        assert_eq!(stream.packet(1_500_000), 8);
    }
}
