//! The server's side of DAVE, as small as tests allow: an external sender, and a call that delivers its messages.
#![allow(dead_code, unused_imports, reason = "each test program uses another part of it")]

mod call;
mod forger;
mod gateway;
mod peer;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

pub(crate) use call::Call;
pub(crate) use forger::{Forger, vector};
pub(crate) use gateway::{Gateway, append, append_raw, commit_of, revoke, welcome_of};
pub(crate) use peer::Peer;
use voice_dave::provider::Entropy;
use voice_model::{ChannelId, UserId};

#[expect(clippy::disallowed_methods, reason = "time in these tests starts anywhere")]
pub(crate) fn start() -> Instant {
    Instant::now()
}

pub(crate) fn user(id: u64) -> UserId {
    UserId::new(id).expect("not 0")
}

pub(crate) fn channel(id: u64) -> ChannelId {
    ChannelId::new(id).expect("not 0")
}

/// The group id of libdave's session tests.
pub(crate) const GROUP: u64 = 1_234_567_890;
/// Another one.
pub(crate) const OTHER_GROUP: u64 = 9_876_543_210;
/// The users of libdave's session tests.
pub(crate) const A: u64 = 1_234_123_412_341_234;
pub(crate) const B: u64 = 5_678_567_856_785_678;
pub(crate) const C: u64 = 9_012_901_290_129_012;
pub(crate) const D: u64 = 3_456_345_634_563_456;

/// Reproducible, hence no randomness: SplitMix64.
#[derive(Debug)]
pub(crate) struct Seeded(AtomicU64);

impl Seeded {
    pub(crate) fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }
}

impl Entropy for Seeded {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let mut z = self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed).wrapping_add(0x9E37_79B9_7F4A_7C15);
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            chunk.copy_from_slice(&(z ^ (z >> 31)).to_le_bytes()[..chunk.len()]);
        }
    }
}
