use std::sync::atomic::{AtomicU64, Ordering, fence};

use crate::prefetch::Record;

/// Longest packet of a station, in bytes: what a datagram of 1,500 bytes has room for, sealed twice. A frame of libopus has
/// 1,276 at most (RFC 6716, section 3.4, R2), packets of several frames can have more.
pub const MAX_PACKET: usize = 1_416;

const WORD: usize = size_of::<u64>();
const WORDS: usize = MAX_PACKET.div_ceil(WORD);

/// Room for a packet that one thread writes while any number read: who reads notices when it was written meanwhile, and what
/// it has is void then. (A sequence lock; the words are atomics, so that reading and writing them at once is defined.)
pub(super) struct Slot {
    /// Twice the packet's number when it is whole, one less while it is being written.
    sequence: AtomicU64,
    /// Length of the packet, and above the lower 16 bits its samples.
    header: AtomicU64,
    words: [AtomicU64; WORDS],
}

impl Default for Slot {
    fn default() -> Self {
        Self { sequence: AtomicU64::new(0), header: AtomicU64::new(0), words: [const { AtomicU64::new(0) }; WORDS] }
    }
}

impl Slot {
    /// Puts a packet in, in place of the one before. Only one thread may do so.
    pub(super) fn write(&self, number: u64, packet: &[u8], samples: u16) {
        self.sequence.store(2 * number - 1, Ordering::Relaxed);
        // Together with the reader's fence: who reads a word of the new packet finds the odd number, or a later one, when
        // it looks again.
        fence(Ordering::Release);
        self.header.store(packet.len() as u64 | u64::from(samples) << 16, Ordering::Relaxed);
        let (whole, rest) = packet.as_chunks::<WORD>();
        for (word, bytes) in self.words.iter().zip(whole) {
            word.store(u64::from_ne_bytes(*bytes), Ordering::Relaxed);
        }
        if let Some(word) = self.words.get(whole.len()) {
            let mut last = [0; WORD];
            last[..rest.len()].copy_from_slice(rest);
            word.store(u64::from_ne_bytes(last), Ordering::Relaxed);
        }
        // Who sees the even number sees all words before it.
        self.sequence.store(2 * number, Ordering::Release);
    }

    /// Copies the packet of this number to `out`; `None` when it is not there any more, or does not fit, and `out` holds
    /// anything.
    pub(super) fn read(&self, number: u64, out: &mut [u8]) -> Option<Record> {
        if self.sequence.load(Ordering::Acquire) != 2 * number {
            return None;
        }
        let header = self.header.load(Ordering::Relaxed);
        let len = usize::from(header as u16).min(MAX_PACKET);
        let (whole, rest) = out.get_mut(..len)?.as_chunks_mut::<WORD>();
        for (bytes, word) in whole.iter_mut().zip(&self.words) {
            *bytes = word.load(Ordering::Relaxed).to_ne_bytes();
        }
        if let Some(word) = self.words.get(whole.len()) {
            rest.copy_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes()[..rest.len()]);
        }
        // The words are read before the number is read again.
        fence(Ordering::Acquire);
        let unchanged = self.sequence.load(Ordering::Relaxed) == 2 * number;
        unchanged.then_some(Record { len: len as u16, samples: (header >> 16) as u16, skip: 0, trim: 0 })
    }
}
