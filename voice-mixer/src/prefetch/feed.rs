use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rtrb::Consumer;
use voice_model::CHANNELS;

use super::ending::Ending;
use super::mark::{Mark, MarkKind};
use super::push::Outlet;
use super::record::{HEADER, Record};
use crate::broadcast::Tap;
use crate::{SourceError, hint};

/// What most packets have at most, in bytes, with what stands before them.
const USUAL: usize = 256;

/// The audio thread's end of the ring. Belongs to a [`Track`](crate::Track); dropping it tells the reader to stop.
pub struct Feed {
    ring: Option<Ring>,
    /// Where the ring comes from, once the source is open; `None` for one that was there from the beginning.
    arrival: Option<Consumer<Arrived>>,
    /// A larger ring of packets, which follows when this one is empty.
    next: Option<Consumer<u8>>,
    marks: Option<Consumer<Mark>>,
    /// Marks that were taken.
    passed: u32,
    gain: f32,
    length: Option<u64>,
    end: Arc<Ending>,
    /// Set for packets that are pushed from outside. The last field, so that who waits is woken after the ring has gone.
    sink: Option<SinkSide>,
}

/// How a source ended.
pub(crate) type End = Result<(), SourceError>;

/// What a reader hands over.
pub(super) enum Arrived {
    /// Its source is open.
    Opened(Opened),
    /// Packets go on in a larger ring.
    Grown(Consumer<u8>),
    /// Where marks come from: few sources have any.
    Marks(Consumer<Mark>),
}

/// An open source.
pub(super) struct Opened {
    pub(super) ring: Ring,
    /// What brings the source to the loudness that was asked for; 1.0 when none was.
    pub(super) gain: f32,
    /// Samples at 48 kHz from the beginning of the source to its end, when that is known.
    pub(super) length: Option<u64>,
}

impl From<Ring> for Arrived {
    fn from(ring: Ring) -> Self {
        Self::Opened(Opened { ring, gain: 1.0, length: None })
    }
}

/// A ring and what is in it.
pub(crate) enum Ring {
    /// Interleaved stereo at 48 kHz.
    Pcm(Consumer<f32>),
    /// [`Record`]s.
    Opus(Consumer<u8>),
    /// PCM that is pushed from outside, as live as it comes.
    Pushed(Box<Outlet>),
    /// A station's packets.
    Tap(Box<Tap>),
}

/// What a feed carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Pcm,
    Packets,
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
    pub(super) fn new(arrival: Consumer<Arrived>, end: Arc<Ending>, sink: Option<SinkSide>) -> Self {
        Self { ring: None, arrival: Some(arrival), sink, ..Self::bare(end) }
    }

    /// A feed of something that is open already.
    pub(crate) fn open(ring: Ring, end: Arc<Ending>) -> Self {
        Self { ring: Some(ring), ..Self::bare(end) }
    }

    fn bare(end: Arc<Ending>) -> Self {
        let (ring, arrival, next, marks) = (None, None, None, None);
        Self { ring, arrival, next, marks, passed: 0, gain: 1.0, length: None, end, sink: None }
    }

    /// Takes what the reader has handed over.
    fn receive(&mut self) {
        let Some(arrival) = &mut self.arrival else { return };
        while let Ok(arrived) = arrival.pop() {
            match arrived {
                Arrived::Opened(Opened { ring, gain, length }) => {
                    (self.ring, self.gain, self.length) = (Some(ring), gain, length);
                }
                Arrived::Grown(next) => self.next = Some(next),
                Arrived::Marks(marks) => self.marks = Some(marks),
            }
        }
    }

    /// How the source ended, if it has: everything that it yielded is in the ring by then.
    ///
    /// Ask before looking at the ring, not after: the answer covers what was pushed before.
    pub(crate) fn end(&self) -> Option<&End> {
        const FINISHED: &End = &Ok(());
        if let Some(Ring::Tap(tap)) = &self.ring {
            return tap.is_closed().then_some(FINISHED);
        }
        let is_dropped = || self.sink.is_some() && self.arrival.as_ref().is_some_and(Consumer::is_abandoned);
        self.end.get().or_else(|| is_dropped().then_some(FINISHED))
    }

    /// What it carries, once the source is open.
    pub(crate) fn kind(&mut self) -> Option<Kind> {
        if self.ring.is_none() {
            self.receive();
        }
        self.ring.as_ref().map(|ring| match ring {
            Ring::Pcm(_) | Ring::Pushed(_) => Kind::Pcm,
            Ring::Opus(_) | Ring::Tap(_) => Kind::Packets,
        })
    }

    /// What brings it to the loudness that was asked for.
    pub(crate) fn gain(&self) -> f32 {
        self.gain
    }

    /// Samples at 48 kHz from the beginning of the source to its end, when that is known.
    pub(crate) fn length(&self) -> Option<u64> {
        self.length
    }

    /// Before marks are looked for: whether there are any.
    pub(crate) fn has_marks(&mut self) -> bool {
        let any = self.end.marks() != self.passed;
        if any && self.marks.is_none() {
            self.receive();
        }
        any
    }

    /// The next mark.
    pub(crate) fn next_mark(&self) -> Option<&Mark> {
        if self.end.marks() == self.passed {
            return None;
        }
        self.marks.as_ref()?.peek().ok()
    }

    /// Takes the next mark.
    pub(crate) fn pop_mark(&mut self) -> Option<Mark> {
        let mark = self.marks.as_mut()?.pop().ok()?;
        self.passed = self.passed.wrapping_add(1);
        Some(mark)
    }

    /// Where the source begins again for the time after so many `repetitions`, as far as that has been read.
    pub(crate) fn seam(&mut self, repetitions: u32) -> Option<u64> {
        if !self.has_marks() {
            return None;
        }
        let marks = self.marks.as_mut()?;
        let chunk = marks.read_chunk(marks.slots()).ok()?;
        let (first, second) = chunk.as_slices();
        let seams = first.iter().chain(second).filter(|mark| matches!(mark.kind, MarkKind::Looped));
        seams.map(|mark| mark.at).nth(repetitions as usize)
    }

    /// Whether its reader waits for marks to be passed, and reads nothing more until then.
    pub(crate) fn is_choked(&self) -> bool {
        self.marks.as_ref().is_some_and(|marks| marks.slots() == marks.buffer().capacity())
    }

    /// At the beginning of whatever a track does in a period of so many `frames`: what is live looks whether its time has
    /// come, and whether it is to be silent. `sounds` says that it would be heard now. After [`end`](Self::end), not before.
    /// Whether it has become silent since the last time, because it was flushed.
    pub(crate) fn attend(&mut self, frames: usize, sounds: bool) -> bool {
        if matches!(self.ring, None | Some(Ring::Pcm(_) | Ring::Opus(_))) {
            return false;
        }
        let ended = self.end().is_some();
        match &mut self.ring {
            Some(Ring::Pushed(outlet)) => return outlet.attend(frames, sounds, ended),
            Some(Ring::Tap(tap)) => tap.attend(frames, ended),
            _ => {}
        }
        false
    }

    /// More was wanted than there is.
    pub(crate) fn fell_short(&mut self) {
        if let Some(Ring::Pushed(outlet)) = &mut self.ring {
            outlet.fell_short();
        }
    }

    /// A tick is over.
    pub(crate) fn pass_tick(&mut self) {
        match &mut self.ring {
            Some(Ring::Pushed(outlet)) => outlet.pass_tick(),
            Some(Ring::Tap(tap)) => tap.pass_tick(),
            _ => {}
        }
    }

    /// Does at once what a flush asks for, unheard; `false` when none does.
    pub(crate) fn flush(&mut self) -> bool {
        if let Some(Ring::Pushed(outlet)) = &mut self.ring { outlet.flush() } else { false }
    }

    /// Whether nothing is in the ring that may be played now.
    pub(crate) fn is_empty(&self) -> bool {
        match &self.ring {
            None => true,
            Some(Ring::Pcm(ring)) => ring.is_empty(),
            Some(Ring::Opus(ring)) => {
                ring.is_empty() && self.next.is_none() && self.arrival.as_ref().is_none_or(Consumer::is_empty)
            }
            Some(Ring::Pushed(outlet)) => outlet.frames() == 0,
            Some(Ring::Tap(tap)) => tap.is_empty(),
        }
    }

    /// Frames of PCM in the ring.
    pub(crate) fn frames(&self) -> usize {
        match &self.ring {
            Some(Ring::Pcm(ring)) => ring.slots() / CHANNELS,
            Some(Ring::Pushed(outlet)) => outlet.frames(),
            _ => 0,
        }
    }

    /// Takes up to `frames` of PCM out of the ring, in at most two pieces; returns how many there were.
    pub(crate) fn read(&mut self, frames: usize, mut take: impl FnMut(&[f32])) -> usize {
        let ring = match &mut self.ring {
            Some(Ring::Pcm(ring)) => ring,
            Some(Ring::Pushed(outlet)) => return outlet.read(frames, take),
            _ => return 0,
        };
        let frames = frames.min(ring.slots() / CHANNELS);
        let Ok(chunk) = ring.read_chunk(frames * CHANNELS) else { return 0 };
        let (first, second) = chunk.as_slices();
        take(first);
        if !second.is_empty() {
            take(second);
        }
        chunk.commit_all();
        frames
    }

    /// Whether packets or samples are pushed from outside: an empty ring is no underrun then.
    pub(crate) fn is_sink(&self) -> bool {
        self.sink.is_some() || matches!(self.ring, Some(Ring::Pushed(_) | Ring::Tap(_)))
    }

    /// Whether packets come from outside, from somebody who keeps time with their being sent.
    pub(crate) fn is_packet_sink(&self) -> bool {
        self.sink.is_some() || matches!(self.ring, Some(Ring::Tap(_)))
    }

    /// Whether it is a sink that is empty and has not ended.
    pub(crate) fn is_idle_sink(&self) -> bool {
        let empty = match &self.ring {
            Some(Ring::Pushed(outlet)) => outlet.is_idle(),
            Some(Ring::Tap(tap)) => tap.is_idle(),
            _ => self.sink.as_ref().is_some_and(|sink| sink.queued.load(Ordering::Acquire) == 0),
        };
        empty && self.end().is_none()
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
        self.kind()?;
        match &mut self.ring {
            Some(Ring::Opus(ring)) => match Record::peek(ring) {
                None => self.go_over(),
                record => record,
            },
            Some(Ring::Tap(tap)) => tap.peek(),
            _ => None,
        }
    }

    /// Goes over to the larger ring that follows, if there is one.
    fn go_over(&mut self) -> Option<Record> {
        self.receive();
        let Some(Ring::Opus(ring)) = &mut self.ring else { return None };
        // What was pushed last before the new ring may have come after the look.
        if let Some(record) = Record::peek(ring) {
            return Some(record);
        }
        *ring = self.next.take()?;
        Record::peek(ring)
    }

    /// Takes the packet that was peeked; `out` must have room for it.
    pub(crate) fn pop(&mut self, record: Record, out: &mut [u8]) {
        match &mut self.ring {
            Some(Ring::Opus(ring)) => {
                record.pop(ring, out);
                self.drained(record);
            }
            Some(Ring::Tap(tap)) => tap.pop(out),
            _ => {}
        }
    }

    /// Asks for the memory of the next packet, in steps ([`hint::STEPS`]); the first two concern who has the feed.
    pub(crate) fn prefetch(&mut self, step: usize) {
        match (&mut self.ring, step) {
            (Some(Ring::Opus(ring)), 2) => {
                hint::start(ring.buffer());
                hint::start(&*self.end);
            }
            (Some(Ring::Tap(tap)), 2) => tap.prefetch(),
            (Some(Ring::Opus(ring)), 3) => {
                if let Ok(chunk) = ring.read_chunk(HEADER) {
                    hint::bytes(chunk.as_slices().0, USUAL);
                }
            }
            _ => {}
        }
    }

    /// Takes the next packet when it is one of so many `frames`, all of them audio, and fits into `out`; returns its length.
    pub(crate) fn take_frame(&mut self, frames: usize, out: &mut [u8]) -> Option<usize> {
        let is_whole = |record: Record| {
            usize::from(record.samples) == frames && (record.skip, record.trim) == (0, 0) && record.len > 0
        };
        let record = match &mut self.ring {
            Some(Ring::Opus(ring)) => {
                let record = Record::peek(ring).filter(|it| is_whole(*it) && usize::from(it.len) <= out.len())?;
                record.pop(ring, out);
                record
            }
            Some(Ring::Tap(tap)) => tap.take(out, is_whole)?,
            _ => return None,
        };
        self.drained(record);
        Some(usize::from(record.len))
    }

    /// Drops the packet that was peeked.
    pub(crate) fn skip(&mut self, record: Record) {
        match &mut self.ring {
            Some(Ring::Opus(ring)) => {
                record.drop(ring);
                self.drained(record);
            }
            Some(Ring::Tap(tap)) => tap.skip(),
            _ => {}
        }
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ring = match &self.ring {
            None => "not open".to_owned(),
            Some(Ring::Pcm(ring)) => format!("{} samples", ring.slots()),
            Some(Ring::Opus(ring)) => format!("{} bytes", ring.slots().saturating_sub(HEADER)),
            Some(Ring::Pushed(outlet)) => format!("{} frames pushed", outlet.queued()),
            Some(Ring::Tap(tap)) => format!("{} packets", tap.available()),
        };
        f.debug_struct("Feed").field("ring", &ring).field("end", &self.end()).finish_non_exhaustive()
    }
}
