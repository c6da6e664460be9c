//! Bytes on their way from a task that fetches them to the thread that reads them.
//!
//! ```text
//! task:    write(bytes).await   waits while the pipe is full
//! thread:  read(buffer)         waits while the pipe is empty
//! either:  drop                 stops the other side
//! ```
//!
//! Both sides are far from any audio thread, so that a lock is in order. What was read is kept for a while: whoever
//! finds out what a file is goes back to its beginning.

use std::collections::VecDeque;
use std::error::Error;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use mixer::file::Input;
use tokio::sync::Notify;

/// Why a pipe ended early.
pub(crate) type Failure = Arc<dyn Error + Send + Sync>;

/// How many bytes a pipe holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Not yet read.
    pub(crate) ahead: usize,
    /// Read already, and kept to go back to.
    pub(crate) behind: usize,
}

impl Default for Size {
    fn default() -> Self {
        Self { ahead: 256 * 1024, behind: 64 * 1024 }
    }
}

/// The side of the task.
pub(crate) struct Inlet(Arc<Shared>);

/// The side of the thread.
pub(crate) struct Outlet(Arc<Shared>);

/// How a pipe is doing.
#[derive(Clone)]
pub(crate) struct Gauge(Arc<Shared>);

/// Nobody reads the pipe any more.
#[derive(Debug)]
pub(crate) struct Unread;

#[derive(Debug, thiserror::Error)]
#[error("the task that fetched it was stopped; keep the runtime alive while it plays")]
struct Abandoned;

struct Shared {
    state: Mutex<State>,
    size: Size,
    filled: Condvar,
    drained: Notify,
    dropped: Notify,
}

struct State {
    bytes: VecDeque<u8>,
    /// Offset of the first of them in the stream.
    start: u64,
    /// Offset of the next one that is read.
    at: u64,
    end: Option<Result<(), Failure>>,
    read: bool,
}

impl State {
    fn ahead(&self) -> usize {
        self.bytes.len() - (self.at - self.start) as usize
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A pipe whose first byte is at `offset` of what it is part of.
pub(crate) fn pipe(offset: u64, size: Size) -> (Inlet, Outlet) {
    let state = State { bytes: VecDeque::new(), start: offset, at: offset, end: None, read: true };
    let (filled, drained, dropped) = (Condvar::new(), Notify::new(), Notify::new());
    let shared = Arc::new(Shared { state: Mutex::new(state), size, filled, drained, dropped });
    (Inlet(shared.clone()), Outlet(shared))
}

impl Inlet {
    /// Adds bytes, as soon as there is room for them.
    pub(crate) async fn write(&mut self, mut bytes: &[u8]) -> Result<(), Unread> {
        loop {
            {
                let mut state = self.0.state();
                if !state.read {
                    return Err(Unread);
                }
                let room = self.0.size.ahead.saturating_sub(state.ahead()).min(bytes.len());
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
    pub(crate) fn end(self, result: Result<(), Failure>) {
        self.0.state().end.get_or_insert(result);
    }

    pub(crate) fn gauge(&self) -> Gauge {
        Gauge(self.0.clone())
    }
}

impl Drop for Inlet {
    fn drop(&mut self) {
        self.0.state().end.get_or_insert_with(|| Err(Arc::new(Abandoned)));
        self.0.filled.notify_all();
    }
}

impl Outlet {
    pub(crate) fn gauge(&self) -> Gauge {
        Gauge(self.0.clone())
    }

    /// Offset of the next byte.
    pub(crate) fn position(&self) -> u64 {
        self.0.state().at
    }

    /// Waits until there is something to read, or the pipe has ended.
    pub(crate) fn wait(&self) {
        let state = self.0.state();
        let empty = |state: &mut State| state.ahead() == 0 && state.end.is_none();
        drop(self.0.filled.wait_while(state, empty).unwrap_or_else(PoisonError::into_inner));
    }

    /// Goes to an offset, if the pipe holds it.
    pub(crate) fn go(&mut self, to: u64) -> bool {
        let mut state = self.0.state();
        let held = (state.start..=state.start + state.bytes.len() as u64).contains(&to);
        if held {
            state.at = to;
            trim(&mut state, self.0.size.behind);
            drop(state);
            self.0.drained.notify_one();
        }
        held
    }
}

/// Forgets what lies too far behind.
fn trim(state: &mut State, behind: usize) {
    let read = (state.at - state.start) as usize;
    // Not for every few bytes.
    if read > behind + behind / 4 {
        state.bytes.drain(..read - behind);
        state.start += (read - behind) as u64;
    }
}

impl Read for Outlet {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.0.state();
        loop {
            let ahead = state.ahead();
            if ahead > 0 || buffer.is_empty() {
                let from = (state.at - state.start) as usize;
                let count = ahead.min(buffer.len());
                let (front, back) = state.bytes.as_slices();
                let first = front.get(from..).unwrap_or(&[]);
                let first = &first[..first.len().min(count)];
                buffer[..first.len()].copy_from_slice(first);
                let skip = from.saturating_sub(front.len());
                buffer[first.len()..count].copy_from_slice(&back[skip..skip + count - first.len()]);
                state.at += count as u64;
                trim(&mut state, self.0.size.behind);
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

/// To where the pipe still is, or already.
impl Seek for Outlet {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Start(to) => Some(to),
            SeekFrom::Current(by) => self.position().checked_add_signed(by),
            SeekFrom::End(_) => None,
        };
        to.filter(|to| self.go(*to)).ok_or_else(|| io::ErrorKind::NotSeekable.into())
    }
}

/// A stream that is read once.
impl Input for Outlet {
    fn is_seekable(&self) -> bool {
        false
    }

    fn byte_len(&self) -> Option<u64> {
        None
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.read = false;
        state.bytes = VecDeque::new();
        state.start = state.at;
        drop(state);
        self.0.drained.notify_one();
        self.0.dropped.notify_one();
    }
}

impl Gauge {
    /// Whether so many bytes can be read without waiting, or else all there are.
    pub(crate) fn is_ready(&self, bytes: usize) -> bool {
        let state = self.0.state();
        state.ahead() >= bytes.min(self.0.size.ahead) || state.end.is_some() || !state.read
    }

    /// Returns when nobody reads the pipe any more: the one task that fills it stops what it does.
    pub(crate) async fn unread(&self) {
        while self.0.state().read {
            self.0.dropped.notified().await;
        }
    }

    /// Offset of the next byte that is read.
    pub(crate) fn position(&self) -> u64 {
        self.0.state().at
    }

    /// Why the pipe ended early, if it did, and if all that came before was read.
    pub(crate) fn failure(&self) -> Option<Failure> {
        let state = self.0.state();
        if state.ahead() > 0 {
            return None;
        }
        state.end.as_ref()?.as_ref().err().cloned()
    }
}

#[cfg(test)]
mod tests;
