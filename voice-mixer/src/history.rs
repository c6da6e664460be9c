/// Room for the packets that are kept: 120 ms of 64 kbit/s.
const ROOM: usize = 1_024;

/// Room where that is not enough: 60 ms of 256 kbit/s.
const LARGE: usize = 2_048;

/// Samples that a decoder should have heard, and packets, however long they are.
const ENOUGH: usize = 3_840;
const FEW: usize = 4;

/// Most packets that are kept: what a decoder remembers of one is about halved by each that follows.
const MAX_PACKETS: usize = 16;

/// What most packets have at most, in bytes.
const USUAL: usize = 256;

/// The packets that were sent last without being decoded: what a decoder must hear before it can take over.
///
/// A ring of bytes in which each packet stands behind its length: a tick touches no more of it than its own packet.
#[derive(Default)]
pub(crate) struct History {
    bytes: Vec<u8>,
    start: usize,
    used: usize,
    packets: usize,
}

impl History {
    pub(crate) fn is_empty(&self) -> bool {
        self.packets == 0
    }

    /// Asks for where the next packet goes.
    pub(crate) fn prefetch(&self) {
        let place = self.bytes.get((self.start + self.used) % self.bytes.len().max(1)..);
        crate::hint::bytes(place.unwrap_or_default(), USUAL);
    }

    pub(crate) fn clear(&mut self) {
        (self.start, self.used, self.packets) = (0, 0, 0);
    }

    /// Keeps a packet; the oldest ones make room for it. Allocates for the first one, and
    /// once more for the first that is large.
    pub(crate) fn push(&mut self, packet: &[u8], samples: usize) {
        let needed = 2 + packet.len();
        if needed > LARGE {
            self.clear();
            return;
        }
        if self.bytes.len() < LARGE {
            let large = needed * (ENOUGH / samples.max(1)).max(FEW) > ROOM;
            if large || self.bytes.is_empty() {
                self.make_room(if large { LARGE } else { ROOM });
            }
        }
        let room = self.bytes.len();
        while self.packets == MAX_PACKETS || self.used + needed > room {
            let oldest = 2 + self.len_at(self.start);
            (self.start, self.used, self.packets) =
                ((self.start + oldest) % room, self.used - oldest, self.packets - 1);
        }
        let at = (self.start + self.used) % room;
        let after = self.write(at, &(packet.len() as u16).to_ne_bytes());
        self.write(after, packet);
        (self.used, self.packets) = (self.used + needed, self.packets + 1);
    }

    fn make_room(&mut self, room: usize) {
        let mut bytes = Vec::with_capacity(room);
        let (behind, before) = self.bytes.split_at(self.start);
        bytes.extend_from_slice(before);
        bytes.extend_from_slice(behind);
        bytes.resize(room, 0);
        (self.bytes, self.start) = (bytes, 0);
    }

    /// Hands out the packets, oldest first, by way of `scratch`, which grows to their size.
    pub(crate) fn replay(&self, scratch: &mut Vec<u8>, mut hear: impl FnMut(&[u8])) {
        let (mut at, room) = (self.start, self.bytes.len());
        for _ in 0..self.packets {
            let len = self.len_at(at);
            at = (at + 2) % room;
            if scratch.len() < len {
                scratch.resize(len, 0);
            }
            let head = len.min(room - at);
            scratch[..head].copy_from_slice(&self.bytes[at..at + head]);
            scratch[head..len].copy_from_slice(&self.bytes[..len - head]);
            hear(&scratch[..len]);
            at = (at + len) % room;
        }
    }

    fn len_at(&self, at: usize) -> usize {
        usize::from(u16::from_ne_bytes([self.bytes[at], self.bytes[(at + 1) % self.bytes.len()]]))
    }

    fn write(&mut self, at: usize, bytes: &[u8]) -> usize {
        let room = self.bytes.len();
        let head = bytes.len().min(room - at);
        self.bytes[at..at + head].copy_from_slice(&bytes[..head]);
        self.bytes[..bytes.len() - head].copy_from_slice(&bytes[head..]);
        (at + bytes.len()) % room
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{History, LARGE, MAX_PACKETS, ROOM};

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_latest_packets_are_kept_whole(lens in prop::collection::vec(0..1_400_usize, 1..60)) {
            let packets: Vec<Vec<u8>> = lens.iter().enumerate().map(|(n, len)| vec![n as u8; *len]).collect();
            let mut history = History::default();
            for (count, packet) in packets.iter().enumerate() {
                history.push(packet, 960);
                let mut kept = Vec::new();
                history.replay(&mut Vec::new(), |packet| kept.push(packet.to_vec()));
                let all = &packets[..=count];
                prop_assert!(!kept.is_empty() && all.ends_with(&kept));
                // As many as there is room for.
                let large = all.iter().position(|packet| 4 * (2 + packet.len()) > ROOM);
                let room = if large.is_some_and(|at| at < all.len() - kept.len()) { LARGE } else { ROOM };
                let one_more = &all[all.len() - (kept.len() + 1).min(all.len())..];
                let size: usize = one_more.iter().map(|packet| 2 + packet.len()).sum();
                prop_assert!(kept.len() == all.len() || kept.len() == MAX_PACKETS || size > room);
            }
        }
    }
}
