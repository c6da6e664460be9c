use std::collections::HashMap;
use std::sync::atomic::Ordering;

use tokio::sync::mpsc::UnboundedSender as Sender;

use super::balance::{Balance, Load};
use super::call::{Call, Word};
use super::desk::Desk;
use super::gauge::Gauge;
use super::thread::{Message, Setup, start_branch};
use std::sync::Arc;

/// What the home thread knows beyond its own calls: the other threads, and which calls they have.
///
/// All that is said to calls arrives here, and goes on in order to where they are. A call moves in three steps: from now on what
/// is said to it is held here; its thread, which has by then heard all that was said before, gives it back; it goes on to its new
/// thread, and what was held after it. Nothing is lost, said twice, or overtaken.
pub(super) struct Home {
    setup: Setup,
    /// Its own address, for others.
    address: Sender<Message>,
    branches: Vec<Branch>,
    /// Calls that are elsewhere.
    routes: HashMap<u64, Route>,
    last_id: usize,
    /// No call will be added any more.
    closed: bool,
}

/// Another thread.
struct Branch {
    id: usize,
    messages: Sender<Message>,
    gauge: Arc<Gauge>,
}

/// Where a call is that is not at home.
enum Route {
    There(usize),
    /// It was asked back, to go on to this thread; no such thread is home itself.
    Moving {
        to: Option<usize>,
        held: Vec<Word>,
    },
}

impl Home {
    pub(super) fn new(setup: Setup, address: Sender<Message>) -> Self {
        Self { setup, address, branches: Vec::new(), routes: HashMap::new(), last_id: 0, closed: false }
    }

    pub(super) fn balance(&self) -> &Balance {
        &self.setup.balance
    }

    /// No call will be added any more.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    /// Whether there is nothing left to do, ever.
    pub(super) fn is_over(&self, desk: &Desk) -> bool {
        self.closed && self.routes.is_empty() && desk.calls.len() == 0
    }

    /// Passes on what is said to a call, to wherever it is.
    pub(super) fn tell(&mut self, desk: &mut Desk, key: u64, word: Word) {
        match self.routes.get_mut(&key) {
            None => desk.tell(key, word),
            Some(Route::Moving { held, .. }) => held.push(word),
            Some(Route::There(id)) => {
                let id = *id;
                if let Word::Leave = word {
                    self.routes.remove(&key);
                }
                if let Some(branch) = self.branches.iter().find(|branch| branch.id == id) {
                    let _ = branch.messages.send(Message::Tell { key, word });
                }
            }
        }
    }

    /// Gives calls of its own away, when there is more to do than it should have.
    pub(super) fn measured(&mut self, desk: &mut Desk, load: &Load) {
        if let Some(excess) = self.setup.balance.excess(load) {
            let offer = desk.calls.offer(excess, load.busy);
            for (key, to) in self.place(desk, None, &offer) {
                if let (Some(to), Some(call)) = (to, desk.leave(key)) {
                    self.send(desk, to, call);
                }
            }
        }
    }

    /// Finds places for calls that another thread offers, and asks them back.
    pub(super) fn offered(&mut self, desk: &mut Desk, from: usize, offer: &[(u64, f64)]) {
        if !self.branches.iter().any(|branch| branch.id == from) {
            return;
        }
        let mut keys = Vec::new();
        for (key, to) in self.place(desk, Some(from), offer) {
            // It may have left, or moved, since it was offered.
            if let Some(route @ Route::There(_)) = self.routes.get_mut(&key) {
                *route = Route::Moving { to, held: Vec::new() };
                keys.push(key);
            }
        }
        if let Some(branch) = self.branches.iter().find(|branch| branch.id == from).filter(|_| !keys.is_empty()) {
            let _ = branch.messages.send(Message::Recall { keys, end: false });
        }
    }

    /// Where offered calls go that had better move; `None` is home. Starts threads for them.
    fn place(&mut self, desk: &Desk, from: Option<usize>, offer: &[(u64, f64)]) -> Vec<(u64, Option<usize>)> {
        let from = self.branches.iter().position(|branch| Some(branch.id) == from).map_or(0, |branch| branch + 1);
        let gauges = || std::iter::once(&desk.gauge).chain(self.branches.iter().map(|branch| &branch.gauge));
        let busy: Vec<f64> = gauges().map(|gauge| gauge.busy()).collect();
        let costs: Vec<f64> = offer.iter().map(|(_, cost)| *cost).collect();
        let places = self.setup.balance.place(from, &busy, &costs, self.setup.max);
        let wanted = places.iter().flatten().max().copied().unwrap_or(0);
        while self.branches.len() < wanted && self.start(desk) {}
        let placed = offer.iter().zip(places).filter_map(|((key, cost), place)| {
            let place = place?;
            if place == 0 {
                desk.gauge.expect(*cost);
                return Some((*key, None));
            }
            // Without the thread that was wanted, calls stay where they are.
            let branch = self.branches.get(place - 1)?;
            branch.gauge.expect(*cost);
            Some((*key, Some(branch.id)))
        });
        placed.collect()
    }

    fn start(&mut self, desk: &Desk) -> bool {
        let id = self.last_id + 1;
        match start_branch(id, &self.setup, self.address.clone()) {
            Ok((messages, gauge)) => {
                desk.counters.enlist(&gauge);
                self.branches.push(Branch { id, messages, gauge });
                self.last_id = id;
                true
            }
            Err(error) => {
                // Calls go on where they are.
                tracing::warn!(%error, "no further clock thread");
                self.setup.max = self.branches.len() + 1;
                false
            }
        }
    }

    /// Another thread gave a call back that was asked for, unless it had none of that key any more.
    pub(super) fn returned(&mut self, desk: &mut Desk, key: u64, call: Option<Box<Call>>) {
        let Some(Route::Moving { to, held }) = self.routes.remove(&key) else { return };
        let Some(call) = call else { return };
        match to {
            Some(to) => self.send(desk, to, call),
            None => self.bring_home(desk, call),
        }
        for word in held {
            self.tell(desk, key, word);
        }
    }

    fn send(&mut self, desk: &mut Desk, to: usize, call: Box<Call>) {
        let key = call.key;
        let Some(branch) = self.branches.iter().find(|branch| branch.id == to) else {
            return self.bring_home(desk, call);
        };
        match branch.messages.send(Message::Join { call }) {
            Ok(()) => {
                self.routes.insert(key, Route::There(to));
                desk.counters.moved.fetch_add(1, Ordering::Relaxed);
            }
            Err(unsent) => {
                if let Message::Join { call } = unsent.0 {
                    self.bring_home(desk, call);
                }
            }
        }
    }

    fn bring_home(&self, desk: &mut Desk, call: Box<Call>) {
        desk.enter(call);
        desk.counters.moved.fetch_add(1, Ordering::Relaxed);
    }

    /// Another thread had little to do for long: ends it, when its calls find room at home.
    pub(super) fn quiet(&mut self, desk: &Desk, id: usize) {
        let Some(index) = self.branches.iter().position(|branch| branch.id == id) else { return };
        if !self.setup.balance.ends(self.branches[index].gauge.busy(), desk.gauge.busy()) {
            return;
        }
        let branch = self.branches.swap_remove(index);
        let mut keys = Vec::new();
        for (key, route) in &mut self.routes {
            match route {
                Route::There(there) if *there == id => {
                    *route = Route::Moving { to: None, held: Vec::new() };
                    keys.push(*key);
                }
                // One that is on its way back gets no further than home, where it was to go on to.
                Route::Moving { to, .. } if *to == Some(id) => *to = None,
                _ => {}
            }
        }
        desk.counters.strike_off(&branch.gauge);
        let _ = branch.messages.send(Message::Recall { keys, end: true });
    }
}
