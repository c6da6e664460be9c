use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mixer::effects::{Effect, EffectError, Timescale};
use mixer::prefetch::Loops;
use mixer::{Cue, Gauge, GroupId, Metadata, Phase, SourceError, TimerId, TrackEvent, TrackId, When};
use tokio::sync::mpsc;

use crate::driver::{Beat, Mailbox, lock};
use crate::end::{Ending, TrackEnd};
use crate::media::Command;
use crate::player::{self, Data};

/// Events of one track that wait for a slow reader; newer ones are dropped.
const BOUND: usize = 256;

/// A source that plays in a call or a broadcast. Cheap to clone; dropping it changes nothing, and it does not keep the call or
/// the broadcast: with the last handle of that it ends.
///
/// What it says of itself is read without waiting for the thread that plays it.
#[derive(Clone)]
pub struct Track {
    shared: Arc<Shared>,
}

struct Shared {
    id: TrackId,
    beat: Beat,
    /// Its reader; none for what is pushed.
    mailbox: Option<Arc<Mailbox>>,
    gauge: Gauge,
    data: Option<Data>,
    end: Arc<Ending>,
    readers: Mutex<Vec<mpsc::Sender<TrackEvent>>>,
    /// What is heard now, when that has changed since it was opened.
    metadata: Mutex<Option<Box<Metadata>>>,
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
    /// It is pushed, not read.
    #[error("what is pushed into a sink cannot be sought; push what should be heard")]
    Pushed,
    /// Another seek took its place.
    #[error("a later seek took the place of this one")]
    Superseded,
}

impl Track {
    pub(crate) fn new(
        id: TrackId,
        beat: Beat,
        mailbox: Option<Arc<Mailbox>>,
        gauge: Gauge,
        data: Option<Data>,
    ) -> Self {
        let (end, readers, metadata) = (Arc::default(), Mutex::default(), Mutex::default());
        Self { shared: Arc::new(Shared { id, beat, mailbox, gauge, data, end, readers, metadata }) }
    }

    /// Its name, unique within the client.
    pub fn id(&self) -> TrackId {
        self.shared.id
    }

    /// Holds it where it is. Of a queued track this is undone when its queue resumes:
    /// [`Queue::pause`](crate::Queue::pause) holds the queue.
    pub fn pause(&self) {
        self.command(Command::Pause { id: self.id(), paused: true });
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.command(Command::Pause { id: self.id(), paused: false });
    }

    /// Sets its volume; 1.0 is as loud as the source, and lets a lone Opus source through unmixed.
    pub fn set_volume(&self, volume: f32) {
        self.fade(volume, Duration::ZERO);
    }

    /// Moves its volume to `volume` in a straight line over `ramp`.
    pub fn fade(&self, volume: f32, ramp: Duration) {
        self.command(Command::Volume { id: self.id(), volume, ramp });
    }

    /// Ends it, without a click.
    pub fn stop(&self) {
        self.fade_out(Duration::ZERO);
    }

    /// Fades it out over `ramp`, and ends it then.
    pub fn fade_out(&self, ramp: Duration) {
        self.command(Command::Stop { id: self.id(), ramp });
    }

    /// How often it begins again from now on, without a gap. The round that plays is played to its end.
    ///
    /// A source is read a little ahead: what is asked for less than [`Config::read_ahead`](crate::Config::read_ahead) before
    /// its end comes too late to repeat it, never too late to stop repeating.
    pub fn set_loops(&self, loops: Loops) {
        if let Some(mailbox) = &self.shared.mailbox {
            mailbox.set_loops(loops);
        }
        self.command(Command::Loops { id: self.id(), loops });
    }

    /// Changes when it begins; one that waits for [`Cue::Held`] begins with [`Cue::Now`].
    pub fn set_cue(&self, cue: Cue) {
        self.command(Command::Cue { id: self.id(), cue });
    }

    /// Puts it into another group.
    pub fn set_group(&self, group: GroupId) {
        self.command(Command::Group { id: self.id(), group });
    }

    /// Changes its effects, without a click. None of them removes them.
    ///
    /// # Errors
    ///
    /// A parameter out of range; nothing was changed.
    pub fn set_effects(&self, effects: &[Effect]) -> Result<(), EffectError> {
        self.command(Command::Effects { id: self.id(), chain: player::chain(effects)? });
        Ok(())
    }

    /// Changes its speed and pitch, each by itself.
    ///
    /// # Errors
    ///
    /// A factor out of range; nothing was changed.
    pub fn set_timescale(&self, timescale: Timescale) -> Result<(), EffectError> {
        let stretch = Some(player::stretch(timescale)?);
        if let Some(mailbox) = &self.shared.mailbox {
            mailbox.set_tempo(timescale.tempo());
        }
        self.command(Command::Timescale { id: self.id(), timescale, stretch });
        Ok(())
    }

    /// Asks for a timed event on its clock, which stands while it is paused: it comes as
    /// [`TrackEvent::Timer`]. `timer` names it; another one of the same name takes its place.
    ///
    /// Names above `1 << 63` are taken by queues.
    pub fn timer(&self, timer: TimerId, when: When) {
        self.command(Command::Timer { id: self.id(), timer, when: Some(when) });
    }

    /// Takes a timed event back.
    pub fn cancel(&self, timer: TimerId) {
        self.command(Command::Timer { id: self.id(), timer, when: None });
    }

    /// Goes to `to`: exact to one sample for PCM, to one packet for Opus. Returns where it landed. Happens even when the
    /// future is dropped, and while it is paused.
    ///
    /// # Errors
    ///
    /// [`SeekError`]; the track goes on when its source cannot seek, and ends when its source fails.
    pub async fn seek(&self, to: Duration) -> Result<Duration, SeekError> {
        if self.is_ended() {
            return Err(SeekError::Ended);
        }
        let answer = self.shared.mailbox.as_ref().ok_or(SeekError::Pushed)?.seek(to);
        let answer = tokio::select! {
            biased;
            answer = answer => answer,
            _ = self.shared.end.wait() => return Err(SeekError::Ended),
        };
        match answer {
            // Why a source failed says more than that its track has ended.
            Ok(Err(error)) => Err(SeekError::Source(error)),
            // Where a source went to after its track had ended is not heard.
            _ if self.is_ended() => Err(SeekError::Ended),
            Ok(Ok(position)) => Ok(position),
            Err(_) => Err(SeekError::Superseded),
        }
    }

    /// Where in its source it is, as of the latest tick.
    pub fn position(&self) -> Duration {
        self.shared.gauge.position()
    }

    /// How much of its source was played: repetitions count, what a seek skipped does not.
    pub fn played(&self) -> Duration {
        self.shared.gauge.played()
    }

    /// What it is doing.
    pub fn phase(&self) -> Phase {
        if self.is_ended() { Phase::Ended } else { self.shared.gauge.phase() }
    }

    /// What its source says of itself: format, length, tags; `None` until it is open.
    pub fn info(&self) -> Option<mixer::Info> {
        self.shared.mailbox.as_ref()?.info().map(Arc::unwrap_or_clone)
    }

    /// How long its source is, where that is known.
    pub fn duration(&self) -> Option<Duration> {
        self.info()?.duration
    }

    /// Title, artist and the like of what is heard now; `None` until its source is open.
    pub fn metadata(&self) -> Option<Metadata> {
        let latest = lock(&self.shared.metadata).as_deref().cloned();
        latest.or_else(|| self.info().map(|info| info.metadata))
    }

    /// What the application has tied to it, if it is of this type.
    pub fn data<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        self.shared.data.clone()?.downcast().ok()
    }

    /// What happens to it from now on, until it ends.
    pub fn events(&self) -> TrackEvents {
        let (sender, events) = mpsc::channel(BOUND);
        let mut readers = lock(&self.shared.readers);
        // Of a track that has ended there is nothing to come.
        if !self.is_ended() {
            readers.push(sender);
        }
        TrackEvents { events }
    }

    /// Resolves when it has ended, at once if it has already.
    pub async fn ended(&self) -> TrackEnd {
        self.shared.end.wait().await.clone()
    }

    /// Lets the thread that plays it look at it again.
    pub(crate) fn wake(&self) {
        self.shared.beat.wake();
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.shared.end.get().is_some()
    }

    pub(crate) fn tell(&self, event: &TrackEvent) {
        if let TrackEvent::Metadata(metadata) = event {
            *lock(&self.shared.metadata) = Some(metadata.clone());
        }
        lock(&self.shared.readers)
            .retain(|reader| !matches!(reader.try_send(event.clone()), Err(mpsc::error::TrySendError::Closed(_))));
    }

    pub(crate) fn set_ended(&self, end: TrackEnd) {
        self.shared.end.tell(end);
        if let Some(mailbox) = &self.shared.mailbox {
            mailbox.abandon();
        }
        lock(&self.shared.readers).clear();
    }

    pub(crate) fn end(&self) -> Arc<Ending> {
        self.shared.end.clone()
    }

    fn command(&self, command: Command) {
        self.shared.beat.command(command);
    }
}

impl fmt::Debug for Track {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.shared.end.get();
        f.debug_struct("Track").field("id", &self.id()).field("end", &end).finish_non_exhaustive()
    }
}

/// What happens to one track, pulled in order. A reader who lets 256 of them wait loses newer ones.
#[derive(Debug)]
pub struct TrackEvents {
    events: mpsc::Receiver<TrackEvent>,
}

impl TrackEvents {
    /// The next event; `None` when the track has ended: [`Track::ended`] tells how.
    pub async fn next(&mut self) -> Option<TrackEvent> {
        self.events.recv().await
    }

    /// The next event if there is one already.
    pub fn try_next(&mut self) -> Option<TrackEvent> {
        self.events.try_recv().ok()
    }
}
