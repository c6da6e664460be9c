//! Six hours, ten people, clocks that drift, five reconnects.

use std::cell::RefCell;
use std::io::{self, Seek, SeekFrom, Write};
use std::rc::Rc;

use voice_receive::record::{Folder, Recorder, Settings};

use super::people::{DELAY, Flights, Person, captured, duration, land, stamped};

/// A disk that forgets the files and measures what is in them.
#[derive(Clone, Default)]
pub(crate) struct Meter(Rc<RefCell<Measured>>);

#[derive(Default)]
pub(crate) struct Measured {
    packets: u64,
    /// In samples: from now on, and in all.
    worst: i64,
    earliest: i64,
    latest: i64,
    /// The file length in samples.
    granule: u64,
}

impl Folder for Meter {
    type File = Meter;

    fn create(&mut self, _: &str) -> io::Result<Meter> {
        Ok(self.clone())
    }
}

impl Write for Meter {
    fn write(&mut self, page: &[u8]) -> io::Result<usize> {
        let mut measured = self.0.borrow_mut();
        let granule = u64::from_le_bytes(page[6..14].try_into().expect("a page"));
        let segments = usize::from(page[26]);
        let table = &page[27..27 + segments];
        let first = 27 + segments;
        let samples = |toc: u8| match toc {
            0xF8 => 960,
            0xF0 => 480,
            0xE8 => 240,
            0xE0 => 120,
            // A header.
            _ => 0,
        };
        let starts = table.iter().scan(first, |at, len| Some(std::mem::replace(at, *at + usize::from(*len))));
        let mut position = granule.wrapping_sub(3_840).wrapping_sub(starts.map(|at| samples(page[at])).sum());
        let mut at = first;
        for len in table {
            if let Some(captured) = captured(&page[at..at + usize::from(*len)]) {
                let error = position as i64 - captured as i64 - DELAY as i64;
                measured.packets += 1;
                measured.worst = measured.worst.max(error.abs());
                measured.earliest = measured.earliest.min(error);
                measured.latest = measured.latest.max(error);
            }
            position = position.wrapping_add(samples(page[at]));
            at += usize::from(*len);
        }
        measured.granule = granule;
        Ok(page.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Meter {
    fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
        Ok(0)
    }
}

const SECOND: f64 = 48_000.0;
const HOUR: u64 = 3_600;

#[test]
fn after_six_hours_ten_tracks_are_aligned_and_memory_is_flat() {
    let meter = Meter::default();
    let mut recorder = Recorder::new(meter.clone(), Settings::default());
    let ppm = [200.0, -200.0, 150.0, -90.0, 0.0, 20.0, -200.0, 200.0, 60.0, -40.0];
    // The first two speak without pause.
    let talk = [1.0, 1.0, 0.3, 0.2, 0.2, 0.1, 0.4, 0.4, 0.1, 0.2];
    let mut people: Vec<Person> = (0..10).map(|at| Person::new(at as u64, ppm[at], talk[at])).collect();
    people[1].loss = 0.0;
    let mut flights = Flights::new();
    let hour = |from: u64, recorder: &mut Recorder<Meter>, people: &mut Vec<Person>, flights: &mut Flights| {
        for second in from * HOUR..(from + 1) * HOUR {
            // A reconnect: three seconds of nothing, and everything is new.
            let reconnects = second % HOUR == 1_800 && from < 5;
            if reconnects {
                people.iter_mut().for_each(Person::reconnect);
            }
            let quiet = second % HOUR >= 1_800 && second % HOUR < 1_803 && from < 5;
            for tenth in 1..=10 {
                let now = (second as f64 + f64::from(tenth) / 10.0) * SECOND;
                people.iter_mut().for_each(|person| person.speak(now, quiet, stamped, flights));
                land(recorder, flights, now);
                recorder.tick(duration(now)).expect("a disk that takes all");
                while recorder.poll_note().is_some() {}
            }
        }
    };
    hour(0, &mut recorder, &mut people, &mut flights);
    let mut growth = [0; 5];
    for (from, growth) in (1..6).zip(&mut growth) {
        if from == 5 {
            // The last hour is what counts: the error has had five to add up.
            let packets = meter.0.borrow().packets;
            assert!(packets > 1_000_000, "{packets}");
        }
        *growth = allocation_counter::measure(|| hour(from, &mut recorder, &mut people, &mut flights)).bytes_current;
    }
    let end = (6 * HOUR) as f64 * SECOND + SECOND;
    land(&mut recorder, &mut flights, end);
    let (report, result) = recorder.finish(duration(end));
    result.expect("a disk that takes all");
    let measured = meter.0.borrow();
    println!("{} packets, off by {} to {} samples", measured.packets, measured.earliest, measured.latest);
    println!("memory grew by {growth:?} bytes per hour");
    for (user, report) in &report.users {
        println!("{user}: {:?}", report.track);
    }
    assert!(measured.latest - measured.earliest <= 960, "off by {} to {}", measured.earliest, measured.latest);
    assert!(growth[1..].iter().all(|bytes| *bytes < 64 * 1024), "{growth:?}");
    let sent: u64 = people.iter().map(|person| person.sent).sum();
    let kept: u64 = report.users.values().map(|user| user.track.packets).sum();
    let gone: u64 = report.users.values().map(|user| user.track.dropped + user.track.late).sum();
    assert_eq!(kept + gone, sent, "every packet is written or accounted for");
    assert_eq!(measured.packets, kept);
    assert!(gone < sent / 1_000, "{gone} of {sent} left out");
    for (person, report) in people.iter().zip(report.users.values()) {
        assert_eq!(report.ssrcs.len(), 6, "{:?}", report.track);
        assert!((report.track.drift_ppm - person.ppm).abs() < 15.0, "{} ppm: {:?}", person.ppm, report.track);
        assert!(report.track.lost > 0 || person.loss == 0.0, "{:?}", report.track);
        assert!(report.track.worst_error <= 960, "{:?}", report.track);
    }
}
