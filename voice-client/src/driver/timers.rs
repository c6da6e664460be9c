use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use mixer::{TimerId, When};

/// Timed events of a player's own clock, which never stands.
#[derive(Default)]
pub(super) struct Timers {
    timers: BTreeMap<TimerId, Timer>,
}

struct Timer {
    due: Instant,
    period: Option<Duration>,
}

/// Shortest period.
const MIN_PERIOD: Duration = Duration::from_millis(20);
/// Longer than anybody waits; keeps sums with a moment in range.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 86_400);

impl Timers {
    pub(super) fn set(&mut self, now: Instant, id: TimerId, when: Option<When>) {
        self.timers.remove(&id);
        let timer = match when {
            Some(When::After(time)) => Timer { due: now + time.min(LONGEST), period: None },
            Some(When::Every { period, phase }) => {
                Timer { due: now + phase.min(LONGEST), period: Some(period.clamp(MIN_PERIOD, LONGEST)) }
            }
            _ => return,
        };
        self.timers.insert(id, timer);
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.timers.values().map(|timer| timer.due).min()
    }

    /// Those that are due, each once however late it is.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Vec<TimerId> {
        let due: Vec<_> = self.timers.iter().filter(|(_, timer)| timer.due <= now).map(|(id, _)| *id).collect();
        self.timers.retain(|_, timer| {
            if timer.due > now {
                return true;
            }
            let Some(period) = timer.period else { return false };
            let periods = (now - timer.due).as_nanos() / period.as_nanos() + 1;
            timer.due += period * u32::try_from(periods).unwrap_or(u32::MAX);
            true
        });
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn they_fire_once_or_again_and_again() {
        let start = crate::driver::time::now();
        let mut timers = Timers::default();
        timers.set(start, TimerId(1), Some(When::After(MS(50))));
        timers.set(start, TimerId(2), Some(When::Every { period: MS(100), phase: MS(10) }));
        assert_eq!(timers.poll_timeout(), Some(start + MS(10)));
        assert_eq!(timers.handle_timeout(start + MS(9)), []);
        assert_eq!(timers.handle_timeout(start + MS(10)), [TimerId(2)]);
        assert_eq!(timers.handle_timeout(start + MS(350)), [TimerId(1), TimerId(2)]);
        assert_eq!(timers.poll_timeout(), Some(start + MS(410)), "in phase");
        timers.set(start, TimerId(2), None);
        assert_eq!(timers.poll_timeout(), None);
    }
}
