use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use super::balance::Load;
use super::realtime::Realtime;
use crate::driver::lock;

/// Figures of all clock threads of a client.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ClockStats {
    /// Packets sent.
    pub packets: u64,
    /// Packets that left more than 2 ms after their call's own deadline, and beats that were skipped because their time was over.
    pub late: u64,
    /// The latest one.
    pub worst: Duration,
    /// Times that a packet was asked of a call. Calls with nothing to send, those whose tracks are all paused included, are asked
    /// nothing.
    pub beats: u64,
    /// Times that a call moved from one thread to another.
    pub moved: u64,
    /// The threads that there are now, the first one, which is always needed, first.
    pub threads: Vec<ClockThread>,
}

/// Figures of one clock thread.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ClockThread {
    /// Share of a core that it was busy with, over the last second or so; 1.0 is all of it.
    pub load: f32,
    /// Calls that it has.
    pub calls: usize,
    /// Those of them with something to send.
    pub beating: usize,
    /// Whether it runs with real-time priority.
    pub realtime: Realtime,
}

/// What clock threads count together.
#[derive(Default)]
pub(super) struct Counters {
    pub(super) packets: AtomicU64,
    pub(super) late: AtomicU64,
    pub(super) worst_micros: AtomicU64,
    pub(super) beats: AtomicU64,
    pub(super) moved: AtomicU64,
    /// One for each thread. Locked when one starts or ends, and by who asks; never between two deadlines.
    gauges: Mutex<Vec<Arc<Gauge>>>,
}

impl Counters {
    pub(super) fn enlist(&self, gauge: &Arc<Gauge>) {
        lock(&self.gauges).push(gauge.clone());
    }

    pub(super) fn strike_off(&self, gauge: &Arc<Gauge>) {
        lock(&self.gauges).retain(|other| !Arc::ptr_eq(other, gauge));
    }

    pub(super) fn stats(&self) -> ClockStats {
        ClockStats {
            packets: self.packets.load(Ordering::Relaxed),
            late: self.late.load(Ordering::Relaxed),
            worst: Duration::from_micros(self.worst_micros.load(Ordering::Relaxed)),
            beats: self.beats.load(Ordering::Relaxed),
            moved: self.moved.load(Ordering::Relaxed),
            threads: lock(&self.gauges).iter().map(|gauge| gauge.read()).collect(),
        }
    }
}

/// What a thread shows of itself.
#[derive(Default)]
pub(super) struct Gauge {
    busy_ppm: AtomicU32,
    calls: AtomicUsize,
    beating: AtomicUsize,
    realtime: OnceLock<Realtime>,
}

impl Gauge {
    /// How busy it was, as a share of a core.
    pub(super) fn busy(&self) -> f64 {
        f64::from(self.busy_ppm.load(Ordering::Relaxed)) / 1e6
    }

    pub(super) fn set_load(&self, load: &Load) {
        self.busy_ppm.store((load.busy * 1e6) as u32, Ordering::Relaxed);
    }

    /// Load that is on its way, until the thread measures it.
    pub(super) fn expect(&self, busy: f64) {
        self.busy_ppm.fetch_add((busy * 1e6) as u32, Ordering::Relaxed);
    }

    pub(super) fn set_calls(&self, calls: usize, beating: usize) {
        self.calls.store(calls, Ordering::Relaxed);
        self.beating.store(beating, Ordering::Relaxed);
    }

    pub(super) fn set_realtime(&self, realtime: Realtime) {
        let _ = self.realtime.set(realtime);
    }

    fn read(&self) -> ClockThread {
        ClockThread {
            load: self.busy() as f32,
            calls: self.calls.load(Ordering::Relaxed),
            beating: self.beating.load(Ordering::Relaxed),
            realtime: self.realtime.get().cloned().unwrap_or_default(),
        }
    }
}
