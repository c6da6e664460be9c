use mixer::SourceError;

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
