use std::time::{Duration, Instant};

use super::{Keepalive, ping, pong, read_ping, read_pong};

const INTERVAL: Duration = Duration::from_secs(5);
const TRIP: Duration = Duration::from_millis(40);

#[allow(clippy::disallowed_methods)] // Any instant will do; only distances count.
fn start() -> (Instant, Keepalive) {
    let now = Instant::now();
    (now, Keepalive::new(now, INTERVAL))
}

#[test]
fn the_codec_byte_by_byte() {
    assert_eq!(ping(0x0102_0304), [0x13, 0x37, 0xCA, 0xFE, 1, 2, 3, 4]);
    assert_eq!(pong(0x0102_0304), [0x13, 0x37, 0xF0, 0x0D, 1, 2, 3, 4]);
    assert_eq!(read_ping(&ping(u32::MAX)), Some(u32::MAX));
    assert_eq!(read_pong(&pong(0)), Some(0));
    assert_eq!(read_ping(&pong(0)), None);
    assert_eq!(read_pong(&ping(0)), None);
    assert_eq!(read_pong(&pong(0)[..7]), None);
    assert_eq!(read_pong(&[pong(0).as_slice(), &[0]].concat()), None);
}

#[test]
fn pings_at_once_and_then_at_the_interval() {
    let (now, mut keepalive) = start();
    assert_eq!(keepalive.poll_output(), Some(ping(0)));
    assert_eq!(keepalive.poll_output(), None);
    assert_eq!(keepalive.poll_timeout(), Some(now + INTERVAL));
    keepalive.handle_timeout(now + INTERVAL - TRIP);
    assert_eq!(keepalive.poll_output(), None);
    keepalive.handle_timeout(now + INTERVAL);
    assert_eq!(keepalive.poll_output(), Some(ping(1)));
    // The machine slept: one ping, not twenty.
    keepalive.handle_timeout(now + 20 * INTERVAL);
    assert_eq!(keepalive.poll_output(), Some(ping(2)));
    assert_eq!(keepalive.poll_timeout(), Some(now + 21 * INTERVAL));
}

#[test]
fn the_answer_gives_the_round_trip() {
    let (now, mut keepalive) = start();
    assert_eq!((keepalive.round_trip(), keepalive.unanswered()), (None, 1));
    assert!(keepalive.handle_pong(now + TRIP, &pong(0)));
    assert_eq!((keepalive.round_trip(), keepalive.unanswered()), (Some(TRIP), 0));

    // A duplicate measures nothing.
    assert!(!keepalive.handle_pong(now + 2 * TRIP, &pong(0)));
    assert_eq!(keepalive.round_trip(), Some(TRIP));
}

#[test]
fn answers_to_pings_that_were_not_made_are_ignored() {
    let (now, mut keepalive) = start();
    for counter in [1, 8, u32::MAX] {
        assert!(!keepalive.handle_pong(now, &pong(counter)));
    }
    assert!(!keepalive.handle_pong(now, &ping(0)));
    assert_eq!((keepalive.round_trip(), keepalive.unanswered()), (None, 1));
}

#[test]
fn unanswered_counts_since_the_latest_answer() {
    let (now, mut keepalive) = start();
    for step in 1..=4 {
        keepalive.handle_timeout(now + step * INTERVAL);
    }
    assert_eq!(keepalive.unanswered(), 5);

    // Out of order: the later answer counts, the earlier one changes nothing.
    assert!(keepalive.handle_pong(now + 4 * INTERVAL + TRIP, &pong(3)));
    assert_eq!(keepalive.unanswered(), 1);
    assert_eq!(keepalive.round_trip(), Some(INTERVAL + TRIP));
    assert!(keepalive.handle_pong(now + 4 * INTERVAL + TRIP, &pong(1)));
    assert_eq!(keepalive.unanswered(), 1);
}

#[test]
fn the_oldest_pings_are_forgotten() {
    let (now, mut keepalive) = start();
    for step in 1..=8 {
        keepalive.handle_timeout(now + step * INTERVAL);
    }
    assert!(!keepalive.handle_pong(now + 9 * INTERVAL, &pong(0)));
    assert!(keepalive.handle_pong(now + 9 * INTERVAL, &pong(1)));
    assert_eq!(keepalive.unanswered(), 7);
}

#[test]
fn the_counter_wraps() {
    let (now, mut keepalive) = start();
    keepalive.counter = u32::MAX;
    keepalive.handle_timeout(now + INTERVAL);
    assert_eq!(keepalive.poll_output(), Some(ping(u32::MAX)));
    assert!(keepalive.handle_pong(now + INTERVAL + TRIP, &pong(u32::MAX)));
    keepalive.handle_timeout(now + 2 * INTERVAL);
    assert_eq!(keepalive.poll_output(), Some(ping(0)));
    assert!(keepalive.handle_pong(now + 2 * INTERVAL + TRIP, &pong(0)));
}

#[test]
fn an_interval_beyond_the_clock_never_comes() {
    let (now, _) = start();
    let mut keepalive = Keepalive::new(now, Duration::MAX);
    assert_eq!(keepalive.poll_timeout(), None);
    keepalive.handle_timeout(now + INTERVAL);
    assert_eq!(keepalive.poll_output(), Some(ping(0)));
    assert_eq!(keepalive.poll_output(), None);
}
