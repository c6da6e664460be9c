//! Any operations in any order, with reports that come late, against the naive model.

use std::collections::HashSet;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::model::{Model, Slot};
use super::sim::{Sim, Tune, ms};
use crate::queue::{Back, Element, Entry, EntryId, Join, Low, Marker, QueueEvent, Remaining, Repeat};

const SEED: u64 = 4_711;
const HISTORY: usize = 6;

#[derive(Clone, Copy, Debug)]
enum Op {
    Add(Tune, Option<u64>, usize),
    Mark(usize),
    Move(usize, usize),
    Remove(usize),
    Shuffle(u64),
    Skip,
    SkipTo(usize),
    SkipToMarker,
    Back(Option<u64>),
    Clear,
    Stop,
    Pause(bool),
    Repeat(Repeat),
    Join(u64),
    Preload(u64),
    Low(Option<Low>),
    Seek(u64),
    /// The track's own handle is used.
    Halt(usize),
    Tick(usize),
    /// One report arrives.
    Hear,
    Deliver,
}

fn op() -> impl Strategy<Value = Op> {
    let tune = (0_u64..30, any::<bool>(), 0..4, 0..6).prop_map(|(len, told, once, broken)| Tune {
        len: len * 10,
        told,
        once: once == 0,
        broken: broken == 0,
    });
    let low = prop_oneof![(0_usize..4).prop_map(Low::Entries), (0_u64..900).prop_map(|left| Low::Left(ms(left)))];
    prop_oneof![
        6 => (tune, prop::option::of(0_u64..300), 0_usize..9).prop_map(|(tune, hint, at)| Op::Add(tune, hint, at)),
        1 => (0_usize..9).prop_map(Op::Mark),
        1 => (0_usize..9, 0_usize..9).prop_map(|(which, to)| Op::Move(which, to)),
        1 => (0_usize..9).prop_map(Op::Remove),
        1 => any::<u64>().prop_map(Op::Shuffle),
        2 => Just(Op::Skip),
        1 => (0_usize..9).prop_map(Op::SkipTo),
        1 => Just(Op::SkipToMarker),
        2 => prop::option::of(0_u64..300).prop_map(Op::Back),
        1 => prop_oneof![3 => Just(Op::Clear), 1 => Just(Op::Stop)],
        2 => prop_oneof![1 => Just(Op::Pause(true)), 2 => Just(Op::Pause(false))],
        2 => prop_oneof![Just(Repeat::Off), Just(Repeat::Track), Just(Repeat::Queue)].prop_map(Op::Repeat),
        1 => (0_u64..60).prop_map(Op::Join),
        1 => (0_u64..200).prop_map(Op::Preload),
        1 => prop::option::of(low).prop_map(Op::Low),
        1 => (0_u64..30).prop_map(|to| Op::Seek(to * 10)),
        1 => (0_usize..4).prop_map(Op::Halt),
        6 => (1_usize..20).prop_map(Op::Tick),
        4 => Just(Op::Hear),
        5 => Just(Op::Deliver),
    ]
}

struct Pair {
    sim: Sim,
    model: Model,
}

impl Pair {
    fn new() -> Self {
        let (mut sim, model) = (Sim::new(), Model::new(HISTORY));
        sim.machine.set_history(HISTORY);
        Self { sim, model }
    }

    /// One element of the queue, the current entry, or one that is nowhere.
    fn pick(&self, which: usize) -> u64 {
        let slots = &self.model.upcoming;
        slots.get(which).map(|slot| slot.id()).or(self.model.current.filter(|_| which.is_multiple_of(2))).unwrap_or(0)
    }

    fn apply(&mut self, op: Op) {
        let Self { sim, model } = self;
        let machine = &mut sim.machine;
        match op {
            Op::Add(tune, hint, at) => {
                let entry = hint.into_iter().fold(Entry::new(tune), |entry, hint| entry.duration(ms(hint)));
                let id = machine.insert(at, entry).0;
                assert!(model.tunes.insert(id, tune).is_none(), "no name is given twice");
                model.insert(at, Slot::Entry(id));
            }
            Op::Mark(at) => {
                let id = machine.insert_marker(at, Marker::new("")).0;
                model.insert(at, Slot::Marker(id));
            }
            Op::Move(which, to) => {
                let id = self.pick(which);
                assert_eq!(self.sim.machine.move_to(EntryId(id), to).is_ok(), self.model.move_to(id, to));
            }
            Op::Remove(which) => {
                let id = self.pick(which);
                assert_eq!(self.sim.machine.remove(EntryId(id)).is_ok(), self.model.remove(id));
            }
            Op::Shuffle(seed) => {
                machine.shuffle(seed);
                let before = std::mem::take(&mut model.upcoming);
                model.upcoming = machine.upcoming().iter().map(slot).collect();
                for (old, new) in before.iter().zip(&model.upcoming) {
                    assert!(old == new || matches!((old, new), (Slot::Entry(_), Slot::Entry(_))), "markers stay");
                }
                let sorted = |slots: &[Slot]| {
                    let mut ids: Vec<_> = slots.iter().map(|slot| slot.id()).collect();
                    ids.sort_unstable();
                    ids
                };
                assert_eq!(sorted(&before), sorted(&model.upcoming));
            }
            Op::Skip => {
                assert_eq!(machine.skip().map(|id| id.0), model.current);
                model.skip();
            }
            Op::SkipTo(which) => {
                let id = self.pick(which);
                assert_eq!(self.sim.machine.skip_to(EntryId(id)).is_ok(), self.model.skip_to(id));
            }
            Op::SkipToMarker => {
                let reached = machine.skip_to_marker().map(|(id, _)| id.0);
                assert_eq!(reached, model.skip_to_marker());
            }
            Op::Back(position) => {
                let back = position.map_or(Back::Previous, |_| Back::RestartAfter(ms(100)));
                let position = position.unwrap_or(0);
                let went = machine.back(back, ms(position)).ok().map(|id| id.0);
                let restart = position > 100 && model.current.is_some();
                assert_eq!(went, if restart { model.restart() } else { model.back() });
            }
            Op::Clear => {
                machine.clear();
                model.upcoming.clear();
            }
            Op::Stop => {
                machine.stop();
                model.stop();
            }
            Op::Pause(true) => machine.pause(),
            Op::Pause(false) => {
                machine.resume();
                model.resume();
            }
            Op::Repeat(repeat) => {
                machine.set_repeat(repeat);
                model.repeat = repeat;
            }
            Op::Join(0) => machine.set_join(Join::Gapless),
            Op::Join(overlap) => machine.set_join(Join::Crossfade(ms(overlap))),
            Op::Preload(preload) => machine.set_preload(ms(preload)),
            Op::Low(low) => machine.set_low(low),
            Op::Seek(to) => {
                if let Some((item, track)) = machine.current() {
                    // Not so far that nothing is left to be heard.
                    sim.seek(track, to.min(model.tunes[&item.id.0].len.saturating_sub(10)));
                }
            }
            Op::Halt(which) => {
                if let Some(track) = sim.tracks().get(which) {
                    sim.halt(*track);
                }
            }
            Op::Tick(ticks) => (0..ticks).for_each(|_| sim.tick()),
            Op::Hear => _ = self.follow(Sim::deliver_one),
            Op::Deliver => {
                while self.follow(Sim::deliver_one) {}
                let machine = &self.sim.machine;
                let current = machine.current().map(|(_, track)| track);
                // Its turn begins when the other has ended: whether it is heard again or before is not known.
                let recalled = machine.upcoming.next().and_then(|held| held.live).filter(|live| live.recalled);
                let recalled = recalled.map(|live| live.track);
                let rightly: Vec<_> = machine.tails.iter().copied().chain(current).chain(recalled).collect();
                assert!(self.sim.moving().iter().all(|track| rightly.contains(track)), "nothing else sounds");
            }
        }
        self.sim.obey();
        self.sim.events.clear();
        self.check();
    }

    /// Has something reported, and the model follow it.
    fn follow(&mut self, report: impl FnOnce(&mut Sim) -> bool) -> bool {
        let more = report(&mut self.sim);
        let events = std::mem::take(&mut self.sim.events);
        self.model.follow(&events);
        more
    }

    fn check(&self) {
        let Self { sim, model } = self;
        let machine = &sim.machine;
        let current = machine.current();
        assert_eq!(current.as_ref().map(|(item, _)| item.id.0), model.current);
        let elements = machine.upcoming();
        assert_eq!(elements.iter().map(slot).collect::<Vec<_>>(), model.upcoming);
        assert_eq!(machine.history().iter().map(|item| item.id.0).collect::<Vec<_>>(), model.history());
        assert!(machine.history().len() <= HISTORY);

        let ids: Vec<u64> = model.current.into_iter().chain(model.upcoming.iter().map(|slot| slot.id())).collect();
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len(), "nothing is there twice");

        let position = ms(50);
        let mut naive = Remaining::default();
        let rest = current.as_ref().map(|(item, _)| item.duration.map(|duration| duration.saturating_sub(position)));
        let entries = elements.iter().filter_map(|element| match element {
            Element::Entry(item) => Some(item.duration),
            Element::Marker(..) => None,
        });
        for duration in entries.chain(rest) {
            naive.known += duration.unwrap_or_default();
            naive.unknown += usize::from(duration.is_none());
        }
        assert_eq!(machine.remaining(position), naive);
        assert_eq!(machine.len(), ids.len() - machine.markers().len());
        if let Some(Low::Entries(most)) = machine.low.filter(|_| machine.repeat() == Repeat::Off) {
            let entries = model.upcoming.iter().filter(|slot| matches!(slot, Slot::Entry(_))).count();
            assert_eq!(machine.armed, entries > most, "it is said when little is left");
        }
        assert!(!machine.is_paused() || sim.moving().is_empty(), "a pause holds everything");
    }

    /// Whatever was done: in the end all that can be played is played.
    fn play_out(&mut self) {
        while self.follow(Sim::deliver_one) {}
        self.apply(Op::Low(None));
        self.apply(Op::Repeat(Repeat::Off));
        self.apply(Op::Pause(false));
        self.apply(Op::Deliver);
        let playable = |id: &u64| self.model.tunes.get(id).is_some_and(|tune| tune.len > 0 && !tune.broken);
        let expected: HashSet<u64> = self.model.upcoming.iter().map(|slot| slot.id()).filter(playable).collect();
        let mut started = HashSet::new();
        // Of each entry no more than 300 ms, and some ticks between.
        for _ in 0..(expected.len() + 2) * 60 + 100 {
            self.sim.tick();
            self.sim.deliver();
            let events = std::mem::take(&mut self.sim.events);
            self.model.follow(&events);
            for event in events {
                if let QueueEvent::Started { entry, .. } = event {
                    started.insert(entry.0);
                }
            }
            self.check();
        }
        assert!(self.sim.machine.is_empty(), "{}", self.sim.state());
        assert_eq!(expected.difference(&started).collect::<Vec<_>>(), Vec::<&u64>::new());
        assert_eq!(self.sim.tracks(), [], "every track has an end");
        assert_eq!(self.sim.machine.remaining(Duration::ZERO), Remaining::default());
    }
}

fn slot(element: &Element) -> Slot {
    match element {
        Element::Entry(item) => Slot::Entry(item.id.0),
        Element::Marker(id, _) => Slot::Marker(id.0),
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "a failure must be repeatable")]
fn a_queue_agrees_with_the_rules() {
    println!("seed {SEED}");
    let config = ProptestConfig {
        cases: 3_000,
        rng_seed: RngSeed::Fixed(SEED),
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(ops in prop::collection::vec(op(), 1..80))| {
        let mut pair = Pair::new();
        for op in ops {
            pair.apply(op);
        }
        pair.play_out();
    });
}
