use crate::track::TrackStats;

/// Counters since the mixer was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Ticks.
    pub ticks: u64,
    /// Packets that were sent unmixed.
    pub passthrough_frames: u64,
    /// Frames that were mixed and encoded.
    pub encoded_frames: u64,
    /// Of all tracks, those removed too: ticks in which audio came too late.
    pub underruns: u64,
    /// Of all tracks, those removed too: packets dropped because they were too long.
    pub oversized: u64,
    /// Of all tracks, those removed too: packets that could not be decoded.
    pub undecodable: u64,
    /// Events that nobody asked for in time.
    pub missed_events: u64,
}

impl Stats {
    pub(super) fn with(mut self, track: TrackStats) -> Self {
        self.underruns += track.underruns;
        self.oversized += track.oversized;
        self.undecodable += track.undecodable;
        self
    }
}
