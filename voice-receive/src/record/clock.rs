use std::collections::VecDeque;

use voice_model::SAMPLE_RATE;

/// Length of a block of arrivals, of which the fastest counts. In samples, as all times here.
const BLOCK: i64 = 5 * SAMPLE_RATE as i64;
/// Blocks that say where the stream is now: 30 s.
const KEPT: usize = 6;
/// The same as long as the drift is not known, which would make old ones wrong.
const AT_FIRST: usize = 2;
/// Blocks that say how fast it drifts: 10 minutes.
const REMEMBERED: usize = 120;
/// Packets without which a block says nothing about drift.
const ENOUGH: u32 = 50;
/// Arrivals closer together than this say nothing about drift.
const BASELINE: f64 = 60.0 * SAMPLE_RATE as f64;
/// No crystal is worse than this.
const MAX_SKEW: f64 = 500e-6;

/// What one sender's RTP clock is worth on the clock of the recording.
///
/// The network only ever delays, so the fastest packets tell: the least `arrival - RTP time` of some while is the
/// offset, how it changes is the drift (the idea is that of convex-hull skew estimators, Moon et al., 1999).
#[derive(Clone, Debug, Default)]
pub(super) struct Clock {
    recent: VecDeque<Block>,
    /// Finished blocks: when the fastest packet came, and its offset.
    past: VecDeque<(i64, i64)>,
    /// Samples that the offset grows by per sample, when that is known: positive when the sender's clock is slow.
    skew: Option<f64>,
}

#[derive(Clone, Copy, Debug)]
struct Block {
    start: i64,
    /// Arrival of the fastest packet.
    at: i64,
    /// Its offset.
    offset: i64,
    packets: u32,
}

impl Clock {
    /// The clock of another stream of the same sender: the offset is unknown, the crystal is the same.
    pub(super) fn restarted(&self) -> Self {
        Self { skew: self.skew, ..Self::default() }
    }

    /// Takes a packet, in the order of arrival.
    pub(super) fn observe(&mut self, arrival: i64, rtp: i64) {
        let offset = arrival - rtp;
        match self.recent.back_mut() {
            Some(block) if arrival - block.start < BLOCK => {
                block.packets += 1;
                if offset <= block.offset {
                    (block.at, block.offset) = (arrival, offset);
                }
                return;
            }
            Some(block) if block.packets >= ENOUGH => {
                self.past.push_back((block.at, block.offset));
                if self.past.len() > REMEMBERED {
                    self.past.pop_front();
                }
                self.fit();
            }
            _ => {}
        }
        self.recent.push_back(Block { start: arrival, at: arrival, offset, packets: 1 });
        let old = arrival - KEPT as i64 * BLOCK;
        while self.recent.len() > KEPT || self.recent.front().is_some_and(|block| block.start + BLOCK < old) {
            self.recent.pop_front();
        }
    }

    /// What to add to an RTP time to have the time of the recording at which a packet on an empty road arrives; `None`
    /// before the first packet.
    pub(super) fn offset(&self, now: i64) -> Option<i64> {
        let skew = self.skew.unwrap_or(0.0);
        let drifted = |block: &Block| block.offset + (skew * (now - block.at) as f64).round() as i64;
        let blocks = if self.skew.is_some() { KEPT } else { AT_FIRST };
        self.recent.iter().rev().take(blocks).map(drifted).min()
    }

    /// How much faster than ours the sender's clock runs, in parts per million.
    pub(super) fn drift_ppm(&self) -> f64 {
        -1e6 * self.skew.unwrap_or(0.0)
    }

    /// Least squares through the offsets of the past.
    fn fit(&mut self) {
        let (Some(first), Some(last)) = (self.past.front(), self.past.back()) else { return };
        if ((last.0 - first.0) as f64) < BASELINE {
            return;
        }
        let count = self.past.len() as f64;
        let points = self.past.iter().map(|(at, offset)| ((at - first.0) as f64, (offset - first.1) as f64));
        let (x, y) = points.clone().fold((0.0, 0.0), |(x, y), point| (x + point.0 / count, y + point.1 / count));
        let (above, below) = points.fold((0.0, 0.0), |(above, below), point| {
            (above + (point.0 - x) * (point.1 - y), below + (point.0 - x) * (point.0 - x))
        });
        self.skew = Some((above / below).clamp(-MAX_SKEW, MAX_SKEW));
    }
}

#[cfg(test)]
mod tests {
    use super::Clock;

    #[test]
    fn late_packets_do_not_shift_it() {
        let mut clock = Clock::default();
        assert_eq!(clock.offset(0), None);
        clock.observe(10_000, 0);
        assert_eq!(clock.offset(10_000), Some(10_000));
        clock.observe(10_010, 960);
        assert_eq!(clock.offset(10_010), Some(9_050));
        clock.observe(18_000, 1_920);
        assert_eq!(clock.offset(18_000), Some(9_050));
    }

    #[test]
    fn a_drift_is_found() {
        for ppm in [-200_i64, 0, 150] {
            let mut clock = Clock::default();
            let mut random = 7_u32;
            let mut worst = 0;
            for packet in 0..50 * 600_i64 {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let sent = packet * 960;
                // The sender counts more than 960 samples in 20 ms when its clock is fast.
                let rtp = sent + sent * ppm / 1_000_000;
                let arrival = sent + 1_000 + i64::from(random >> 16) % 2_000;
                clock.observe(arrival, rtp);
                if packet > 50 * 120 {
                    worst = worst.max((clock.offset(arrival).expect("packets") + rtp - sent - 1_000).abs());
                }
            }
            assert!(worst < 240, "off by {worst} samples at {ppm} ppm");
            assert!((clock.drift_ppm() - ppm as f64).abs() < 10.0, "{} for {ppm} ppm", clock.drift_ppm());
        }
    }

    #[test]
    fn after_a_long_pause_only_what_is_new_counts() {
        let mut clock = Clock::default();
        clock.observe(0, 0);
        clock.observe(48_000 * 600 + 5_000, 48_000 * 600);
        assert_eq!(clock.offset(48_000 * 600 + 5_000), Some(5_000));
    }
}
