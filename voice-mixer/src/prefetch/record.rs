//! One Opus packet in the byte ring: a header of four `u16` in native order, then the packet.

use rtrb::{Consumer, Producer};

/// Bytes before each packet in the ring.
pub(crate) const HEADER: usize = 8;

/// What stands before a packet in the ring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Record {
    /// Bytes in the packet; 0 for one that was too long for the ring.
    pub(crate) len: u16,
    /// Samples per channel in the packet.
    pub(crate) samples: u16,
    /// How many of them, at the beginning, are not audio.
    pub(crate) skip: u16,
    /// How many of them, at the end, are not audio.
    pub(crate) trim: u16,
}

impl Record {
    /// Samples of it that are part of the audio.
    pub(crate) fn audible(self) -> u64 {
        u64::from(self.samples.saturating_sub(self.skip).saturating_sub(self.trim))
    }

    /// Whether nothing of it is part of the audio.
    pub(crate) fn is_preroll(self) -> bool {
        self.skip >= self.samples
    }

    /// Puts the packet into the ring whole; `false` when there is no room now.
    pub(crate) fn push(self, packet: &[u8], ring: &mut Producer<u8>) -> bool {
        let Ok(mut chunk) = ring.write_chunk(HEADER + packet.len()) else { return false };
        let fields = [self.len, self.samples, self.skip, self.trim];
        let (first, second) = chunk.as_mut_slices();
        let mut slots = first.iter_mut().chain(second);
        for byte in fields.iter().flat_map(|field| field.to_ne_bytes()) {
            if let Some(slot) = slots.next() {
                *slot = byte;
            }
        }
        let (first, second) = chunk.as_mut_slices();
        if let Some(split) = first.len().checked_sub(HEADER) {
            first[HEADER..].copy_from_slice(&packet[..split]);
            second.copy_from_slice(&packet[split..]);
        } else {
            let rest = HEADER - first.len();
            second[rest..].copy_from_slice(packet);
        }
        chunk.commit_all();
        true
    }

    /// The header of the next packet, which stays in the ring.
    pub(crate) fn peek(ring: &mut Consumer<u8>) -> Option<Self> {
        let chunk = ring.read_chunk(HEADER).ok()?;
        let mut bytes = [0; HEADER];
        let (first, second) = chunk.as_slices();
        bytes[..first.len()].copy_from_slice(first);
        bytes[first.len()..].copy_from_slice(second);
        let [a, b, c, d, e, f, g, h] = bytes;
        let field = |low, high| u16::from_ne_bytes([low, high]);
        Some(Self { len: field(a, b), samples: field(c, d), skip: field(e, f), trim: field(g, h) })
    }

    /// Takes this packet, whose header was peeked, out of the ring and copies it to `out`, which must have room for it.
    pub(crate) fn pop(self, ring: &mut Consumer<u8>, out: &mut [u8]) {
        let len = usize::from(self.len);
        let Ok(chunk) = ring.read_chunk(HEADER + len) else { return };
        let (first, second) = chunk.as_slices();
        if let Some(head) = first.get(HEADER..) {
            out[..head.len()].copy_from_slice(head);
            out[head.len()..len].copy_from_slice(second);
        } else {
            out[..len].copy_from_slice(&second[HEADER - first.len()..]);
        }
        chunk.commit_all();
    }

    /// Takes this packet, whose header was peeked, out of the ring unseen.
    pub(crate) fn drop(self, ring: &mut Consumer<u8>) {
        if let Ok(chunk) = ring.read_chunk(HEADER + usize::from(self.len)) {
            chunk.commit_all();
        }
    }
}
