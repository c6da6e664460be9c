//! What tracks tell, in which order, and what a gauge shows.

use std::time::Duration;

use super::{Rig, at, mono, noise, opus};
use crate::generate::Tone;
use crate::mixer::{Ended, TrackEvent};
use crate::opus::Packets;
use crate::prefetch::{self, Loops, Step};
use crate::{Chunk, Format, Info, Metadata, Phase, Source, SourceError, TimerId, Track, TrackId, When};

const ONE: TrackId = TrackId(1);

fn told(rig: &mut Rig) -> Vec<TrackEvent> {
    rig.events().into_iter().map(|(_, event)| event).collect()
}

#[test]
fn each_thing_is_told_once_and_in_its_order() {
    for pcm in [true, false] {
        let mut rig = Rig::new();
        match pcm {
            true => rig.add_loop(1, mono(&noise(4_800)), Loops::Times(1)),
            false => rig.add_loop(1, Packets::new(opus(&[960; 5])), Loops::Times(1)),
        }
        rig.mixer.add_timer(ONE, TimerId(7), When::At(Duration::from_millis(90)));
        rig.tick();
        assert_eq!(told(&mut rig), [TrackEvent::Playable, TrackEvent::Started]);
        rig.mixer.set_paused(ONE, true);
        rig.mixer.set_paused(ONE, true);
        (0..3).for_each(|_| _ = rig.tick());
        rig.mixer.set_paused(ONE, false);
        rig.mixer.set_paused(ONE, false);
        assert_eq!(told(&mut rig), [TrackEvent::Paused, TrackEvent::Resumed]);
        (0..12).for_each(|_| _ = rig.tick());
        let timer = TrackEvent::Timer(TimerId(7));
        assert_eq!(told(&mut rig), [timer.clone(), TrackEvent::Looped, timer]);
        assert!(matches!(rig.ended()[..], [(1, Ended::Finished)]));
        assert!(rig.ended().is_empty() && rig.mixer.is_idle());
    }
}

#[test]
fn underruns_and_seeks_are_told() {
    let mut rig = Rig::new();
    let config = prefetch::Config::default().length(Duration::from_millis(200));
    let (mut reader, feed) = prefetch::pipe(Box::new(Tone::new(300.0, 0.5, None)), config);
    rig.mixer.add(ONE, Track::new(feed));
    let mut read = |rig: &mut Rig| {
        while let Step::Progress = reader.step() {}
        (0..10).for_each(|_| _ = rig.tick());
    };
    read(&mut rig);
    assert_eq!(told(&mut rig), [TrackEvent::Playable, TrackEvent::Started]);
    (0..5).for_each(|_| _ = rig.tick());
    assert_eq!(told(&mut rig), [TrackEvent::Underrun], "once for five ticks");
    read(&mut rig);
    assert_eq!(told(&mut rig), []);
    rig.tick();
    assert_eq!(told(&mut rig), [TrackEvent::Underrun]);
    assert_eq!(rig.mixer.stats().underruns, 6);
    let (feed, position) = reader.seek(Duration::from_secs(5)).expect("a tone can seek");
    drop(rig.mixer.replace(ONE, feed, position).expect("it is there"));
    while let Step::Progress = reader.step() {}
    rig.tick();
    assert_eq!(told(&mut rig), [TrackEvent::Seeked { position }], "neither playable nor started again");
}

/// A station: a title every 30 ms.
struct Station(u32);

impl Source for Station {
    fn open(&mut self) -> Result<Info, SourceError> {
        Ok(Info::new(Format::Pcm { rate: 48_000, channels: 1 }))
    }

    fn read(&mut self, chunk: &mut Chunk) -> Result<bool, SourceError> {
        self.0 += 1;
        chunk.set_metadata(Metadata { title: Some(self.0.to_string().into()), ..Metadata::default() });
        chunk.pcm(48_000, 1).extend([0.1; 1_440]);
        Ok(true)
    }

    fn seek(&mut self, _: Duration) -> Result<Duration, SourceError> {
        Err(SourceError::Unseekable { name: "station".into() })
    }
}

#[test]
fn titles_are_told_when_they_are_heard() {
    let mut rig = Rig::new();
    rig.add(1, Station(0));
    let mut titles = Vec::new();
    for tick in 1..=6 {
        rig.tick();
        titles.extend(told(&mut rig).into_iter().filter_map(|event| match event {
            TrackEvent::Metadata(metadata) => Some((tick, metadata.title.as_deref().unwrap_or_default().to_owned())),
            _ => None,
        }));
    }
    let titles: Vec<(i32, &str)> = titles.iter().map(|(tick, title)| (*tick, title.as_str())).collect();
    assert_eq!(titles, [(1, "1"), (2, "2"), (3, "3"), (5, "4"), (6, "5")]);
}

#[test]
fn events_that_nobody_takes_are_bounded_and_counted() {
    let mut rig = Rig::new();
    for id in 0..40 {
        rig.add(id, mono(&[0.01; 960]));
    }
    rig.tick();
    assert_eq!(rig.mixer.stats().missed_events, 0, "all of them have begun in one tick");
    for _ in 0..20_000 {
        rig.mixer.set_paused(ONE, true);
        rig.mixer.set_paused(ONE, false);
        rig.add(1, mono(&[0.01; 960]));
    }
    let waiting = rig.events().len();
    assert!(waiting <= 1_024, "{waiting}");
    assert!(rig.mixer.stats().missed_events >= 30_000);
}

#[test]
fn a_gauge_shows_where_a_track_is() {
    let mut rig = Rig::new();
    let (reader, feed) = prefetch::pipe(Box::new(mono(&noise(9_600))), prefetch::Config::default());
    let track = Track::new(feed).position(Duration::from_secs(3));
    let gauge = track.gauge();
    assert_eq!((gauge.phase(), gauge.position(), gauge.played_samples()), (Phase::Waiting, Duration::from_secs(3), 0));
    rig.mixer.add(ONE, track);
    rig.tick();
    assert_eq!(gauge.phase(), Phase::Waiting);
    rig.readers.push(reader);
    rig.tick();
    let place = Duration::from_secs(3) + at(960);
    assert_eq!((gauge.phase(), gauge.position(), gauge.played()), (Phase::Playing, place, at(960)));
    rig.mixer.set_paused(ONE, true);
    rig.tick();
    assert_eq!(gauge.phase(), Phase::Paused);
    rig.mixer.set_paused(ONE, false);
    rig.mixer.stop(ONE, Duration::ZERO);
    rig.tick();
    let ended = rig.mixer.pop_ended().expect("it was stopped");
    assert_eq!(gauge.phase(), Phase::Ended, "before anybody drops it");
    drop(ended);
    assert_eq!(gauge.phase(), Phase::Ended);
    // One that is taken out has not ended until it is dropped.
    rig.add(2, mono(&noise(9_600)));
    rig.tick();
    let track = rig.mixer.remove(TrackId(2)).expect("it is there");
    let gauge = track.gauge();
    assert_eq!(gauge.phase(), Phase::Playing);
    drop(track);
    assert_eq!(gauge.phase(), Phase::Ended);
}
