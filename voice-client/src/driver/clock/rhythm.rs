use std::time::Duration;

use model::FRAME;

/// Deadlines per period of 20 ms. With 20 to 40 a thread holds thousands of calls; with one, most of them are late.
pub(super) const PHASES: usize = 40;
/// Time between two phases.
pub(super) const STEP: Duration = Duration::from_micros(500);
/// Steps in 20 ms, the longest beat.
const LONG: u64 = PHASES as u64;

/// When a call beats: every 20 ms or every 10 ms, in steps of time that all clock threads of a client count alike.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rhythm {
    every: u64,
    /// No beat before this step; in its phase there is one.
    due: u64,
    /// Its last beat.
    last: u64,
    /// The step that the beats counted so far have come to. It stays within a beat of the last one's, however often a call rests
    /// and moves, so that its RTP time never drifts.
    counted: i64,
}

impl Rhythm {
    pub(super) fn new(step: u64, beat: Duration) -> Self {
        let every = every(beat);
        Self { every, due: step, last: step.saturating_sub(LONG), counted: step as i64 - every as i64 }
    }

    /// Steps between two beats.
    pub(super) fn every(&self) -> u64 {
        self.every
    }

    pub(super) fn due(&self) -> u64 {
        self.due
    }

    /// The step that its RTP time has come to.
    pub(super) fn counted(&self) -> u64 {
        self.counted.max(0).unsigned_abs()
    }

    pub(super) fn is_due(&self, step: u64) -> bool {
        step >= self.due
    }

    /// Beats, in `step`; returns how many beats that is since the last one, at least 1.
    pub(super) fn beat(&mut self, step: u64) -> u32 {
        let every = self.every as i64;
        let beats = ((step as i64 + every / 2 - self.counted) / every).max(1);
        self.counted += beats * every;
        self.last = step;
        self.due = step + self.every;
        u32::try_from(beats).unwrap_or(u32::MAX)
    }

    /// Has its next beat in `step`, after a rest.
    pub(super) fn start(&mut self, step: u64) {
        self.due = step;
    }

    /// Another length of beats. The next beat is 20 ms after the last one, either way: no burst, and no gap longer than a beat.
    /// Returns whether anything changed.
    pub(super) fn change(&mut self, beat: Duration) -> bool {
        let every = every(beat);
        if every == self.every {
            return false;
        }
        self.due = self.due.max(self.last + LONG);
        self.every = every;
        true
    }

    /// The phases that it beats in: one, or two of every other beat.
    pub(super) fn phases(&self) -> impl Iterator<Item = usize> + use<> {
        let Self { every, due, .. } = *self;
        (0..LONG / every).map(move |n| phase(due + n * every))
    }
}

fn every(beat: Duration) -> u64 {
    if beat <= FRAME / 2 { LONG / 2 } else { LONG }
}

pub(super) fn phase(step: u64) -> usize {
    (step % LONG) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(10);

    /// Steps in which it beats up to `end`, with the number of beats each time.
    fn run(rhythm: &mut Rhythm, steps: std::ops::Range<u64>) -> Vec<(u64, u32)> {
        let mut beats = Vec::new();
        for step in steps {
            if rhythm.phases().any(|it| it == phase(step)) && rhythm.is_due(step) {
                beats.push((step, rhythm.beat(step)));
            }
        }
        beats
    }

    #[test]
    fn beats_come_every_twenty_or_every_ten_milliseconds() {
        let mut rhythm = Rhythm::new(7, FRAME);
        assert_eq!(run(&mut rhythm, 0..130), [(7, 1), (47, 1), (87, 1), (127, 1)]);
        let mut rhythm = Rhythm::new(27, SHORT);
        assert_eq!(run(&mut rhythm, 0..100), [(27, 1), (47, 1), (67, 1), (87, 1)]);
    }

    #[test]
    fn a_skipped_beat_is_counted_with_the_next_one() {
        let mut rhythm = Rhythm::new(7, FRAME);
        run(&mut rhythm, 0..50);
        assert_eq!(run(&mut rhythm, 130..210), [(167, 3), (207, 1)]);
    }

    #[test]
    fn another_length_begins_twenty_milliseconds_after_the_last_beat() {
        let mut rhythm = Rhythm::new(7, FRAME);
        run(&mut rhythm, 0..50);
        assert!(rhythm.change(SHORT));
        assert!(!rhythm.change(SHORT));
        // Two beats of 10 ms have passed since the one of 20 ms.
        assert_eq!(run(&mut rhythm, 50..130), [(87, 2), (107, 1), (127, 1)]);
        assert!(rhythm.change(FRAME));
        assert_eq!(run(&mut rhythm, 130..210), [(167, 1), (207, 1)]);
    }

    #[test]
    fn changing_there_and_back_within_a_beat_changes_nothing() {
        let mut rhythm = Rhythm::new(7, FRAME);
        run(&mut rhythm, 0..50);
        assert!(rhythm.change(SHORT) && rhythm.change(FRAME));
        assert_eq!(run(&mut rhythm, 50..130), [(87, 1), (127, 1)]);
    }

    #[test]
    fn rests_and_moves_to_other_phases_do_not_add_up() {
        for every in [FRAME, SHORT] {
            let mut rhythm = Rhythm::new(0, every);
            let (mut step, mut beats) = (0, 0);
            for n in 0..1_000_u64 {
                // Rests of all lengths, each of which ends in another phase.
                step += 60 + n * 13 % 97;
                rhythm.start(step);
                beats += u64::from(rhythm.beat(step));
                let there = (beats * rhythm.every()) as i64 - rhythm.every() as i64;
                assert!((there - step as i64).unsigned_abs() <= rhythm.every(), "{there} at {step}");
                beats += u64::from(rhythm.beat(step + rhythm.every()));
                step += rhythm.every();
            }
        }
    }
}
