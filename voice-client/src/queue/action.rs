use std::fmt;
use std::time::Duration;

use mixer::{Source, TrackId};

use super::entry::{Data, EntryId};
use super::event::QueueEvent;

/// What a [`Machine`](super::Machine) wants done, in this order.
///
/// Actions about a track that has ended meanwhile mean nothing and are passed over by whoever obeys them.
pub(crate) enum Action {
    /// Make a track of this source, from its beginning.
    Play {
        track: TrackId,
        entry: EntryId,
        source: Box<dyn Source>,
        volume: f32,
        cue: Cue,
        paused: bool,
        /// What the application has tied to the entry.
        data: Option<Data>,
        /// Over and over, until [`Action::Loops`] says otherwise.
        loops: bool,
    },
    /// Change when a track begins to sound. One that sounds already and is to begin later stops where it is, and goes on
    /// from there; [`Cue::Now`] changes nothing about it, not
    /// its crossfade either.
    Cue { track: TrackId, cue: Cue },
    /// Take a track out, after fading it out over `fade`; at once when it does not sound.
    Stop { track: TrackId, fade: Duration },
    /// Hold a track where it is, or let it go on.
    Pause { track: TrackId, paused: bool },
    /// Play a track over and over without a gap, or no more than to the end of this round.
    ///
    /// A track that loops has no end for those that are cued after it. One whose source can neither seek nor be had afresh
    /// ends as if it did not loop.
    Loops { track: TrackId, loops: bool },
    /// Call [`handle_wake`](super::Machine::handle_wake) once this track has got to `at` or beyond, at once if it has
    /// already. A later `Wake` of the same track takes the place of this one.
    Wake { track: TrackId, at: Duration },
    /// Tell whoever reads events.
    Emit(QueueEvent),
}

/// When a track begins to sound.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Cue {
    /// As soon as it is ready.
    Now,
    /// Not before another [`Action::Cue`]; it is read ahead meanwhile.
    Held,
    /// With the sample behind the last one of `track`, or `overlap` before that, which both spend in a crossfade. Begins at
    /// once when `track` is gone, however it ended.
    After { track: TrackId, overlap: Duration },
}

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Play { track, entry, cue, .. } => write!(f, "Play({}, {entry:?}, {cue:?})", track.0),
            Self::Cue { track, cue } => write!(f, "Cue({}, {cue:?})", track.0),
            Self::Stop { track, fade } => write!(f, "Stop({}, {fade:?})", track.0),
            Self::Pause { track, paused } => write!(f, "Pause({}, {paused})", track.0),
            Self::Loops { track, loops } => write!(f, "Loops({}, {loops})", track.0),
            Self::Wake { track, at } => write!(f, "Wake({}, {at:?})", track.0),
            Self::Emit(event) => write!(f, "{event:?}"),
        }
    }
}
