use std::collections::HashMap;

use super::call::Call;
use super::rhythm::{PHASES, phase};

/// Calls that are given away at once: letting go of more would delay the others.
const MOST: usize = 500;

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

    /// How many beat in the phase that has the most.
    pub(super) fn crowd(&self) -> usize {
        self.phases.iter().map(Vec::len).max().unwrap_or(0)
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
    /// costs; [`MOST`] at most, and never all. `busy` is what all of them cost.
    pub(super) fn offer(&self, excess: f64, busy: f64) -> Vec<(u64, f64)> {
        let mean = busy / self.beating.max(1) as f64;
        let mut offer = Vec::new();
        let (mut left, mut taken) = (excess, vec![false; self.slots.len()]);
        let longest = self.phases.iter().map(Vec::len).max().unwrap_or(0);
        for row in 0..longest {
            for phase in &self.phases {
                if left <= 0.0 || offer.len() + 1 >= self.beating || offer.len() == MOST {
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;
    use std::time::Duration;

    use futures_channel::mpsc as post;
    use model::FRAME;

    use super::super::rhythm::Rhythm;
    use super::*;
    use crate::config::Config;
    use crate::media::{Outbound, OutboundSettings};

    const SHORT: Duration = Duration::from_millis(10);

    fn call(key: u64, step: u64, beat: Duration) -> Box<Call> {
        let outbound = Outbound::new(&OutboundSettings::from(&Config::default()));
        let mut call = Call::new(key, 0, outbound, post::unbounded().0, Arc::new(AtomicBool::new(false)));
        call.rhythm = Rhythm::new(step, beat);
        call
    }

    fn crowds(calls: &Calls) -> Vec<usize> {
        (0..PHASES as u64).map(|step| calls.count(step)).collect()
    }

    #[test]
    fn a_call_beats_in_one_phase_or_in_two_and_leaves_nothing_behind() {
        let mut calls = Calls::new();
        let long = calls.insert(call(1, 7, FRAME));
        let short = calls.insert(call(2, 87 + 20, SHORT));
        assert_eq!((calls.len(), calls.beating(), calls.next_step(0)), (2, 0, None));
        calls.list(long);
        calls.list(short);
        calls.list(short);
        assert_eq!((calls.count(7), calls.count(27), calls.beating()), (2, 1, 2));
        assert_eq!((calls.next_step(8), calls.next_step(28)), (Some(27), Some(47)));
        calls.unlist(short);
        calls.unlist(short);
        assert_eq!((calls.count(7), calls.count(27), calls.beating()), (1, 0, 1));
        assert!(calls.take(long).is_some() && calls.take(long).is_none());
        assert_eq!((calls.len(), calls.beating(), calls.next_step(0)), (1, 0, None));
        assert_eq!(calls.insert(call(3, 0, FRAME)), long, "its place is taken again");
        assert_eq!((calls.find(1), calls.find(2), calls.find(3)), (None, Some(short), Some(long)));
    }

    #[test]
    fn calls_fill_all_phases_evenly_and_the_first_one_starts_at_once() {
        let mut calls = Calls::new();
        for key in 0..3 * PHASES as u64 {
            let beat = if key % 3 == 0 { SHORT } else { FRAME };
            let mut call = call(key, 0, beat);
            let step = calls.quietest(1_000, call.rhythm.every());
            if key == 0 {
                assert_eq!(step, 1_000);
            }
            call.rhythm.start(step);
            let place = calls.insert(call);
            calls.list(place);
        }
        // Each third call has two phases.
        assert!(crowds(&calls).iter().all(|crowd| (3..=5).contains(crowd)), "{:?}", crowds(&calls));
    }

    #[test]
    fn calls_are_given_away_evenly_and_never_all() {
        let mut calls = Calls::new();
        for key in 0..1_200 {
            let place = calls.insert(call(key, key, FRAME));
            calls.list(place);
        }
        let offer = calls.offer(0.1, 0.6);
        assert!((200..=201).contains(&offer.len()), "a sixth of what all cost: {}", offer.len());
        for (key, _) in offer {
            let place = calls.find(key).unwrap();
            calls.take(place);
        }
        assert!(crowds(&calls).iter().all(|crowd| (24..=25).contains(crowd)), "{:?}", crowds(&calls));
        assert_eq!(calls.offer(1.0, 0.6).len(), MOST);
        let mut few = Calls::new();
        for key in 0..3 {
            let place = few.insert(call(key, 5 * key, SHORT));
            few.list(place);
        }
        let offer = few.offer(1.0, 0.6);
        assert_eq!(offer.len(), 2, "one stays, and none is offered twice: {offer:?}");
        assert_ne!(offer[0].0, offer[1].0);
    }
}
