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
use super::{Place, dispose, lock};
use crate::end::TrackEnd;
use crate::error::Closed;
use crate::event::{Event, Queue};
use crate::media::{Notice, Removed};
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
                Ok(Notice::TrackEnded { id, ended, track }) => {
                    dispose(Removed::Track(id, track));
                    let end = TrackEnd::from(ended);
                    if player.handle_ended(id, &end) {
                        news.push(Event::TrackEnded { track: id, end });
                    }
                }
                Ok(Notice::Dispose(removed)) => {
                    if let Removed::Track(id, _) = &removed {
                        player.handle_ended(*id, &TrackEnd::Stopped);
                    }
                    dispose(removed);
                }
                Ok(_) => {}
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
        events.retain(|queue| Arc::strong_count(queue) > 1);
        for event in news {
            events.iter().for_each(|queue| queue.push(event.clone()));
        }
    }
    requests.close();
    drop(place);
    // Until the clock thread has let go of it, whose remains are dropped here.
    while let Ok(notice) = notices.recv().await {
        if let Notice::Dispose(removed) = notice {
            dispose(removed);
        }
    }
    for track in player.close() {
        let event = Event::TrackEnded { track, end: TrackEnd::CallClosed };
        events.iter().for_each(|queue| queue.push(event.clone()));
    }
    // Calls at rest would not notice that it has ended.
    listeners.wake();
    closed.send_replace(Some(end));
}
