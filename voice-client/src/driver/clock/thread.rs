use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver as Receiver, UnboundedSender as Sender, unbounded_channel as channel};

use super::balance::{Balance, Load};
use super::call::{Call, Word};
use super::desk::Desk;
use super::gauge::{Counters, Gauge};
use super::home::Home;
use super::inbox::{Inbox, Nothing};
use super::realtime::{self, Realtime};
use crate::driver::time::now;

/// Messages handled in a row before deadlines get their turn.
const BURST: usize = 64;

/// What a clock thread is told.
pub(super) enum Message {
    /// Take a call in.
    Join { call: Box<Call> },
    /// This is said to the call of that key.
    Tell { key: u64, word: Word },
    /// Home asks for calls; each is answered with `Returned`. The thread may have to end after that.
    Recall { keys: Vec<u64>, end: bool },
    /// To home: here is the call, if there is still one of that key.
    Returned { key: u64, call: Option<Box<Call>> },
    /// To home: this thread has too much to do, and would give these calls away, each with the share of a core that it costs.
    Offered { from: usize, offer: Vec<(u64, f64)> },
    /// To home: this thread had little to do for long.
    Quiet { from: usize },
    /// To home: no call will be added any more.
    Close,
}

/// What all clock threads of a client share, and are told once.
#[derive(Clone)]
pub(super) struct Setup {
    /// Most threads, home included.
    pub(super) max: usize,
    pub(super) balance: Balance,
    pub(super) realtime: bool,
    /// Where steps are counted from.
    pub(super) epoch: Instant,
    pub(super) counters: Arc<Counters>,
    /// Somebody has said that real-time priority was refused.
    pub(super) refused: Arc<AtomicBool>,
}

enum Role {
    Home(Home),
    Branch { id: usize, home: Sender<Message>, balance: Balance, quiet_since: Option<Instant> },
}

struct Thread {
    inbox: Inbox,
    role: Role,
    desk: Desk,
}

/// Starts the thread that all messages go to.
pub(super) fn start_home(setup: &Setup) -> io::Result<(Sender<Message>, JoinHandle<()>)> {
    let (address, inbox) = channel();
    let gauge = Arc::new(Gauge::default());
    setup.counters.enlist(&gauge);
    let role = Role::Home(Home::new(setup.clone(), address.clone()));
    match spawn(0, setup, inbox, role, gauge.clone()) {
        Ok(handle) => Ok((address, handle)),
        Err(error) => {
            setup.counters.strike_off(&gauge);
            Err(error)
        }
    }
}

/// Starts another thread.
pub(super) fn start_branch(
    id: usize,
    setup: &Setup,
    home: Sender<Message>,
) -> io::Result<(Sender<Message>, Arc<Gauge>)> {
    let (messages, inbox) = channel();
    let gauge = Arc::new(Gauge::default());
    let role = Role::Branch { id, home, balance: setup.balance, quiet_since: None };
    spawn(id, setup, inbox, role, gauge.clone())?;
    Ok((messages, gauge))
}

fn spawn(
    id: usize,
    setup: &Setup,
    messages: Receiver<Message>,
    role: Role,
    gauge: Arc<Gauge>,
) -> io::Result<JoinHandle<()>> {
    let Setup { realtime, epoch, counters, refused, .. } = setup.clone();
    Builder::new().name(format!("voice-clock-{id}")).spawn(move || {
        if realtime {
            gauge.set_realtime(ask(&refused));
        }
        Thread { inbox: Inbox::new(messages), role, desk: Desk::new(epoch, gauge, counters) }.run();
    })
}

fn ask(refused: &AtomicBool) -> Realtime {
    let answer = realtime::ask();
    if let Realtime::Refused(reason) = &answer
        && !refused.swap(true, Ordering::Relaxed)
    {
        tracing::warn!(%reason, "clock threads run without real-time priority");
    }
    answer
}

impl Thread {
    fn run(mut self) {
        loop {
            for _ in 0..BURST {
                match self.inbox.try_recv() {
                    Err(Nothing::Yet) => break,
                    message => {
                        if self.heard(message).is_break() {
                            return;
                        }
                    }
                }
            }
            let time = now();
            // What follows from it may take a while.
            let time = if self.judge(time) { now() } else { time };
            let Some(step) = self.desk.next_step() else {
                if self.rest().is_break() {
                    return;
                }
                continue;
            };
            let leisure = self.desk.leisure(step, time);
            if leisure.is_zero() {
                self.desk.serve(step);
                continue;
            }
            let message = self.inbox.recv(Some(leisure));
            self.desk.waited(now() - time);
            if self.heard(message).is_break() {
                return;
            }
        }
    }

    /// Nobody beats: waits for a message.
    fn rest(&mut self) -> ControlFlow<()> {
        self.desk.rest();
        let longest = match &self.role {
            Role::Home(_) => None,
            Role::Branch { balance, .. } => Some(balance.quiet_for),
        };
        let start = now();
        let message = self.inbox.recv(longest);
        self.desk.end_rest();
        if matches!(message, Err(Nothing::Yet)) && longest.is_some_and(|longest| now() >= start + longest) {
            self.say_quiet();
        }
        self.heard(message)
    }

    fn heard(&mut self, message: Result<Message, Nothing>) -> ControlFlow<()> {
        match message {
            Ok(message) => self.handle(message),
            Err(Nothing::Yet) => ControlFlow::Continue(()),
            Err(Nothing::Ever) => ControlFlow::Break(()),
        }
    }

    /// Looks at the load, once a period; whether it was time for that.
    fn judge(&mut self, time: Instant) -> bool {
        let period = match &self.role {
            Role::Home(home) => home.balance().period,
            Role::Branch { balance, .. } => balance.period,
        };
        let Some(load) = self.desk.measure(time, period) else { return false };
        match &mut self.role {
            Role::Home(home) => home.measured(&mut self.desk, &load),
            Role::Branch { id, home, balance, quiet_since } => {
                if let Some(excess) = balance.excess(&load) {
                    let offer = self.desk.calls.offer(excess, load.busy);
                    let _ = home.send(Message::Offered { from: *id, offer });
                }
                if is_quiet_for(quiet_since, &load, balance, time) >= balance.quiet_for {
                    self.say_quiet();
                }
            }
        }
        true
    }

    fn say_quiet(&mut self) {
        if let Role::Branch { id, home, quiet_since, .. } = &mut self.role {
            *quiet_since = None;
            let _ = home.send(Message::Quiet { from: *id });
        }
    }

    fn handle(&mut self, message: Message) -> ControlFlow<()> {
        let desk = &mut self.desk;
        match (&mut self.role, message) {
            (_, Message::Join { call }) => desk.enter(call),
            (Role::Home(home), message) => {
                match message {
                    Message::Tell { key, word } => home.tell(desk, key, word),
                    Message::Returned { key, call } => home.returned(desk, key, call),
                    Message::Offered { from, offer } => home.offered(desk, from, &offer),
                    Message::Quiet { from } => home.quiet(desk, from),
                    Message::Close => home.close(),
                    Message::Join { .. } | Message::Recall { .. } => {}
                }
                if home.is_over(desk) {
                    return ControlFlow::Break(());
                }
            }
            (Role::Branch { .. }, Message::Tell { key, word }) => desk.tell(key, word),
            (Role::Branch { home, .. }, Message::Recall { keys, end }) => {
                for key in keys {
                    let _ = home.send(Message::Returned { key, call: desk.leave(key) });
                }
                if end {
                    return ControlFlow::Break(());
                }
            }
            (Role::Branch { .. }, _) => {}
        }
        ControlFlow::Continue(())
    }
}

/// For how long the load has been low.
fn is_quiet_for(since: &mut Option<Instant>, load: &Load, balance: &Balance, time: Instant) -> Duration {
    if load.busy >= balance.quiet {
        *since = None;
        return Duration::ZERO;
    }
    time - *since.get_or_insert(time)
}
