use std::time::Duration;

use crypto::Backend;
use receive::speech::Sensitivity;

use crate::config::Config;

/// Longer than any of the settings can sensibly be; keeps sums with a moment in range.
const LONGEST: Duration = Duration::from_secs(86_400);

/// What an [`Inbound`](super::Inbound) is told once.
pub struct InboundSettings {
    /// Jitter buffer and decoding.
    pub receive: receive::Config,
    /// Implementation of the ciphers.
    pub backend: Backend,
    /// Whether incoming audio is dropped at first.
    pub deaf: bool,
    /// How often the media path is pinged.
    pub keepalive: Duration,
    /// How long packets wait for the user of their SSRC.
    pub hold: Duration,
    /// What is loud enough to be speech.
    pub sensitivity: Sensitivity,
    /// How long RTP may come without any of it opening before that is told; zero is for ever.
    pub unopened: Duration,
}

impl From<&Config> for InboundSettings {
    fn from(config: &Config) -> Self {
        let Config { backend, deaf, keepalive, hold, sensitivity, .. } = *config;
        let bounded = |duration: Duration| duration.min(LONGEST);
        let (keepalive, hold) = (bounded(keepalive), bounded(hold));
        let unopened = bounded(config.watchdog.unopened);
        Self { receive: config.receive.clone(), backend, deaf, keepalive, hold, sensitivity, unopened }
    }
}
