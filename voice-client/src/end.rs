use std::sync::OnceLock;

use mixer::{Ended, SourceError};
use tokio::sync::Notify;

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

/// Where the end of a track is told, once, and waited for.
#[derive(Debug, Default)]
pub(crate) struct Ending {
    end: OnceLock<TrackEnd>,
    told: Notify,
}

impl Ending {
    /// It has ended so, unless it had ended before.
    pub(crate) fn tell(&self, end: TrackEnd) {
        if self.end.set(end).is_ok() {
            self.told.notify_waiters();
        }
    }

    pub(crate) fn get(&self) -> Option<&TrackEnd> {
        self.end.get()
    }

    /// Resolves when it has ended.
    pub(crate) async fn wait(&self) -> &TrackEnd {
        loop {
            // Registered before looking, so that an end told in between wakes us.
            let told = self.told.notified();
            if let Some(end) = self.end.get() {
                return end;
            }
            told.await;
        }
    }
}
