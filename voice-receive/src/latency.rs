use std::fmt;
use std::time::Duration;

/// How often which latency was measured, in constant memory: to a millisecond up to 40 ms, to 5 up to 100 ms, to 20 up to
/// 300 ms, to 100 up to a second.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Latency {
    buckets: [u32; BUCKETS],
}

/// From where on, in milliseconds, and how fine.
const RANGES: [(u32, u32); 4] = [(0, 1), (40, 5), (100, 20), (300, 100)];

/// Where it ends, in milliseconds: what is longer is in the last bucket.
const LONGEST: u32 = 1000;

const BUCKETS: usize = 40 + 12 + 10 + 7 + 1;

impl Default for Latency {
    fn default() -> Self {
        Self { buckets: [0; BUCKETS] }
    }
}

impl Latency {
    /// How many were measured.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| u64::from(*bucket)).sum()
    }

    /// What `share` of them, 0.0 to 1.0, were at most; rounded up to the resolution, and a second for all that were longer.
    /// `None` when nothing was measured.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let count = self.count();
        let wanted = ((count as f64 * share.clamp(0.0, 1.0)).ceil() as u64).max(1);
        let mut seen = 0;
        let bucket = self.buckets.iter().position(|bucket| {
            seen += u64::from(*bucket);
            seen >= wanted
        })?;
        Some(end(bucket))
    }

    /// Half were at most this.
    pub fn p50(&self) -> Option<Duration> {
        self.quantile(0.5)
    }

    /// 95 % were at most this.
    pub fn p95(&self) -> Option<Duration> {
        self.quantile(0.95)
    }

    pub(crate) fn add(&mut self, latency: Duration) {
        let micros = u32::try_from(latency.as_micros()).unwrap_or(u32::MAX);
        // One of exactly 20 ms is at most 20 ms.
        let millis = micros.saturating_sub(1) / 1000;
        let bucket = &mut self.buckets[bucket(millis)];
        *bucket = bucket.saturating_add(1);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (bucket, other) in self.buckets.iter_mut().zip(other.buckets) {
            *bucket = bucket.saturating_add(other);
        }
    }
}

/// The bucket of what takes so many full milliseconds.
fn bucket(millis: u32) -> usize {
    let mut before = 0;
    for (number, (start, width)) in RANGES.into_iter().enumerate() {
        let end = RANGES.get(number + 1).map_or(LONGEST, |(next, _)| *next);
        if millis < end {
            return before + ((millis - start) / width) as usize;
        }
        before += ((end - start) / width) as usize;
    }
    BUCKETS - 1
}

/// The longest in a bucket.
fn end(bucket: usize) -> Duration {
    let mut left = bucket as u32;
    for (number, (start, width)) in RANGES.into_iter().enumerate() {
        let end = RANGES.get(number + 1).map_or(LONGEST, |(next, _)| *next);
        let count = (end - start) / width;
        if left < count {
            return Duration::from_millis(u64::from(start + (left + 1) * width));
        }
        left -= count;
    }
    Duration::from_millis(LONGEST.into())
}

impl fmt::Debug for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Latency")
            .field("count", &self.count())
            .field("p50", &self.p50())
            .field("p95", &self.p95())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{BUCKETS, Latency, bucket, end};

    #[test]
    fn buckets_cover_all_without_a_gap() {
        assert_eq!((bucket(0), bucket(1000), bucket(u32::MAX)), (0, BUCKETS - 1, BUCKETS - 1));
        for millis in 0..1000 {
            let (this, next) = (bucket(millis), bucket(millis + 1));
            assert!(next == this || next == this + 1);
            assert!(u128::from(millis) < end(this).as_millis());
            assert!(next == this || end(this).as_millis() == u128::from(millis + 1));
        }
    }

    #[test]
    fn quantiles_are_rounded_up() {
        let mut latency = Latency::default();
        assert_eq!(latency.p95(), None);
        for millis in 1..=100 {
            latency.add(Duration::from_millis(millis));
        }
        assert_eq!(latency.count(), 100);
        assert_eq!(latency.quantile(0.0), Some(Duration::from_millis(1)));
        assert_eq!(latency.quantile(0.2), Some(Duration::from_millis(20)));
        assert_eq!(latency.p50(), Some(Duration::from_millis(50)));
        assert_eq!(latency.p95(), Some(Duration::from_millis(95)));
        latency.add(Duration::from_micros(20_001));
        assert_eq!(latency.quantile(21.5 / 101.0), Some(Duration::from_millis(21)));
        latency.add(Duration::MAX);
        assert_eq!(latency.quantile(1.0), Some(Duration::from_secs(1)));
    }
}
