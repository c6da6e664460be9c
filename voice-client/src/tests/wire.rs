//! One direction of a WebSocket in virtual time: in order, as late as a seed says.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Messages under way.
pub(super) struct Wire<T> {
    messages: VecDeque<(Instant, T)>,
    /// Longest time that a message takes; the shortest is nothing.
    pub(super) lag: Duration,
    noise: u64,
}

impl<T> Wire<T> {
    /// A wire without lag.
    pub(super) fn new(seed: u64) -> Self {
        Self { messages: VecDeque::new(), lag: Duration::ZERO, noise: seed }
    }

    pub(super) fn push(&mut self, now: Instant, message: T) {
        // TCP keeps the order: nothing overtakes what is late.
        let behind = self.messages.back().map_or(now, |(at, _)| *at);
        let lag = self.lag.mul_f64(roll(&mut self.noise));
        self.messages.push_back((behind.max(now + lag), message));
    }

    pub(super) fn pop(&mut self, now: Instant) -> Option<T> {
        self.messages.pop_front_if(|(at, _)| *at <= now).map(|(_, message)| message)
    }

    /// The connection is no more: nor is what was under way.
    pub(super) fn cut(&mut self) {
        self.messages.clear();
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.messages.front().map(|(at, _)| *at)
    }
}

/// The next of a sequence of numbers from 0 to 1 (splitmix64).
pub(super) fn roll(noise: &mut u64) -> f64 {
    next(noise) as f64 / u64::MAX as f64
}

/// The next of a sequence of numbers (splitmix64).
pub(super) fn next(noise: &mut u64) -> u64 {
    *noise = noise.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *noise;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
