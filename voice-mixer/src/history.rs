/// Room for the packets that are kept: three of 256 kbit/s, eight of 64 kbit/s and more of less.
const ROOM: usize = 2_048;

/// Most packets that are kept: what a decoder remembers of one is about halved by each that follows.
const MAX_PACKETS: usize = 16;

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

    pub(crate) fn clear(&mut self) {
        (self.start, self.used, self.packets) = (0, 0, 0);
    }

    /// Keeps a packet; the oldest ones make room for it. Allocates once.
    pub(crate) fn push(&mut self, packet: &[u8]) {
        if self.bytes.is_empty() {
            self.bytes = vec![0; ROOM];
        }
        let needed = 2 + packet.len();
        if needed > ROOM {
            self.clear();
            return;
        }
        while self.packets == MAX_PACKETS || self.used + needed > ROOM {
            let oldest = 2 + self.len_at(self.start);
            (self.start, self.used, self.packets) =
                ((self.start + oldest) % ROOM, self.used - oldest, self.packets - 1);
        }
        let at = (self.start + self.used) % ROOM;
        let after = self.write(at, &(packet.len() as u16).to_ne_bytes());
        self.write(after, packet);
        (self.used, self.packets) = (self.used + needed, self.packets + 1);
    }

    /// Hands out the packets, oldest first, by way of `scratch`, which grows to their size.
    pub(crate) fn replay(&self, scratch: &mut Vec<u8>, mut hear: impl FnMut(&[u8])) {
        let mut at = self.start;
        for _ in 0..self.packets {
            let len = self.len_at(at);
            at = (at + 2) % ROOM;
            if scratch.len() < len {
                scratch.resize(len, 0);
            }
            let head = len.min(ROOM - at);
            scratch[..head].copy_from_slice(&self.bytes[at..at + head]);
            scratch[head..len].copy_from_slice(&self.bytes[..len - head]);
            hear(&scratch[..len]);
            at = (at + len) % ROOM;
        }
    }

    fn len_at(&self, at: usize) -> usize {
        usize::from(u16::from_ne_bytes([self.bytes[at], self.bytes[(at + 1) % ROOM]]))
    }

    fn write(&mut self, at: usize, bytes: &[u8]) -> usize {
        let head = bytes.len().min(ROOM - at);
        self.bytes[at..at + head].copy_from_slice(&bytes[..head]);
        self.bytes[..bytes.len() - head].copy_from_slice(&bytes[head..]);
        (at + bytes.len()) % ROOM
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{History, MAX_PACKETS, ROOM};

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_latest_packets_are_kept_whole(lens in prop::collection::vec(0..1_400_usize, 1..60)) {
            let packets: Vec<Vec<u8>> = lens.iter().enumerate().map(|(n, len)| vec![n as u8; *len]).collect();
            let mut history = History::default();
            for (count, packet) in packets.iter().enumerate() {
                history.push(packet);
                let mut kept = Vec::new();
                history.replay(&mut Vec::new(), |packet| kept.push(packet.to_vec()));
                let all = &packets[..=count];
                prop_assert!(!kept.is_empty() && all.ends_with(&kept));
                // As many as there is room for.
                let one_more = &all[all.len() - (kept.len() + 1).min(all.len())..];
                let size: usize = one_more.iter().map(|packet| 2 + packet.len()).sum();
                prop_assert!(kept.len() == all.len() || kept.len() == MAX_PACKETS || size > ROOM);
            }
        }
    }
}
