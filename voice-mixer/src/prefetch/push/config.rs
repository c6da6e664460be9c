use std::time::Duration;

use crate::resample::RATES;
use crate::stereo::MAX_CHANNELS;

/// How PCM is pushed into a [`pcm_sink`](super::pcm_sink).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct PushConfig {
    /// Samples per second and channel, 1,000 to 768,000.
    pub rate: u32,
    /// Interleaved channels, 1 to 8, in the order of WAVE files.
    pub channels: u16,
    /// How much is queued at most, 120 ms to 60 s; 1 s by default.
    pub capacity: Duration,
    /// How much must be queued for sound to begin, so that it does not stutter; 40 ms by default, at most half the capacity.
    /// It begins with less when no more comes for 60 ms, or ever.
    pub prebuffer: Duration,
    /// Over how much the first sound after silence comes up, so that it does not click; 5 ms by default, zero for not at all.
    pub fade_in: Duration,
    /// The queue is low when less than this is in it; 200 ms by default, at most half the capacity.
    pub low_water: Duration,
}

impl PushConfig {
    /// Samples of this rate and layout.
    pub fn new(rate: u32, channels: u16) -> Self {
        Self {
            rate,
            channels,
            capacity: Duration::from_secs(1),
            prebuffer: Duration::from_millis(40),
            fade_in: Duration::from_millis(5),
            low_water: Duration::from_millis(200),
        }
    }

    /// With at most so much queued.
    #[must_use]
    pub fn capacity(mut self, capacity: Duration) -> Self {
        self.capacity = capacity;
        self
    }

    /// Beginning when so much is queued.
    #[must_use]
    pub fn prebuffer(mut self, prebuffer: Duration) -> Self {
        self.prebuffer = prebuffer;
        self
    }

    /// Fading in over so much.
    #[must_use]
    pub fn fade_in(mut self, fade_in: Duration) -> Self {
        self.fade_in = fade_in;
        self
    }

    /// Low when less than this is queued.
    #[must_use]
    pub fn low_water(mut self, low_water: Duration) -> Self {
        self.low_water = low_water;
        self
    }
}

/// Why PCM cannot be pushed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// The rate cannot be converted.
    #[error("a sample rate of {0} Hz, {min} to {max} can be pushed", min = RATES.start(), max = RATES.end())]
    Rate(u32),
    /// The layout cannot be mixed down.
    #[error("{0} channels, 1 to {MAX_CHANNELS} can be pushed")]
    Channels(u16),
    /// No resampler can be made.
    #[error("no resampler for {rate} Hz: {reason}; push 48,000 Hz instead")]
    Resampler {
        /// The rate in Hz.
        rate: u32,
        /// What stands in the way.
        reason: String,
    },
}
