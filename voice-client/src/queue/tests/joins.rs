//! How one follows the other: in time, once, and not at all.

use std::time::Duration;

use mixer::{Chunk, Info, Source, SourceError, TrackId};

use super::sim::{Sim, Tune, ms};
use crate::end::TrackEnd;
use crate::queue::{Action, Back, Entry, EntryId, Join, Machine, Marker, QueueError, Repeat};

fn repeated(entry: u64, ticks: usize) -> Vec<Vec<u64>> {
    vec![vec![entry]; ticks]
}

#[test]
fn entries_follow_each_other_without_a_gap() {
    for tune in [Tune::new(100), Tune::new(100).untold(), Tune::new(100).once()] {
        let mut sim = Sim::with(&[tune; 3]);
        sim.run(340);
        let expected = [repeated(1, 10), repeated(2, 10), repeated(3, 10)].concat();
        assert_eq!(sim.heard[..30], expected, "{tune:?}");
        assert!(sim.heard[30..].iter().all(Vec::is_empty));
        assert_eq!(sim.said(), "started 1, finished 1, started 2, finished 2, started 3, finished 3, empty");
        assert!(sim.tracks().is_empty());
    }
}

#[test]
fn a_repeated_track_loops_without_a_gap() {
    let mut sim = Sim::new();
    sim.machine.set_repeat(Repeat::Track);
    sim.machine.add(Entry::new(Tune::new(100)));
    sim.machine.add(Entry::new(Tune::new(100)));
    sim.run(1_050);
    assert!(sim.heard.iter().all(|heard| *heard == [1]), "{:?}", sim.heard);
    assert_eq!(sim.made.len(), 1, "and nothing was made for it");
}

#[test]
fn the_next_is_made_ten_seconds_before_its_turn() {
    let mut sim = Sim::with(&[Tune::new(60_000), Tune::new(60_000), Tune::new(100)]);
    sim.run(61_000);
    assert_eq!(sim.made[..2], [(1, 0), (2, 50_000)]);
    sim.machine.set_join(Join::Crossfade(ms(5_000)));
    sim.machine.set_preload(ms(2_000));
    sim.run(60_000);
    assert_eq!(sim.made[2..], [(3, 53_000)]);
}

#[test]
fn the_next_is_made_at_once_when_nobody_knows_how_long_it_takes() {
    let mut sim = Sim::with(&[Tune::new(60_000).untold(), Tune::new(100)]);
    sim.run(10);
    assert_eq!(sim.made, [(1, 0), (2, 10)]);
}

#[test]
fn a_crossfade_overlaps_and_the_turn_ends_when_the_next_is_heard() {
    let mut sim = Sim::new();
    sim.machine.set_join(Join::Crossfade(ms(30)));
    (0..2).for_each(|_| _ = sim.machine.add(Entry::new(Tune::new(100))));
    sim.run(80);
    assert_eq!(sim.heard[6..8], [vec![1], vec![1, 2]]);
    assert_eq!(sim.said(), "started 1, finished 1, started 2");
    sim.machine.pause();
    sim.run(100);
    assert!(sim.heard[8..].iter().all(Vec::is_empty), "a pause holds both");
    sim.machine.resume();
    sim.heard.clear();
    sim.run(200);
    assert_eq!(sim.heard[..3], [vec![1, 2], vec![1, 2], vec![2]]);
    assert_eq!(sim.said(), "finished 2, empty");
}

#[test]
fn a_skip_in_a_crossfade_ends_both() {
    let mut sim = Sim::new();
    sim.machine.set_join(Join::Crossfade(ms(50)));
    (0..3).for_each(|_| _ = sim.machine.add(Entry::new(Tune::new(100))));
    sim.run(70);
    sim.machine.skip();
    sim.heard.clear();
    sim.run(20);
    assert_eq!(sim.heard, repeated(3, 2));
}

#[test]
fn what_was_made_too_early_is_stopped_or_kept() {
    for (tune, tracks) in [(Tune::new(100), 2), (Tune::new(100).once(), 3)] {
        let mut sim = Sim::with(&[Tune::new(100), tune, tune]);
        assert_eq!(sim.made.len(), 2);
        sim.machine.move_to(EntryId(3), 0).unwrap();
        sim.run(0);
        assert_eq!(sim.tracks().len(), tracks, "{tune:?}");
        sim.run(400);
        assert_eq!(sim.said(), "started 1, finished 1, started 3, finished 3, started 2, finished 2, empty");
        let expected = [repeated(1, 10), repeated(3, 10), repeated(2, 10)].concat();
        assert_eq!(sim.heard[..30], expected, "{tune:?}");
    }
}

#[test]
fn what_can_be_had_only_once_is_played_once() {
    let once = Tune::new(100).once();
    let mut sim = Sim::with(&[once, Tune::new(100)]);
    sim.machine.set_repeat(Repeat::Queue);
    sim.run(250);
    assert_eq!(sim.said(), "started 1, finished 1, once 1, started 2");

    let mut sim = Sim::with(&[once, Tune::new(100)]);
    sim.machine.set_repeat(Repeat::Track);
    sim.run(250);
    assert_eq!(sim.said(), "started 1, once 1, finished 1, started 2");

    let mut sim = Sim::with(&[Tune::new(100), once, Tune::new(100)]);
    sim.run(200);
    assert_eq!(sim.machine.back(Back::Previous, ms(0)), Ok(EntryId(1)));
    sim.run(0);
    assert_eq!(sim.said(), "started 1, finished 1, started 2, finished 2, started 3, once 2, skipped 3");

    let mut sim = Sim::with(&[once]);
    assert_eq!(
        sim.machine.back(Back::RestartAfter(ms(5)), ms(10)),
        Err(QueueError::Unrepeatable { entry: EntryId(1) })
    );
    sim.run(200);
    assert_eq!(sim.said(), "started 1, once 1, finished 1, empty");
}

#[test]
fn what_can_be_had_only_once_goes_on_where_it_was_when_another_one_goes_before() {
    let mut sim = Sim::with(&[Tune::new(100), Tune::new(100).once()]);
    sim.run(140);
    sim.machine.pause();
    sim.machine.back(Back::Previous, ms(50)).unwrap();
    sim.run(50);
    sim.machine.resume();
    sim.heard.clear();
    sim.run(200);
    assert_eq!(sim.heard[..16], [repeated(1, 10), repeated(2, 5), vec![vec![]]].concat());
    assert_eq!(
        sim.said(),
        "started 1, finished 1, started 2, skipped 2, started 1, finished 1, started 2, finished 2, empty"
    );
}

#[test]
fn a_failure_is_told_and_passed_over() {
    let (good, bad) = (Tune::new(100), Tune::new(100).broken());
    let mut sim = Sim::with(&[bad, bad, good, bad, good]);
    sim.run(300);
    assert_eq!(sim.said(), "failed 1, failed 2, started 3, failed 4, finished 3, started 5, finished 5, empty");
    let played: Vec<u64> = sim.heard.iter().flatten().copied().collect();
    assert_eq!(played, [[3; 10], [5; 10]].concat(), "the one after the next is ready in time");
    assert_eq!(sim.state(), "- | | 5 3", "what was never heard is not gone back to");
}

#[test]
fn a_repeating_queue_of_failures_rests() {
    let bad = Tune::new(100).broken();
    for tune in [bad, Tune::new(0), bad.untold()] {
        let mut sim = Sim::new();
        sim.machine.set_repeat(Repeat::Queue);
        sim.machine.add(Entry::new(tune));
        sim.machine.add(Entry::new(tune));
        sim.run(100);
        assert_eq!(sim.said().matches("stuck").count(), 1, "{tune:?}");
        assert_eq!((sim.made.len(), sim.machine.len()), (2, 2), "{tune:?}");
        sim.machine.resume();
        sim.run(100);
        assert!(sim.said().ends_with("stuck"));
        assert_eq!(sim.made.len(), 4, "each gets another chance");
        sim.machine.add(Entry::new(Tune::new(100)));
        sim.run(100);
        assert_eq!(sim.machine.current().map(|(item, _)| item.id), Some(EntryId(3)));
    }
}

#[test]
fn a_queue_at_rest_waits_with_its_markers_until_it_is_stopped() {
    let mut sim = Sim::new();
    sim.machine.set_repeat(Repeat::Queue);
    sim.machine.add(Entry::new(Tune::new(0)));
    sim.run(100);
    sim.machine.add_marker(Marker::new(""));
    assert_eq!((sim.said().as_str(), sim.state().as_str()), ("finished 1, stuck", "- | 1 m2 | 1"));
    sim.machine.stop();
    sim.machine.add_marker(Marker::new("on air"));
    sim.run(0);
    assert_eq!(sim.said(), "empty, marker 3 on air");
}

#[test]
fn failures_beside_one_that_plays_do_not_spin() {
    let bad = Tune::new(100).broken();
    let mut sim = Sim::with(&[Tune::new(1_000), bad, bad]);
    sim.machine.set_repeat(Repeat::Queue);
    sim.run(10_000);
    assert!(sim.made.len() < 60, "{}", sim.made.len());
    let silent = sim.heard.iter().filter(|heard| heard.is_empty()).count();
    assert!(silent < 40, "{silent} ticks");
    assert!(!sim.said().contains("stuck"));
}

#[test]
fn an_empty_source_on_repeat_does_not_spin() {
    let mut sim = Sim::new();
    sim.machine.set_repeat(Repeat::Track);
    sim.machine.add(Entry::new(Tune::new(0)));
    sim.run(1_000);
    assert_eq!(sim.said(), "silent 1, finished 1, empty");
    assert_eq!(sim.made.len(), 1);
}

#[test]
fn a_skip_while_the_next_has_begun_skips_one() {
    let mut sim = Sim::with(&[Tune::new(100), Tune::new(100), Tune::new(100)]);
    sim.run(80);
    sim.tick();
    sim.tick();
    assert_eq!(sim.heard.last(), Some(&vec![2]), "which nobody knows yet");
    sim.machine.skip();
    sim.run(10);
    assert_eq!(sim.said(), "started 1, skipped 1, started 2");
}

#[test]
fn a_track_set_to_repeat_too_late_is_played_again() {
    let mut sim = Sim::with(&[Tune::new(100), Tune::new(100)]);
    sim.run(80);
    sim.tick();
    sim.tick();
    sim.machine.set_repeat(Repeat::Track);
    sim.run(10);
    assert_eq!(sim.said(), "started 1, finished 1, started 1");
    sim.machine.skip();
    sim.run(50);
    assert_eq!(sim.state(), "2 | | 1");
    assert_eq!(sim.heard.last(), Some(&vec![2]));
}

#[test]
fn a_restart_while_the_next_has_begun_is_heard_alone() {
    for tune in [Tune::new(100), Tune::new(100).once()] {
        let mut sim = Sim::with(&[Tune::new(100), tune]);
        sim.run(80);
        sim.tick();
        sim.tick();
        assert_eq!(sim.machine.back(Back::RestartAfter(ms(50)), ms(90)), Ok(EntryId(1)));
        sim.obey();
        sim.heard.clear();
        sim.run(300);
        assert_eq!(sim.heard[..10], repeated(1, 10), "{tune:?}");
        let left = if tune.once { 9 } else { 10 };
        assert_eq!(sim.heard[10..20].concat(), vec![2; left], "{tune:?}");
        assert_eq!(sim.said(), "started 1, skipped 1, started 1, finished 1, started 2, finished 2, empty");
    }
}

#[test]
fn a_source_that_panics_when_asked_for_a_copy_is_played_once() {
    struct Rude(Tune);
    impl Source for Rude {
        fn open(&mut self) -> Result<Info, SourceError> {
            self.0.open()
        }

        fn read(&mut self, chunk: &mut Chunk) -> Result<bool, SourceError> {
            self.0.read(chunk)
        }

        fn seek(&mut self, to: Duration) -> Result<Duration, SourceError> {
            self.0.seek(to)
        }

        fn fresh(&self) -> Option<Box<dyn Source>> {
            panic!("no copies");
        }
    }
    let mut machine = Machine::new(|| TrackId(1));
    machine.add(Entry::new(Rude(Tune::new(100))));
    assert!(matches!(machine.poll_action(), Some(Action::Play { .. })));
    assert!(machine.back(Back::RestartAfter(ms(0)), ms(1)).is_err());
}

#[test]
fn a_call_that_is_over_starts_nothing() {
    let mut sim = Sim::with(&[Tune::new(100), Tune::new(100), Tune::new(100)]);
    for track in sim.tracks() {
        sim.machine.handle_ended(track, &TrackEnd::CallClosed);
    }
    sim.machine.add(Entry::new(Tune::new(100)));
    sim.machine.skip();
    let made = sim.made.len();
    sim.run(100);
    assert_eq!((sim.said().as_str(), sim.made.len()), ("started 1, stopped 1", made));
}

#[test]
fn reports_of_unknown_tracks_mean_nothing() {
    let mut machine = Machine::new(|| TrackId(1));
    machine.handle_started(TrackId(9));
    machine.handle_wake(TrackId(9), ms(1));
    machine.handle_seeked(TrackId(9), ms(1));
    machine.handle_ended(TrackId(9), &TrackEnd::Finished);
    assert!(machine.poll_action().is_none());
    machine.add(Entry::new(Tune::new(10)));
    assert!(matches!(machine.poll_action(), Some(Action::Play { track: TrackId(1), .. })));
}
