use std::collections::{BTreeMap, BTreeSet};

use model::UserId;
use receive::convert::Format;

use super::ListenError;

/// The largest gain, +12 dB.
pub const MAX_GAIN: f32 = 4.0;

/// In which form a user is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Not at all.
    Off,
    /// Opus packets as they came, in order and when they would sound; empty ones in the place of those that were lost.
    Opus,
    /// Decoded, 20 ms at a time, what was lost concealed. Rates other than 48 kHz come 5 ms later, and say so in their
    /// timestamps.
    Pcm(Format),
}

impl Default for Mode {
    fn default() -> Self {
        Self::Pcm(Format::default())
    }
}

/// Of which users something is heard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Users {
    /// Of all.
    #[default]
    Everyone,
    /// Of these.
    Only(BTreeSet<UserId>),
    /// Of all but these.
    AllBut(BTreeSet<UserId>),
}

impl Users {
    pub(super) fn has(&self, user: UserId) -> bool {
        match self {
            Self::Everyone => true,
            Self::Only(users) => users.contains(&user),
            Self::AllBut(users) => !users.contains(&user),
        }
    }
}

/// What a [`Listener`](super::Listener) hears at first. All but `echo`, `mix`, `continuous` and `queue` can be changed later.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ListenOptions {
    /// In which form; 48 kHz stereo `f32` by default.
    pub mode: Mode,
    /// Other forms for some users, whether they are there already or not.
    pub user_modes: BTreeMap<UserId, Mode>,
    /// Whom.
    pub users: Users,
    /// How loud, 0 to [`MAX_GAIN`], for PCM; 1 for those who are not named.
    pub gains: BTreeMap<UserId, f32>,
    /// Whether our own user is heard as well: what another session of ours says, or a server sends back. Not by default.
    pub echo: bool,
    /// Everybody in one: one sound in 20 ms, the sum of all, limited to full scale, 1:1 for one speaker.
    pub mix: bool,
    /// A mix comes every 20 ms even when nobody speaks: silence then.
    pub continuous: bool,
    /// Begin as if [paused](super::Listener::pause).
    pub paused: bool,
    /// Sounds that are kept for a slow reader; [`Config::audio_queue`](crate::Config::audio_queue) by default. Brought into 1 to 65,536.
    pub queue: Option<usize>,
}

macro_rules! setters {
    ($($field:ident: $type:ty),* $(,)?) => {
        $(
            #[doc = concat!("Sets [`", stringify!($field), "`](Self#structfield.", stringify!($field), ").")]
            #[must_use]
            pub fn $field(mut self, value: $type) -> Self {
                self.$field = value;
                self
            }
        )*
    };
}

impl ListenOptions {
    setters! {
        mode: Mode,
        user_modes: BTreeMap<UserId, Mode>,
        users: Users,
        gains: BTreeMap<UserId, f32>,
        echo: bool,
        mix: bool,
        continuous: bool,
        paused: bool,
        queue: Option<usize>,
    }

    pub(super) fn checked(&self) -> Result<(), ListenError> {
        self.gains.values().try_for_each(|gain| checked_gain(*gain))?;
        if self.continuous && !self.mix {
            return Err(ListenError::ContinuousIsMix);
        }
        self.checked_mode(self.mode)
    }

    pub(super) fn checked_mode(&self, mode: Mode) -> Result<(), ListenError> {
        if self.mix && mode == Mode::Opus { Err(ListenError::MixIsPcm) } else { Ok(()) }
    }
}

pub(super) fn checked_gain(gain: f32) -> Result<(), ListenError> {
    if (0.0..=MAX_GAIN).contains(&gain) { Ok(()) } else { Err(ListenError::Gain(gain)) }
}
