use std::time::{Duration, Instant};

use proptest::prelude::{any, prop_assert, proptest};
use proptest::test_runner::{Config, RngSeed};
use voice_model::Ssrc;

use super::{Discovery, Output};
use crate::discovery::{LEN, Response, read_request, response};

const RETRY: Duration = Duration::from_millis(500);
const DEADLINE: Duration = Duration::from_millis(1_700);
const OURS: Ssrc = Ssrc(7);

#[allow(clippy::disallowed_methods)] // Any instant will do; only distances count.
fn start() -> (Instant, Discovery) {
    let now = Instant::now();
    (now, Discovery::new(now, OURS, RETRY, DEADLINE))
}

fn answer(ssrc: Ssrc, address: &str) -> [u8; LEN] {
    response(&Response { ssrc, address: address.parse().unwrap() })
}

fn sent(discovery: &mut Discovery) -> bool {
    match discovery.poll_output() {
        Some(Output::Send(datagram)) => read_request(&datagram) == Some(OURS),
        _ => false,
    }
}

#[test]
fn asked_and_answered() {
    let (now, mut discovery) = start();
    assert!(sent(&mut discovery));
    assert_eq!(discovery.poll_output(), None);
    assert_eq!(discovery.poll_timeout(), Some(now + RETRY));

    let datagram = answer(OURS, "203.0.113.9:50000");
    assert!(discovery.handle_datagram(now, &datagram));
    assert_eq!(discovery.poll_output(), Some(Output::Found("203.0.113.9:50000".parse().unwrap())));
    assert_eq!(discovery.poll_timeout(), None);

    // The answer to a repeated request comes late: known, but no news.
    assert!(discovery.handle_datagram(now, &datagram));
    discovery.handle_timeout(now + DEADLINE);
    assert_eq!(discovery.poll_output(), None);
}

#[test]
fn case_26_a_lost_reply_is_asked_for_again() {
    let (now, mut discovery) = start();
    assert!(sent(&mut discovery));
    discovery.handle_timeout(now + RETRY - Duration::from_millis(1));
    assert!(!sent(&mut discovery));
    discovery.handle_timeout(now + RETRY);
    assert!(sent(&mut discovery));
    assert_eq!(discovery.poll_timeout(), Some(now + 2 * RETRY));

    assert!(discovery.handle_datagram(now + RETRY, &answer(OURS, "[2001:db8::1]:50000")));
    assert_eq!(discovery.poll_output(), Some(Output::Found("[2001:db8::1]:50000".parse().unwrap())));
}

#[test]
fn case_26_the_deadline_ends_in_a_typed_time_out() {
    let (now, mut discovery) = start();
    let mut requests = 0;
    while let Some(timeout) = discovery.poll_timeout() {
        requests += u32::from(sent(&mut discovery));
        discovery.handle_timeout(timeout);
        assert!(timeout <= now + DEADLINE);
    }
    assert_eq!(requests, 4);
    assert_eq!(discovery.poll_output(), Some(Output::TimedOut { attempts: 4 }));
    assert_eq!(discovery.poll_output(), None);

    // Too late.
    discovery.handle_datagram(now + DEADLINE, &answer(OURS, "203.0.113.9:50000"));
    assert_eq!(discovery.poll_output(), None);
}

#[test]
fn answers_to_others_and_answers_without_an_address_are_not_ours() {
    let (now, mut discovery) = start();
    assert!(sent(&mut discovery));
    for datagram in [
        answer(Ssrc(8), "203.0.113.9:50000"),
        answer(OURS, "203.0.113.9:0"),
        answer(OURS, "0.0.0.0:50000"),
        answer(OURS, "[::]:50000"),
        crate::discovery::request(OURS),
    ] {
        assert!(!discovery.handle_datagram(now, &datagram));
    }
    assert!(!discovery.handle_datagram(now, &[0x80; 100]));
    assert_eq!(discovery.poll_output(), None);
    assert!(discovery.poll_timeout().is_some());
}

#[test]
fn a_sleep_over_many_retries_makes_one_request() {
    let (now, _) = start();
    let mut discovery = Discovery::new(now, OURS, RETRY, Duration::MAX);
    assert!(sent(&mut discovery));
    discovery.handle_timeout(now + 100 * RETRY);
    assert!(sent(&mut discovery));
    assert!(!sent(&mut discovery));
    assert_eq!(discovery.poll_timeout(), Some(now + 101 * RETRY));
}

proptest! {
    #![proptest_config(Config { rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..Config::default() })]

    #[test]
    fn timeouts_lie_ahead_and_the_end_comes_once(
        retry in 0u64..2_000,
        deadline in 0u64..5_000,
        steps in proptest::collection::vec((0u64..700, any::<bool>(), any::<bool>()), 0..60),
    ) {
        let (mut now, _) = start();
        let mut discovery =
            Discovery::new(now, OURS, Duration::from_millis(retry), Duration::from_millis(deadline));
        let mut ends = 0;
        for (passed, poll, answered) in steps {
            now += Duration::from_millis(passed);
            discovery.handle_timeout(now);
            prop_assert!(discovery.poll_timeout().is_none_or(|timeout| timeout > now));
            if answered {
                discovery.handle_datagram(now, &answer(OURS, "203.0.113.9:50000"));
            }
            while let Some(output) = discovery.poll_output().filter(|_| poll) {
                ends += u32::from(!matches!(output, Output::Send(_)));
            }
        }
        prop_assert!(ends <= 1);
    }
}
