use std::fmt;

use super::MAX_GAIN;
use crate::error::Closed;

/// What a listener cannot do.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// It was stopped.
    #[error("the listener is stopped already: call `listen` for another one")]
    AlreadyStopped,
    /// It is paused.
    #[error("the listener is paused already: `resume` it, or leave it so")]
    AlreadyPaused,
    /// It is not paused.
    #[error("the listener is not paused: `pause` it before it is resumed")]
    NotPaused,
    /// There is nothing to listen to any more.
    #[error("the call is over: `Call::closed` tells why; join again, and listen to the new call")]
    CallClosed,
    /// Not a factor that a gain can be.
    #[error("a gain of {0} is out of range: choose 0 (silent) to {MAX_GAIN}, 1 leaves the user as loud as they are")]
    Gain(f32),
    /// Opus cannot be mixed.
    #[error("a mix is PCM: choose `Mode::Pcm`, or listen to Opus without `mix`")]
    MixIsPcm,
    /// Only a mix can come when nobody speaks.
    #[error("only a mix is continuous: set `mix` as well, or fill pauses by the timestamps of sounds")]
    ContinuousIsMix,
}

/// How listening ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// Why.
    pub why: Why,
    /// Sounds that were put into its queue.
    pub delivered: u64,
    /// Sounds that its queue had no room for.
    pub lost: u64,
}

/// Why listening ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Why {
    /// The listener was stopped, or dropped.
    Stopped,
    /// The call was over, for this reason.
    CallClosed(Closed),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped => f.write_str("the listener was stopped"),
            Self::CallClosed(closed) => write!(f, "the call is over: {closed}"),
        }
    }
}
