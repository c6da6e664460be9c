//! Reader threads: sources are opened, read, decoded and sought here, off every audio thread and every async task.
//!
//! A source may block for as long as it likes and hold a thread meanwhile, of which there are at most
//! [`Config::max_readers`](crate::Config::max_readers). User code runs nowhere else, and a panic in it ends its track
//! only.

use std::any::Any;
use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
use std::{io, thread};

use mixer::prefetch::{Feed, Loops, Reader, Step};
use mixer::{Info, SourceError, TrackId};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::time::now;
use super::{Beat, lock};
use crate::media::Command;

/// How soon a reader is looked after again that has nothing to do.
const REST: Duration = Duration::from_millis(250);
/// How soon a full ring is looked after again, at least; otherwise when half of it was played.
const FULL: Duration = Duration::from_millis(10);
/// Those that may wait are looked after together: waking a thread for each of thousands costs more than what it does.
const TOGETHER: Duration = Duration::from_millis(5);
/// How soon a source that waits for somebody else is asked again.
const WAITING: Duration = Duration::from_millis(5);
/// Time that one source may work before the next one gets its turn.
const TURN: Duration = Duration::from_millis(5);
/// Threads that take what is due at once: more would only fight for the cores.
const EAGER: usize = 2;
/// A job that waited this long finds those blocked, and gets another one.
const BLOCKED: Duration = Duration::from_millis(20);
/// A job that waited this long while every thread is blocked fails.
const STARVED: Duration = Duration::from_secs(5);
/// A thread with nothing to do for this long ends.
const IDLE: Duration = Duration::from_secs(10);

/// The reader threads of a client.
pub(crate) struct Readers {
    shared: Arc<Shared>,
}

struct Shared {
    pool: Mutex<Pool>,
    /// Where turns that are taken together are counted from.
    epoch: Instant,
    /// Wakes a thread: a job is due, or the queue has changed.
    changed: Condvar,
    /// Where sources that need tasks start them.
    runtime: Mutex<Option<Handle>>,
    max: usize,
}

#[derive(Default)]
struct Pool {
    jobs: BinaryHeap<Reverse<Job>>,
    threads: usize,
    idle: usize,
    closed: bool,
}

/// A reader and when it wants to work next.
struct Job {
    due: Instant,
    reader: Box<Reader>,
    mailbox: Arc<Mailbox>,
}

/// What is asked of a source from outside, and what is known of it.
pub(crate) struct Mailbox {
    track: TrackId,
    beat: Beat,
    seek: Mutex<Option<Seek>>,
    loops: Mutex<Option<Loops>>,
    info: Mutex<Option<Arc<Info>>>,
    /// The track has ended.
    over: AtomicBool,
    /// How many times faster than in its own time the source is played, in hundredths.
    tempo: AtomicU32,
    shared: Weak<Shared>,
}

struct Seek {
    to: Duration,
    reply: oneshot::Sender<Result<Duration, SourceError>>,
}

impl Mailbox {
    /// Asks for a seek. A later one takes the place of an earlier one that has not begun.
    pub(crate) fn seek(self: &Arc<Self>, to: Duration) -> oneshot::Receiver<Result<Duration, SourceError>> {
        let (reply, answer) = oneshot::channel();
        *lock(&self.seek) = Some(Seek { to, reply });
        if let Some(shared) = self.shared.upgrade() {
            shared.hurry(self);
        }
        answer
    }

    /// How often the source begins again.
    pub(crate) fn set_loops(&self, loops: Loops) {
        *lock(&self.loops) = Some(loops);
    }

    /// It is played so many times faster from now on: its ring lasts that much shorter.
    pub(crate) fn set_tempo(&self, tempo: f64) {
        self.tempo.store((tempo * 100.0) as u32, Ordering::Relaxed);
    }

    /// Nobody wants anything of the source any more.
    pub(crate) fn abandon(&self) {
        self.over.store(true, Ordering::Release);
    }

    /// Whether the seek that is under way still matters: its track has not ended, and no other seek waits.
    fn is_sought(&self) -> bool {
        !self.over.load(Ordering::Acquire) && lock(&self.seek).is_none()
    }

    fn take_seek(&self) -> Option<Seek> {
        lock(&self.seek).take()
    }

    /// What the source said of itself when it was opened.
    pub(crate) fn info(&self) -> Option<Arc<Info>> {
        lock(&self.info).clone()
    }
}

impl Readers {
    pub(crate) fn new(max: usize) -> Self {
        let runtime = Mutex::new(Handle::try_current().ok());
        let shared = Shared { pool: Mutex::default(), epoch: now(), changed: Condvar::new(), runtime, max: max.max(1) };
        Self { shared: Arc::new(shared) }
    }

    /// Lets a reader work for a track until its feed is dropped.
    pub(crate) fn submit(&self, mut reader: Reader, track: TrackId, beat: &Beat) -> Arc<Mailbox> {
        let (seek, loops, info) = (Mutex::default(), Mutex::default(), Mutex::default());
        let (beat, shared) = (beat.clone(), Arc::downgrade(&self.shared));
        let mailbox = Arc::new(Mailbox {
            track,
            beat,
            seek,
            loops,
            info,
            over: AtomicBool::new(false),
            tempo: AtomicU32::new(100),
            shared,
        });
        if let Ok(runtime) = Handle::try_current() {
            lock(&self.shared.runtime).get_or_insert(runtime);
        }
        let mut pool = lock(&self.shared.pool);
        if pool.threads == 0
            && let Err(error) = start(&self.shared, &mut pool)
        {
            reader.fail(SourceError::other("source", format!("no thread to read it: {error}")));
            return mailbox;
        }
        pool.jobs.push(Reverse(Job { due: now(), reader: Box::new(reader), mailbox: mailbox.clone() }));
        drop(pool);
        self.shared.changed.notify_one();
        mailbox
    }
}

impl Shared {
    /// When who waits for so long gets its turn.
    fn due(&self, wait: Duration) -> Instant {
        let due = now() + wait;
        if wait < FULL {
            return due;
        }
        let since = (due - self.epoch).as_micros().next_multiple_of(TOGETHER.as_micros());
        self.epoch + Duration::from_micros(u64::try_from(since).unwrap_or(u64::MAX))
    }

    /// Lets the job with this mailbox work at once.
    fn hurry(&self, mailbox: &Arc<Mailbox>) {
        let mut pool = lock(&self.pool);
        let mut jobs = std::mem::take(&mut pool.jobs).into_vec();
        if let Some(Reverse(job)) = jobs.iter_mut().find(|Reverse(job)| Arc::ptr_eq(&job.mailbox, mailbox)) {
            job.due = now();
        }
        pool.jobs = jobs.into();
        drop(pool);
        self.changed.notify_one();
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        lock(&self.shared.pool).closed = true;
        self.shared.changed.notify_all();
    }
}

impl Ord for Job {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.due.cmp(&other.due)
    }
}

impl PartialOrd for Job {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Job {
    fn eq(&self, other: &Self) -> bool {
        self.due == other.due
    }
}

impl Eq for Job {}

fn start(shared: &Arc<Shared>, pool: &mut Pool) -> io::Result<()> {
    let worker = shared.clone();
    thread::Builder::new().name("voice-reader".into()).spawn(move || work(&worker))?;
    pool.threads += 1;
    Ok(())
}

/// One thread: takes the job that is due first, and sees to it that somebody else watches the queue meanwhile.
fn work(shared: &Arc<Shared>) {
    let mut pool = lock(&shared.pool);
    let mut idle_since = now();
    while !pool.closed {
        let time = now();
        let busy = pool.threads - pool.idle - 1;
        // Two threads take what is due. More are for when those are blocked; and the last one only says so.
        let patience = match busy {
            busy if busy >= shared.max => STARVED,
            ..EAGER => Duration::ZERO,
            _ => BLOCKED,
        };
        let due = pool.jobs.peek().map(|Reverse(job)| job.due + patience);
        if due.is_none_or(|due| due > time) {
            if time > idle_since + IDLE && (due.is_none() || pool.idle > 0) {
                break;
            }
            pool.idle += 1;
            let wait = due.map_or(IDLE, |due| due - time);
            pool = shared.changed.wait_timeout(pool, wait).unwrap_or_else(PoisonError::into_inner).0;
            pool.idle -= 1;
            continue;
        }
        let Some(Reverse(job)) = pool.jobs.pop() else { continue };
        if pool.idle == 0
            && pool.threads <= shared.max
            && let Err(error) = start(shared, &mut pool)
        {
            tracing::warn!(%error, "no further reader thread: a source that blocks holds the others up");
        }
        drop(pool);
        let runtime = lock(&shared.runtime).clone();
        let entered = runtime.as_ref().map(Handle::enter);
        let mut again = take_turn(shared, job, busy >= shared.max);
        drop(entered);
        pool = lock(&shared.pool);
        if let Some(job) = again.as_mut().filter(|job| lock(&job.mailbox.seek).is_some()) {
            // It was asked for while nobody could find the job.
            job.due = now();
        }
        pool.jobs.extend(again.map(Reverse));
        idle_since = now();
    }
    pool.threads -= 1;
    let left = if pool.closed && pool.threads == 0 { std::mem::take(&mut pool.jobs) } else { BinaryHeap::new() };
    drop(pool);
    for job in left {
        discard(job.0);
    }
}

/// Lets a job work, or fail when every thread is blocked; returns it when it wants another turn.
fn take_turn(shared: &Shared, mut job: Job, starved: bool) -> Option<Job> {
    let wait = if starved {
        job.reader.fail(SourceError::other("source", "every reader thread is blocked by other sources"));
        Some(REST)
    } else {
        serve(&mut job)
    };
    match wait {
        Some(wait) => Some(Job { due: shared.due(wait), ..job }),
        None => {
            discard(job);
            None
        }
    }
}

/// Dropping a source is user code too.
fn discard(job: Job) {
    let _ = guard(|| drop(job));
}

/// Lets a reader work for a turn; returns when it wants another one, `None` when it is done.
fn serve(job: &mut Job) -> Option<Duration> {
    if let Some(loops) = lock(&job.mailbox.loops).take() {
        job.reader.set_loops(loops);
    }
    // Taken out first: the lock is not held while user code seeks. Another one may come meanwhile.
    while let Some(Seek { to, reply }) = job.mailbox.take_seek() {
        let sought = guard(|| seek(job, to)).unwrap_or_else(|error| {
            job.reader.fail(error.clone());
            Err(error)
        });
        if sought.is_err() && !job.mailbox.is_sought() {
            // It was given up, which is what the caller learns by getting no answer.
            continue;
        }
        let answer = sought.map(|(feed, position)| {
            job.mailbox.beat.command(Command::Replace { id: job.mailbox.track, feed, position });
            position
        });
        // The caller may have gone away; the track goes on from there all the same.
        let _ = reply.send(answer);
    }
    let end = now() + TURN;
    while now() < end {
        let step = guard(|| job.reader.step()).unwrap_or_else(|error| {
            job.reader.fail(error.clone());
            Step::Failed(error)
        });
        if lock(&job.mailbox.info).is_none() {
            *lock(&job.mailbox.info) = job.reader.info().cloned();
        }
        match step {
            Step::Progress => {}
            Step::Waiting => return Some(WAITING),
            Step::Full => {
                let tempo = job.mailbox.tempo.load(Ordering::Relaxed).max(100);
                return Some((job.reader.lasts() * 50 / tempo).clamp(FULL, REST));
            }
            // An ended source may still be sought, as long as its track plays.
            Step::Ended | Step::Failed(_) => return Some(REST),
            _ => return None,
        }
    }
    Some(Duration::ZERO)
}

thread_local! {
    /// For whom this thread seeks now.
    static SEEKER: RefCell<Option<Arc<Mailbox>>> = const { RefCell::new(None) };
}

/// Whether a seek that a source is doing on this thread still matters; one that takes long had better ask.
pub(crate) fn is_sought() -> bool {
    SEEKER.with_borrow(|seeker| seeker.as_ref().is_none_or(|mailbox| mailbox.is_sought()))
}

fn seek(job: &mut Job, to: Duration) -> Result<(Feed, Duration), SourceError> {
    SEEKER.set(Some(job.mailbox.clone()));
    let _seeking = Seeking;
    job.reader.seek(to)
}

/// Ends with the seek, be it by a panic.
struct Seeking;

impl Drop for Seeking {
    fn drop(&mut self) {
        SEEKER.set(None);
    }
}

/// Runs user code; a panic becomes an error of its source.
fn guard<T>(code: impl FnOnce() -> T) -> Result<T, SourceError> {
    catch_unwind(AssertUnwindSafe(code))
        .map_err(|panic| SourceError::other("source", format!("it panicked: {}", text(&*panic))))
}

fn text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
