//! Timed events over pauses, seeks, repetitions and speeds.

use std::time::Duration;

use super::{Rig, mono, opus};
use crate::effects::{Stretch, Timescale};
use crate::mixer::TrackEvent;
use crate::opus::Packets;
use crate::prefetch::{self, Loops};
use crate::{TimerId, Track, TrackId, When};

const MS: fn(u64) -> Duration = Duration::from_millis;
const ONE: TrackId = TrackId(1);

/// The ticks, counted from 1, in which timers fired, and which.
fn fired(rig: &mut Rig, ticks: usize) -> Vec<(usize, u64)> {
    let mut all = Vec::new();
    for tick in 1..=ticks {
        rig.tick();
        all.extend(rig.events().into_iter().filter_map(|(_, event)| match event {
            TrackEvent::Timer(id) => Some((tick, id.0)),
            _ => None,
        }));
    }
    all
}

fn timer(rig: &mut Rig, id: u64, when: When) {
    rig.mixer.add_timer(ONE, TimerId(id), when);
}

#[test]
fn the_clock_of_a_track_stands_while_it_is_paused() {
    for pcm in [true, false] {
        let mut rig = Rig::new();
        match pcm {
            true => rig.add(1, mono(&[0.1; 48_000])),
            false => rig.add(1, Packets::new(opus(&[960; 50]))),
        }
        timer(&mut rig, 1, When::After(MS(100)));
        timer(&mut rig, 2, When::Every { period: MS(60), phase: MS(20) });
        timer(&mut rig, 3, When::From(MS(50)));
        assert_eq!(fired(&mut rig, 3), [(1, 2), (3, 3)]);
        rig.mixer.set_paused(ONE, true);
        let while_pausing = fired(&mut rig, 10);
        assert!(while_pausing.is_empty(), "{while_pausing:?}");
        rig.mixer.set_paused(ONE, false);
        // PCM played 5 ms more while it faded out.
        assert_eq!(fired(&mut rig, 5), [(1, 2), (2, 1), (4, 2)]);
        rig.mixer.cancel_timer(ONE, TimerId(2));
        assert!(fired(&mut rig, 10).is_empty());
    }
}

#[test]
fn a_seek_is_not_played_over() {
    let mut rig = Rig::new();
    rig.add(1, mono(&[0.1; 96_000]));
    timer(&mut rig, 1, When::At(MS(500)));
    timer(&mut rig, 2, When::From(MS(600)));
    assert!(fired(&mut rig, 3).is_empty());
    let seek = |rig: &mut Rig, to| {
        let (feed, place) = rig.readers[0].seek(to).expect("memory can seek");
        drop(rig.mixer.replace(ONE, feed, place).expect("it plays"));
    };
    seek(&mut rig, MS(1_000));
    assert_eq!(fired(&mut rig, 2), [(1, 2)], "beyond one place, across the other");
    seek(&mut rig, MS(480));
    assert_eq!(fired(&mut rig, 3), [(2, 1)]);
    seek(&mut rig, MS(500));
    assert_eq!(fired(&mut rig, 3), [(1, 1)], "a place that is sought is played");
}

#[test]
fn places_come_round_again_and_those_beyond_the_end_never() {
    let mut rig = Rig::new();
    rig.add_loop(1, mono(&[0.1; 4_900]), Loops::Times(2));
    timer(&mut rig, 1, When::At(MS(30)));
    timer(&mut rig, 2, When::At(MS(200)));
    timer(&mut rig, 3, When::At(MS(101)));
    timer(&mut rig, 4, When::At(Duration::ZERO));
    let all = fired(&mut rig, 20);
    let of = |id| all.iter().filter(|fired| fired.1 == id).map(|fired| fired.0).collect::<Vec<_>>();
    assert_eq!((of(1), of(4)), (vec![2, 7, 12], vec![1, 6, 11]));
    assert_eq!((of(2), of(3)), (vec![], vec![6, 11, 16]));
    // Rounds shorter than a tick.
    let mut rig = Rig::new();
    rig.add_loop(1, mono(&[0.1; 480]), Loops::Times(3));
    timer(&mut rig, 1, When::At(MS(5)));
    assert_eq!(fired(&mut rig, 5), [(1, 1), (1, 1), (2, 1), (2, 1)]);
}

#[test]
fn speed_moves_places_and_not_the_clock() {
    let mut rig = Rig::new();
    let feed = rig.pipe_with(mono(&[0.1; 96_000]), prefetch::Config::default());
    let stretch = Stretch::new(Timescale { speed: 2.0, ..Timescale::default() }).expect("a stretch");
    rig.mixer.add(ONE, Track::new(feed).stretch(Some(Box::new(stretch))));
    timer(&mut rig, 1, When::After(MS(390)));
    timer(&mut rig, 2, When::At(MS(390)));
    let all = fired(&mut rig, 30);
    assert_eq!(all.iter().find(|it| it.1 == 1), Some(&(20, 1)));
    assert!(all.iter().any(|it| it.1 == 2 && (9..=11).contains(&it.0)), "{all:?}");
    assert_eq!(all.len(), 2);
}
