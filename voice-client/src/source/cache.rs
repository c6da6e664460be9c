//! A source that is decoded once and played by many tracks.
//!
//! ```text
//! source --> intake --> store <-- CachedSource, one per track, at a position of its own
//!            (once)     (PCM or Opus, in memory or in a file)
//! ```
//!
//! Whoever is the furthest ahead reads the source a little, under a lock; the others read what is there, and wait without
//! holding a thread for what is not. When a track goes away, another one reads on.

mod cached;
mod intake;
mod spool;
mod store;

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::time::Duration;

use mixer::{Chunk, Info, Source, SourceError};

pub use self::cached::CachedSource;
use self::intake::Intake;
pub use self::spool::Storage;
use self::store::{Place, Store, time};

/// What the audio is kept as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Form {
    /// 48 kHz stereo in 16 bits: 11.5 MB a minute. For sounds that are mixed with others.
    Pcm,
    /// Opus packets, which pass through to the call when nothing else sounds. Those of a source of Opus are kept as they are;
    /// PCM is encoded in packets of 20 ms: 1 MB a minute at 128 kbit/s.
    Opus {
        /// Bits per second when PCM is encoded, 6,000 to 510,000.
        bitrate: u32,
    },
}

impl Form {
    /// Opus, PCM encoded at 128 kbit/s.
    pub const OPUS: Self = Self::Opus { bitrate: 128_000 };
}

/// Why a cache ended early. What it holds is played.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// The audio is longer than the cache may hold.
    #[error(
        "the cache is full: {limit} bytes; raise Cache::limit, keep it as Opus, or play the source without a cache"
    )]
    Full {
        /// The limit in bytes.
        limit: u64,
    },
    /// The file could not be written or read.
    #[error("the cache's file failed: {cause}; is there room on the disk, and may its folder be written to?")]
    Storage {
        /// What the system said.
        #[source]
        cause: Arc<io::Error>,
    },
}

impl From<CacheError> for SourceError {
    fn from(error: CacheError) -> Self {
        SourceError::other("cache", error)
    }
}

/// Audio that is read from its source once, and from here by any number of tracks. Cheap to clone.
///
/// ```no_run
/// use voice_client::source::cache::{Cache, Form, Storage};
/// use voice_client::source::file::File;
///
/// # fn play(call: &voice_client::Call) {
/// let horn = Cache::new(File::new("horn.mp3"), Form::OPUS, Storage::Memory);
/// call.play(horn.source());
/// call.play(horn.source());
/// # }
/// ```
#[derive(Clone)]
pub struct Cache {
    shared: Arc<Shared>,
}

struct Shared {
    intake: Mutex<Intake>,
    store: Mutex<Store>,
    info: OnceLock<Info>,
    end: OnceLock<Result<(), SourceError>>,
    /// The store has grown, or ended.
    changed: Condvar,
}

impl Cache {
    /// What `source` yields, which is not touched before somebody reads. Holds at most 256 MiB unless
    /// [`limit`](Self::limit) says otherwise.
    pub fn new(source: impl Source + 'static, form: Form, storage: Storage) -> Self {
        let intake = Mutex::new(Intake::new(Box::new(source), form, 256 << 20));
        let store = Mutex::new(Store::new(form, storage));
        let (info, end, changed) = (OnceLock::new(), OnceLock::new(), Condvar::new());
        Self { shared: Arc::new(Shared { intake, store, info, end, changed }) }
    }

    /// With at most about this many bytes, a chunk more or less. When there is more of the source, its readers play what is
    /// there and fail with [`CacheError::Full`].
    #[must_use]
    pub fn limit(self, bytes: u64) -> Self {
        lock(&self.shared.intake).set_limit(bytes);
        self
    }

    /// Another reader, from the beginning.
    pub fn source(&self) -> CachedSource {
        CachedSource::new(self.shared.clone())
    }

    /// Reads the source to its end now. Blocks as long as that takes: not for async tasks.
    ///
    /// # Errors
    ///
    /// The source's, or [`CacheError`] within [`SourceError::Other`]. What was cached can be played all the same.
    pub fn fill(&self) -> Result<(), SourceError> {
        loop {
            if let Some(end) = self.shared.end() {
                return end;
            }
            self.shared.take_in(&mut lock(&self.shared.intake));
        }
    }

    /// Whether the source has been read to its end, be it a good or an early one, and is not needed any more.
    pub fn is_complete(&self) -> bool {
        self.shared.end.get().is_some()
    }

    /// Bytes that it holds, in memory or in its file.
    pub fn bytes(&self) -> u64 {
        lock(&self.shared.store).bytes()
    }

    /// How much of the source it holds.
    pub fn duration(&self) -> Duration {
        time(self.shared.samples())
    }
}

impl Shared {
    fn open(&self) -> Result<Info, SourceError> {
        if self.info.get().is_none() && self.end.get().is_none() {
            self.know(&mut lock(&self.intake));
        }
        match (self.info.get(), self.end.get()) {
            (Some(info), Some(Ok(()))) => Ok(info.clone().duration(Some(time(self.samples())))),
            (Some(info), _) => Ok(info.clone()),
            (None, Some(Err(error))) => Err(error.clone()),
            (None, _) => Err(SourceError::Deserted),
        }
    }

    /// Opens the source, if that has not happened.
    fn know(&self, intake: &mut Intake) {
        if self.info.get().is_some() || self.end.get().is_some() {
            return;
        }
        match guard(|| intake.open()) {
            Ok(info) => drop(self.info.set(info)),
            Err(error) => self.finish(intake, Err(error)),
        }
    }

    fn end(&self) -> Option<Result<(), SourceError>> {
        self.end.get().cloned()
    }

    fn samples(&self) -> u64 {
        lock(&self.store).samples()
    }

    fn has(&self, place: Place) -> bool {
        place.at < lock(&self.store).len()
    }

    fn find(&self, sample: u64) -> (Place, u64) {
        lock(&self.store).find(sample)
    }

    fn read(&self, place: &mut Place, chunk: &mut Chunk) -> Result<bool, SourceError> {
        let mut store = lock(&self.store);
        if place.at >= store.len() {
            return Ok(false);
        }
        store.read(place, chunk).map_err(|cause| CacheError::Storage { cause: cause.into() })?;
        Ok(true)
    }

    /// Whether the source can be read at once: nobody else does, and it need not wait itself.
    fn is_ready(&self) -> bool {
        match self.intake.try_lock() {
            Ok(mut intake) => intake.is_ready(),
            Err(TryLockError::Poisoned(_)) => true,
            Err(TryLockError::WouldBlock) => false,
        }
    }

    /// Reads the source a little; `false` when somebody else does.
    fn advance(&self) -> bool {
        match self.intake.try_lock() {
            Ok(mut intake) => self.take_in(&mut intake),
            Err(TryLockError::Poisoned(poisoned)) => self.take_in(&mut poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => return false,
        }
        true
    }

    fn take_in(&self, intake: &mut Intake) {
        self.know(intake);
        if self.end.get().is_some() {
            return;
        }
        match guard(|| intake.step(&self.store)) {
            Ok(true) => {}
            Ok(false) => self.finish(intake, Ok(())),
            Err(error) => self.finish(intake, Err(error)),
        }
        self.changed.notify_all();
    }

    fn finish(&self, intake: &mut Intake, end: Result<(), SourceError>) {
        // Dropping a source is user code too.
        let _ = guard(|| {
            intake.end();
            Ok(())
        });
        let _ = self.end.set(end);
    }

    /// Waits until the store has changed; `false` when it has not within `time`.
    fn wait(&self, time: Duration) -> bool {
        let store = lock(&self.store);
        let before = store.bytes();
        let store = self.changed.wait_timeout(store, time).unwrap_or_else(PoisonError::into_inner).0;
        store.bytes() != before
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("bytes", &self.bytes()).field("end", &self.shared.end()).finish_non_exhaustive()
    }
}

/// A source that panics has failed for everybody who reads it.
fn guard<T>(code: impl FnOnce() -> Result<T, SourceError>) -> Result<T, SourceError> {
    catch_unwind(AssertUnwindSafe(code)).unwrap_or_else(|_| Err(SourceError::other("cache", "its source panicked")))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
