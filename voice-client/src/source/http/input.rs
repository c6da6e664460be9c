use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex};

use mixer::file::Input;
use tokio::runtime::Handle;

use super::fetch::{Remote, fetch};
use crate::driver::lock;
use crate::source::pipe::{Gauge, Outlet, Size, pipe};

/// A jump ahead of at most this much is read through: quicker than another request.
const NEAR: u64 = 64 * 1024;
/// After so many bytes in one place nobody returns to the other.
const SETTLED: u64 = 256 * 1024;

/// What the readers of one remote file share. Not held by the tasks: they end when it is dropped.
#[derive(Default)]
pub(super) struct Desk {
    /// A pipe that still has the beginning.
    first: Mutex<Option<Outlet>>,
    /// The pipe that was read last.
    current: Mutex<Option<Gauge>>,
}

impl Desk {
    /// Begins to fetch, unless that has happened.
    pub(super) fn start(&self, remote: &Arc<Remote>, runtime: &Handle) {
        let mut current = lock(&self.current);
        if current.is_none() {
            let outlet = begin(remote, runtime, 0);
            *current = Some(outlet.gauge());
            *lock(&self.first) = Some(outlet);
        }
    }

    pub(super) fn gauge(&self) -> Option<Gauge> {
        lock(&self.current).clone()
    }
}

fn begin(remote: &Arc<Remote>, runtime: &Handle, at: u64) -> Outlet {
    let (inlet, outlet) = pipe(at, Size::default());
    runtime.spawn(fetch(remote.clone(), at, inlet));
    outlet
}

/// A remote file that is read: at one place, and for a while still at the one before, since whoever finds out what a
/// file is looks at its end and comes back.
pub(super) struct Reading {
    remote: Arc<Remote>,
    desk: Arc<Desk>,
    runtime: Handle,
    current: Option<Outlet>,
    parked: Option<Outlet>,
    /// Bytes read since the last jump.
    settled: u64,
    seekable: bool,
    len: Option<u64>,
}

impl Reading {
    /// From the beginning on; waits for the first bytes.
    pub(super) fn open(remote: &Arc<Remote>, desk: &Arc<Desk>, runtime: &Handle) -> Self {
        let first = lock(&desk.first).take();
        let outlet = first.unwrap_or_else(|| begin(remote, runtime, 0));
        outlet.wait();
        *lock(&desk.current) = Some(outlet.gauge());
        let head = lock(&remote.head).clone();
        let len = head.as_ref().and_then(|head| head.len());
        let seekable = len.is_some() && head.is_some_and(|head| head.ranges);
        let (remote, desk, runtime) = (remote.clone(), desk.clone(), runtime.clone());
        Self { remote, desk, runtime, current: Some(outlet), parked: None, settled: 0, seekable, len }
    }

    fn position(&self) -> u64 {
        self.current.as_ref().map_or(0, Outlet::position)
    }

    fn go(&mut self, to: u64) -> io::Result<()> {
        let Some(current) = &mut self.current else { return Err(io::ErrorKind::NotSeekable.into()) };
        if reach(current, to)? {
            return Ok(());
        }
        if !self.seekable {
            return Err(io::ErrorKind::NotSeekable.into());
        }
        let mut next = self.parked.take();
        let reached = next.as_mut().map_or(Ok(false), |parked| reach(parked, to))?;
        let next = next.filter(|_| reached).unwrap_or_else(|| begin(&self.remote, &self.runtime, to));
        self.parked = self.current.replace(next);
        self.settled = 0;
        Ok(())
    }
}

/// Goes to a place that is held or comes soon; `false` when it is elsewhere.
fn reach(outlet: &mut Outlet, to: u64) -> io::Result<bool> {
    if outlet.go(to) {
        return Ok(true);
    }
    let Some(ahead) = to.checked_sub(outlet.position()).filter(|ahead| *ahead <= NEAR) else { return Ok(false) };
    io::copy(&mut outlet.by_ref().take(ahead), &mut io::sink())?;
    Ok(true)
}

impl Read for Reading {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.len.is_some_and(|len| self.position() >= len) {
            return Ok(0);
        }
        let Some(current) = &mut self.current else { return Ok(0) };
        *lock(&self.desk.current) = Some(current.gauge());
        let count = current.read(buffer)?;
        self.settled += count as u64;
        if self.settled > SETTLED {
            self.parked = None;
        }
        Ok(count)
    }
}

impl Seek for Reading {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Start(to) => Some(to),
            SeekFrom::Current(by) => self.position().checked_add_signed(by),
            SeekFrom::End(by) => self.len.and_then(|len| len.checked_add_signed(by)),
        };
        let to = to.ok_or(io::ErrorKind::InvalidInput)?;
        // There is nothing behind the end to be asked for.
        let to = self.len.map_or(to, |len| to.min(len));
        if to != self.position() {
            self.go(to)?;
        }
        Ok(to)
    }
}

impl Input for Reading {
    fn is_seekable(&self) -> bool {
        self.seekable
    }

    fn byte_len(&self) -> Option<u64> {
        self.len
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let with_beginning = [self.current.take(), self.parked.take()].into_iter().flatten().find_map(|mut outlet| {
            let held = outlet.go(0);
            held.then_some(outlet)
        });
        if let Some(outlet) = with_beginning {
            lock(&self.desk.first).get_or_insert(outlet);
        }
    }
}
