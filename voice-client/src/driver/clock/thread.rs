use std::collections::HashMap;
use std::io;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mixer::TrackId;
use model::FRAME;
use tokio::sync::oneshot;

use super::Counters;
use super::call::Call;
use crate::driver::time::now;
use crate::media::{Command, Update};
use crate::stats::Sent;

/// Deadlines per period. With 20 to 40 a thread holds thousands of calls; with one, most of them are late.
const PHASES: usize = 40;
/// Time between two phases.
const STEP: Duration = Duration::from_micros(500);
/// How long before the deadline preparing starts, beyond what it costs.
const MARGIN: Duration = Duration::from_micros(300);
/// Most time that preparing is given.
const MAX_LEAD: Duration = Duration::from_millis(10);
/// A packet sent later than this after its deadline is late.
const LATE: Duration = Duration::from_millis(2);

/// What a clock thread is told; `key` says of which call.
pub(super) enum Message {
    Join { key: u64, call: Box<Call> },
    Socket { key: u64, socket: Arc<UdpSocket> },
    Update { key: u64, update: Update },
    Command { key: u64, command: Command },
    Wake { key: u64 },
    Position { key: u64, id: TrackId, reply: oneshot::Sender<Option<Duration>> },
    Figures { key: u64, reply: oneshot::Sender<Sent> },
    Leave { key: u64 },
}

/// A clock thread, from outside. It ends with its last call, when nobody can bring it another one.
pub(super) struct Thread {
    messages: Sender<Message>,
    population: Arc<AtomicUsize>,
    handle: JoinHandle<()>,
}

impl Thread {
    pub(super) fn start(index: usize, counters: Arc<Counters>) -> io::Result<Self> {
        let (messages, inbox) = channel();
        let population = Arc::new(AtomicUsize::new(0));
        let state = State {
            inbox,
            epoch: now(),
            calls: HashMap::new(),
            phases: std::array::from_fn(|_| Vec::new()),
            counters,
            population: population.clone(),
            step: 0,
            cost: Duration::ZERO,
        };
        let handle = thread::Builder::new().name(format!("voice-clock-{index}")).spawn(move || state.run())?;
        Ok(Self { messages, population, handle })
    }

    pub(super) fn is_alive(&self) -> bool {
        !self.handle.is_finished()
    }

    pub(super) fn calls(&self) -> usize {
        self.population.load(Ordering::Relaxed)
    }

    /// Gives it a call; returns where messages about it go.
    pub(super) fn join(&self, key: u64, call: Box<Call>) -> Sender<Message> {
        self.population.fetch_add(1, Ordering::Relaxed);
        let _ = self.messages.send(Message::Join { key, call });
        self.messages.clone()
    }
}

struct State {
    inbox: Receiver<Message>,
    epoch: Instant,
    calls: HashMap<u64, Box<Call>>,
    /// Keys of the calls that beat in each phase, resting ones excluded.
    phases: [Vec<u64>; PHASES],
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
            match self.inbox.recv_timeout(deadline.saturating_duration_since(now() + self.lead())) {
                Ok(message) => {
                    self.handle(message);
                    continue;
                }
                Err(RecvTimeoutError::Timeout) => {}
                // Every call says goodbye before its last handle goes.
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if now() > deadline + FRAME {
                self.skip_to_now();
                continue;
            }
            self.prepare(step);
            sleep_until(deadline);
            self.send(step, deadline);
            self.step = step + 1;
        }
    }

    fn lead(&self) -> Duration {
        (self.cost + MARGIN).min(MAX_LEAD)
    }

    fn deadline(&self, step: u64) -> Instant {
        self.epoch + Duration::from_micros(step * STEP.as_micros() as u64)
    }

    /// The step that is going on.
    fn current_step(&self) -> u64 {
        (now().saturating_duration_since(self.epoch).as_micros() / STEP.as_micros()) as u64
    }

    /// The next step in whose phase somebody beats.
    fn next_step(&self) -> Option<u64> {
        (self.step..self.step + PHASES as u64).find(|step| !self.phases[phase(*step)].is_empty())
    }

    /// Leaves beats out after a long delay of the machine.
    fn skip_to_now(&mut self) {
        let current = self.current_step();
        for step in self.step..current {
            self.count_late(self.phases[phase(step)].len() as u64, FRAME);
        }
        self.step = current.max(self.step + 1);
    }

    fn prepare(&mut self, step: u64) {
        let start = now();
        let beat = step / PHASES as u64;
        for key in &self.phases[phase(step)] {
            if let Some(call) = self.calls.get_mut(key) {
                call.prepare(beat);
            }
        }
        let cost = now() - start;
        self.cost = cost.max(self.cost.mul_f64(0.99));
    }

    fn send(&mut self, step: u64, deadline: Instant) {
        let mut packets = 0;
        for key in &self.phases[phase(step)] {
            if let Some(call) = self.calls.get_mut(key) {
                packets += call.send();
                call.report();
            }
        }
        let calls = &self.calls;
        self.phases[phase(step)].retain(|key| calls.get(key).is_some_and(|call| !call.is_resting()));
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
            Message::Join { key, mut call } => {
                call.phase = self.quietest_phase();
                call.beat = self.current_step() / PHASES as u64;
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
            Message::Wake { key } => self.wake(key),
            Message::Position { key, id, reply } => {
                let position = self.calls.get(&key).and_then(|call| call.outbound.position(id));
                let _ = reply.send(position);
            }
            Message::Figures { key, reply } => {
                if let Some(call) = self.calls.get(&key) {
                    let _ = reply.send(call.outbound.sent());
                }
            }
            Message::Leave { key } => {
                if let Some(call) = self.calls.remove(&key) {
                    self.phases[call.phase].retain(|other| *other != key);
                    self.population.fetch_sub(1, Ordering::Relaxed);
                    call.retire();
                }
            }
        }
    }

    fn quietest_phase(&self) -> usize {
        let mut population = [0_usize; PHASES];
        for call in self.calls.values() {
            population[call.phase] += 1;
        }
        (0..PHASES).min_by_key(|phase| population[*phase]).unwrap_or(0)
    }

    /// Lets a resting call beat again, from the next deadline of its phase on.
    fn wake(&mut self, key: u64) {
        let Some(call) = self.calls.get(&key).filter(|call| call.rouse()) else { return };
        // Nobody beat in the steps since; a phase that lies among them waits for its next turn.
        let ahead = now() + self.lead();
        let reachable = (ahead.saturating_duration_since(self.epoch).as_micros() / STEP.as_micros()) as u64 + 1;
        let reachable = self.next_step().map_or(reachable, |next| next.min(reachable));
        self.step = self.step.max(reachable);
        self.phases[call.phase].push(key);
    }
}

fn phase(step: u64) -> usize {
    (step % PHASES as u64) as usize
}

#[expect(clippy::disallowed_methods, reason = "the clock thread is the one that sleeps")]
fn sleep_until(deadline: Instant) {
    if let Some(wait) = deadline.checked_duration_since(now()) {
        thread::sleep(wait);
    }
}
