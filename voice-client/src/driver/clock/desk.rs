use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use mixer::hint;
use model::FRAME;

use super::balance::Load;
use super::call::{Call, Word};
use super::calls::Calls;
use super::gauge::{Counters, Gauge};
use super::rhythm::{PHASES, STEP};
use crate::driver::time::now;
use crate::media::{PACKET, Packet};

/// How long before the deadline preparing starts, beyond what it costs.
const MARGIN: Duration = Duration::from_micros(300);
/// Most time that preparing is given.
const MAX_LEAD: Duration = Duration::from_millis(10);
/// A packet sent later than this after its deadline is late.
const LATE: Duration = Duration::from_millis(2);
/// Packets that are sent between two looks at the clock.
const GLANCE: usize = 16;

/// The work of a clock thread: its calls, and the time that it is.
pub(super) struct Desk {
    pub(super) calls: Calls,
    pub(super) gauge: Arc<Gauge>,
    pub(super) counters: Arc<Counters>,
    /// Where all threads of a client count steps from.
    epoch: Instant,
    /// Packets of one phase, in its order: so many are on their way at a time, however many calls there are.
    packets: Vec<Packet>,
    /// The next step of time.
    step: u64,
    /// What preparing one phase costs, at most and lately.
    cost: Duration,
    meter: Meter,
    /// Places of calls that began to rest in this step, and of those that failed.
    rested: Vec<usize>,
    failed: Vec<usize>,
}

/// Measures the load of a thread.
struct Meter {
    since: Instant,
    waited: Duration,
    packets: u64,
    late: u64,
}

impl Meter {
    fn new(since: Instant) -> Self {
        Self { since, waited: Duration::ZERO, packets: 0, late: 0 }
    }
}

impl Desk {
    pub(super) fn new(epoch: Instant, gauge: Arc<Gauge>, counters: Arc<Counters>) -> Self {
        Self {
            calls: Calls::new(),
            gauge,
            counters,
            epoch,
            packets: Vec::new(),
            step: 0,
            cost: Duration::ZERO,
            meter: Meter::new(now()),
            rested: Vec::new(),
            failed: Vec::new(),
        }
    }

    /// The next step in which somebody beats.
    pub(super) fn next_step(&self) -> Option<u64> {
        self.calls.next_step(self.step)
    }

    /// How long to wait for messages before preparing for `step` begins.
    pub(super) fn leisure(&self, step: u64, now: Instant) -> Duration {
        self.deadline(step).saturating_duration_since(now + self.lead())
    }

    fn lead(&self) -> Duration {
        (self.cost + MARGIN).min(MAX_LEAD)
    }

    fn deadline(&self, step: u64) -> Instant {
        self.epoch + Duration::from_micros(step * STEP.as_micros() as u64)
    }

    /// The time was spent waiting.
    pub(super) fn waited(&mut self, time: Duration) {
        self.meter.waited += time;
    }

    /// The load since the last time this was asked, when that is at least `period` ago.
    pub(super) fn measure(&mut self, now: Instant, period: Duration) -> Option<Load> {
        let span = now.saturating_duration_since(self.meter.since);
        if span < period {
            return None;
        }
        let Meter { waited, packets, late, .. } = std::mem::replace(&mut self.meter, Meter::new(now));
        let busy = (1.0 - waited.as_secs_f64() / span.as_secs_f64().max(1e-9)).clamp(0.0, 1.0);
        let late = late as f64 / packets.max(late).max(1) as f64;
        let load = Load { busy, late, beating: self.calls.beating() };
        self.gauge.set_load(&load);
        Some(load)
    }

    /// Nobody beats: there is no load until somebody does.
    pub(super) fn rest(&mut self) {
        self.gauge.set_load(&Load::default());
    }

    pub(super) fn end_rest(&mut self) {
        self.meter = Meter::new(now());
    }

    /// Prepares and sends what is due in `step`.
    pub(super) fn serve(&mut self, step: u64) {
        let (deadline, start) = (self.deadline(step), now());
        if start > deadline + FRAME {
            return self.skip_to(start);
        }
        let sampled = self.prepare(step, start.saturating_duration_since(deadline));
        let ready = now();
        self.cost = (ready - start).max(self.cost.mul_f64(0.99));
        let start = sleep_until(deadline, ready);
        self.meter.waited += start - ready;
        self.send(step, deadline, start, sampled);
        self.clear();
        self.step = step + 1;
    }

    /// Returns what it cost for the call that is measured in this step.
    fn prepare(&mut self, step: u64, late: Duration) -> Duration {
        let (places, calls) = self.calls.in_phase(step);
        let packets = &mut self.packets[..places.len()];
        let sample = sample(step, places.len());
        let (mut beats, mut sampled) = (0, Duration::ZERO);
        for (n, place) in places.iter().enumerate() {
            for ahead in 1..=hint::STEPS {
                if let Some(call) = places.get(n + ahead).and_then(|next| calls[*next].as_mut()) {
                    call.prefetch(hint::STEPS - ahead);
                }
            }
            let Some(call) = &mut calls[*place] else { continue };
            if !call.rhythm.is_due(step) {
                continue;
            }
            // Its next beat has come already: two packets at once would be a burst.
            if late >= STEP * call.rhythm.every() as u32 {
                self.meter.late += 1;
                self.counters.late.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            beats += 1;
            let start = (n == sample).then(now);
            match guard(|| call.prepare(step, &mut packets[n])) {
                Some(false) => {}
                Some(true) => self.rested.push(*place),
                None => self.failed.push(*place),
            }
            if let Some(start) = start {
                sampled = now() - start;
            }
        }
        self.counters.beats.fetch_add(beats, Ordering::Relaxed);
        sampled
    }

    fn send(&mut self, step: u64, deadline: Instant, start: Instant, sampled: Duration) {
        let (places, calls) = self.calls.in_phase(step);
        let (mut packets, mut late, mut worst) = (0, 0, Duration::ZERO);
        let mut last = start;
        for (places, prepared) in places.chunks(GLANCE).zip(self.packets.chunks_mut(GLANCE)) {
            let mut sent = 0;
            for (place, packet) in places.iter().zip(prepared) {
                let Some(call) = &mut calls[*place] else { continue };
                match guard(|| call.send(packet)) {
                    Some(packets) => sent += packets,
                    None => self.failed.push(*place),
                }
            }
            last = now();
            if sent > 0 {
                worst = worst.max(last.saturating_duration_since(deadline));
                packets += sent;
                late += if last.saturating_duration_since(deadline) > LATE { sent } else { 0 };
            }
        }
        if let Some(place) = places.get(sample(step, places.len()))
            && let Some(call) = &mut calls[*place]
        {
            // Sending costs about the same for all.
            call.measured(sampled + (last - start) / places.len() as u32);
        }
        self.meter.packets += packets;
        self.counters.packets.fetch_add(packets, Ordering::Relaxed);
        self.count_late(late, worst);
    }

    fn count_late(&mut self, packets: u64, worst: Duration) {
        self.meter.late += packets;
        if packets > 0 {
            self.counters.late.fetch_add(packets, Ordering::Relaxed);
        }
        self.counters.worst_micros.fetch_max(worst.as_micros() as u64, Ordering::Relaxed);
    }

    /// Lets go of calls that rest or have failed.
    fn clear(&mut self) {
        if self.rested.is_empty() && self.failed.is_empty() {
            return;
        }
        while let Some(place) = self.rested.pop() {
            self.calls.unlist(place);
        }
        while let Some(place) = self.failed.pop() {
            self.fail(place);
        }
        self.count_calls();
    }

    /// Removes a call that panicked: nothing that it says can be relied on any more.
    fn fail(&mut self, place: usize) {
        if let Some(call) = self.calls.take(place) {
            call.retire();
        }
    }

    /// Leaves beats out after a long delay of the machine.
    fn skip_to(&mut self, now: Instant) {
        let current = self.step_at(now);
        let (rounds, rest) = ((current - self.step) / PHASES as u64, (current - self.step) % PHASES as u64);
        let skipped = |step: u64| {
            let times = rounds + u64::from((step - self.step) < rest);
            times * self.calls.count(step) as u64
        };
        let skipped = (self.step..self.step + PHASES as u64).map(skipped).sum();
        self.count_late(skipped, FRAME);
        self.step = current.max(self.step + 1);
    }

    /// The step that is going on.
    fn step_at(&self, time: Instant) -> u64 {
        (time.saturating_duration_since(self.epoch).as_micros() / STEP.as_micros()) as u64
    }

    /// The first step that can still be prepared in time.
    fn soonest(&self) -> u64 {
        (self.step_at(now() + self.lead()) + 1).max(self.step)
    }

    /// Takes in a call, new or from another thread; one that beats goes on where it would have.
    pub(super) fn enter(&mut self, call: Box<Call>) {
        let place = self.calls.insert(call);
        if let Some(call) = self.calls.get_mut(place).filter(|call| !call.is_resting()) {
            let due = call.rhythm.due();
            let every = call.rhythm.every();
            let soonest = self.soonest();
            // A load that is measured with it for a part of the time only would be too low.
            self.meter = Meter::new(now());
            if due < soonest {
                // On its way it missed its deadline: it gets another soon, not after another beat.
                let start = self.calls.quietest(soonest, every);
                let lag = STEP.saturating_mul(u32::try_from(start - due).unwrap_or(u32::MAX));
                self.count_late(u64::from(lag > LATE), lag);
                self.start(place, start);
            } else {
                self.start(place, due);
            }
        }
        self.count_calls();
    }

    /// Lets a call go, to another thread.
    pub(super) fn leave(&mut self, key: u64) -> Option<Box<Call>> {
        let call = self.calls.find(key).and_then(|place| self.calls.take(place));
        self.count_calls();
        call
    }

    /// Passes on what is said to one of its calls.
    pub(super) fn tell(&mut self, key: u64, word: Word) {
        let Some(place) = self.calls.find(key) else { return };
        if let Word::Leave = word {
            if let Some(call) = self.calls.take(place) {
                call.retire();
            }
            return self.count_calls();
        }
        let Some(call) = self.calls.get_mut(place) else { return };
        match guard(|| call.hear(word)) {
            Some(true) => {
                self.keep_time(place);
                self.wake(place);
            }
            Some(false) => {}
            None => {
                self.fail(place);
                self.count_calls();
            }
        }
    }

    /// Follows a call whose frames have another length now.
    fn keep_time(&mut self, place: usize) {
        let Some(call) = self.calls.get_mut(place) else { return };
        let (mut rhythm, listed) = (call.rhythm, call.listed);
        if rhythm.change(call.beat()) {
            self.calls.unlist(place);
            if let Some(call) = self.calls.get_mut(place) {
                call.rhythm = rhythm;
            }
            if listed {
                self.list(place);
            }
        }
    }

    /// Lets a call beat, in the phases of its rhythm.
    fn list(&mut self, place: usize) {
        self.calls.list(place);
        // Room is made here, so that no beat has to.
        let crowd = self.calls.crowd();
        if self.packets.len() < crowd {
            self.packets.resize(crowd, [0; PACKET]);
        }
    }

    /// Lets a resting call beat again, from the next deadline on at which not more is to be done than at others.
    fn wake(&mut self, place: usize) {
        let Some(call) = self.calls.get_mut(place).filter(|call| call.rouse()) else { return };
        let every = call.rhythm.every();
        let start = self.calls.quietest(self.soonest(), every);
        self.start(place, start);
        self.count_calls();
    }

    /// Lets a call beat from `step` on, which is at least [`soonest`](Self::soonest).
    fn start(&mut self, place: usize, step: u64) {
        // Nobody beat in the steps since.
        let next = self.next_step().map_or(step, |next| next.min(step));
        self.step = self.step.max(next);
        if let Some(call) = self.calls.get_mut(place) {
            call.rhythm.start(step);
        }
        self.list(place);
    }

    fn count_calls(&self) {
        self.gauge.set_calls(self.calls.len(), self.calls.beating());
    }
}

/// Which call of a phase is measured in this step: each gets its turn.
fn sample(step: u64, calls: usize) -> usize {
    (step / PHASES as u64) as usize % calls.max(1)
}

/// Runs what concerns one call only. A panic in it, which is a bug of ours or of a waker of the application, ends the call and
/// no other one.
fn guard<T>(code: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(code)) {
        Ok(done) => Some(done),
        Err(panic) => {
            // The hook has printed it; dropping it could be code of the application.
            std::mem::forget(panic);
            None
        }
    }
}

/// Returns when that was.
#[expect(clippy::disallowed_methods, reason = "the clock thread is the one that sleeps")]
fn sleep_until(deadline: Instant, from: Instant) -> Instant {
    match deadline.checked_duration_since(from) {
        Some(wait) if !wait.is_zero() => {
            std::thread::sleep(wait);
            now()
        }
        _ => from,
    }
}
