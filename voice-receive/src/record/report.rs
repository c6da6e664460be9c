use std::collections::BTreeMap;

use voice_model::{Ssrc, UserId};

use super::recorder::Limit;
use super::strip::Written;
use super::track::TrackReport;
use super::window::Restart;

/// Something that happened in a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Note {
    /// When, in samples at 48 kHz since the start.
    pub at: u64,
    /// To whom, if to one.
    pub user: Option<UserId>,
    /// What.
    pub what: What,
}

/// See [`Note`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// The user begins or ceases to be heard.
    Speaking(bool),
    /// So many packets never came.
    Lost(u32),
    /// So many samples stand in for audio that never came.
    Concealed(u64),
    /// Timestamps begin anew: a rejoin, a reconnect, a restarted sender.
    Epoch {
        /// The stream from now on.
        ssrc: Ssrc,
        /// Why.
        why: Restart,
    },
    /// All tracks go on in other files: part so many, from 1.
    Part(u32),
    /// The user is not recorded: [`Settings::max_users`](super::Settings::max_users) are.
    TooMany,
}

/// What a recording is.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// Its length in samples at 48 kHz.
    pub samples: u64,
    /// Everybody who was recorded.
    pub users: BTreeMap<UserId, UserReport>,
    /// The files of the mix.
    pub mix: Vec<Written>,
    /// Samples of all users together that are missing in the mix, because they came too late for it; the tracks have
    /// them.
    pub mix_missed: u64,
    /// Those who were not, because there were too many.
    pub refused: Vec<UserId>,
    /// The limit that was reached.
    pub limit: Option<Limit>,
    /// Notes that were not polled in time.
    pub notes_lost: u64,
}

/// What a recording has of one user.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct UserReport {
    /// What became of the packets.
    pub track: TrackReport,
    /// Samples that stand in for audio that never came; 0 when packets are written as they are.
    pub concealed: u64,
    /// The streams it came in, the first 1,024 of them.
    pub ssrcs: Vec<Ssrc>,
    /// The files.
    pub files: Vec<Written>,
}
