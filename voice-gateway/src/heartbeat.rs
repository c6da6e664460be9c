use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// No server asks for more: Discord's interval is 13.75 s, tests go down to this.
const SHORTEST: Duration = Duration::from_millis(100);

/// Beyond this a heartbeat would keep nothing alive.
const LONGEST: Duration = Duration::from_secs(600);

/// Heartbeats whose ack is still of interest. More than one or two only when the server asks for extra ones.
const MAX_PENDING: usize = 8;

/// When to send heartbeats, with which nonce, and whether they are answered.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    random: SplitMix64,
    max_missed: u32,
    schedule: Option<Schedule>,
    /// Nonces not acknowledged yet, oldest first, and when they were sent.
    pending: VecDeque<(u64, Instant)>,
    round_trip: Option<Duration>,
}

/// Exists from hello until the WebSocket is gone.
#[derive(Debug)]
struct Schedule {
    interval: Duration,
    due: Instant,
    /// Scheduled heartbeats since the last ack.
    unanswered: u32,
}

/// What a timeout asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Pulse {
    /// Not due yet.
    Quiet,
    /// Send a heartbeat.
    Beat,
    /// So many were not answered: the connection is dead.
    Missed(u32),
}

impl Heartbeat {
    pub(crate) fn new(seed: u64, max_missed: u32) -> Self {
        Self {
            random: SplitMix64(seed),
            max_missed: max_missed.max(1),
            schedule: None,
            pending: VecDeque::with_capacity(MAX_PENDING),
            round_trip: None,
        }
    }

    /// A hello arrived: the first heartbeat comes after a random part of the interval, so that many clients of a
    /// restarted server do not beat as one. Returns the interval, clamped.
    pub(crate) fn start(&mut self, now: Instant, interval: Duration) -> Duration {
        let interval = interval.clamp(SHORTEST, LONGEST);
        let due = now + interval.mul_f64(self.random.fraction());
        self.schedule = Some(Schedule { interval, due, unanswered: 0 });
        interval
    }

    /// The WebSocket is gone.
    pub(crate) fn stop(&mut self) {
        self.schedule = None;
        self.pending.clear();
    }

    pub(crate) fn due(&self) -> Option<Instant> {
        self.schedule.as_ref().map(|schedule| schedule.due)
    }

    /// How long the last acknowledged heartbeat took.
    pub(crate) const fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Pulse {
        match &mut self.schedule {
            Some(schedule) if schedule.due <= now => {
                if schedule.unanswered >= self.max_missed {
                    return Pulse::Missed(schedule.unanswered);
                }
                schedule.unanswered += 1;
                // From now, not from when it was due: a machine that slept must not beat in a burst.
                schedule.due = now + schedule.interval;
                Pulse::Beat
            }
            _ => Pulse::Quiet,
        }
    }

    /// The nonce of a heartbeat sent now.
    pub(crate) fn nonce(&mut self, now: Instant) -> u64 {
        if self.pending.len() == MAX_PENDING {
            self.pending.pop_front();
        }
        let nonce = self.random.nonce();
        self.pending.push_back((nonce, now));
        nonce
    }

    /// An ack arrived; false when it answers nothing that is pending.
    pub(crate) fn acknowledge(&mut self, now: Instant, nonce: u64) -> bool {
        let Some(index) = self.pending.iter().position(|&(pending, _)| pending == nonce) else {
            return false;
        };
        if let Some((_, sent_at)) = self.pending.drain(..=index).next_back() {
            self.round_trip = Some(now.saturating_duration_since(sent_at));
        }
        if let Some(schedule) = &mut self.schedule {
            schedule.unanswered = 0;
        }
        true
    }
}

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014): spreads one seed; nothing
/// here needs to be unpredictable.
#[derive(Debug)]
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// At most 2^53-1, which JSON numbers keep (RFC 8259, section 6).
    fn nonce(&mut self) -> u64 {
        self.next() >> 11
    }

    /// Strictly between 0 and 1.
    fn fraction(&mut self) -> f64 {
        (self.nonce() as f64 + 0.5) / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::{Heartbeat, LONGEST, MAX_PENDING, Pulse, SHORTEST, SplitMix64};
    use std::time::{Duration, Instant};

    const INTERVAL: Duration = Duration::from_millis(13_750);

    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn splitmix_is_the_published_one() {
        let mut random = SplitMix64(1_234_567);
        assert_eq!(random.next(), 6_457_827_717_110_365_317);
        assert_eq!(random.next(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn the_first_beat_is_jittered_and_the_rest_regular() {
        let now = start();
        let mut delays = Vec::new();
        for seed in 0..64 {
            let mut heartbeat = Heartbeat::new(seed, 2);
            heartbeat.start(now, INTERVAL);
            let first = heartbeat.due().expect("scheduled");
            assert!(first > now && first < now + INTERVAL);
            assert_eq!(heartbeat.handle_timeout(first - Duration::from_nanos(1)), Pulse::Quiet);
            assert_eq!(heartbeat.handle_timeout(first), Pulse::Beat);
            assert_eq!(heartbeat.due(), Some(first + INTERVAL));
            delays.push(first - now);
        }
        delays.sort();
        assert!(delays[0] < INTERVAL / 8 && delays[63] > INTERVAL * 7 / 8, "spread over the interval");
    }

    #[test]
    fn a_late_timeout_makes_no_burst() {
        let mut heartbeat = Heartbeat::new(1, 2);
        heartbeat.start(start(), INTERVAL);
        let late = start() + INTERVAL * 100;
        assert_eq!(heartbeat.handle_timeout(late), Pulse::Beat);
        assert_eq!(heartbeat.handle_timeout(late), Pulse::Quiet);
        assert_eq!(heartbeat.due(), Some(late + INTERVAL));
    }

    #[test]
    fn absurd_intervals_are_clamped() {
        let mut heartbeat = Heartbeat::new(1, 2);
        assert_eq!(heartbeat.start(start(), Duration::ZERO), SHORTEST);
        assert_eq!(heartbeat.start(start(), Duration::MAX), LONGEST);
    }

    #[test]
    fn one_ack_forgives_the_earlier_ones() {
        let mut now = start();
        let mut heartbeat = Heartbeat::new(7, 2);
        heartbeat.start(now, INTERVAL);
        now = heartbeat.due().expect("scheduled");
        assert_eq!(heartbeat.handle_timeout(now), Pulse::Beat);
        let first = heartbeat.nonce(now);
        now += INTERVAL;
        assert_eq!(heartbeat.handle_timeout(now), Pulse::Beat);
        let second = heartbeat.nonce(now);
        assert!(heartbeat.acknowledge(now + Duration::from_millis(30), second));
        assert_eq!(heartbeat.round_trip(), Some(Duration::from_millis(30)));
        assert!(!heartbeat.acknowledge(now, first), "older than an answered one");
        assert_eq!(heartbeat.handle_timeout(now + INTERVAL), Pulse::Beat);
    }

    #[test]
    fn nonces_fit_json_and_few_are_remembered() {
        let mut heartbeat = Heartbeat::new(3, 2);
        let nonces: Vec<u64> = (0..1_000).map(|_| heartbeat.nonce(start())).collect();
        assert!(nonces.iter().all(|&nonce| nonce < 1 << 53));
        assert_eq!(heartbeat.pending.len(), MAX_PENDING);
    }
}
