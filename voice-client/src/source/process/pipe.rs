//! A bounded pipe of bytes from the task that attends to a program to the thread that reads a source.

use std::collections::VecDeque;
use std::error::Error;
use std::io::{self, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Why a pipe ended early.
pub(super) type Failure = Arc<dyn Error + Send + Sync>;

/// Bytes that wait to be read, at most: 0.7 s of 48 kHz stereo in 32-bit floats.
const AHEAD: usize = 256 * 1024;

/// The side of the task.
pub(super) struct Inlet(Arc<Shared>);

/// The side of the thread.
pub(super) struct Outlet(Arc<Shared>);

/// How a pipe is doing.
pub(super) struct Gauge(Arc<Shared>);

/// Nobody reads the pipe any more.
pub(super) struct Unread;

#[derive(Debug, thiserror::Error)]
#[error("the task that attended to it was stopped; keep the runtime alive while it plays")]
struct Abandoned;

struct Shared {
    state: Mutex<State>,
    filled: Condvar,
    drained: Notify,
    dropped: Notify,
}

struct State {
    bytes: VecDeque<u8>,
    end: Option<Result<(), Failure>>,
    read: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn pipe() -> (Inlet, Outlet) {
    let state = Mutex::new(State { bytes: VecDeque::new(), end: None, read: true });
    let shared = Shared { state, filled: Condvar::new(), drained: Notify::new(), dropped: Notify::new() };
    let shared = Arc::new(shared);
    (Inlet(shared.clone()), Outlet(shared))
}

impl Inlet {
    /// Adds bytes, as soon as there is room for them.
    pub(super) async fn write(&mut self, mut bytes: &[u8]) -> Result<(), Unread> {
        loop {
            {
                let mut state = self.0.state();
                if !state.read {
                    return Err(Unread);
                }
                let room = AHEAD.saturating_sub(state.bytes.len()).min(bytes.len());
                state.bytes.extend(&bytes[..room]);
                bytes = &bytes[room..];
                self.0.filled.notify_all();
            }
            if bytes.is_empty() {
                return Ok(());
            }
            self.0.drained.notified().await;
        }
    }

    /// Ends the pipe, after what is in it; with why when that is early.
    pub(super) fn end(self, result: Result<(), Failure>) {
        self.0.state().end.get_or_insert(result);
    }

    /// Returns when nobody reads the pipe any more.
    pub(super) async fn unread(&self) {
        while self.0.state().read {
            self.0.dropped.notified().await;
        }
    }
}

impl Drop for Inlet {
    fn drop(&mut self) {
        self.0.state().end.get_or_insert_with(|| Err(Arc::new(Abandoned)));
        self.0.filled.notify_all();
    }
}

impl Outlet {
    pub(super) fn gauge(&self) -> Gauge {
        Gauge(self.0.clone())
    }
}

impl Read for Outlet {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.0.state();
        loop {
            if !state.bytes.is_empty() {
                let count = state.bytes.read(buffer)?;
                drop(state);
                self.0.drained.notify_one();
                return Ok(count);
            }
            match &state.end {
                Some(Ok(())) => return Ok(0),
                Some(Err(failure)) => return Err(io::Error::other(failure.clone())),
                None => state = self.0.filled.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.read = false;
        state.bytes = VecDeque::new();
        drop(state);
        self.0.drained.notify_one();
        self.0.dropped.notify_one();
    }
}

impl Gauge {
    /// Whether so many bytes can be read without waiting, or else all there are.
    pub(super) fn is_ready(&self, bytes: usize) -> bool {
        let state = self.0.state();
        state.bytes.len() >= bytes.min(AHEAD) || state.end.is_some() || !state.read
    }

    /// Why the pipe ended early, if it did, and if all that came before was read.
    pub(super) fn failure(&self) -> Option<Failure> {
        let state = self.0.state();
        let end = state.end.as_ref().filter(|_| state.bytes.is_empty());
        end?.as_ref().err().cloned()
    }
}
