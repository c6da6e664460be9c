use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use crate::rng::Rng;

/// How many items one link carries at a time; more are dropped and counted.
const CAPACITY: usize = 16_384;

/// A reordered item is held back by up to this much (and by at least half of it), beyond its ordinary delay: three
/// frames of 20 ms.
const HOLD_BACK: Duration = Duration::from_millis(60);

/// What a [`Link`] does to what it carries. Probabilities are per item, in `0.0..=1.0`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Impairment {
    /// Every item takes at least this long.
    pub latency: Duration,
    /// Up to this much more, uniformly distributed. Jitter alone never reorders: an item that would overtake its
    /// predecessor arrives together with it.
    pub jitter: Duration,
    /// The item is lost.
    pub loss: f64,
    /// The item is held back by 30 to 60 ms, so that its successors overtake it.
    pub reorder: f64,
    /// The item arrives twice; the copy travels on its own.
    pub duplicate: f64,
}

impl Impairment {
    /// True when the link does nothing at all.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// What a [`Link`] has done so far, in items.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkStats {
    /// Handed in.
    pub pushed: u64,
    /// Lost on purpose.
    pub lost: u64,
    /// Held back on purpose.
    pub reordered: u64,
    /// Doubled on purpose.
    pub duplicated: u64,
    /// Dropped because the link was full.
    pub overflowed: u64,
}

/// One direction of a network path, seeded and without a clock: the same seed, items and times give the same result.
///
/// `T` is whatever travels: a datagram, or a datagram with its address.
#[derive(Debug)]
pub struct Link<T> {
    impairment: Impairment,
    rng: Rng,
    in_flight: BinaryHeap<Reverse<InFlight<T>>>,
    pushed: u64,
    last_due: Option<Instant>,
    stats: LinkStats,
}

impl<T: Clone> Link<T> {
    /// A link whose every decision follows from `seed`.
    pub fn new(seed: u64, impairment: Impairment) -> Self {
        Self {
            impairment,
            rng: Rng::new(seed),
            in_flight: BinaryHeap::new(),
            pushed: 0,
            last_due: None,
            stats: LinkStats::default(),
        }
    }

    /// Sends `item` on its way.
    pub fn push(&mut self, now: Instant, item: T) {
        self.stats.pushed += 1;
        if self.rng.chance(self.impairment.loss) {
            self.stats.lost += 1;
            return;
        }
        if self.rng.chance(self.impairment.duplicate) {
            self.stats.duplicated += 1;
            self.depart(now, item.clone());
        }
        self.depart(now, item);
    }

    /// The next item that has arrived by `now`, in order of arrival.
    pub fn poll(&mut self, now: Instant) -> Option<T> {
        if self.poll_timeout()? > now {
            return None;
        }
        self.in_flight.pop().map(|Reverse(in_flight)| in_flight.item)
    }

    /// When the next item arrives.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.in_flight.peek().map(|Reverse(next)| next.due)
    }

    /// Changes what happens to items pushed from now on.
    pub fn impair(&mut self, impairment: Impairment) {
        self.impairment = impairment;
    }

    /// What has happened so far.
    pub fn stats(&self) -> LinkStats {
        self.stats
    }

    fn depart(&mut self, now: Instant, item: T) {
        if self.in_flight.len() >= CAPACITY {
            self.stats.overflowed += 1;
            return;
        }
        let mut due = now + self.impairment.latency + self.impairment.jitter.mul_f64(self.rng.unit());
        if self.rng.chance(self.impairment.reorder) {
            self.stats.reordered += 1;
            due += HOLD_BACK.mul_f64(0.5 + self.rng.unit() / 2.0);
        } else {
            due = self.last_due.map_or(due, |last| due.max(last));
            self.last_due = Some(due);
        }
        self.in_flight.push(Reverse(InFlight { due, order: self.pushed, item }));
        self.pushed += 1;
    }
}

/// Ordered by arrival, and among equals by departure.
#[derive(Debug)]
struct InFlight<T> {
    due: Instant,
    order: u64,
    item: T,
}

impl<T> Ord for InFlight<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.order).cmp(&(other.due, other.order))
    }
}

impl<T> PartialOrd for InFlight<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for InFlight<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T> Eq for InFlight<T> {}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

    use super::{CAPACITY, HOLD_BACK, Impairment, Link};

    const FRAME: Duration = Duration::from_millis(20);

    #[expect(clippy::disallowed_methods, reason = "any instant will do as the start of virtual time")]
    fn start() -> Instant {
        Instant::now()
    }

    /// Pushes `count` numbered items, one each 20 ms, and returns what arrives and when.
    fn run(seed: u64, impairment: Impairment, count: u32) -> Vec<(u32, Duration)> {
        let start = start();
        let mut link = Link::new(seed, impairment);
        let mut arrived = Vec::new();
        for number in 0..count {
            let now = start + FRAME * number;
            link.push(now, number);
            while let Some(at) = link.poll_timeout().filter(|at| *at <= now) {
                arrived.push((link.poll(at).expect("due"), at - start));
            }
        }
        while let Some(at) = link.poll_timeout() {
            arrived.push((link.poll(at).expect("due"), at - start));
        }
        arrived
    }

    #[test]
    fn a_clean_link_delivers_at_once_and_in_order() {
        let arrived = run(1, Impairment::default(), 50);
        assert!(arrived.iter().enumerate().all(|(i, (n, at))| i as u32 == *n && *at == FRAME * *n));
    }

    #[test]
    fn jitter_alone_never_reorders() {
        let impairment = Impairment {
            latency: Duration::from_millis(30),
            jitter: Duration::from_millis(100),
            ..Impairment::default()
        };
        let arrived = run(3, impairment, 1_000);
        assert_eq!(arrived.len(), 1_000);
        assert!(arrived.is_sorted_by_key(|(number, _)| *number));
        let delays: Vec<_> = arrived.iter().map(|(number, at)| *at - FRAME * *number).collect();
        assert!(delays.iter().all(|delay| (30..=130).contains(&delay.as_millis())));
        assert!(delays.iter().any(|delay| delay.as_millis() > 100));
    }

    #[test]
    fn reordered_items_are_overtaken_by_few() {
        let arrived = run(4, Impairment { reorder: 0.1, ..Impairment::default() }, 1_000);
        let late = arrived.windows(2).filter(|pair| pair[0].0 > pair[1].0).count();
        assert!((50..150).contains(&late), "{late}");
        assert!(arrived.iter().all(|(number, at)| *at - FRAME * *number <= HOLD_BACK));
    }

    #[test]
    fn loss_and_duplicates_come_out_as_asked() {
        let lost = 10_000 - run(5, Impairment { loss: 0.05, ..Impairment::default() }, 10_000).len();
        assert!((400..600).contains(&lost), "{lost}");
        let doubled = run(6, Impairment { duplicate: 0.05, ..Impairment::default() }, 10_000).len() - 10_000;
        assert!((400..600).contains(&doubled), "{doubled}");
    }

    #[test]
    fn what_is_in_flight_is_bounded() {
        let start = start();
        let mut link = Link::new(1, Impairment { latency: FRAME, ..Impairment::default() });
        for number in 0..CAPACITY as u32 + 10 {
            link.push(start, number);
        }
        assert_eq!(link.stats().overflowed, 10);
        assert!(link.poll(start).is_none());
    }

    proptest! {
        #[test]
        fn the_same_seed_does_the_same(
            seed in any::<u64>(), jitter in 0_u64..200, chances in prop::array::uniform3(0.0..1.0)
        ) {
            let [loss, reorder, duplicate] = chances;
            let impairment = Impairment {
                latency: Duration::ZERO, jitter: Duration::from_millis(jitter), loss, reorder, duplicate,
            };
            let arrived = run(seed, impairment, 200);
            prop_assert!(arrived.is_sorted_by_key(|(_, at)| *at));
            prop_assert_eq!(arrived, run(seed, impairment, 200));
        }
    }
}
