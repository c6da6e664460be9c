use voice_model::SAMPLE_RATE;

use crate::playout::{TICK, TOLERANCE};

/// For how long the delay has been wrong without an end, as it is where clocks drift apart and nobody pauses.
#[derive(Debug, Default)]
pub(crate) struct Drift {
    /// Samples per channel played since the lead was last short enough.
    longer: u32,
    /// And since it was last long enough.
    shorter: u32,
}

/// How long the delay must have been wrong: 10 s, in which clocks part by 2 ms at most (200 millionths).
const PATIENCE: u32 = 10 * SAMPLE_RATE;

impl Drift {
    /// Notes the lead of a packet that is played, and what it should be. What lies within `grain`, in samples per channel,
    /// is not wrong, nor is what the grid of ticks explains.
    pub(crate) fn watch(&mut self, lead: u32, target: u32, samples: u32, grain: u32) {
        let grain = grain.max(TICK) + TOLERANCE;
        self.longer = if lead >= target.saturating_add(grain) { self.longer.saturating_add(samples) } else { 0 };
        self.shorter = if lead.saturating_add(grain) < target { self.shorter.saturating_add(samples) } else { 0 };
    }

    /// The delay is too long.
    pub(crate) fn is_longer(&self) -> bool {
        self.longer > PATIENCE
    }

    /// The delay is too short.
    pub(crate) fn is_shorter(&self) -> bool {
        self.shorter > PATIENCE
    }

    /// The delay has been too long for so long that something has to go, even where nothing repeats.
    pub(crate) fn is_urgent(&self) -> bool {
        self.longer > 3 * PATIENCE
    }

    /// The lead was brought nearer to the target: the next time is as long ahead.
    pub(crate) fn corrected(&mut self) {
        self.longer = self.longer.saturating_sub(PATIENCE);
        self.shorter = self.shorter.saturating_sub(PATIENCE);
    }
}
