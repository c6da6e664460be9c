use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use voice_model::{FRAME_SAMPLES, MAX_PACKET_SAMPLES};

use super::{Hall, MAX_PACKET, SLOTS};
use crate::prefetch::Record;

/// How far behind a tap can be: the packets before that are about to be written over.
const MAX_BEHIND: u64 = SLOTS - 8;

/// How often a packet that was written over is given up for a newer one before the tick goes without.
const TRIES: usize = 4;

/// How long a station may be silent, in samples, before what it sent last is not live any more: the longest packet.
const LIVE: usize = MAX_PACKET_SAMPLES;

/// One listener of a station.
pub(crate) struct Tap {
    hall: Arc<Hall>,
    /// Number of the packet to be read next.
    next: u64,
    /// Number of the newest one when it joined.
    joined: u64,
    /// The packet that was read last, when it was peeked and not taken.
    held: Option<Record>,
    packet: Box<[u8; MAX_PACKET]>,
    cushion: u64,
    max_lag: u64,
    /// It has run out: for so many samples it has waited for as many packets as the cushion has.
    waiting: Option<usize>,
    /// Samples of the packets that were taken which are still to be played.
    owed: usize,
    period: usize,
    /// Samples of the last packet.
    samples: u64,
}

impl Tap {
    pub(super) fn new(hall: Arc<Hall>, cushion: u64, max_lag: u64) -> Self {
        hall.taps.fetch_add(1, Ordering::Relaxed);
        let newest = hall.newest.load(Ordering::Acquire);
        Self {
            hall,
            next: (newest + 1).saturating_sub(cushion).max(1),
            joined: newest,
            held: None,
            packet: Box::new([0; MAX_PACKET]),
            cushion,
            max_lag,
            waiting: Some(0),
            owed: 0,
            period: FRAME_SAMPLES,
            samples: FRAME_SAMPLES as u64,
        }
    }

    /// Whether no packet comes any more. Ask before looking for packets: what was sent before is there then.
    pub(crate) fn is_closed(&self) -> bool {
        self.hall.closed.load(Ordering::Acquire)
    }

    /// Packets that it has not taken.
    pub(crate) fn available(&self) -> u64 {
        self.hall.newest.load(Ordering::Acquire) + 1 - self.next + u64::from(self.held.is_some())
    }

    /// Whether there is none that may be played now.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_some() || self.available() == 0
    }

    /// Whether there is none at all. The station calls who rests then.
    pub(crate) fn is_idle(&self) -> bool {
        if self.available() > 0 {
            return false;
        }
        self.hall.unheard.store(true, Ordering::Relaxed);
        // See Station::push.
        fence(Ordering::SeqCst);
        self.available() == 0
    }

    /// Asks the processor for its memory.
    pub(crate) fn prefetch(&self) {
        crate::hint::start(&self.next);
        crate::hint::start(&self.samples);
    }

    pub(crate) fn attend(&mut self, period: usize, ended: bool) {
        self.period = period;
        let available = self.available();
        match self.waiting {
            // Is the station on the air, or are these its last words of long ago?
            Some(waited) if available > 0 && self.next + available == self.joined + 1 && !ended => {
                self.next += if waited >= LIVE { available } else { 0 };
            }
            Some(waited) => {
                let patience = self.cushion as usize * FRAME_SAMPLES;
                if ended || (available > 0 && (available >= self.cushion || waited >= patience)) {
                    self.waiting = None;
                }
            }
            None if available == 0 && self.owed == 0 && !ended => self.waiting = Some(0),
            None => {}
        }
    }

    pub(crate) fn pass_tick(&mut self) {
        self.owed = self.owed.saturating_sub(self.period);
        if let Some(waited) = self.waiting {
            self.waiting = Some(if self.available() == 0 { 0 } else { waited.saturating_add(self.period) });
        }
    }

    pub(crate) fn peek(&mut self) -> Option<Record> {
        if self.held.is_none() && self.waiting.is_none() {
            self.held = self.read();
        }
        self.held
    }

    /// Takes the next packet straight into `out`, when it is one of those that are wanted and nothing is out of the ordinary.
    /// `out` holds anything otherwise.
    pub(crate) fn take(&mut self, out: &mut [u8], wanted: impl Fn(Record) -> bool) -> Option<Record> {
        let behind = self.available();
        // A packet may be in its slot before it is told of.
        if behind == 0 || self.waiting.is_some() || self.held.is_some() || self.is_late(behind) {
            return None;
        }
        let record = self.hall.slot(self.next).read(self.next, out).filter(|record| wanted(*record))?;
        self.next += 1;
        self.samples = u64::from(record.samples);
        self.owed += usize::from(record.samples);
        Some(record)
    }

    /// Copies the packet that was peeked to `out` and takes it.
    pub(crate) fn pop(&mut self, out: &mut [u8]) {
        if let Some(record) = &self.held {
            let len = usize::from(record.len);
            out[..len].copy_from_slice(&self.packet[..len]);
        }
        self.skip();
    }

    /// Takes the packet that was peeked, unseen.
    pub(crate) fn skip(&mut self) {
        if let Some(record) = self.held.take() {
            self.owed += usize::from(record.samples);
        }
    }

    /// Whether what it would read next is so many packets old that newer ones are to be played instead.
    fn is_late(&self, behind: u64) -> bool {
        behind > MAX_BEHIND || (behind > self.cushion + 1 && behind * self.samples > self.max_lag)
    }

    fn read(&mut self) -> Option<Record> {
        for _ in 0..TRIES {
            let newest = self.hall.newest.load(Ordering::Acquire);
            let behind = newest + 1 - self.next;
            if behind == 0 {
                return None;
            }
            let packet = if self.is_late(behind) {
                None
            } else {
                self.hall.slot(self.next).read(self.next, &mut self.packet[..])
            };
            if let Some(record) = packet {
                self.next += 1;
                self.samples = u64::from(record.samples);
                return Some(record);
            }
            let newest = self.hall.newest.load(Ordering::Acquire);
            let next = (newest + 1).saturating_sub(self.cushion.max(1)).max(self.next + 1);
            self.hall.skipped.fetch_add(next - self.next, Ordering::Relaxed);
            self.next = next;
        }
        None
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.hall.taps.fetch_sub(1, Ordering::Relaxed);
    }
}
