use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use rtrb::Consumer;

use super::record::{HEADER, Record};
use crate::SourceError;

/// The audio thread's end of the ring. Belongs to a [`Track`](crate::Track); dropping it tells the reader to stop.
pub struct Feed {
    ring: Option<Ring>,
    /// Where the ring comes from, once the source is open.
    arrival: Consumer<Ring>,
    end: Arc<OnceLock<End>>,
    /// Set for packets that are pushed from outside. The last field, so that who waits is woken after the ring has gone.
    sink: Option<SinkSide>,
}

/// How a source ended.
pub(super) type End = Result<(), SourceError>;

/// A ring and what is in it.
pub(crate) enum Ring {
    /// Interleaved stereo at 48 kHz.
    Pcm(Consumer<f32>),
    /// [`Record`]s.
    Opus(Consumer<u8>),
}

/// The feed's half of what a raw sink shares with its pusher.
pub(super) struct SinkSide {
    pub(super) queued: Arc<AtomicU32>,
    pub(super) on_drain: Arc<dyn Fn() + Send + Sync>,
}

impl Drop for SinkSide {
    fn drop(&mut self) {
        (self.on_drain)();
    }
}

impl Feed {
    pub(super) fn new(arrival: Consumer<Ring>, end: Arc<OnceLock<End>>, sink: Option<SinkSide>) -> Self {
        Self { ring: None, arrival, end, sink }
    }

    /// How the source ended, if it has: everything that it yielded is in the ring by then.
    ///
    /// Ask before looking at the ring, not after: the answer covers what was pushed before.
    pub(crate) fn end(&self) -> Option<&End> {
        const FINISHED: &End = &Ok(());
        const DESERTED: &End = &Err(SourceError::Deserted);
        match self.end.get() {
            Some(end) => Some(end),
            None if self.arrival.is_abandoned() => Some(if self.sink.is_some() { FINISHED } else { DESERTED }),
            None => None,
        }
    }

    /// The ring, once the source is open.
    pub(crate) fn ring(&mut self) -> Option<&mut Ring> {
        if self.ring.is_none() {
            self.ring = self.arrival.pop().ok();
        }
        self.ring.as_mut()
    }

    /// Whether packets are pushed from outside: an empty ring is no underrun then.
    pub(crate) fn is_sink(&self) -> bool {
        self.sink.is_some()
    }

    /// Whether it is a sink that is empty and has not ended.
    pub(crate) fn is_idle_sink(&self) -> bool {
        let empty = |sink: &SinkSide| sink.queued.load(Ordering::Acquire) == 0;
        self.sink.as_ref().is_some_and(empty) && self.end().is_none()
    }

    /// Tells who pushes that there is room again.
    pub(crate) fn drained(&self, record: Record) {
        if let Some(sink) = &self.sink {
            sink.queued.fetch_sub(u32::from(record.samples), Ordering::Release);
            (sink.on_drain)();
        }
    }

    /// The header of the next Opus packet.
    pub(crate) fn peek(&mut self) -> Option<Record> {
        match self.ring()? {
            Ring::Opus(ring) => Record::peek(ring),
            Ring::Pcm(_) => None,
        }
    }

    /// Takes the packet that was peeked; `out` must have room for it.
    pub(crate) fn pop(&mut self, record: Record, out: &mut [u8]) {
        if let Some(Ring::Opus(ring)) = &mut self.ring {
            record.pop(ring, out);
            self.drained(record);
        }
    }

    /// Drops the packet that was peeked.
    pub(crate) fn skip(&mut self, record: Record) {
        if let Some(Ring::Opus(ring)) = &mut self.ring {
            record.drop(ring);
            self.drained(record);
        }
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ring = match &self.ring {
            None => "not open".to_owned(),
            Some(Ring::Pcm(ring)) => format!("{} samples", ring.slots()),
            Some(Ring::Opus(ring)) => format!("{} bytes", ring.slots().saturating_sub(HEADER)),
        };
        f.debug_struct("Feed").field("ring", &ring).field("end", &self.end()).finish_non_exhaustive()
    }
}
