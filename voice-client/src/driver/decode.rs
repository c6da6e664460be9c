//! Decoder threads: where the speakers of a call are decoded that its own task cannot keep up with. Speakers move here
//! whole for one tick, and back, so nothing of one speaker is ever done twice at a time, or out of order.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex};
use std::task::Poll;
use std::time::{Duration, Instant};
use std::{io, thread};

use atomic_waker::AtomicWaker;
use model::Ssrc;
use receive::{Rendered, Speaker};

use super::lock;
use super::time::now;
use crate::media::{Inbound, Sink};

/// A tick that takes longer than this on the call's task is spread: a tick in 20 ms must leave room for packets, and for
/// other calls of the same runtime.
const BUSY: Duration = Duration::from_millis(6);
/// Once all of them together take less than this, they come back.
const CALM: Duration = Duration::from_millis(3);
/// What one thread is given at a time.
const SHARE: Duration = Duration::from_millis(3);
/// How much of each tick's cost counts: one that was interrupted is no trend.
const WEIGHT: u32 = 8;
/// A thread with nothing to do for this long ends.
const IDLE: Duration = Duration::from_secs(10);

/// The decoder threads of a client. There is none before it is needed.
pub(crate) struct Decoders {
    shared: Arc<Shared>,
}

struct Shared {
    pool: Mutex<Pool>,
    /// There is work, or the pool is closed.
    changed: Condvar,
    max: usize,
}

#[derive(Default)]
struct Pool {
    jobs: VecDeque<(Batch, Arc<Return>)>,
    threads: usize,
    idle: usize,
    closed: bool,
}

/// Speakers on their way, and what they gave out.
#[derive(Default)]
struct Batch {
    /// Its place among those of its tick.
    index: usize,
    at: Option<Instant>,
    speakers: Vec<Speaker>,
    /// Who they are, should they be lost.
    names: Vec<Ssrc>,
    rendered: Rendered,
    cost: Duration,
}

/// Where the batches of a call come back.
#[derive(Default)]
struct Return {
    done: Mutex<Vec<Batch>>,
    waker: AtomicWaker,
}

/// How a call plays out: by itself as long as it can, with the help of threads when it has too much to decode.
pub(super) struct PlayOut {
    decoders: Arc<Shared>,
    /// What a tick costs lately, all speakers together.
    cost: Duration,
    spread: bool,
    due: Vec<Speaker>,
    /// Batches that are here, kept for their memory.
    batches: Vec<Batch>,
    home: Arc<Return>,
}

impl Decoders {
    /// No more than `max` threads at a time, one at least.
    pub(crate) fn new(max: usize) -> Self {
        Self { shared: Arc::new(Shared { pool: Mutex::default(), changed: Condvar::new(), max: max.max(1) }) }
    }

    /// For one call.
    pub(super) fn play_out(&self) -> PlayOut {
        PlayOut {
            decoders: self.shared.clone(),
            cost: Duration::ZERO,
            spread: false,
            due: Vec::new(),
            batches: Vec::new(),
            home: Arc::default(),
        }
    }
}

impl PlayOut {
    /// Plays out what is due now.
    pub(super) async fn tick(&mut self, inbound: &mut Inbound, at: Instant, sink: &mut impl Sink) {
        if !self.spread {
            let start = now();
            inbound.tick(at, sink);
            self.note(now().saturating_duration_since(start));
            return;
        }
        debug_assert!(lock(&self.home.done).is_empty(), "those of the tick before are here");
        inbound.take_due(at, &mut self.due);
        let count = shares(self.cost, self.due.len(), self.decoders.max);
        let each = self.due.len().div_ceil(count).max(1);
        let mut sent = 0;
        while !self.due.is_empty() {
            let mut batch = self.batches.pop().unwrap_or_default();
            (batch.index, batch.at) = (sent, Some(at));
            batch.names.clear();
            batch.rendered.clear();
            batch.speakers.extend(self.due.drain(..each.min(self.due.len())));
            batch.names.extend(batch.speakers.iter().map(Speaker::ssrc));
            sent += 1;
            if let Some(mut batch) = self.decoders.submit(batch, &self.home) {
                batch.run();
                lock(&self.home.done).push(batch);
            }
        }
        poll_fn(|context| {
            self.home.waker.register(context.waker());
            if lock(&self.home.done).len() >= sent { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        // Those that this tick did not need are here already, and have nothing to say.
        let first = self.batches.len();
        self.batches.append(&mut lock(&self.home.done));
        let done = &mut self.batches[first..];
        done.sort_unstable_by_key(|batch| batch.index);
        let start = now();
        let mut cost = Duration::ZERO;
        for batch in done {
            cost += batch.cost;
            inbound.deliver(at, &batch.rendered, sink);
            inbound.give_back(at, batch.speakers.drain(..), &batch.names);
        }
        inbound.end_tick(at, sink);
        self.note(cost + now().saturating_duration_since(start));
    }

    fn note(&mut self, cost: Duration) {
        self.cost = (self.cost * (WEIGHT - 1) + cost) / WEIGHT;
        let spread = self.cost > if self.spread { CALM } else { BUSY };
        if spread != self.spread {
            tracing::debug!(spread, cost = ?self.cost, "decoding");
        }
        self.spread = spread;
    }
}

/// Into how many batches so many speakers are divided.
fn shares(cost: Duration, speakers: usize, max: usize) -> usize {
    let wanted = cost.as_micros().div_ceil(SHARE.as_micros());
    usize::try_from(wanted).unwrap_or(max).clamp(1, max.min(speakers).max(1))
}

impl Shared {
    /// Gives a batch to a thread, a new one if none is free and there may be more; back comes what nobody can take.
    fn submit(self: &Arc<Self>, batch: Batch, home: &Arc<Return>) -> Option<Batch> {
        let mut pool = lock(&self.pool);
        if pool.closed {
            return Some(batch);
        }
        if pool.idle <= pool.jobs.len() && pool.threads < self.max {
            match start(self) {
                Ok(()) => pool.threads += 1,
                Err(error) => tracing::warn!(%error, "no thread to decode on"),
            }
        }
        if pool.threads == 0 {
            return Some(batch);
        }
        pool.jobs.push_back((batch, home.clone()));
        drop(pool);
        self.changed.notify_one();
        None
    }
}

impl Drop for Decoders {
    fn drop(&mut self) {
        lock(&self.shared.pool).closed = true;
        self.shared.changed.notify_all();
    }
}

impl Batch {
    /// Ticks everybody. Who was in a batch that panicked is lost: a decoder in such a state is not to be trusted.
    fn run(&mut self) {
        let Self { at: Some(at), speakers, rendered, .. } = self else { return };
        let start = now();
        let ticked = catch_unwind(AssertUnwindSafe(|| {
            for speaker in &mut *speakers {
                speaker.tick(*at, &mut |heard| rendered.keep(&heard));
            }
        }));
        if ticked.is_err() {
            speakers.clear();
        }
        self.cost = now().saturating_duration_since(start);
    }
}

fn start(shared: &Arc<Shared>) -> io::Result<()> {
    let worker = shared.clone();
    thread::Builder::new().name("voice-decode".into()).spawn(move || work(&worker))?;
    Ok(())
}

fn work(shared: &Shared) {
    let mut pool = lock(&shared.pool);
    loop {
        if let Some((mut batch, home)) = pool.jobs.pop_front() {
            drop(pool);
            batch.run();
            lock(&home.done).push(batch);
            home.waker.wake();
            pool = lock(&shared.pool);
            continue;
        }
        if pool.closed {
            break;
        }
        pool.idle += 1;
        let (woken, waited) =
            shared.changed.wait_timeout(pool, IDLE).unwrap_or_else(std::sync::PoisonError::into_inner);
        pool = woken;
        pool.idle -= 1;
        if waited.timed_out() && pool.jobs.is_empty() {
            break;
        }
    }
    pool.threads -= 1;
}

#[cfg(test)]
mod tests;
