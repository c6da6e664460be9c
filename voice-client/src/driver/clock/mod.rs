//! The clock threads: each beats for many calls, every 20 or 10 ms, at absolute deadlines.
//!
//! Deadlines of the calls of a thread are spread over the 20 ms in 40 phases. A packet is prepared shortly before its
//! deadline and sent on it. A thread that comes too late skips beats; it never bursts. Calls with nothing to send rest:
//! they cost no beat.
//!
//! There is one thread at first, the home thread. Threads measure how busy they are: one that has too much to do gives calls
//! away, to threads with room or to new ones (`balance`, which is pure). All that is said to calls goes to the home thread, and
//! from there to where they are (`home`): so no handle ever needs to know, and nothing is locked.

mod balance;
mod call;
mod calls;
mod desk;
mod gauge;
mod home;
mod inbox;
mod realtime;
mod rhythm;
#[cfg(test)]
mod tests;
mod thread;

use std::io;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Instant;

use futures_channel::mpsc as post;
use tokio::sync::{mpsc, oneshot};

use self::balance::Balance;
pub(crate) use self::call::Sending;
use self::call::{Call, Word};
use self::gauge::Counters;
use self::rhythm::STEP;
use self::thread::{Message, Setup, start_home};
use super::lock;
use super::time::now;
use crate::config::Config;
use crate::media::{Command, Notice, Outbound, Update};

pub use gauge::{ClockStats, ClockThread};
pub use realtime::Realtime;

/// All clock threads of a client; each is started when it is first needed.
pub(crate) struct Clock {
    setup: Setup,
    home: Mutex<Option<(mpsc::UnboundedSender<Message>, JoinHandle<()>)>>,
    next_key: AtomicU64,
}

impl Clock {
    pub(crate) fn new(config: &Config) -> Self {
        Self::with(config.clock_threads, config.realtime, Balance::default())
    }

    fn with(max: usize, realtime: bool, balance: Balance) -> Self {
        let (counters, refused) = (Arc::new(Counters::default()), Arc::new(AtomicBool::new(false)));
        let setup = Setup { max: max.max(1), balance, realtime, epoch: now(), counters, refused };
        Self { setup, home: Mutex::default(), next_key: AtomicU64::new(0) }
    }

    /// Takes in a call, which rests until it is told something.
    ///
    /// # Errors
    ///
    /// The system starts no thread, and there is none yet.
    pub(crate) fn add(&self, outbound: Outbound, notices: post::UnboundedSender<Notice>) -> io::Result<Place> {
        let key = self.next_key.fetch_add(1, Ordering::Relaxed);
        let resting = Arc::new(AtomicBool::new(true));
        let step = (now() - self.setup.epoch).as_micros() / STEP.as_micros();
        let call = Call::new(key, step as u64, outbound, notices, resting.clone());
        let mut home = lock(&self.home);
        let home = match &mut *home {
            Some(home) if !home.1.is_finished() => home,
            home => home.insert(start_home(&self.setup)?),
        };
        let messages = home.0.clone();
        let _ = messages.send(Message::Join { call });
        Ok(Place { beat: Beat { messages, key, resting, epoch: self.setup.epoch } })
    }

    pub(crate) fn stats(&self) -> ClockStats {
        self.setup.counters.stats()
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        if let Some((messages, _)) = lock(&self.home).take() {
            let _ = messages.send(Message::Close);
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
        self.beat.tell(Word::Leave);
    }
}

/// A handle to a call on a clock thread.
#[derive(Clone)]
pub(crate) struct Beat {
    messages: mpsc::UnboundedSender<Message>,
    key: u64,
    resting: Arc<AtomicBool>,
    /// When steps began.
    epoch: Instant,
}

impl Beat {
    pub(crate) fn socket(&self, socket: Arc<UdpSocket>) {
        self.tell(Word::Socket(socket));
    }

    pub(crate) fn update(&self, update: Update) {
        self.tell(Word::Update(update));
    }

    pub(crate) fn command(&self, command: Command) {
        self.tell(Word::Command(command));
    }

    /// Ends the rest of a call that got a packet pushed into one of its sinks, or lost the sink.
    pub(crate) fn wake(&self) {
        // Either this sees the rest, or the clock, which looks again after it began, sees the packet.
        fence(Ordering::SeqCst);
        if self.resting.load(Ordering::Relaxed) {
            self.tell(Word::Wake);
        }
    }

    /// What the call sends; never comes when the call is over.
    pub(crate) fn figures(&self) -> oneshot::Receiver<Sending> {
        let (reply, answer) = oneshot::channel();
        self.tell(Word::Figures { epoch: self.epoch, reply });
        answer
    }

    fn tell(&self, word: Word) {
        // Without a thread the call is over, and its handles find that out elsewhere.
        let _ = self.messages.send(Message::Tell { key: self.key, word });
    }
}
