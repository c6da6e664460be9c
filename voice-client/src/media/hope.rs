use std::time::Instant;

use super::held::{Lacks, Packet};
use crate::stats::Received;

/// Frames in a row that no key opened, of anybody, after which the group is taken for lost: a second of one speaker.
const HOPELESS: u64 = 50;

/// Whether anything of anybody can still be opened.
#[derive(Default)]
pub(super) struct Hope {
    /// The last time that a frame was opened, or a secret came.
    renewed: Option<Instant>,
    /// Frames that came later than that, and no secret has opened, nor will.
    lost: u64,
}

impl Hope {
    pub(super) fn renew(&mut self, now: Instant) {
        *self = Self { renewed: Some(now), lost: 0 };
    }

    /// Whether it is gone. Says so once, then begins to count again.
    pub(super) fn poll_lost(&mut self) -> bool {
        let is_lost = self.lost >= HOPELESS;
        if is_lost {
            self.lost = 0;
        }
        is_lost
    }

    /// A held packet is given up.
    pub(super) fn lose(&mut self, received: &mut Received, packet: &Packet) {
        count_lost(received, packet.lacks);
        // What came before the group moved on says nothing about where it is now.
        if packet.lacks == Lacks::RightSecret && self.renewed.is_none_or(|renewed| packet.stamp.at > renewed) {
            self.lost += 1;
        }
    }
}

/// Counts a packet that is given up.
pub(super) fn count_lost(received: &mut Received, lacks: Lacks) {
    match lacks {
        Lacks::User => received.unattributed += 1,
        Lacks::Secret => received.no_key += 1,
        Lacks::RightSecret => received.undecryptable += 1,
    }
}
