//! How times are taken: side by side.
//!
//! Criterion warms up, decides how much work a sample is, and reports on ours. Each of its samples also does the same
//! amount of work on every other side, milliseconds apart and in turning order: what disturbs the machine disturbs all
//! sides, and ratios hold on a busy one.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, SamplingMode};

use crate::row::Row;

/// Samples per side.
const SAMPLES: usize = 100;

/// Does some work so many times, and says how long that took.
pub trait Side: FnMut(u64) -> Duration {}

impl<T: FnMut(u64) -> Duration> Side for T {}

/// A side that repeats `work` in a loop.
pub fn repeat<T>(mut work: impl FnMut() -> T) -> impl Side {
    move |times| {
        let start = Instant::now();
        for _ in 0..times {
            black_box(work());
        }
        start.elapsed()
    }
}

/// The benchmarks that were asked for, and what came out.
pub struct Suite {
    criterion: Criterion,
    filter: String,
    rows: Vec<Row>,
}

/// Nanoseconds of one piece of work, by sample.
pub struct Samples(Vec<f64>);

impl Suite {
    pub fn new(filter: String) -> Self {
        let criterion = Criterion::default().without_plots().warm_up_time(Duration::from_millis(300));
        Self { criterion, filter, rows: Vec::new() }
    }

    /// Whether a benchmark of this name was asked for.
    pub fn wants(&self, name: &str) -> bool {
        name.contains(&self.filter)
    }

    pub fn push(&mut self, row: Row) {
        self.rows.push(row);
    }

    pub fn into_rows(self) -> Vec<Row> {
        self.rows
    }

    /// Measures all sides in about this time; the first is ours. `name` is `group/benchmark`.
    pub fn compare<const N: usize>(&mut self, name: &str, time: Duration, sides: [&mut dyn Side; N]) -> [Samples; N] {
        let (group, benchmark) = name.split_once('/').unwrap_or((name, "all"));
        let mut samples = [const { Vec::new() }; N];
        let mut group = self.criterion.benchmark_group(group);
        group.sample_size(SAMPLES).sampling_mode(SamplingMode::Flat).measurement_time(time);
        group.bench_function(benchmark, |bencher| {
            bencher.iter_custom(|times| {
                let first = samples[0].len();
                let mut ours = Duration::ZERO;
                for turn in 0..N {
                    let side = (first + turn) % N;
                    let took = sides[side](times);
                    samples[side].push(took.as_secs_f64() * 1e9 / times as f64);
                    if side == 0 {
                        ours = took;
                    }
                }
                ours
            });
        });
        group.finish();
        // What comes before the last ones was the warm-up.
        samples.map(|mut samples| Samples(samples.split_off(samples.len().saturating_sub(SAMPLES))))
    }
}

impl Samples {
    pub fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    }

    /// By how much each sample exceeds the one of `other` that was taken with it.
    pub fn beyond(&self, other: &Samples) -> Samples {
        Samples(self.0.iter().zip(&other.0).map(|(ours, other)| ours - other).collect())
    }
}
