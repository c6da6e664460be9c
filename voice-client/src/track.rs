use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mixer::{SourceError, TrackId};
use tokio::sync::watch;

use crate::driver::{Beat, Mailbox};
use crate::end::TrackEnd;
use crate::media::Command;

/// A source that plays in a call. Cheap to clone; dropping it changes nothing.
#[derive(Clone)]
pub struct Track {
    id: TrackId,
    beat: Beat,
    mailbox: Arc<Mailbox>,
    end: watch::Receiver<Option<TrackEnd>>,
}

/// Why a seek did not happen.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SeekError {
    /// The source refused.
    #[error(transparent)]
    Source(SourceError),
    /// The track has ended.
    #[error("the track has ended; play its source again to hear it from elsewhere")]
    Ended,
    /// Another seek took its place.
    #[error("a later seek took the place of this one")]
    Superseded,
}

impl Track {
    pub(crate) fn new(id: TrackId, beat: Beat, mailbox: Arc<Mailbox>, end: watch::Receiver<Option<TrackEnd>>) -> Self {
        Self { id, beat, mailbox, end }
    }

    /// Its name, unique within the client.
    pub fn id(&self) -> TrackId {
        self.id
    }

    /// Holds it where it is.
    pub fn pause(&self) {
        self.beat.command(Command::Pause { id: self.id, paused: true });
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.beat.command(Command::Pause { id: self.id, paused: false });
    }

    /// Sets its volume; 1.0 is as loud as the source, and lets a lone Opus source through unmixed.
    pub fn set_volume(&self, volume: f32) {
        self.fade(volume, Duration::ZERO);
    }

    /// Moves its volume to `volume` in a straight line over `ramp`.
    pub fn fade(&self, volume: f32, ramp: Duration) {
        self.beat.command(Command::Volume { id: self.id, volume, ramp });
    }

    /// Ends it.
    pub fn stop(&self) {
        self.beat.command(Command::Stop { id: self.id, ramp: Duration::ZERO });
    }

    /// Goes to `to`: exact to one sample for PCM, to one packet for Opus. Returns where it landed. Happens even when the
    /// future is dropped.
    ///
    /// # Errors
    ///
    /// [`SeekError`]; the track goes on when its source cannot seek, and ends when its source fails.
    pub async fn seek(&self, to: Duration) -> Result<Duration, SeekError> {
        if self.end.borrow().is_some() {
            return Err(SeekError::Ended);
        }
        let answer = self.mailbox.seek(to, self.id, &self.beat);
        let mut end = self.end.clone();
        tokio::select! {
            answer = answer => answer.map_err(|_| SeekError::Superseded)?.map_err(SeekError::Source),
            _ = end.wait_for(Option::is_some) => Err(SeekError::Ended),
        }
    }

    /// Where in its source it is; `None` when it has ended.
    pub async fn position(&self) -> Option<Duration> {
        self.beat.position(self.id).await
    }

    /// What its source says of itself: format, length, tags; `None` until it is open.
    pub fn info(&self) -> Option<mixer::Info> {
        self.mailbox.info()
    }

    /// Resolves when it has ended, at once if it has already.
    pub async fn ended(&self) -> TrackEnd {
        let mut end = self.end.clone();
        match end.wait_for(Option::is_some).await {
            Ok(end) => end.clone().unwrap_or(TrackEnd::CallClosed),
            Err(_) => TrackEnd::CallClosed,
        }
    }
}

impl fmt::Debug for Track {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Track").field("id", &self.id).field("end", &*self.end.borrow()).finish_non_exhaustive()
    }
}
