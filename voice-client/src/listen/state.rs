use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use crossbeam_queue::ArrayQueue;
use tokio::sync::Notify;

use super::{ListenError, Sound};

/// Most sounds that a queue holds.
const MAX_CAPACITY: usize = 1 << 16;

const LISTENING: u8 = 0;
const PAUSED: u8 = 1;
const STOPPED: u8 = 2;

/// What the handles of a listener and the receive task share.
///
/// ```text
///  listening <--pause/resume--> paused         changed by handles only
///      \--------stop---------------/
///                |
///             stopped                          over: the receive task has let go, be it stopped or the call over
/// ```
pub(crate) struct State {
    queue: ArrayQueue<Sound>,
    /// There is a sound, or it is over.
    news: Notify,
    phase: AtomicU8,
    /// The session is up and not deaf.
    up: AtomicBool,
    /// The receive task has let go of it, and all that it had for it.
    over: AtomicBool,
    /// `phase`, `up` or `over` has changed.
    turn: Notify,
    delivered: AtomicU64,
    lost: AtomicU64,
}

impl State {
    pub(super) fn new(capacity: usize, paused: bool) -> Arc<Self> {
        Arc::new(Self {
            queue: ArrayQueue::new(capacity.clamp(1, MAX_CAPACITY)),
            news: Notify::new(),
            phase: AtomicU8::new(if paused { PAUSED } else { LISTENING }),
            up: AtomicBool::new(false),
            over: AtomicBool::new(false),
            turn: Notify::new(),
            delivered: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        })
    }

    pub(super) fn capacity(&self) -> usize {
        self.queue.capacity()
    }

    pub(super) fn is_listening(&self) -> bool {
        self.phase.load(Ordering::Acquire) == LISTENING
    }

    pub(super) fn is_paused(&self) -> bool {
        self.phase.load(Ordering::Acquire) == PAUSED
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.phase.load(Ordering::Acquire) == STOPPED
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// That it was not stopped, and its call is not over.
    pub(super) fn is_on(&self) -> Result<(), ListenError> {
        if self.is_stopped() {
            return Err(ListenError::AlreadyStopped);
        }
        if self.is_over() { Err(ListenError::CallClosed) } else { Ok(()) }
    }

    pub(super) fn pause(&self) -> Result<(), ListenError> {
        self.is_on()?;
        self.turn(LISTENING, PAUSED)
    }

    pub(super) fn resume(&self) -> Result<(), ListenError> {
        self.is_on()?;
        self.turn(PAUSED, LISTENING)
    }

    fn turn(&self, from: u8, to: u8) -> Result<(), ListenError> {
        match self.phase.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Ok(()),
            Err(STOPPED) => Err(ListenError::AlreadyStopped),
            Err(PAUSED) => Err(ListenError::AlreadyPaused),
            Err(_) => Err(ListenError::NotPaused),
        }
    }

    pub(super) fn stop(&self) -> Result<(), ListenError> {
        self.is_on()?;
        if self.phase.swap(STOPPED, Ordering::AcqRel) == STOPPED {
            return Err(ListenError::AlreadyStopped);
        }
        self.turn.notify_waiters();
        Ok(())
    }

    /// The session is up, or not any more.
    pub(super) fn set_up(&self, up: bool) {
        self.up.store(up, Ordering::Release);
        self.turn.notify_waiters();
    }

    /// Resolves when the session is up.
    pub(super) async fn ready(&self) -> Result<(), ListenError> {
        self.until(|| match self.is_on() {
            Ok(()) => self.up.load(Ordering::Acquire).then_some(Ok(())),
            Err(error) => Some(Err(error)),
        })
        .await
    }

    /// Resolves when the receive task has let go.
    pub(super) async fn over(&self) {
        self.until(|| self.is_over().then_some(())).await;
    }

    async fn until<T>(&self, look: impl Fn() -> Option<T>) -> T {
        loop {
            let turn = self.turn.notified();
            tokio::pin!(turn);
            turn.as_mut().enable();
            if let Some(found) = look() {
                return found;
            }
            turn.await;
        }
    }

    /// Whether a sound more fits; one that does not is counted.
    pub(super) fn has_room(&self) -> bool {
        let full = self.queue.is_full();
        self.lost.fetch_add(u64::from(full), Ordering::Relaxed);
        !full
    }

    pub(super) fn push(&self, sound: Sound) {
        let counted = if self.queue.push(sound).is_ok() { &self.delivered } else { &self.lost };
        counted.fetch_add(1, Ordering::Relaxed);
        self.news.notify_one();
    }

    pub(super) fn try_next(&self) -> Option<Sound> {
        self.queue.pop()
    }

    pub(super) async fn next(&self) -> Option<Sound> {
        loop {
            let news = self.news.notified();
            tokio::pin!(news);
            // Before looking, so that nothing that comes after it is missed.
            news.as_mut().enable();
            // The end first, for what came before it.
            let over = self.is_over();
            let sound = self.queue.pop();
            if sound.is_some() || over {
                return sound;
            }
            news.await;
        }
    }

    pub(super) fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }

    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

/// Says that it is over when it is dropped: the last thing that the receive task has of a listener.
pub(super) struct Ending(pub(super) Arc<State>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Release);
        self.0.news.notify_waiters();
        self.0.turn.notify_waiters();
    }
}
