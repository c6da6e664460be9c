use std::time::{Duration, Instant};

/// Between two recoveries because nothing can be opened: at first, and at most.
const FIRST_DELAY: Duration = Duration::from_secs(10);
const MAX_DELAY: Duration = Duration::from_secs(160);

/// Before a further key package while recoveries fail one after the other: none at first, then this, twice as much each
/// time, and at most that. Each failure costs the others a commit to take us out, and one to take us in.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_secs(32);
/// A group that held this long was a success.
const SUCCESS: Duration = Duration::from_secs(10);

/// Transitions whose report is remembered; the oldest makes room.
const MAX_REPORTED: usize = 16;

/// Where we are between leaving a broken group and being in one again.
#[derive(Debug)]
pub(super) struct Recovery {
    active: bool,
    /// Transitions reported by op 31 during this recovery.
    reported: Vec<u16>,
    last_start: Option<Instant>,
    last_end: Option<Instant>,
    delay: Duration,
    /// Key packages that recovery wanted since the last success.
    attempts: u32,
    /// When the next key package is to be sent.
    offer_due: Option<Instant>,
}

impl Recovery {
    pub(super) fn new() -> Self {
        Self {
            active: false,
            reported: Vec::new(),
            last_start: None,
            last_end: None,
            delay: FIRST_DELAY,
            attempts: 0,
            offer_due: None,
        }
    }

    /// Whether we are out of the group and not back yet.
    pub(super) fn is_active(&self) -> bool {
        self.active
    }

    /// Starts, or starts anew; op 31 goes out for `transition`.
    pub(super) fn start(&mut self, now: Instant, transition: Option<u16>) {
        if !self.active && self.last_end.is_some_and(|end| now >= end + SUCCESS) {
            self.attempts = 0;
        }
        self.retry(now);
        self.active = true;
        self.last_start = Some(now);
        if let Some(id) = transition {
            if self.reported.len() == MAX_REPORTED {
                self.reported.remove(0);
            }
            self.reported.push(id);
        }
    }

    /// Another key package is wanted.
    pub(super) fn retry(&mut self, now: Instant) {
        let pause = match self.attempts {
            0 => Duration::ZERO,
            failed => FIRST_PAUSE.saturating_mul(1 << (failed - 1).min(5)).min(MAX_PAUSE),
        };
        self.attempts = self.attempts.saturating_add(1);
        self.offer_due = Some(now + pause);
    }

    /// When the next key package is to be sent, if recovery wants one.
    pub(super) fn offer_due(&self) -> Option<Instant> {
        self.offer_due
    }

    /// A key package was sent.
    pub(super) fn offered(&mut self) {
        self.offer_due = None;
    }

    /// Whether the server knows already that we could not follow this transition. Transition 0 names none in
    /// particular: every initialization has that id.
    pub(super) fn has_reported(&self, transition: u16) -> bool {
        self.active && transition != 0 && self.reported.contains(&transition)
    }

    /// In a group again, with its secret in force.
    pub(super) fn end(&mut self, now: Instant) -> bool {
        let was_active = self.active;
        if was_active {
            self.last_end = Some(now);
        }
        self.cancel();
        was_active
    }

    /// There is nothing left to recover.
    pub(super) fn cancel(&mut self) {
        self.active = false;
        self.offer_due = None;
        self.reported.clear();
    }

    /// Whether another recovery is allowed because nothing can be opened: not sooner than 10 s after the last start, and
    /// each time twice as late, up to 160 s. From the beginning again once a recovery has helped: it ended, and nothing
    /// was amiss for as long as the delay was.
    pub(super) fn permits(&mut self, now: Instant) -> bool {
        let Some(last) = self.last_start else { return true };
        if now < last + self.delay {
            return false;
        }
        let helped = !self.active && self.last_end.is_some_and(|end| now >= end + self.delay);
        self.delay = if helped { FIRST_DELAY } else { (self.delay * 2).min(MAX_DELAY) };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "time in these tests starts anywhere")]
    fn start() -> Instant {
        Instant::now()
    }

    /// When a recovery is permitted if media complains every second.
    fn starts(recovery: &mut Recovery, from: Instant, seconds: u64) -> Vec<u64> {
        let mut found = Vec::new();
        for second in 0..seconds {
            let now = from + Duration::from_secs(second);
            if recovery.permits(now) {
                recovery.start(now, Some(0));
                found.push(second);
            }
        }
        found
    }

    #[test]
    fn delays_double_up_to_160_seconds() {
        assert_eq!(starts(&mut Recovery::new(), start(), 700), [0, 10, 30, 70, 150, 310, 470, 630]);
    }

    #[test]
    fn success_that_lasts_starts_from_the_beginning() {
        let (t0, mut recovery) = (start(), Recovery::new());
        assert_eq!(starts(&mut recovery, t0, 100), [0, 10, 30, 70]);
        assert!(recovery.end(t0 + Duration::from_secs(100)));
        let later = t0 + Duration::from_secs(1_000);
        assert_eq!(starts(&mut recovery, later, 45), [0, 10, 30]);
    }

    #[test]
    fn success_that_does_not_last_goes_on_doubling() {
        let (t0, mut recovery) = (start(), Recovery::new());
        assert_eq!(starts(&mut recovery, t0, 11), [0, 10]);
        recovery.end(t0 + Duration::from_secs(11));
        assert_eq!(starts(&mut recovery, t0 + Duration::from_secs(12), 80), [18, 58]);
    }

    /// How long each of so many recoveries in a row waits with its key package.
    fn pauses(recovery: &mut Recovery, now: Instant, count: u16) -> Vec<u64> {
        let pause = |id| {
            recovery.start(now, Some(id));
            recovery.offer_due().map(|due| (due - now).as_secs()).expect("one is wanted")
        };
        (0..count).map(pause).collect()
    }

    #[test]
    fn key_packages_of_failing_recoveries_are_ever_rarer() {
        let (t0, mut recovery) = (start(), Recovery::new());
        assert_eq!(pauses(&mut recovery, t0, 9), [0, 1, 2, 4, 8, 16, 32, 32, 32]);
        recovery.end(t0);
        assert_eq!(recovery.offer_due(), None);
        assert_eq!(pauses(&mut recovery, t0 + SUCCESS - Duration::from_nanos(1), 1), [32], "that group did not hold");
        recovery.end(t0);
        assert_eq!(pauses(&mut recovery, t0 + SUCCESS, 3), [0, 1, 2]);
    }

    #[test]
    fn a_report_is_remembered_until_the_end() {
        let (t0, mut recovery) = (start(), Recovery::new());
        recovery.start(t0, Some(7));
        recovery.start(t0, Some(0));
        assert!(recovery.has_reported(7));
        assert!(!recovery.has_reported(0) && !recovery.has_reported(8));
        for id in 100..200 {
            recovery.start(t0, Some(id));
        }
        assert!(!recovery.has_reported(7), "bounded");
        recovery.end(t0);
        assert!(!recovery.has_reported(199));
    }
}
