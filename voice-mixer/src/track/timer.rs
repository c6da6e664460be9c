use std::time::Duration;

use voice_model::SAMPLE_RATE;

use crate::source::sample;

/// The name of a timed event, given by whoever asks for it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TimerId(pub u64);

/// When a timed event of a track happens. Its clock runs while the track plays, and stands while it is paused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    /// Once, when the track has played so much longer.
    After(Duration),
    /// First after `phase`, then again after each `period` (at least 20 ms), until it is cancelled or the track ends.
    Every {
        /// Time between two.
        period: Duration,
        /// Time before the first.
        phase: Duration,
    },
    /// Once, when the track has got to this place of its source or beyond, at once if it has already.
    From(Duration),
    /// Whenever the track plays over this place of its source; a seek across it does not count.
    At(Duration),
}

/// Shortest period: one frame.
const MIN_PERIOD: u64 = 960;

/// The timed events of one track. Times are samples at 48 kHz.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    timers: Vec<Timer>,
    /// How long the track has played.
    clock: u64,
}

#[derive(Debug)]
struct Timer {
    id: TimerId,
    due: Due,
}

#[derive(Debug)]
enum Due {
    Once(u64),
    Every { period: u64, next: u64 },
    Place(Duration),
    From(Duration),
}

impl Timers {
    /// Adds one, in place of an earlier one of the same name.
    pub(crate) fn add(&mut self, id: TimerId, when: When) {
        self.cancel(id);
        let from_now = |time: Duration| self.clock.saturating_add(sample(time, SAMPLE_RATE));
        let due = match when {
            When::After(time) => Due::Once(from_now(time)),
            When::Every { period, phase } => {
                Due::Every { period: sample(period, SAMPLE_RATE).max(MIN_PERIOD), next: from_now(phase) }
            }
            When::At(place) => Due::Place(place),
            When::From(place) => Due::From(place),
        };
        self.timers.push(Timer { id, due });
    }

    pub(crate) fn cancel(&mut self, id: TimerId) {
        self.timers.retain(|timer| timer.id != id);
    }

    /// The track has played `frames` more, and came from one place of its source to another without beginning again.
    pub(crate) fn advance(&mut self, frames: u64, from: Duration, to: Duration, mut fire: impl FnMut(TimerId) -> bool) {
        self.clock += frames;
        let clock = self.clock;
        self.timers.retain_mut(|timer| match &mut timer.due {
            Due::Once(due) => {
                // What happens but once waits until there is room for it.
                *due > clock || !fire(timer.id)
            }
            Due::From(place) => *place > to || !fire(timer.id),
            Due::Every { period, next } => {
                if *next <= clock {
                    fire(timer.id);
                    *next += (clock - *next) / *period * *period + *period;
                }
                true
            }
            Due::Place(place) => {
                if from <= *place && *place < to {
                    fire(timer.id);
                }
                true
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn fired(timers: &mut Timers, frames: u64, from: u64, to: u64) -> Vec<u64> {
        let mut ids = Vec::new();
        timers.advance(frames, MS(from), MS(to), |id| {
            ids.push(id.0);
            true
        });
        ids
    }

    #[test]
    fn each_kind_fires_when_it_should() {
        let mut timers = Timers::default();
        timers.add(TimerId(1), When::After(MS(30)));
        timers.add(TimerId(2), When::Every { period: MS(40), phase: MS(10) });
        timers.add(TimerId(3), When::At(MS(25)));
        assert_eq!(fired(&mut timers, 960, 0, 20), [2]);
        assert_eq!(fired(&mut timers, 960, 20, 40), [1, 3]);
        assert_eq!(fired(&mut timers, 960, 40, 60), [2]);
        // A seek back is no playing; playing over the place again is.
        assert_eq!(fired(&mut timers, 960, 10, 30), [3]);
        assert_eq!(fired(&mut timers, 4_800, 30, 130), [2], "one event, however late");
        assert_eq!(fired(&mut timers, 960, 25, 25), Vec::<u64>::new());
        assert_eq!(fired(&mut timers, 960, 24, 26), [2, 3]);
        timers.add(TimerId(4), When::From(MS(100)));
        timers.add(TimerId(5), When::From(MS(10)));
        assert_eq!(fired(&mut timers, 0, 30, 30), [5]);
        timers.cancel(TimerId(2));
        timers.cancel(TimerId(3));
        assert_eq!(fired(&mut timers, 960, 90, 110), [4]);
        assert!(timers.timers.is_empty());
    }
}
