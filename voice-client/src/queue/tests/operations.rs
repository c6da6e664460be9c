//! Every operation, on the same queue: 1 plays; 2, 3, a marker 4 and 5 are to come.

use super::sim::{Sim, Tune, ms};
use crate::queue::{Back, Element, Entry, EntryId, Join, Low, Marker, QueueError, QueueEvent, Remaining, Repeat};

/// What is done, what is said of it, and the queue after that.
type Case = (&'static str, fn(&mut Sim), &'static str, &'static str);

fn queue() -> Sim {
    let mut sim = Sim::with(&[Tune::new(1_000); 3]);
    sim.machine.add_marker(Marker::new("news"));
    sim.machine.add(Entry::new(Tune::new(1_000)));
    sim.run(10);
    sim.events.clear();
    sim
}

fn check(repeat: Repeat, cases: &[Case]) {
    for (name, act, said, state) in cases {
        let mut sim = queue();
        sim.machine.set_repeat(repeat);
        act(&mut sim);
        sim.run(10);
        assert_eq!((sim.said().as_str(), sim.state().as_str()), (*said, *state), "{name} with {repeat:?}");
    }
}

fn id(id: u64) -> EntryId {
    EntryId(id)
}

fn add(sim: &mut Sim) {
    sim.machine.add(Entry::new(Tune::new(100)));
}

fn skip(sim: &mut Sim) {
    sim.machine.skip();
    sim.run(10);
}

#[test]
fn nothing_repeats() {
    check(
        Repeat::Off,
        &[
            ("add", add, "", "1 | 2 3 m4 5 6 |"),
            ("insert", |sim| _ = sim.machine.insert(0, Entry::new(Tune::new(100))), "", "1 | 6 2 3 m4 5 |"),
            ("insert far", |sim| _ = sim.machine.insert(99, Entry::new(Tune::new(100))), "", "1 | 2 3 m4 5 6 |"),
            ("marker", |sim| _ = sim.machine.insert_marker(2, Marker::new("")), "", "1 | 2 3 m6 m4 5 |"),
            ("move", |sim| sim.machine.move_to(id(5), 0).unwrap(), "", "1 | 5 2 3 m4 |"),
            ("move down", |sim| sim.machine.move_to(id(2), 1).unwrap(), "", "1 | 3 2 m4 5 |"),
            ("move marker", |sim| sim.machine.move_to(id(4), 9).unwrap(), "", "1 | 2 3 5 m4 |"),
            ("remove", |sim| sim.machine.remove(id(2)).unwrap(), "", "1 | 3 m4 5 |"),
            ("remove marker", |sim| sim.machine.remove(id(4)).unwrap(), "", "1 | 2 3 5 |"),
            ("remove current", |sim| sim.machine.remove(id(1)).unwrap(), "removed 1, started 2", "2 | 3 m4 5 | 1"),
            ("skip", |sim| assert_eq!(sim.machine.skip(), Some(id(1))), "skipped 1, started 2", "2 | 3 m4 5 | 1"),
            ("skip to", |sim| sim.machine.skip_to(id(3)).unwrap(), "skipped 1, started 3", "3 | m4 5 | 1"),
            ("skip over", |sim| sim.machine.skip_to(id(5)).unwrap(), "skipped 1, started 5", "5 | | 1"),
            ("marker", to_marker, "skipped 1, marker 4 news, started 5", "5 | | 1"),
            (
                "no marker",
                |sim| {
                    sim.machine.remove(id(4)).unwrap();
                    assert!(sim.machine.skip_to_marker().is_none());
                },
                "stopped 1, empty",
                "- | | 1",
            ),
            ("clear", |sim| sim.machine.clear(), "", "1 | |"),
            ("stop", |sim| sim.machine.stop(), "stopped 1, empty", "- | | 1"),
            (
                "stop, add",
                |sim| {
                    sim.machine.pause();
                    sim.machine.stop();
                    add(sim);
                },
                "stopped 1, empty, started 6",
                "6 | | 1",
            ),
            (
                "no past",
                |sim| {
                    assert_eq!(sim.machine.back(Back::Previous, ms(10)), Err(QueueError::NoHistory));
                },
                "",
                "1 | 2 3 m4 5 |",
            ),
            (
                "back",
                |sim| {
                    skip(sim);
                    assert_eq!(sim.machine.back(Back::Previous, ms(10)), Ok(id(1)));
                },
                "skipped 1, started 2, skipped 2, started 1",
                "1 | 2 3 m4 5 |",
            ),
            (
                "back early",
                |sim| {
                    skip(sim);
                    assert_eq!(sim.machine.back(Back::RestartAfter(ms(100)), ms(100)), Ok(id(1)));
                },
                "skipped 1, started 2, skipped 2, started 1",
                "1 | 2 3 m4 5 |",
            ),
            (
                "back late",
                |sim| {
                    skip(sim);
                    assert_eq!(sim.machine.back(Back::RestartAfter(ms(100)), ms(101)), Ok(id(2)));
                },
                "skipped 1, started 2, skipped 2, started 2",
                "2 | 3 m4 5 | 1",
            ),
            (
                "back from the end",
                |sim| {
                    sim.machine.stop();
                    sim.machine.back(Back::RestartAfter(ms(100)), ms(0)).unwrap();
                },
                "stopped 1, empty, started 1",
                "1 | |",
            ),
            (
                "all of it",
                |sim| sim.run(4_000),
                "finished 1, started 2, finished 2, started 3, finished 3, marker 4 news, \
            started 5, finished 5, empty",
                "- | | 5 3 2 1",
            ),
            (
                "stop by handle",
                |sim| {
                    let (_, track) = sim.machine.current().unwrap();
                    sim.halt(track);
                },
                "stopped 1, started 2",
                "2 | 3 m4 5 | 1",
            ),
        ],
    );
}

fn to_marker(sim: &mut Sim) {
    let (reached, marker) = sim.machine.skip_to_marker().unwrap();
    assert_eq!((reached, marker.text()), (id(4), "news"));
}

#[test]
fn a_track_repeats() {
    check(
        Repeat::Track,
        &[
            ("on and on", |sim| sim.run(5_000), "", "1 | 2 3 m4 5 |"),
            (
                "skip",
                |sim| {
                    skip(sim);
                    sim.run(5_000);
                },
                "skipped 1, started 2",
                "2 | 3 m4 5 | 1",
            ),
            (
                "no more",
                |sim| {
                    sim.run(2_500);
                    sim.machine.set_repeat(Repeat::Off);
                    sim.run(600);
                },
                "finished 1, started 2",
                "2 | 3 m4 5 | 1",
            ),
            (
                "skip the last",
                |sim| {
                    sim.machine.clear();
                    skip(sim);
                },
                "skipped 1, empty",
                "- | | 1",
            ),
        ],
    );
}

#[test]
fn the_queue_repeats() {
    check(
        Repeat::Queue,
        &[
            ("skip", skip, "skipped 1, started 2", "2 | 3 m4 5 1 | 1"),
            ("skip to", |sim| sim.machine.skip_to(id(5)).unwrap(), "skipped 1, started 5", "5 | 1 2 3 | 1"),
            ("marker", to_marker, "skipped 1, marker 4 news, started 5", "5 | 1 2 3 | 1"),
            ("remove current", |sim| sim.machine.remove(id(1)).unwrap(), "removed 1, started 2", "2 | 3 m4 5 | 1"),
            (
                "back",
                |sim| {
                    skip(sim);
                    add(sim);
                    assert_eq!(sim.machine.back(Back::Previous, ms(10)), Ok(id(1)));
                },
                "skipped 1, started 2, skipped 2, started 1",
                "1 | 2 3 m4 5 6 |",
            ),
            (
                "round",
                |sim| sim.run(4_000),
                "finished 1, started 2, finished 2, started 3, finished 3, marker 4 news, \
            started 5, finished 5, started 1",
                "1 | 2 3 5 | 5 3 2 1",
            ),
            (
                "one alone",
                |sim| {
                    sim.machine.clear();
                    sim.run(5_000);
                },
                "",
                "1 | |",
            ),
            (
                "one alone no more",
                |sim| {
                    sim.machine.clear();
                    sim.run(2_500);
                    add(sim);
                    sim.run(500);
                },
                "finished 1, started 6",
                "6 | 1 | 1",
            ),
        ],
    );
}

#[test]
fn what_cannot_be_done_is_said() {
    let mut sim = queue();
    assert_eq!(sim.machine.move_to(id(1), 0), Err(QueueError::Playing { entry: id(1) }));
    assert_eq!(sim.machine.skip_to(id(1)), Err(QueueError::Playing { entry: id(1) }));
    assert_eq!(sim.machine.skip_to(id(4)), Err(QueueError::IsMarker { id: id(4) }));
    assert_eq!(sim.machine.remove(id(77)), Err(QueueError::NotQueued { id: id(77) }));
    assert_eq!(sim.machine.move_to(id(77), 0), Err(QueueError::NotQueued { id: id(77) }));
    assert_eq!(sim.state(), "1 | 2 3 m4 5 |");
    assert_eq!(sim.machine.skip(), Some(id(1)));
    sim.machine.stop();
    assert_eq!(sim.machine.skip(), None);
}

#[test]
#[expect(clippy::print_stdout, reason = "a failure must be repeatable")]
fn a_shuffle_is_told_by_its_seed_and_loses_nothing() {
    let mut orders = Vec::new();
    for seed in [7, 7, 8] {
        println!("seed {seed}");
        let mut sim = Sim::with(&[Tune::new(100); 40]);
        sim.machine.insert_marker(3, Marker::new(""));
        sim.machine.shuffle(seed);
        let elements = sim.machine.upcoming();
        assert!(matches!(elements[3], Element::Marker(..)), "markers keep their places");
        orders.push(elements.iter().map(|element| element.id().0).collect::<Vec<_>>());
    }
    assert_eq!(orders[0], orders[1]);
    assert_ne!(orders[0], orders[2]);
    for mut order in orders {
        assert!(!order.is_sorted());
        order.sort_unstable();
        assert_eq!(order, (2..=41).collect::<Vec<_>>());
    }
}

#[test]
fn a_pause_holds_everything_and_skips_stay_silent() {
    let mut sim = queue();
    sim.machine.pause();
    sim.run(500);
    assert_eq!(sim.moving().len(), 0);
    sim.machine.skip();
    sim.run(500);
    assert_eq!((sim.moving().len(), sim.state().as_str()), (0, "2 | 3 m4 5 | 1"));
    sim.heard.clear();
    sim.machine.resume();
    sim.run(20);
    assert_eq!(sim.heard, [[2], [2]]);
    sim.machine.stop();
    sim.machine.pause();
    add(&mut sim);
    sim.run(100);
    assert_eq!(sim.moving().len(), 0, "what is added while paused waits");
    assert!(sim.machine.is_paused());
}

#[test]
fn markers_are_told_one_by_one_also_when_nothing_plays() {
    let mut sim = Sim::new();
    sim.machine.add_marker(Marker::new("a").with_data(5_u8));
    sim.run(10);
    assert_eq!(sim.said(), "marker 1 a");
    sim.machine.add(Entry::new(Tune::new(100)));
    for text in ["b", "c"] {
        sim.machine.add_marker(Marker::new(text).with_data(6_u8));
    }
    let markers = sim.machine.markers();
    assert_eq!(markers.iter().map(|(id, marker)| (id.0, marker.text())).collect::<Vec<_>>(), [(3, "b"), (4, "c")]);
    assert_eq!((markers[0].1.data::<u8>().as_deref(), markers[0].1.data::<i8>()), (Some(&6), None));
    assert_eq!(sim.machine.len(), 1, "markers do not count");
    sim.run(200);
    assert_eq!(sim.said(), "started 2, finished 2, marker 3 b, marker 4 c, empty");
    assert!(sim.machine.is_empty());
}

#[test]
fn entries_carry_what_is_known_of_them() {
    let mut sim = Sim::new();
    let titled = mixer::Metadata::default().title("given");
    sim.machine.add(Entry::new(Tune::new(500)).metadata(titled.clone()).duration(ms(700)).data("who"));
    sim.machine.add(Entry::new(Tune::new(500).untold()).duration(ms(300)));
    sim.machine.add(Entry::new(Tune::new(500).untold()));
    let Some((item, _)) = sim.machine.current() else { panic!("it plays") };
    assert_eq!((item.duration, item.metadata.as_ref()), (Some(ms(700)), Some(&titled)));
    assert_eq!(item.data::<&str>().as_deref(), Some(&"who"));
    assert_eq!(sim.machine.remaining(ms(100)), Remaining { known: ms(900), unknown: 1 });
    sim.run(10);
    assert_eq!(sim.machine.remaining(ms(100)), Remaining { known: ms(700), unknown: 1 }, "the source knows better");
    assert_eq!(sim.machine.remaining(ms(9_000)), Remaining { known: ms(300), unknown: 1 });
}

#[test]
fn low_is_said_once_each_time() {
    let mut sim = Sim::new();
    sim.machine.set_low(Some(Low::Entries(1)));
    sim.run(0);
    assert_eq!(sim.said(), "low 0+0", "now if it is so already");
    (0..3).for_each(|_| add(&mut sim));
    sim.run(10);
    assert_eq!(sim.said(), "started 1", "two are to come");
    sim.machine.skip();
    sim.machine.skip();
    sim.run(10);
    assert_eq!(sim.said(), "skipped 1, low 100+1, skipped 2, started 3");
    (0..2).for_each(|_| add(&mut sim));
    sim.machine.clear();
    sim.run(0);
    assert_eq!(sim.said(), "low 100+0", "again after there was more");
}

#[test]
fn low_is_said_in_the_middle_of_an_entry() {
    for join in [Join::Gapless, Join::Crossfade(ms(100))] {
        let mut sim = Sim::new();
        sim.machine.set_join(join);
        sim.machine.set_low(Some(Low::Left(ms(700))));
        sim.run(0);
        sim.events.clear();
        for _ in 0..2 {
            sim.machine.add(Entry::new(Tune::new(500)).duration(ms(500)));
        }
        sim.run(290);
        assert_eq!(sim.said(), "started 1");
        sim.run(10);
        assert_eq!(sim.said(), "low 700+0", "woken by the mixer");
        let (_, track) = sim.machine.current().unwrap();
        sim.seek(track, 0);
        assert_eq!(sim.said(), "");
        sim.run(310);
        assert_eq!(sim.said(), "low 700+0", "again after going back");
    }
}

#[test]
fn history_is_bounded() {
    let mut sim = Sim::with(&[Tune::new(10); 150]);
    sim.run(5_000);
    assert_eq!(sim.machine.history().len(), 100);
    assert_eq!(sim.machine.history()[0].id, id(150), "the latest first");
    sim.machine.set_history(3);
    assert_eq!(sim.machine.history().len(), 3);
}

#[test]
fn ends_carry_what_their_entry_was_added_with() {
    let mut sim = Sim::new();
    let tunes = [Tune::new(50).broken(), Tune::new(50), Tune::new(50).broken(), Tune::new(50).once()];
    for (n, tune) in tunes.into_iter().enumerate() {
        let title = mixer::Metadata::default().title(format!("song {}", n + 1));
        sim.machine.add(Entry::new(tune).metadata(title).data(n + 1));
    }
    sim.run(200);
    let playing = sim.machine.add(Entry::new(Tune::new(1_000)).data(5_usize));
    sim.run(10);
    sim.machine.remove(playing).unwrap();
    sim.machine.set_history(0);
    sim.run(10);
    let mut named = Vec::new();
    for event in &sim.events {
        let (QueueEvent::Ended { item, .. } | QueueEvent::Failed { item, .. }) = event else { continue };
        let data = *item.data::<usize>().expect("its data");
        assert_eq!(item.id, id(data as u64));
        if data < 5 {
            assert_eq!(item.metadata.as_ref().and_then(|it| it.title.as_deref()), Some(&*format!("song {data}")));
        }
        named.push((data, matches!(event, QueueEvent::Failed { .. })));
    }
    // What comes next is opened before its turn.
    assert_eq!(named, [(1, true), (3, true), (2, false), (4, false), (5, false)], "{:?}", sim.events);
    assert!(sim.machine.upcoming().is_empty() && sim.machine.history().is_empty());

    let mut sim = Sim::with(&[]);
    sim.machine.add(Entry::new(Tune::new(50).once()).data("once"));
    sim.run(100);
    sim.machine.back(Back::Previous, ms(0)).unwrap_err();
    sim.run(10);
    let once = |event: &QueueEvent| match event {
        QueueEvent::Unrepeatable { item, .. } => item.data::<&str>(),
        _ => None,
    };
    assert_eq!(sim.events.iter().find_map(once).as_deref(), Some(&"once"));
}
