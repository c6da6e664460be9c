//! The ping that keeps NAT mappings open and measures the round trip: 8 bytes, `13 37 CA FE` and a big-endian counter,
//! answered by `13 37 F0 0D` and the same counter (as seen from Discord's own client; the documentation has none).

use std::time::{Duration, Instant};

/// Bytes of a ping and of its answer.
pub const LEN: usize = 8;

const PING: [u8; 4] = [0x13, 0x37, 0xCA, 0xFE];
const PONG: [u8; 4] = [0x13, 0x37, 0xF0, 0x0D];

/// Pings do not follow each other faster than this, whatever was asked for.
const MIN_INTERVAL: Duration = Duration::from_millis(10);

/// How many pings may be under way and still be measured.
const UNDER_WAY: usize = 8;

/// A ping with this counter.
pub fn ping(counter: u32) -> [u8; LEN] {
    packet(PING, counter)
}

/// The counter of a ping; `None` when it is none.
pub fn read_ping(datagram: &[u8]) -> Option<u32> {
    read(PING, datagram)
}

/// The answer to the ping with this counter.
pub fn pong(counter: u32) -> [u8; LEN] {
    packet(PONG, counter)
}

/// The counter of an answer; `None` when it is none.
pub fn read_pong(datagram: &[u8]) -> Option<u32> {
    read(PONG, datagram)
}

fn packet(magic: [u8; 4], counter: u32) -> [u8; LEN] {
    let mut bytes = [0; LEN];
    bytes[..4].copy_from_slice(&magic);
    bytes[4..].copy_from_slice(&counter.to_be_bytes());
    bytes
}

fn read(magic: [u8; 4], datagram: &[u8]) -> Option<u32> {
    let bytes: [u8; LEN] = datagram.try_into().ok()?;
    let [a, b, c, d, counter @ ..] = bytes;
    ([a, b, c, d] == magic).then(|| u32::from_be_bytes(counter))
}

/// Pings at a fixed interval. Silence alone is not death: what many unanswered pings mean, the owner decides.
#[derive(Debug)]
pub struct Keepalive {
    interval: Duration,
    next: Option<Instant>,
    /// Counter of the next ping.
    counter: u32,
    due: Option<[u8; LEN]>,
    /// When the ping with this counter, modulo the length, was made; `None` once it is answered.
    sent: [Option<Instant>; UNDER_WAY],
    unanswered: u32,
    round_trip: Option<Duration>,
}

impl Keepalive {
    /// Pings at once, and then after each `interval` (5 s in Discord's own client; at least 10 ms).
    pub fn new(now: Instant, interval: Duration) -> Self {
        let mut keepalive = Self {
            interval: interval.max(MIN_INTERVAL),
            next: Some(now),
            counter: 0,
            due: None,
            sent: [None; UNDER_WAY],
            unanswered: 0,
            round_trip: None,
        };
        keepalive.handle_timeout(now);
        keepalive
    }

    /// Takes a datagram; `true` when it is the first answer to one of the last eight pings.
    pub fn handle_pong(&mut self, now: Instant, datagram: &[u8]) -> bool {
        let Some(counter) = read_pong(datagram) else { return false };
        let later = self.counter.wrapping_sub(counter).wrapping_sub(1);
        if later >= UNDER_WAY as u32 {
            return false;
        }
        let Some(sent) = self.sent[counter as usize % UNDER_WAY].take() else { return false };
        self.round_trip = Some(now.saturating_duration_since(sent));
        self.unanswered = self.unanswered.min(later);
        true
    }

    /// Makes the next ping when it is time. After a long pause it makes one, not one for each interval.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.next.is_none_or(|next| now < next) {
            return;
        }
        self.due = Some(ping(self.counter));
        self.sent[self.counter as usize % UNDER_WAY] = Some(now);
        self.counter = self.counter.wrapping_add(1);
        self.unanswered = self.unanswered.saturating_add(1);
        self.next = now.checked_add(self.interval);
    }

    /// The ping to send, if one is due.
    pub fn poll_output(&mut self) -> Option<[u8; LEN]> {
        self.due.take()
    }

    /// When to call [`Keepalive::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.next
    }

    /// Between the latest answered ping and its answer; `None` before the first answer.
    pub fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// Pings made since the latest that was answered; the one under way counts.
    pub fn unanswered(&self) -> u32 {
        self.unanswered
    }
}

#[cfg(test)]
mod tests;
