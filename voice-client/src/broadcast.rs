use std::fmt;
use std::sync::Arc;

use futures_channel::mpsc as post;
use mixer::broadcast::Tuner;
use tokio::sync::watch;

use crate::driver::{Airing, Listeners};
use crate::error::Closed;
use crate::event::{Events, Queue};
use crate::player::Player;
use crate::track::Track;

/// One mix for any number of calls: encoded once, sealed and sent by each of them. Cheap to clone; it ends when the last
/// clone is dropped.
///
/// It plays whether or not anybody is tuned in, and whether or not any of the calls is connected. A call that tunes in later
/// hears what is on the air then.
#[derive(Clone)]
pub struct Broadcast {
    shared: Arc<Shared>,
}

struct Shared {
    player: Player,
    tuner: Tuner,
    listeners: Listeners,
    requests: post::UnboundedSender<Airing>,
    closed: watch::Receiver<Option<Closed>>,
}

impl Broadcast {
    pub(crate) fn new(
        player: Player,
        tuner: Tuner,
        listeners: Listeners,
        requests: post::UnboundedSender<Airing>,
        closed: watch::Receiver<Option<Closed>>,
    ) -> Self {
        Self { shared: Arc::new(Shared { player, tuner, listeners, requests, closed }) }
    }

    /// What plays in it: tracks, groups, effects, the queue and the encoder.
    pub fn player(&self) -> &Player {
        &self.shared.player
    }

    /// How many calls are tuned in.
    pub fn listeners(&self) -> usize {
        self.shared.tuner.taps()
    }

    /// What happens in it from now on: [`Event::Track`](crate::Event::Track),
    /// [`Event::TrackEnded`](crate::Event::TrackEnded), [`Event::Queue`](crate::Event::Queue),
    /// [`Event::Timer`](crate::Event::Timer).
    pub fn events(&self) -> Events {
        let queue = Arc::<Queue>::default();
        let _ = self.shared.requests.unbounded_send(Airing::Events(queue.clone()));
        Events::new(queue, self.shared.closed.clone())
    }

    /// A track that plays it in `player`.
    pub(crate) fn tune(&self, player: &Player) -> Track {
        let track = player.add_feed(self.shared.tuner.tap());
        self.shared.listeners.add(&track);
        // It may have gone on the air, or off it, just before.
        track.wake();
        track
    }
}

impl fmt::Debug for Broadcast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listeners = self.listeners();
        f.debug_struct("Broadcast").field("player", self.player()).field("listeners", &listeners).finish()
    }
}
