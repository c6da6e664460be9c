use std::time::{Duration, Instant};

use voice_model::{RtpTime, SAMPLE_RATE};

/// How far timestamps and arrivals may disagree about a pause before arrivals are believed: more than any jitter buffer
/// holds at first, less than the pauses that would be missed. In samples per channel.
const TOLERANCE: u64 = SAMPLE_RATE as u64 / 2;

/// How much faster or slower a sender's clock may run: one part in so many, far worse than any real one.
const SKEW: u64 = 100;

/// Places one speaker's frames on the time line of a recording, by RTP timestamp.
///
/// Pauses become exactly as much silence, overlaps are cut. Where the timestamp jumps far from what passed between the
/// arrivals (a restarted sender, one whose clock stands still in pauses), the frame is placed by its arrival.
#[derive(Clone, Debug)]
pub struct Timeline {
    /// Where the first frame goes, in samples per channel.
    start: u64,
    /// Samples per channel so far.
    written: u64,
    first: Option<Mark>,
    last: Option<Mark>,
}

/// Where a frame starts.
#[derive(Clone, Copy, Debug)]
struct Mark {
    time: RtpTime,
    arrival: Instant,
    position: u64,
}

/// Where a frame goes, see [`Timeline::place`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Samples per channel of silence to write before it.
    pub silence: u64,
    /// Samples per channel to leave out at its beginning, because their time is taken; all of them at most.
    pub cut: usize,
}

impl Timeline {
    /// An empty time line; the first frame will be placed `start` after its beginning.
    pub fn new(start: Duration) -> Self {
        Self { start: samples(start), written: 0, first: None, last: None }
    }

    /// Takes the place of a frame of `length` samples per channel with this timestamp, given out at `now`.
    pub fn place(&mut self, now: Instant, time: RtpTime, length: usize) -> Place {
        let position = self.position(now, time);
        let mark = Mark { time, arrival: now, position };
        self.first.get_or_insert(mark);
        self.last = Some(mark);
        let cut = self.written.saturating_sub(position).min(length as u64);
        let silence = position.saturating_sub(self.written);
        self.written += silence + length as u64 - cut;
        Place { silence, cut: cut as usize }
    }

    /// What the timestamp says; what the arrival says, if they disagree about the time since the last frame; what passed
    /// since the first frame, if that adds up to too much.
    fn position(&self, now: Instant, time: RtpTime) -> u64 {
        let (Some(first), Some(last)) = (self.first, self.last) else { return self.start };
        let by_arrival = last.position + last.passed(now);
        let by_timestamp = last
            .position
            .checked_add_signed(i64::from(time.since(last.time)))
            .filter(|position| position.abs_diff(by_arrival) <= TOLERANCE);
        let position = by_timestamp.unwrap_or(by_arrival);
        let in_all = first.position + first.passed(now);
        if position.abs_diff(in_all) <= TOLERANCE + first.passed(now) / SKEW { position } else { in_all }
    }
}

impl Mark {
    /// Samples per channel since then.
    fn passed(&self, now: Instant) -> u64 {
        samples(now.saturating_duration_since(self.arrival))
    }
}

/// Samples per channel in `duration`, of which more than a thousand centuries are not told apart.
fn samples(duration: Duration) -> u64 {
    const LONGEST: u128 = 1 << 60;
    (duration.as_micros() * u128::from(SAMPLE_RATE) / 1_000_000).min(LONGEST) as u64
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use voice_model::RtpTime;

    use super::{Place, Timeline};

    struct Line {
        timeline: Timeline,
        start: Instant,
    }

    impl Line {
        fn new(start: Duration) -> Self {
            #[allow(clippy::disallowed_methods)]
            Self { timeline: Timeline::new(start), start: Instant::now() }
        }

        fn place(&mut self, millis: u64, time: u32) -> (u64, usize) {
            let now = self.start + Duration::from_millis(millis);
            let Place { silence, cut } = self.timeline.place(now, RtpTime(time), 960);
            (silence, cut)
        }
    }

    #[test]
    fn the_first_frame_is_at_the_start() {
        let mut line = Line::new(Duration::from_millis(2500));
        assert_eq!(line.place(9000, 12_345), (120_000, 0));
        assert_eq!(line.place(9020, 13_305), (0, 0));
    }

    #[test]
    fn an_absurd_start_does_no_harm() {
        let mut line = Line::new(Duration::MAX);
        assert_eq!(line.place(0, 0), (1 << 60, 0));
        assert_eq!(line.place(20, 960), (0, 0));
    }

    #[test]
    fn gaps_are_silence_to_the_sample_and_overlaps_are_cut() {
        let mut line = Line::new(Duration::ZERO);
        let time = u32::MAX - 1000;
        assert_eq!(line.place(0, time), (0, 0));
        assert_eq!(line.place(21, time.wrapping_add(961)), (1, 0));
        assert_eq!(line.place(40, time.wrapping_add(1521)), (0, 400));
        assert_eq!(line.place(45, time.wrapping_add(1000)), (0, 960));
        assert_eq!(line.place(60, time.wrapping_add(2481)), (0, 0));
        // Ten minutes of silence, in both clocks.
        assert_eq!(line.place(600_060, time.wrapping_add(2481 + 28_800_000)), (28_800_000 - 960, 0));
    }

    #[test]
    fn far_jumps_are_placed_by_arrival() {
        let mut line = Line::new(Duration::ZERO);
        line.place(0, 0);
        // Another clock, and the same stream on it.
        assert_eq!(line.place(1000, 3_000_000_000), (48_000 - 960, 0));
        assert_eq!(line.place(1020, 3_000_000_960), (0, 0));
        // A clock that stood still while the speaker was silent.
        assert_eq!(line.place(5020, 3_000_001_920), (4 * 48_000 - 960, 0));
        // A clock that was set back.
        assert_eq!(line.place(5040, 0), (0, 0));
        assert_eq!(line.place(5060, 960), (0, 0));
        // Before the beginning of the recording.
        assert_eq!(line.place(5080, u32::MAX - 1_000_000), (0, 0));
    }

    #[test]
    fn timestamps_cannot_creep_away_from_the_arrivals() {
        let mut line = Line::new(Duration::ZERO);
        let silence: u64 = (0..1000).map(|frame| line.place(u64::from(frame) * 20, frame * 20_000).0).sum();
        // 20 s, the tolerance and the skew, instead of seven minutes.
        assert!(silence < 48_000 * 21, "{silence}");
    }

    #[test]
    fn a_clock_a_little_fast_does_not_count_as_a_jump() {
        let mut line = Line::new(Duration::ZERO);
        line.place(0, 0);
        // 1,000 ppm over an hour: 3.6 s in all, never far between neighbours.
        for frame in 1..180_000_u32 {
            assert_eq!(line.place(u64::from(frame) * 20 * 999 / 1000, 960 * frame), (0, 0));
        }
    }
}
