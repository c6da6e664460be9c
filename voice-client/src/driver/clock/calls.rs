use std::collections::HashMap;

use super::call::Call;
use super::rhythm::{PHASES, phase};

/// The calls of a clock thread, and in which phases they beat.
pub(super) struct Calls {
    slots: Vec<Option<Box<Call>>>,
    free: Vec<usize>,
    /// Where the call of a key is. Asked for messages only, not for beats.
    places: HashMap<u64, usize>,
    /// Places of the calls that beat in each phase, resting ones excluded.
    phases: [Vec<usize>; PHASES],
    beating: usize,
}

impl Calls {
    pub(super) fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            places: HashMap::new(),
            phases: std::array::from_fn(|_| Vec::new()),
            beating: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// How many do not rest.
    pub(super) fn beating(&self) -> usize {
        self.beating
    }

    pub(super) fn find(&self, key: u64) -> Option<usize> {
        self.places.get(&key).copied()
    }

    pub(super) fn get_mut(&mut self, place: usize) -> Option<&mut Call> {
        self.slots.get_mut(place)?.as_deref_mut()
    }

    /// Takes a call in, which does not beat yet; returns its place.
    pub(super) fn insert(&mut self, call: Box<Call>) -> usize {
        let key = call.key;
        let place = self.free.pop().unwrap_or(self.slots.len());
        if place == self.slots.len() {
            self.slots.push(None);
        }
        self.slots[place] = Some(call);
        self.places.insert(key, place);
        place
    }

    /// Lets a call go.
    pub(super) fn take(&mut self, place: usize) -> Option<Box<Call>> {
        self.unlist(place);
        let call = self.slots.get_mut(place)?.take()?;
        self.places.remove(&call.key);
        self.free.push(place);
        Some(call)
    }

    /// Lets a call beat, in the phases of its rhythm.
    pub(super) fn list(&mut self, place: usize) {
        let Some(call) = self.slots.get_mut(place).and_then(Option::as_mut).filter(|call| !call.listed) else { return };
        call.listed = true;
        for phase in call.rhythm.phases() {
            self.phases[phase].push(place);
        }
        self.beating += 1;
    }

    /// Lets a call beat no more.
    pub(super) fn unlist(&mut self, place: usize) {
        let Some(call) = self.slots.get_mut(place).and_then(Option::as_mut).filter(|call| call.listed) else { return };
        call.listed = false;
        for phase in call.rhythm.phases() {
            self.phases[phase].retain(|other| *other != place);
        }
        self.beating -= 1;
    }

    /// The calls that beat in the phase of this step: where they are, and all calls.
    pub(super) fn in_phase(&mut self, step: u64) -> (&[usize], &mut [Option<Box<Call>>]) {
        (&self.phases[phase(step)], &mut self.slots)
    }

    /// How many calls beat in the phase of this step.
    pub(super) fn count(&self, step: u64) -> usize {
        self.phases[phase(step)].len()
    }

    /// The next step, from this one on, in whose phase somebody beats.
    pub(super) fn next_step(&self, from: u64) -> Option<u64> {
        (from..from + PHASES as u64).find(|step| self.count(*step) > 0)
    }

    /// The step, from this one on, in whose phases the fewest calls beat; of several the first.
    pub(super) fn quietest(&self, from: u64, every: u64) -> u64 {
        let crowd =
            |step: u64| (step..step + PHASES as u64).step_by(every as usize).map(|it| self.count(it)).sum::<usize>();
        (from..from + every).min_by_key(|step| crowd(*step)).unwrap_or(from)
    }

    /// Calls to give away, evenly from all phases, that together make up for `excess`, with the share of a core that each
    /// costs; all but one at most. `busy` is what all of them cost.
    pub(super) fn offer(&self, excess: f64, busy: f64) -> Vec<(u64, f64)> {
        let mean = busy / self.beating.max(1) as f64;
        let mut offer = Vec::new();
        let (mut left, mut taken) = (excess, vec![false; self.slots.len()]);
        let longest = self.phases.iter().map(Vec::len).max().unwrap_or(0);
        for row in 0..longest {
            for phase in &self.phases {
                if left <= 0.0 || offer.len() + 1 >= self.beating {
                    return offer;
                }
                let Some(place) = phase.get(row).filter(|place| !taken[**place]) else { continue };
                let Some(call) = &self.slots[*place] else { continue };
                taken[*place] = true;
                let cost = call.share().unwrap_or(mean);
                left -= cost;
                offer.push((call.key, cost));
            }
        }
        offer
    }
}
