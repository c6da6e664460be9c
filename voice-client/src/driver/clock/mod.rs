//! The clock threads: each beats for many calls, every 20 ms, at absolute deadlines.
//!
//! Deadlines of the calls of a thread are spread over the 20 ms in 40 phases. A packet is prepared shortly before its
//! deadline and sent on it. A thread that comes too late skips beats; it never bursts. Calls with nothing to send rest:
//! they cost no beat.

mod call;
mod thread;

use std::io;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mixer::TrackId;
use tokio::sync::{mpsc, oneshot};

use self::call::Call;
use self::thread::{Message, Thread};
use super::lock;
use crate::media::{Command, Notice, Outbound, Update};
use crate::stats::Sent;

/// All clock threads of a client; each is started when it is first needed.
pub(crate) struct Clock {
    threads: Mutex<Vec<Thread>>,
    max: usize,
    next_key: AtomicU64,
    counters: Arc<Counters>,
}

/// Figures of all clock threads of a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClockStats {
    /// Packets sent.
    pub packets: u64,
    /// Packets that left more than 2 ms after their call's deadline, skipped beats included.
    pub late: u64,
    /// The latest one.
    pub worst: Duration,
}

#[derive(Default)]
struct Counters {
    packets: AtomicU64,
    late: AtomicU64,
    worst_micros: AtomicU64,
}

impl Clock {
    pub(crate) fn new(max: usize) -> Self {
        Self { threads: Mutex::default(), max: max.max(1), next_key: AtomicU64::new(0), counters: Arc::default() }
    }

    /// Gives a call to the thread with the fewest calls.
    ///
    /// # Errors
    ///
    /// The system starts no thread, and there is none yet.
    pub(crate) fn add(&self, outbound: Outbound, notices: mpsc::UnboundedSender<Notice>) -> io::Result<Place> {
        let key = self.next_key.fetch_add(1, Ordering::Relaxed);
        let resting = Arc::new(AtomicBool::new(true));
        let mut threads = lock(&self.threads);
        threads.retain(Thread::is_alive);
        if threads.len() < self.max && threads.iter().all(|thread| thread.calls() > 0) {
            match Thread::start(threads.len(), self.counters.clone()) {
                Ok(thread) => threads.push(thread),
                Err(error) if threads.is_empty() => return Err(error),
                Err(error) => tracing::warn!(%error, "no further clock thread"),
            }
        }
        let thread = threads.iter().min_by_key(|thread| thread.calls()).ok_or(io::ErrorKind::NotFound)?;
        let messages = thread.join(key, Call::new(outbound, notices, resting.clone()));
        Ok(Place { beat: Beat { messages, key, resting } })
    }

    pub(crate) fn stats(&self) -> ClockStats {
        ClockStats {
            packets: self.counters.packets.load(Ordering::Relaxed),
            late: self.counters.late.load(Ordering::Relaxed),
            worst: Duration::from_micros(self.counters.worst_micros.load(Ordering::Relaxed)),
        }
    }
}

/// One call's place on a clock thread, given back when this is dropped.
pub(crate) struct Place {
    beat: Beat,
}

impl Place {
    pub(crate) fn beat(&self) -> &Beat {
        &self.beat
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.beat.tell(Message::Leave { key: self.beat.key });
    }
}

/// A handle to a call on a clock thread.
#[derive(Clone)]
pub(crate) struct Beat {
    messages: std::sync::mpsc::Sender<Message>,
    key: u64,
    resting: Arc<AtomicBool>,
}

impl Beat {
    pub(crate) fn socket(&self, socket: Arc<UdpSocket>) {
        self.tell(Message::Socket { key: self.key, socket });
    }

    pub(crate) fn update(&self, update: Update) {
        self.tell(Message::Update { key: self.key, update });
    }

    pub(crate) fn command(&self, command: Command) {
        self.tell(Message::Command { key: self.key, command });
    }

    /// Ends the rest of a call that got a packet pushed into one of its sinks, or lost the sink.
    pub(crate) fn wake(&self) {
        // Either this sees the rest, or the clock, which looks again after it began, sees the packet.
        fence(Ordering::SeqCst);
        if self.resting.load(Ordering::Relaxed) {
            self.tell(Message::Wake { key: self.key });
        }
    }

    pub(crate) async fn position(&self, id: TrackId) -> Option<Duration> {
        let (reply, answer) = oneshot::channel();
        self.tell(Message::Position { key: self.key, id, reply });
        answer.await.ok().flatten()
    }

    pub(crate) async fn figures(&self) -> Option<Sent> {
        let (reply, answer) = oneshot::channel();
        self.tell(Message::Figures { key: self.key, reply });
        answer.await.ok()
    }

    fn tell(&self, message: Message) {
        // Without a thread the call is over, and its handles find that out elsewhere.
        let _ = self.messages.send(message);
    }
}
