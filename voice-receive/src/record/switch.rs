use std::collections::VecDeque;
use std::time::Duration;

/// Most changes that are remembered: more within the time that packets are held up are nobody's.
const MAX_CHANGES: usize = 64;

/// Something that is on or off, and has been at any time.
#[derive(Clone, Debug)]
pub(super) struct Switch {
    /// How it was before the changes.
    before: bool,
    /// Since when it is how, in order of time.
    changes: VecDeque<(Duration, bool)>,
    /// Changes that are forgotten.
    forgotten: u64,
}

impl Switch {
    pub(super) fn new(on: bool) -> Self {
        Self { before: on, changes: VecDeque::new(), forgotten: 0 }
    }

    /// It is so since then, which is not before the last change.
    pub(super) fn set(&mut self, at: Duration, on: bool) {
        let last = self.changes.back().copied();
        if last.map_or(self.before, |(_, on)| on) == on {
            return;
        }
        if self.changes.len() >= MAX_CHANGES {
            self.changes.pop_front();
            self.forgotten += 1;
            // What is not known is not allowed.
            self.before = false;
        }
        self.changes.push_back((last.map_or(at, |(last, _)| at.max(last)), on));
    }

    /// The number of the stretch of time that this moment is in, if it was on then.
    pub(super) fn stretch(&self, at: Duration) -> Option<u64> {
        let changes = self.changes.partition_point(|(since, _)| *since <= at);
        let on = changes.checked_sub(1).map_or(self.before, |last| self.changes[last].1);
        on.then_some(self.forgotten + changes as u64)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{MAX_CHANGES, Switch};

    #[test]
    fn every_moment_is_judged_by_what_was_so_then() {
        let ms = Duration::from_millis;
        let mut switch = Switch::new(true);
        switch.set(ms(10), true);
        switch.set(ms(20), false);
        switch.set(ms(15), true);
        switch.set(ms(40), false);
        let stretches = [0, 19, 20, 39, 40].map(|at| switch.stretch(ms(at)));
        // The third was told to be before the second, and is as early as it can be.
        assert_eq!(stretches, [Some(0), Some(0), Some(2), Some(2), None]);
        for change in 0..3 * MAX_CHANGES as u64 {
            switch.set(ms(100 + change), change % 2 == 0);
        }
        assert_eq!(switch.stretch(ms(0)), None, "nobody knows any more");
        let last = 100 + 3 * MAX_CHANGES as u64 - 2;
        assert!(switch.stretch(ms(last)).is_some() && switch.stretch(ms(last + 1)).is_none());
    }
}
