use std::time::{Duration, Instant};

/// Least time between two op 5; Discord closes with 4008 on floods.
const PAUSE: Duration = Duration::from_millis(250);

/// When to tell the server our speaking flags: on change, and anew after each op 4 and resume, at most once per pause.
#[derive(Debug, Default)]
pub(crate) struct Speaking {
    wanted: Option<u32>,
    /// What the server knows.
    told: Option<u32>,
    told_at: Option<Instant>,
}

impl Speaking {
    /// What the server is to know; nothing is said before the first call.
    pub(crate) fn set(&mut self, flags: u32) {
        self.wanted = Some(flags);
    }

    /// The server has forgotten.
    pub(crate) fn forget(&mut self) {
        self.told = None;
    }

    /// Whether the server knows less than it should.
    fn is_behind(&self) -> bool {
        self.wanted.is_some() && self.wanted != self.told
    }

    /// When there is something to tell that has to wait.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.told_at.filter(|_| self.is_behind()).map(|told_at| told_at + PAUSE)
    }

    /// The flags to tell now, if any.
    pub(crate) fn tell(&mut self, now: Instant) -> Option<u32> {
        if !self.is_behind() || self.due().is_some_and(|due| now < due) {
            return None;
        }
        self.told = self.wanted;
        self.told_at = Some(now);
        self.told
    }
}
