use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gateway::text;
use mixer::{TimerId, TrackEvent, TrackId};
use model::{ChannelId, Ssrc, UserId};
use tokio::sync::{Notify, watch};

use crate::control::{Rung, Symptom};
use crate::encryption::EncryptionEvent;
use crate::end::TrackEnd;
use crate::error::{Cause, Closed};
use crate::media::Speech;
use crate::queue::QueueEvent;

/// Events that wait for a slow reader before they collapse.
const BOUND: usize = 1_024;
/// As long as there are no more events than this, room is made for no more than there are.
const FEW: usize = 16;
/// Ends and the like that wait for a reader who does not read at all.
const MAX_ENDS: usize = 16 * BOUND;

/// What happens in a call.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A session is up: audio flows.
    Connected {
        /// Our stream.
        ssrc: Ssrc,
        /// Name of the transport mode.
        mode: String,
        /// DAVE version; 0 is no end-to-end encryption.
        dave_version: u16,
    },
    /// The WebSocket is back; the session, and audio, had gone on.
    Resumed,
    /// The connection is lost and being won back. Tracks are kept.
    Reconnecting {
        /// What went wrong.
        cause: Cause,
        /// How it is won back.
        by: Recovery,
    },
    /// The media path is dead, and something is done about it ([`Config::watchdog`](crate::Config::watchdog)).
    Watchdog {
        /// What.
        rung: Rung,
        /// What it was told by.
        why: Symptom,
    },
    /// The bot is in another channel now, moved by itself or by somebody else.
    Moved {
        /// The channel it is in.
        channel: ChannelId,
    },
    /// The call is over.
    Closed(Closed),
    /// A track ended.
    TrackEnded {
        /// Which one.
        track: TrackId,
        /// How.
        end: TrackEnd,
    },
    /// Something has happened to a track; its [own reader](crate::Track::events) sees it too.
    Track {
        /// Which one.
        track: TrackId,
        /// What.
        event: TrackEvent,
    },
    /// Something has happened in the queue.
    Queue(QueueEvent),
    /// A [timed event](crate::Player::timer) of the player's own clock.
    Timer(TimerId),
    /// End-to-end encryption: its state, its group, its code.
    Encryption(EncryptionEvent),
    /// Somebody starts or stops speaking: noticed by what is heard, on the clock of their stream.
    Speech(Speech),
    /// Op 5: what a user is going to send, and under which SSRC; not when speech starts and stops.
    Speaking(text::Speaking),
    /// Op 11: users in the call.
    ClientsConnect(text::ClientsConnect),
    /// Op 12: a user's video streams.
    Video(text::Video),
    /// Op 13: a user left.
    ClientDisconnect(text::ClientDisconnect),
    /// Op 14: codecs of the session.
    SessionUpdate(Box<text::SessionUpdate>),
    /// Op 15: which video sizes the server wants.
    MediaSinkWants(serde_json::Map<String, serde_json::Value>),
    /// Op 16: versions of the voice server.
    BackendVersion(text::BackendVersion),
    /// Op 18: a user's flags.
    ClientFlags(text::ClientFlags),
    /// Op 20: a user's platform.
    ClientPlatform(text::ClientPlatform),
    /// Any other opcode, as it came.
    Other(Box<text::Message>),
    /// A binary message of an unknown opcode, as it came.
    OtherBinary {
        /// The opcode.
        op: u8,
        /// What followed it.
        payload: Vec<u8>,
    },
    /// The reader was too slow: this many events were replaced by later ones of their subject, or dropped.
    Missed(u64),
}

/// How a lost connection is won back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Recovery {
    /// The session is resumed; audio goes on meanwhile.
    Resume {
        /// Which attempt this is, from 1.
        attempt: u32,
    },
    /// A fresh join through the main-gateway link.
    Rejoin {
        /// Which attempt this is, from 1.
        attempt: u32,
    },
    /// A new voice server is being joined.
    Move,
    /// Waiting for updates of the main gateway, or for new connection info from the application.
    AwaitUpdate,
}

/// What an event is about: of two with the same subject, the later one tells all.
#[derive(PartialEq, Eq)]
enum Subject {
    Connection,
    Channel,
    EncryptionState,
    PrivacyCode,
    Speech(UserId),
    Speaking(Option<UserId>),
    Video(Option<UserId>),
    Flags(UserId),
    Platform(UserId),
    Codecs,
    Sinks,
    Version,
}

impl Event {
    pub(crate) fn from_message(message: text::Message) -> Self {
        match message {
            text::Message::Speaking(it) => Event::Speaking(it),
            text::Message::ClientsConnect(it) => Event::ClientsConnect(it),
            text::Message::Video(it) => Event::Video(it),
            text::Message::ClientDisconnect(it) => Event::ClientDisconnect(it),
            text::Message::SessionUpdate(it) => Event::SessionUpdate(Box::new(it)),
            text::Message::MediaSinkWants(it) => Event::MediaSinkWants(it),
            text::Message::BackendVersion(it) => Event::BackendVersion(it),
            text::Message::ClientFlags(it) => Event::ClientFlags(it),
            text::Message::ClientPlatform(it) => Event::ClientPlatform(it),
            other => Event::Other(Box::new(other)),
        }
    }

    fn subject(&self) -> Option<Subject> {
        Some(match self {
            Event::Connected { .. } | Event::Resumed | Event::Reconnecting { .. } => Subject::Connection,
            Event::Moved { .. } => Subject::Channel,
            Event::Encryption(EncryptionEvent::State(_)) => Subject::EncryptionState,
            Event::Encryption(EncryptionEvent::PrivacyCode { .. }) => Subject::PrivacyCode,
            Event::Speech(it) => Subject::Speech(it.user),
            Event::Speaking(it) => Subject::Speaking(it.user),
            Event::Video(it) => Subject::Video(it.user),
            Event::ClientFlags(it) => Subject::Flags(it.user),
            Event::ClientPlatform(it) => Subject::Platform(it.user),
            Event::SessionUpdate(_) => Subject::Codecs,
            Event::MediaSinkWants(_) => Subject::Sinks,
            Event::BackendVersion(_) => Subject::Version,
            _ => return None,
        })
    }

    /// Ends, what a queue is refilled by, and a key that changed, which may be somebody else's doing.
    fn is_kept(&self) -> bool {
        match self {
            Event::Closed(_) | Event::TrackEnded { .. } => true,
            Event::Encryption(EncryptionEvent::KeyChanged { .. }) => true,
            Event::Queue(event) => !matches!(event, QueueEvent::Started { .. } | QueueEvent::Marker { .. }),
            _ => false,
        }
    }
}

/// The events of a call, pulled in order by one reader.
///
/// Bounded at 1,024: when a slow reader lets it fill up, events about the same subject collapse to the latest, one
/// [`Event::Missed`] tells how many went. Ends (of tracks, of queued entries, of the call), what a queue says when it runs low or
/// rests, and changed keys are not dropped, up to 16,384 of them; before anybody has asked for the events, up to 1,024.
pub struct Events {
    queue: Arc<Queue>,
    closed: watch::Receiver<Option<Closed>>,
    over: bool,
}

impl Events {
    /// The next event; `None` after [`Event::Closed`], which is the last one.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if self.over {
                return None;
            }
            // Registered before looking, so that an event pushed in between wakes us.
            let queue = self.queue.clone();
            let pushed = queue.pushed.notified();
            if let Some(event) = self.try_next() {
                return Some(event);
            }
            tokio::select! {
                () = pushed => {}
                changed = self.closed.changed() => if changed.is_err() {
                    // The call's task is gone; what it left is in the queue.
                    let event = self.try_next();
                    self.over = event.is_none();
                    return event;
                },
            }
        }
    }

    /// The next event if there is one already.
    pub fn try_next(&mut self) -> Option<Event> {
        if self.over {
            return None;
        }
        let event = self.queue.pop().or_else(|| self.closed.borrow().clone().map(Event::Closed));
        self.over = matches!(event, Some(Event::Closed(_)));
        event
    }

    pub(crate) fn new(queue: Arc<Queue>, closed: watch::Receiver<Option<Closed>>) -> Self {
        queue.lock().read = true;
        Self { queue, closed, over: false }
    }
}

/// The shared half of [`Events`].
#[derive(Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    pushed: Notify,
}

#[derive(Default)]
struct State {
    /// Those that are kept, each with its number among all.
    kept: VecDeque<(u64, Event)>,
    /// The others, apart from them: whoever has to go is found here, however many ends wait. Never more than `BOUND`.
    passing: VecDeque<(u64, Event)>,
    pushed: u64,
    missed: u64,
    /// Somebody has asked for the events.
    read: bool,
    over: bool,
}

impl Queue {
    pub(crate) fn push(&self, event: Event) {
        let mut state = self.lock();
        if state.over {
            return;
        }
        state.over = matches!(event, Event::Closed(_));
        let victim = state.make_room(&event);
        state.missed += u64::from(victim.is_some());
        state.add(event);
        drop(state);
        // It may hold data of the application's, whose end is its own code: not under the lock.
        drop(victim);
        self.pushed.notify_one();
    }

    fn pop(&self) -> Option<Event> {
        let mut state = self.lock();
        if state.missed > 0 {
            return Some(Event::Missed(std::mem::take(&mut state.missed)));
        }
        let first = |events: &VecDeque<(u64, Event)>| events.front().map_or(u64::MAX, |(number, _)| *number);
        let is_kept = first(&state.kept) < first(&state.passing);
        let events = if is_kept { &mut state.kept } else { &mut state.passing };
        events.pop_front().map(|(_, event)| event)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts an event into every queue that somebody reads; those whose reader is gone are forgotten.
pub(crate) fn tell(queues: &mut Vec<Arc<Queue>>, event: &Event) {
    queues.retain(|queue| Arc::strong_count(queue) > 1);
    for queue in queues {
        queue.push(event.clone());
    }
}

impl State {
    fn add(&mut self, event: Event) {
        let events = if event.is_kept() { &mut self.kept } else { &mut self.passing };
        if events.len() == events.capacity() && events.len() < FEW {
            // Most calls are never asked for their events, and there are not many then.
            events.reserve_exact(2);
        }
        events.push_back((self.pushed, event));
        self.pushed += 1;
    }

    /// Takes out the older event of the same subject, or else the oldest one that is not kept, or one that is when there are
    /// far too many.
    fn make_room(&mut self, event: &Event) -> Option<Event> {
        let len = self.kept.len() + self.passing.len();
        let full = len >= if self.read { MAX_ENDS } else { BOUND };
        if len < BOUND || (event.is_kept() && !full) {
            return None;
        }
        let same = event.subject().and_then(|subject| self.find(&subject));
        let (_, victim) = match same {
            Some(index) => self.passing.remove(index)?,
            None if full => self.passing.pop_front().or_else(|| self.kept.pop_front())?,
            None => self.passing.pop_front()?,
        };
        Some(victim)
    }

    fn find(&self, subject: &Subject) -> Option<usize> {
        self.passing.iter().position(|(_, old)| old.subject().as_ref() == Some(subject))
    }
}

#[cfg(test)]
mod tests {
    use mixer::TimerId;

    use super::*;

    fn speaking(user: u64, flags: u32) -> Event {
        Event::Speaking(text::Speaking { flags, user: UserId::new(user), ssrc: None, delay: None })
    }

    fn drain(queue: &Arc<Queue>) -> Vec<Event> {
        let (_open, closed) = watch::channel(None);
        let mut events = Events::new(queue.clone(), closed);
        std::iter::from_fn(|| events.try_next()).collect()
    }

    #[test]
    fn order_is_kept() {
        let queue = Arc::new(Queue::default());
        queue.push(speaking(1, 1));
        queue.push(Event::Resumed);
        assert!(matches!(drain(&queue)[..], [Event::Speaking(_), Event::Resumed]));
    }

    #[test]
    fn a_full_queue_collapses_by_subject_and_keeps_ends() {
        let queue = Arc::new(Queue::default());
        drain(&queue);
        queue.push(Event::TrackEnded { track: TrackId(7), end: TrackEnd::Finished });
        for flags in 0..10_000 {
            queue.push(speaking(u64::from(flags % 2) + 1, flags));
        }
        queue.push(Event::Closed(Closed::Left));
        queue.push(Event::Resumed);

        let events = drain(&queue);
        assert!(matches!(events[0], Event::Missed(missed) if missed == 10_001 - BOUND as u64), "{:?}", events[0]);
        assert!(matches!(events[1], Event::TrackEnded { track: TrackId(7), .. }));
        let latest = &events[events.len() - 2];
        assert!(matches!(latest, Event::Speaking(text::Speaking { flags: 9_999, .. })), "the latest is kept");
        assert!(matches!(events.last(), Some(Event::Closed(Closed::Left))), "nothing follows the end");
    }

    #[test]
    fn ends_beyond_the_bound_are_all_kept() {
        let queue = Arc::new(Queue::default());
        drain(&queue);
        for id in 0..2 * BOUND as u64 {
            queue.push(Event::TrackEnded { track: TrackId(id), end: TrackEnd::Finished });
        }
        assert_eq!(drain(&queue).len(), 2 * BOUND);
    }

    #[test]
    fn nobody_who_reads_is_not_waited_for_with_more_than_a_few() {
        let queue = Arc::new(Queue::default());
        for id in 0..3 * BOUND as u64 {
            queue.push(Event::TrackEnded { track: TrackId(id), end: TrackEnd::Finished });
            queue.push(speaking(1, 0));
        }
        let events = drain(&queue);
        assert!(matches!(events[0], Event::Missed(missed) if missed == 5 * BOUND as u64), "{:?}", events[0]);
        assert_eq!(events.len(), BOUND + 1);
        assert!(matches!(events[BOUND - 1], Event::TrackEnded { track: TrackId(3071), .. }), "{:?}", events[BOUND - 1]);
    }

    #[test]
    fn what_a_queue_is_refilled_by_is_kept_and_costs_others_nothing() {
        let queue = Arc::new(Queue::default());
        drain(&queue);
        let remaining = crate::queue::Remaining::default();
        for user in 0..BOUND as u64 {
            queue.push(speaking(user + 1, 0));
        }
        let refills = [QueueEvent::Low { remaining }, QueueEvent::Empty, QueueEvent::Stuck];
        for event in refills.iter().cycle().take(9_000) {
            queue.push(Event::Queue(event.clone()));
        }
        // Only those that are not kept are looked through.
        let mut looks = 0;
        for n in 0..20_000 {
            looks += queue.lock().passing.len();
            queue.push(speaking(n + 2_000, 0));
            queue.push(Event::Timer(TimerId(n)));
        }
        assert!(looks <= 20_000 * BOUND, "{looks} looks, however many are kept");
        let kept = drain(&queue).into_iter().filter(|event| matches!(event, Event::Queue(_))).count();
        assert_eq!(kept, 9_000);

        for n in 0..9_000 {
            queue.push(Event::TrackEnded { track: TrackId(n), end: TrackEnd::Finished });
        }
        let mut looks = 0;
        for n in 0..20_000 {
            looks += queue.lock().passing.len();
            queue.push(speaking(n + 1, 0));
        }
        assert!(looks <= 20_000, "when ends fill it, there is next to nothing to look through: {looks}");
    }

    #[test]
    fn an_event_is_small() {
        assert!(size_of::<Event>() < 80, "{} bytes", size_of::<Event>());
    }
}
