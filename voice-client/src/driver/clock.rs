//! The clock threads: each beats for many calls, every 20 ms, at absolute deadlines.
//!
//! Deadlines of the calls of a thread are spread over the 20 ms in [`PHASES`] steps. A packet is prepared shortly
//! before its deadline and sent on it. A thread that comes too late skips beats; it never bursts. Calls with nothing
//! to send rest: they cost no beat.

use std::collections::HashMap;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use model::FRAME;
use tokio::sync::{mpsc, oneshot};

use super::udp::now;
use crate::media::{Command, Notice, Outbound, Prepared, Removed, Update};
use crate::stats::Sent;
use crate::track::TrackId;

/// Deadlines per period. With 20 to 40 a thread holds thousands of calls; with one, most of them are late.
const PHASES: u64 = 40;
/// Time between two phases.
const STEP: Duration = Duration::from_micros(500);
/// How long before the deadline preparing starts, beyond what it costs.
const MARGIN: Duration = Duration::from_micros(300);
/// Most time that preparing is given.
const MAX_LEAD: Duration = Duration::from_millis(10);
/// A packet sent later than this after its deadline is late.
const LATE: Duration = Duration::from_millis(2);

/// All clock threads of a client; each is started when it is first needed.
pub(crate) struct Clock {
    threads: Mutex<Vec<Thread>>,
    max: usize,
    next_key: AtomicU64,
    counters: Arc<Counters>,
}

struct Thread {
    messages: Sender<Message>,
    calls: Arc<AtomicUsize>,
}

/// Figures of all clock threads of a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClockStats {
    /// Packets sent.
    pub packets: u64,
    /// Packets that left more than 2 ms after their call's deadline, skipped beats included.
    pub late: u64,
    /// The latest one.
    pub worst: Duration,
}

#[derive(Default)]
struct Counters {
    packets: AtomicU64,
    late: AtomicU64,
    worst_micros: AtomicU64,
}

/// One call's place on a clock thread. Dropping it changes nothing; see [`Beat::remove`].
#[derive(Clone)]
pub(crate) struct Beat {
    messages: Sender<Message>,
    key: u64,
    resting: Arc<AtomicBool>,
}

enum Message {
    Add { key: u64, call: Box<Call> },
    Socket { key: u64, socket: Arc<UdpSocket> },
    Update { key: u64, update: Update },
    Command { key: u64, command: Command },
    Position { key: u64, id: TrackId, reply: oneshot::Sender<Option<Duration>> },
    Figures { key: u64, reply: oneshot::Sender<Sent> },
    Wake { key: u64 },
    Remove { key: u64, reply: oneshot::Sender<Sent> },
}

/// What a clock thread knows of a call.
struct Call {
    outbound: Outbound,
    socket: Option<Arc<UdpSocket>>,
    notices: mpsc::UnboundedSender<Notice>,
    phase: u64,
    /// The beat in which it was last prepared.
    beat: u64,
    prepared: Option<usize>,
    /// No beat is needed. Shared with handles that push packets, who end the rest.
    resting: Arc<AtomicBool>,
    farewelled: bool,
    exhausted: bool,
}

impl Clock {
    pub(crate) fn new(max: usize) -> Self {
        Self { threads: Mutex::default(), max: max.max(1), next_key: AtomicU64::new(0), counters: Arc::default() }
    }

    /// Gives a call to the thread with the fewest calls.
    pub(crate) fn add(&self, outbound: Outbound, notices: mpsc::UnboundedSender<Notice>) -> Beat {
        let key = self.next_key.fetch_add(1, Ordering::Relaxed);
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        if threads.len() < self.max && threads.iter().all(|thread| thread.calls.load(Ordering::Relaxed) > 0) {
            let thread = Thread::start(threads.len(), self.counters.clone());
            threads.push(thread);
        }
        let thread = threads
            .iter()
            .min_by_key(|thread| thread.calls.load(Ordering::Relaxed))
            .expect("invariant: max is at least 1, so there is a thread");
        thread.calls.fetch_add(1, Ordering::Relaxed);
        let resting = Arc::new(AtomicBool::new(true));
        let call = Box::new(Call {
            outbound,
            socket: None,
            notices,
            phase: 0,
            beat: 0,
            prepared: None,
            resting: resting.clone(),
            farewelled: false,
            exhausted: false,
        });
        let beat = Beat { messages: thread.messages.clone(), key, resting };
        beat.tell(Message::Add { key, call });
        beat
    }

    pub(crate) fn stats(&self) -> ClockStats {
        ClockStats {
            packets: self.counters.packets.load(Ordering::Relaxed),
            late: self.counters.late.load(Ordering::Relaxed),
            worst: Duration::from_micros(self.counters.worst_micros.load(Ordering::Relaxed)),
        }
    }
}

impl Thread {
    fn start(index: usize, counters: Arc<Counters>) -> Self {
        let (messages, inbox) = channel();
        let calls = Arc::new(AtomicUsize::new(0));
        let state = State {
            inbox,
            epoch: now(),
            calls: HashMap::new(),
            phases: std::array::from_fn(|_| Vec::new()),
            counters,
            population: calls.clone(),
            step: 0,
            cost: Duration::ZERO,
        };
        let name = format!("voice-clock-{index}");
        if let Err(error) = thread::Builder::new().name(name).spawn(move || state.run()) {
            tracing::error!(%error, "no clock thread: nothing will be sent");
        }
        Self { messages, calls }
    }
}

impl Beat {
    pub(crate) fn socket(&self, socket: Arc<UdpSocket>) {
        self.tell(Message::Socket { key: self.key, socket });
    }

    pub(crate) fn update(&self, update: Update) {
        self.tell(Message::Update { key: self.key, update });
    }

    pub(crate) fn command(&self, command: Command) {
        self.tell(Message::Command { key: self.key, command });
    }

    /// Ends the rest of a call that got a packet pushed into one of its sinks.
    pub(crate) fn wake(&self) {
        if self.resting.load(Ordering::SeqCst) {
            self.tell(Message::Wake { key: self.key });
        }
    }

    pub(crate) async fn position(&self, id: TrackId) -> Option<Duration> {
        let (reply, answer) = oneshot::channel();
        self.tell(Message::Position { key: self.key, id, reply });
        answer.await.ok().flatten()
    }

    pub(crate) async fn figures(&self) -> Option<Sent> {
        let (reply, answer) = oneshot::channel();
        self.tell(Message::Figures { key: self.key, reply });
        answer.await.ok()
    }

    /// Takes the call off the clock; resolves to its last figures.
    pub(crate) async fn remove(&self) -> Option<Sent> {
        let (reply, answer) = oneshot::channel();
        self.tell(Message::Remove { key: self.key, reply });
        answer.await.ok()
    }

    fn tell(&self, message: Message) {
        // Without a thread the call is over, and its handles find that out elsewhere.
        let _ = self.messages.send(message);
    }
}

struct State {
    inbox: Receiver<Message>,
    epoch: Instant,
    calls: HashMap<u64, Box<Call>>,
    /// Keys of the calls that beat in each phase, resting ones excluded.
    phases: [Vec<u64>; PHASES as usize],
    counters: Arc<Counters>,
    population: Arc<AtomicUsize>,
    /// The next step of time, counted from the epoch: `beat * PHASES + phase`.
    step: u64,
    /// What preparing one phase costs, at most and lately.
    cost: Duration,
}

impl State {
    fn run(mut self) {
        loop {
            while let Ok(message) = self.inbox.try_recv() {
                self.handle(message);
            }
            let Some(step) = self.next_step() else {
                match self.inbox.recv() {
                    Ok(message) => self.handle(message),
                    Err(_) => return,
                }
                continue;
            };
            let deadline = self.deadline(step);
            let lead = (self.cost + MARGIN).min(MAX_LEAD);
            match self.inbox.recv_timeout(deadline.saturating_duration_since(now() + lead)) {
                Ok(message) => {
                    self.handle(message);
                    continue;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) if self.calls.is_empty() => return,
                Err(RecvTimeoutError::Disconnected) => sleep_until(deadline.checked_sub(lead)),
            }
            if now() > deadline + FRAME {
                self.skip_to_now();
                continue;
            }
            self.prepare(step);
            sleep_until(Some(deadline));
            self.send(step, deadline);
            self.step = step + 1;
        }
    }

    fn deadline(&self, step: u64) -> Instant {
        self.epoch + Duration::from_micros(step * STEP.as_micros() as u64)
    }

    /// The next step in whose phase somebody beats.
    fn next_step(&self) -> Option<u64> {
        (self.step..self.step + PHASES).find(|step| !self.phases[(step % PHASES) as usize].is_empty())
    }

    /// Leaves beats out after a long delay of the machine.
    fn skip_to_now(&mut self) {
        let current = (now().saturating_duration_since(self.epoch).as_micros() / STEP.as_micros()) as u64;
        for step in self.step..current.max(self.step) {
            self.count_late(self.phases[(step % PHASES) as usize].len() as u64, FRAME);
        }
        self.step = current.max(self.step + 1);
    }

    fn prepare(&mut self, step: u64) {
        let start = now();
        let beat = step / PHASES;
        for key in &self.phases[(step % PHASES) as usize] {
            if let Some(call) = self.calls.get_mut(key) {
                let beats = u32::try_from(beat.saturating_sub(call.beat)).unwrap_or(u32::MAX).max(1);
                call.beat = beat;
                let prepared = call.outbound.prepare(beats);
                call.rest(prepared == Prepared::Rest);
                call.prepared = match prepared {
                    Prepared::Packet(len) => Some(len),
                    Prepared::Nothing | Prepared::Rest => None,
                };
            }
        }
        let cost = now() - start;
        self.cost = cost.max(self.cost.mul_f64(0.99));
    }

    fn send(&mut self, step: u64, deadline: Instant) {
        let phase = (step % PHASES) as usize;
        let mut packets = 0;
        for key in &self.phases[phase] {
            if let Some(call) = self.calls.get_mut(key) {
                packets += call.send();
                call.report();
            }
        }
        let calls = &self.calls;
        self.phases[phase].retain(|key| calls.get(key).is_some_and(|call| !call.resting.load(Ordering::SeqCst)));
        self.counters.packets.fetch_add(packets, Ordering::Relaxed);
        self.count_late(packets, now() - deadline);
    }

    fn count_late(&self, packets: u64, by: Duration) {
        if packets > 0 && by > LATE {
            self.counters.late.fetch_add(packets, Ordering::Relaxed);
        }
        if packets > 0 {
            self.counters.worst_micros.fetch_max(by.as_micros() as u64, Ordering::Relaxed);
        }
    }

    fn handle(&mut self, message: Message) {
        match message {
            Message::Add { key, mut call } => {
                call.phase = self.quietest_phase();
                self.calls.insert(key, call);
            }
            Message::Socket { key, socket } => {
                if let Some(call) = self.calls.get_mut(&key) {
                    call.socket = Some(socket);
                }
            }
            Message::Update { key, update } => {
                if let Some(call) = self.calls.get_mut(&key) {
                    call.outbound.update(&update);
                    call.report();
                    self.wake(key);
                }
            }
            Message::Command { key, command } => {
                if let Some(call) = self.calls.get_mut(&key) {
                    if let Some(removed) = call.outbound.command(command) {
                        call.dispose(removed);
                    }
                    self.wake(key);
                }
            }
            Message::Position { key, id, reply } => {
                let position = self.calls.get(&key).and_then(|call| call.outbound.position(id));
                let _ = reply.send(position);
            }
            Message::Figures { key, reply } => {
                if let Some(call) = self.calls.get(&key) {
                    let _ = reply.send(call.outbound.sent());
                }
            }
            Message::Wake { key } => self.wake(key),
            Message::Remove { key, reply } => {
                if let Some(call) = self.calls.remove(&key) {
                    self.phases[call.phase as usize].retain(|other| *other != key);
                    self.population.fetch_sub(1, Ordering::Relaxed);
                    let _ = reply.send(call.outbound.sent());
                    // Tracks are dropped elsewhere.
                    let _ = call.notices.clone().send(Notice::Dispose(Removed::Call(Box::new(call.outbound))));
                }
            }
        }
    }

    fn quietest_phase(&self) -> u64 {
        let mut population = [0_usize; PHASES as usize];
        for call in self.calls.values() {
            population[call.phase as usize] += 1;
        }
        (0..PHASES).min_by_key(|phase| population[*phase as usize]).unwrap_or(0)
    }

    /// Lets a resting call beat again, from the next deadline of its phase on.
    fn wake(&mut self, key: u64) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        if !call.resting.swap(false, Ordering::SeqCst) {
            return;
        }
        if self.phases.iter().all(Vec::is_empty) {
            // Nobody was beating: time has passed without steps.
            let lead = (self.cost + MARGIN).min(MAX_LEAD);
            let ahead = (now() + lead).saturating_duration_since(self.epoch);
            self.step = self.step.max((ahead.as_micros() / STEP.as_micros()) as u64 + 1);
        }
        self.phases[call.phase as usize].push(key);
    }
}

impl Call {
    fn rest(&self, rest: bool) {
        if rest {
            self.resting.store(true, Ordering::SeqCst);
            // A packet that was pushed just before saw no rest to end.
            if !self.outbound.is_idle() {
                self.resting.store(false, Ordering::SeqCst);
            }
        }
    }

    /// Sends what was prepared, and what follows in the same beat; returns how many packets left.
    fn send(&mut self) -> u64 {
        let mut packets = 0;
        while let Some(len) = self.prepared.take() {
            // WouldBlock, or an ICMP error of an earlier packet: this one is lost, the call goes on.
            let sent = self.socket.as_ref().is_some_and(|socket| socket.send(self.outbound.packet(len)).is_ok());
            packets += u64::from(sent);
            if let Prepared::Packet(len) = self.outbound.finish(sent) {
                self.prepared = Some(len);
            }
        }
        packets
    }

    /// Tells control what it wants to know.
    fn report(&mut self) {
        while let Some((id, ended, track)) = self.outbound.pop_ended() {
            let _ = self.notices.send(Notice::TrackEnded { id, ended, track: Box::new(track) });
        }
        if !self.farewelled && self.outbound.farewelled() {
            self.farewelled = true;
            let _ = self.notices.send(Notice::Farewelled);
        }
        if self.outbound.exhausted() != self.exhausted {
            self.exhausted = !self.exhausted;
            if self.exhausted {
                let _ = self.notices.send(Notice::KeyExhausted);
            }
        }
    }

    fn dispose(&self, removed: Removed) {
        let _ = self.notices.send(Notice::Dispose(removed));
    }
}

#[expect(clippy::disallowed_methods, reason = "the clock thread is the one that sleeps")]
fn sleep_until(deadline: Option<Instant>) {
    if let Some(wait) = deadline.and_then(|deadline| deadline.checked_duration_since(now())) {
        thread::sleep(wait);
    }
}
