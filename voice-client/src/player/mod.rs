//! What plays: tracks, groups of them, a queue, and the encoder behind it all.

mod options;
mod perform;
mod queue;
mod registry;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use atomic_waker::AtomicWaker;
use futures_channel::mpsc as post;
use mixer::effects::{Chain, Effect, EffectError, Limiter, LimiterSettings, Stretch};
use mixer::prefetch::{Feed, PushConfig as AgentConfig, PushError};
use mixer::{Ducking, GroupId, Source, TimerId, TrackId, When, prefetch};
use model::FRAME;
use tokio::sync::watch;

use crate::agent::Agent;
use crate::config::Config;
use crate::driver::{Beat, Mailbox, Readers, lock};
use crate::encoder::EncoderSettings;
use crate::error::Closed;
use crate::event::Event;
use crate::media::Command;
use crate::queue::Machine;
use crate::sink::OpusSink;
use crate::track::Track;

pub use options::PlayOptions;
pub(crate) use perform::Closing;
pub use queue::Queue;
pub use registry::Data;
use registry::Tracks;

/// What plays in a [`Call`](crate::Call) or a [`Broadcast`](crate::Broadcast). Cheap to clone; it does not keep them, and plays
/// nothing once the last handle of the call or of the broadcast is gone: tracks that are played then have
/// [ended](crate::TrackEnd::CallClosed) at once.
///
/// Tracks are mixed into groups ([music](GroupId::MUSIC), [speech](GroupId::SPEECH), [effects](GroupId::EFFECTS) and any of
/// your own), groups into the whole. Each of the three has a volume and effects. While only one Opus track sounds and nothing
/// changes it, its packets are sent as they are.
#[derive(Clone)]
pub struct Player {
    shared: Arc<Shared>,
}

struct Shared {
    config: Arc<Config>,
    beat: Beat,
    readers: Arc<Readers>,
    ids: Arc<AtomicU64>,
    tracks: Tracks,
    queue: Mutex<Machine>,
    /// To the task that tells events and keeps timers.
    orders: post::UnboundedSender<Order>,
    closed: watch::Receiver<Option<Closed>>,
}

/// What handles of a player say to its task.
pub(crate) enum Order {
    /// Tell this.
    Emit(Event),
    /// Keep a timer of the player's own clock; `None` drops it.
    Timer { id: TimerId, when: Option<When> },
}

impl Player {
    pub(crate) fn new(
        config: Arc<Config>,
        beat: Beat,
        readers: Arc<Readers>,
        ids: Arc<AtomicU64>,
        orders: post::UnboundedSender<Order>,
        closed: watch::Receiver<Option<Closed>>,
    ) -> Self {
        let names = ids.clone();
        let queue = Machine::new(move || TrackId(names.fetch_add(1, Ordering::Relaxed)));
        let (tracks, queue) = (Tracks::default(), Mutex::new(queue));
        Self { shared: Arc::new(Shared { config, beat, readers, ids, tracks, queue, orders, closed }) }
    }

    pub(crate) fn beat(&self) -> &Beat {
        &self.shared.beat
    }

    /// Plays a source, from now, beside whatever plays already.
    ///
    /// The source is opened and read ahead on a reader thread. Failures end the track, after what had been read was
    /// played: see [`Track::ended`].
    pub fn play(&self, source: impl Source + 'static) -> Track {
        let settings = options::Ready::default();
        self.start(self.name(), Box::new(source), settings, None)
    }

    /// Plays a source in a certain way.
    ///
    /// # Errors
    ///
    /// Effects or a timescale out of range; nothing was played.
    pub fn play_with(&self, source: impl Source + 'static, options: PlayOptions) -> Result<Track, EffectError> {
        let data = options.data.clone();
        Ok(self.start(self.name(), Box::new(source), options.ready()?, data))
    }

    fn start(&self, id: TrackId, source: Box<dyn Source>, ready: options::Ready, data: Option<Data>) -> Track {
        let loudness = ready.loudness.or(self.shared.config.loudness);
        let config = prefetch::Config::default().length(self.shared.config.read_ahead).loops(ready.loops);
        let (reader, feed) = prefetch::pipe(source, config.loudness(loudness));
        let mailbox = self.shared.readers.submit(reader, id, &self.shared.beat);
        if let Some(stretch) = &ready.stretch {
            mailbox.set_tempo(stretch.settings().tempo());
        }
        self.add(id, ready.track(feed), Some(mailbox), data)
    }

    /// Plays a feed: what is pushed, or tuned into.
    pub(crate) fn add_feed(&self, feed: Feed) -> Track {
        self.add(self.name(), mixer::Track::new(feed), None, None)
    }

    fn add(&self, id: TrackId, track: mixer::Track, mailbox: Option<Arc<Mailbox>>, data: Option<Data>) -> Track {
        let handle = Track::new(id, self.shared.beat.clone(), mailbox, track.gauge(), data);
        // Known before it can end. In a call that is over it has ended at once.
        if self.shared.tracks.insert(&handle) {
            self.shared.beat.command(Command::Add { id, track: Box::new(track) });
        }
        handle
    }

    fn name(&self) -> TrackId {
        TrackId(self.shared.ids.fetch_add(1, Ordering::Relaxed))
    }

    /// A raw sink for Opus packets of your own encoder.
    pub fn opus_sink(&self) -> OpusSink {
        let waker = Arc::new(AtomicWaker::new());
        let on_drain = waker.clone();
        let (pusher, feed) = prefetch::sink(FRAME, Arc::new(move || on_drain.wake()));
        let track = self.add_feed(feed);
        OpusSink::new(pusher, waker, self.shared.beat.clone(), track.end(), self.shared.closed.clone())
    }

    /// A voice that is pushed as it is made, among the [speech](GroupId::SPEECH): PCM of any rate, with barge-in.
    ///
    /// # Errors
    ///
    /// A rate or a layout that cannot be converted.
    pub fn agent(&self, config: AgentConfig) -> Result<Agent, PushError> {
        let waker = Arc::new(AtomicWaker::new());
        let on_drain = waker.clone();
        let (pusher, feed) = prefetch::pcm_sink(config, Arc::new(move || on_drain.wake()))?;
        let track = mixer::Track::new(feed).group(GroupId::SPEECH);
        let track = self.add(self.name(), track, None, None);
        Ok(Agent::new(pusher, waker, self.shared.beat.clone(), track.id(), track.end()))
    }

    /// The queue, for what plays one after the other.
    pub fn queue(&self) -> Queue {
        Queue::new(self.clone())
    }

    /// The tracks that play, wait or are paused, queued ones that are ready among them.
    pub fn tracks(&self) -> Vec<Track> {
        self.shared.tracks.all()
    }

    /// The track of this name, while it has not ended.
    pub fn track(&self, id: TrackId) -> Option<Track> {
        self.shared.tracks.get(id)
    }

    /// Moves the volume of everything to `volume` (1.0 changes nothing) in a straight line over `ramp`, at least 5 ms.
    pub fn set_volume(&self, volume: f32, ramp: Duration) {
        self.shared.beat.command(Command::MasterVolume { volume, ramp });
    }

    /// Changes the effects of everything, without a click. None of them removes them.
    ///
    /// # Errors
    ///
    /// A parameter out of range; nothing was changed.
    pub fn set_effects(&self, effects: &[Effect]) -> Result<(), EffectError> {
        self.shared.beat.command(Command::MasterEffects(chain(effects)?));
        Ok(())
    }

    /// Limits the sum by looking ahead, which delays it; without a limiter it is clipped softly.
    ///
    /// # Errors
    ///
    /// A setting out of range; nothing was changed.
    pub fn set_limiter(&self, settings: Option<LimiterSettings>) -> Result<(), EffectError> {
        let limiter = settings.map(Limiter::new).transpose()?.map(Box::new);
        self.shared.beat.command(Command::Limiter(limiter));
        Ok(())
    }

    /// Moves the volume of a group to `volume` in a straight line over `ramp`, at least 5 ms.
    pub fn set_group_volume(&self, group: GroupId, volume: f32, ramp: Duration) {
        self.shared.beat.command(Command::GroupVolume { group, volume, ramp });
    }

    /// Changes the effects of a group, without a click. None of them removes them.
    ///
    /// # Errors
    ///
    /// A parameter out of range; nothing was changed.
    pub fn set_group_effects(&self, group: GroupId, effects: &[Effect]) -> Result<(), EffectError> {
        self.shared.beat.command(Command::GroupEffects { group, chain: chain(effects)? });
        Ok(())
    }

    /// Makes a group quieter while another one sounds, or not any more.
    pub fn set_ducking(&self, group: GroupId, ducking: Option<Ducking>) {
        self.shared.beat.command(Command::Ducking { group, ducking });
    }

    /// Changes the Opus encoder's settings, from the next frame on.
    pub fn set_encoder(&self, encoder: EncoderSettings) {
        self.shared.beat.command(Command::Encoder(encoder));
    }

    /// Asks for a timed event on the player's own clock, which runs whether or not anything plays: it comes as
    /// [`Event::Timer`]. [`When::At`] and [`When::From`] are about a [track](Track::timer) and never happen here.
    pub fn timer(&self, when: When) -> TimerId {
        let id = TimerId(self.shared.ids.fetch_add(1, Ordering::Relaxed));
        self.order(Order::Timer { id, when: Some(when) });
        id
    }

    /// Takes a timed event back.
    pub fn cancel(&self, timer: TimerId) {
        self.order(Order::Timer { id: timer, when: None });
    }

    fn order(&self, order: Order) {
        // A player that is over hears nothing.
        let _ = self.shared.orders.unbounded_send(order);
    }

    fn queued<T>(&self, work: impl FnOnce(&mut Machine) -> T) -> T {
        // Held while its actions are done, so that those of two threads keep their order.
        let mut machine = lock(&self.shared.queue);
        let result = work(&mut machine);
        self.perform(&mut machine);
        result
    }
}

/// Effects, ready to be installed; `None` for none.
pub(crate) fn chain(effects: &[Effect]) -> Result<Option<Box<Chain>>, EffectError> {
    if effects.is_empty() { Ok(None) } else { Ok(Some(Box::new(Chain::new(effects)?))) }
}

/// What changes speed and pitch, made off the audio thread.
pub(crate) fn stretch(timescale: mixer::effects::Timescale) -> Result<Box<Stretch>, EffectError> {
    Ok(Box::new(Stretch::new(timescale)?))
}

impl fmt::Debug for Player {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Player").field("tracks", &self.tracks()).finish_non_exhaustive()
    }
}
