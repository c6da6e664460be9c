use mixer::{Ended, SourceError};

/// How a track ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TrackEnd {
    /// It was played to its end.
    Finished,
    /// It was stopped.
    Stopped,
    /// Its source failed. What had come of it was played.
    Failed(SourceError),
    /// The call is over.
    CallClosed,
}

impl From<Ended> for TrackEnd {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Finished => Self::Finished,
            Ended::Stopped => Self::Stopped,
            Ended::Failed(error) => Self::Failed(error),
        }
    }
}
