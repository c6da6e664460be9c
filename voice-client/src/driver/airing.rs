//! The task of a broadcast: hears what happens in its mixer, and wakes the calls that are tuned in when it goes on the air.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use atomic_waker::AtomicWaker;
use futures_channel::mpsc as post;
use tokio::sync::watch;

use super::time::{now, sleep_until};
use super::timers::Timers;
use super::{Place, let_go, lock};
use crate::end::TrackEnd;
use crate::error::Closed;
use crate::event::{Event, Queue, tell};
use crate::media::Notice;
use crate::player::{Closing, Order, Player};
use crate::track::Track;

/// What handles of a broadcast say to its task.
pub(crate) enum Airing {
    Events(Arc<Queue>),
}

/// What a broadcast's task is made of.
pub(crate) struct Station {
    pub(crate) player: Player,
    pub(crate) place: Place,
    pub(crate) on_air: Arc<OnAir>,
    pub(crate) listeners: Listeners,
    pub(crate) requests: post::UnboundedReceiver<Airing>,
    pub(crate) orders: post::UnboundedReceiver<Order>,
    pub(crate) notices: post::UnboundedReceiver<Notice>,
    pub(crate) closed: watch::Sender<Option<Closed>>,
}

/// The signal that a broadcast has something to say after a silence, given by the thread that mixes.
#[derive(Default)]
pub(crate) struct OnAir {
    is_new: AtomicBool,
    waker: AtomicWaker,
}

impl OnAir {
    pub(crate) fn signal(&self) {
        self.is_new.store(true, Ordering::Release);
        self.waker.wake();
    }

    async fn wait(&self) {
        poll_fn(|context| {
            self.waker.register(context.waker());
            if self.is_new.swap(false, Ordering::AcqRel) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

/// The tracks that play a broadcast in calls.
#[derive(Clone, Default)]
pub(crate) struct Listeners {
    tracks: Arc<Mutex<Vec<Track>>>,
}

impl Listeners {
    pub(crate) fn add(&self, track: &Track) {
        let mut tracks = lock(&self.tracks);
        tracks.retain(|track| !track.is_ended());
        tracks.push(track.clone());
    }

    fn wake(&self) {
        lock(&self.tracks).retain(|track| {
            track.wake();
            !track.is_ended()
        });
    }
}

/// Runs until the last handle of the broadcast is dropped.
pub(crate) async fn air(station: Station) {
    let Station { player, place, on_air, listeners, mut requests, mut orders, mut notices, closed } = station;
    let mut timers = Timers::default();
    let mut events: Vec<Arc<Queue>> = Vec::new();
    let mut end = Closed::Left;
    let _closing = Closing(player.clone());
    loop {
        let mut news = Vec::new();
        tokio::select! {
            request = requests.recv() => match request {
                Ok(Airing::Events(queue)) => events.push(queue),
                Err(_) => break,
            },
            notice = notices.recv() => match notice {
                Ok(Notice::Track { id, event }) => {
                    if !player.handle_event(id, &event) {
                        news.push(Event::Track { track: id, event });
                    }
                }
                Ok(notice) => news.extend(let_go(&player, notice)),
                // The clock has let go of it: something in it panicked.
                Err(_) => {
                    end = Closed::Panicked;
                    break;
                }
            },
            Ok(order) = orders.recv() => match order {
                Order::Emit(event) => news.push(event),
                Order::Timer { id, when } => timers.set(now(), id, when),
            },
            () = sleep_until(timers.poll_timeout()) => {
                news.extend(timers.handle_timeout(now()).into_iter().map(Event::Timer));
            }
            () = on_air.wait() => listeners.wake(),
        }
        for event in news {
            tell(&mut events, &event);
        }
    }
    requests.close();
    drop(place);
    // Until the clock thread has let go of it, whose remains are dropped here.
    while let Ok(notice) = notices.recv().await {
        if let Some(event) = let_go(&player, notice) {
            tell(&mut events, &event);
        }
    }
    for track in player.close() {
        tell(&mut events, &Event::TrackEnded { track, end: TrackEnd::CallClosed });
    }
    // Calls at rest would not notice that it has ended.
    listeners.wake();
    closed.send_replace(Some(end));
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mixer::{Ended, TimerId, TrackId, broadcast, prefetch};
    use model::FRAME;

    use super::*;
    use crate::config::Config;
    use crate::driver::{Clock, Readers};
    use crate::event::Events;
    use crate::media::{Outbound, OutboundSettings, Removed};

    /// A broadcast whose clock thread is the test.
    struct Studio {
        player: Player,
        requests: post::UnboundedSender<Airing>,
        orders: post::UnboundedSender<Order>,
        notices: post::UnboundedSender<Notice>,
        task: tokio::task::JoinHandle<()>,
        closed: watch::Receiver<Option<Closed>>,
        _clock: Clock,
    }

    fn studio(before: impl FnOnce(&Player, &post::UnboundedSender<Notice>)) -> Studio {
        let config = Arc::new(Config::default());
        let clock = Clock::new(&config);
        let outbound = Outbound::on_air(&OutboundSettings::from(&*config), broadcast::Station::new(Arc::new(|| {})));
        let (nobody, _) = post::unbounded();
        let place = clock.add(outbound, nobody).unwrap();
        let (requests, asked) = post::unbounded();
        let (orders, ordered) = post::unbounded();
        let (notices, noticed) = post::unbounded();
        let (closing, closed) = watch::channel(None);
        let (readers, ids) = (Arc::new(Readers::new(1)), Arc::default());
        let player = Player::new(config, place.beat().clone(), readers, ids, orders.clone(), closed.clone());
        before(&player, &notices);
        let task = tokio::spawn(air(Station {
            player: player.clone(),
            place,
            on_air: Arc::default(),
            listeners: Listeners::default(),
            requests: asked,
            orders: ordered,
            notices: noticed,
            closed: closing,
        }));
        Studio { player, requests, orders, notices, task, closed, _clock: clock }
    }

    /// A track that the mixer is done with. Dropping it wakes somebody who panics.
    fn spent() -> Box<mixer::Track> {
        let (_, feed) = prefetch::sink(FRAME, Arc::new(|| panic!("a waker's own failure")));
        Box::new(mixer::Track::new(feed))
    }

    fn silent(player: &Player) -> Track {
        player.add_feed(prefetch::sink(FRAME, Arc::new(|| {})).1)
    }

    #[tokio::test]
    async fn what_falls_when_all_is_over_harms_nobody_and_its_end_is_told() {
        // Whether the end of the track or that of the broadcast is seen first is a matter of chance.
        for _ in 0..16 {
            let mut track = None;
            let Studio { requests, notices, task, .. } = studio(|player, notices| {
                let id = track.insert(silent(player)).id();
                let _ = notices.unbounded_send(Notice::TrackEnded { id, ended: Ended::Finished, track: spent() });
            });
            drop((requests, notices));
            task.await.expect("a panic in a waker is not the task's");
            let end = track.unwrap().ended().await;
            assert!(matches!(end, TrackEnd::Finished), "{end:?}");
        }
    }

    #[tokio::test]
    async fn a_track_that_is_stopped_while_it_stands_is_told() {
        let studio = studio(|_, _| {});
        let queue = Arc::<Queue>::default();
        let _ = studio.requests.unbounded_send(Airing::Events(queue.clone()));
        let mut events = Events::new(queue, studio.closed.clone());
        // Once one event comes, the next ones do.
        while events.try_next().is_none() {
            let _ = studio.orders.unbounded_send(Order::Emit(Event::Timer(TimerId(1))));
            tokio::task::yield_now().await;
        }
        let id = silent(&studio.player).id();
        let _ = studio.notices.unbounded_send(Notice::Dispose(Removed::Track(id, spent())));
        let told = async {
            loop {
                let event = events.next().await.expect("it is on the air");
                if let Event::TrackEnded { track: TrackId(track), end } = event {
                    break (track, end);
                }
            }
        };
        let (track, end) = tokio::time::timeout(Duration::from_secs(20), told).await.expect("an end");
        assert!(track == id.0 && matches!(end, TrackEnd::Stopped), "{end:?}");
    }
}
