//! Repetitions, gapless to the sample.

use std::time::Duration;

use super::{Rig, assert_same, at, mono, noise, opus, rows, sine};
use crate::generate::Silence;
use crate::mixer::{Ended, Tick, TrackEvent};
use crate::opus::Packets;
use crate::pcm::Pcm;
use crate::prefetch::{self, Loops, Step};
use crate::{Chunk, Cue, EncoderConfig, Format, FrameLength, Info, Source, SourceError, Track, TrackId};

fn looped(rig: &mut Rig) -> usize {
    rig.events().iter().filter(|(_, event)| *event == TrackEvent::Looped).count()
}

#[test]
fn pcm_repeats_to_the_sample_and_its_position_wraps() {
    let round = noise(2_345);
    let mut rig = Rig::new();
    rig.add_loop(1, mono(&round), Loops::Times(3));
    let gauge = rig.mixer.track(TrackId(1)).expect("it is there").gauge();
    let mut heard = Vec::new();
    for tick in 1..=9_u64 {
        heard.extend(rig.mixed());
        assert_eq!(rig.position(1), at(tick * 960 % 2_345), "tick {tick}");
        assert_eq!(gauge.played_samples(), tick * 960);
    }
    heard.extend(rig.mix(3));
    assert_same(&heard, &round.repeat(4), "four rounds");
    assert_eq!(looped(&mut rig), 3);
    assert!(matches!(rig.ended()[..], [(1, Ended::Finished)]));
    assert_eq!((gauge.played_samples(), rig.mixer.stats().underruns), (4 * 2_345, 0));
}

#[test]
fn a_rate_that_must_be_converted_repeats_without_a_seam() {
    let source = || Pcm::samples(&sine(440.0, 0.4, 10_000), 44_100, 1);
    let mut alone = Rig::new();
    alone.add(1, source());
    let frames = 10_000 * 480_usize / 441;
    let round = alone.mix(13)[..frames + 1].to_vec();
    let mut rig = Rig::new();
    rig.add_loop(1, source(), Loops::Times(2));
    let heard = rig.mix(36);
    let length = (10_000.0_f64 * 480.0 / 441.0).round() as usize;
    assert_same(&heard, &round[..length].repeat(3), "three rounds");
    assert!(rig.gone(1));
}

#[test]
fn rounds_shorter_than_a_frame_repeat_too() {
    for (length, frame) in [(480, FrameLength::Ms20), (100, FrameLength::Ms20), (300, FrameLength::Ms60)] {
        let round = noise(length);
        let mut rig = Rig::new();
        rig.mixer.configure(EncoderConfig::default().complexity(0).frame(frame));
        rig.add_loop(1, mono(&round), Loops::Forever);
        let heard = rig.mix(30);
        assert_same(&heard, &round.repeat(heard.len() / length), &format!("rounds of {length}"));
        assert_eq!(rig.mixer.stats().underruns, 0, "rounds of {length}");
        assert!(!rig.gone(1));
    }
    for times in [0, 1, 2, 5] {
        let mut rig = Rig::new();
        rig.add_loop(1, mono(&noise(150)), Loops::Times(times));
        let heard = rig.mix(3);
        assert_same(&heard, &noise(150).repeat(times as usize + 1), &format!("{times} more"));
        assert!(matches!(rig.ended()[..], [(1, Ended::Finished)]));
        assert_eq!(looped(&mut rig), times as usize);
    }
}

#[test]
fn turned_off_it_ends_at_the_seam_though_more_was_read() {
    for length in [2_345, 960, 1_920, 250] {
        let round = noise(length);
        let mut rig = Rig::new();
        rig.add_loop(1, mono(&round), Loops::Forever);
        rig.add_after(2, mono(&noise(3_000)), 1, Duration::ZERO);
        let (mut heard, mut seams) = (Vec::new(), 0);
        for _ in 0..4 {
            heard.extend(rig.mixed());
            seams += looped(&mut rig);
        }
        rig.mixer.set_loops(TrackId(1), Loops::Times(0));
        rig.readers[0].set_loops(Loops::Times(0));
        heard.extend(rig.mix(8));
        let wanted = [round.repeat(seams + 1), noise(3_000)].concat();
        assert_same(&heard, &wanted, &format!("rounds of {length}"));
        assert_eq!((looped(&mut rig), rig.mixer.stats().underruns), (0, 0));
        assert!(matches!(rig.ended()[..], [(1, Ended::Finished), (2, Ended::Finished)]));
    }
}

#[test]
fn fewer_repetitions_than_were_read_are_counted_off() {
    let round = noise(400);
    let mut rig = Rig::new();
    rig.add_loop(1, mono(&round), Loops::Forever);
    rig.tick();
    assert_eq!(looped(&mut rig), 2);
    rig.mixer.set_loops(TrackId(1), Loops::Times(1));
    rig.readers[0].set_loops(Loops::Times(0));
    let heard = rig.mix(2);
    assert_same(&[&round[160..], &round].concat()[..], &heard[..640], "the rest of a round and one more");
    assert!(heard[640..].iter().all(|sample| *sample == 0.0));
    assert!(matches!(rig.ended()[..], [(1, Ended::Finished)]));
}

#[test]
fn turned_on_in_time_it_repeats() {
    let round = noise(96_000);
    let mut rig = Rig::new();
    rig.add(1, mono(&round));
    let mut heard = rig.mix(5);
    rig.mixer.set_loops(TrackId(1), Loops::Times(1));
    rig.readers[0].set_loops(Loops::Times(1));
    heard.extend(rig.mix(200));
    assert_same(&heard, &round.repeat(2), "turned on");
    assert_eq!(looped(&mut rig), 1);
}

#[test]
fn packets_repeat_without_a_tick_between() {
    let packets = opus(&[960, 480, 480, 960]);
    let mut rig = Rig::new();
    rig.add_loop(1, Packets::new(packets.clone()), Loops::Times(2));
    let sent: Vec<Vec<u8>> = (0..9).flat_map(|_| rig.packets()).collect();
    assert_eq!(sent, rows(&packets, 3));
    assert_eq!((looped(&mut rig), rig.ended().len(), rig.tick()), (2, 1, Tick::Idle));
}

#[test]
fn mixed_packets_repeat_as_if_they_were_one_row() {
    let packets = opus(&[960; 5]);
    let play = |rig: &mut Rig| {
        rig.add(2, Silence::new(None));
        rig.mix(18)
    };
    let mut row = Rig::new();
    row.add(1, Packets::new(rows(&packets, 3)));
    let wanted = play(&mut row);
    let mut rig = Rig::new();
    rig.add_loop(1, Packets::new(packets.clone()), Loops::Times(2));
    let heard = play(&mut rig);
    assert_same(&heard, &wanted, "three rounds");
    assert!(wanted.iter().any(|sample| *sample > 0.4));
    assert_eq!(looped(&mut rig), 2);
}

#[test]
fn packets_end_at_the_seam_when_turned_off() {
    let packets = opus(&[960; 3]);
    let mut rig = Rig::new();
    rig.add_loop(1, Packets::new(packets.clone()), Loops::Forever);
    let mut sent: Vec<Vec<u8>> = (0..4).flat_map(|_| rig.packets()).collect();
    rig.mixer.set_loops(TrackId(1), Loops::Times(0));
    sent.extend((0..4).flat_map(|_| rig.packets()));
    assert_eq!(sent, rows(&packets, 2));
    assert!(matches!(rig.ended()[..], [(1, Ended::Finished)]));
    // Mixed, with the beginning of the next round decoded already.
    let mut rig = Rig::new();
    rig.add_loop(1, Packets::new(opus(&[2_880])), Loops::Forever);
    rig.mixer.set_volume(TrackId(1), 0.5, Duration::ZERO);
    rig.mix(2);
    rig.mixer.set_loops(TrackId(1), Loops::Times(0));
    let heard = rig.mix(3);
    let end = heard.iter().rposition(|sample| *sample != 0.0).map_or(0, |last| last + 1);
    assert!((900..=1_000).contains(&end) || end <= 1_920, "{end}");
    assert!(matches!(rig.ended()[..], [(1, Ended::Finished)]));
}

/// Can be had again, but not sought.
#[derive(Clone)]
struct Once(Vec<f32>, bool);

impl Source for Once {
    fn open(&mut self) -> Result<Info, SourceError> {
        Ok(Info::new(Format::Pcm { rate: 48_000, channels: 1 }))
    }

    fn read(&mut self, chunk: &mut Chunk) -> Result<bool, SourceError> {
        chunk.pcm(48_000, 1).extend_from_slice(&self.0);
        Ok(!std::mem::replace(&mut self.1, true))
    }

    fn seek(&mut self, _: Duration) -> Result<Duration, SourceError> {
        Err(SourceError::Unseekable { name: "once".into() })
    }

    fn fresh(&self) -> Option<Box<dyn Source>> {
        Some(Box::new(Self(self.0.clone(), false)))
    }
}

#[test]
fn what_cannot_be_sought_is_opened_again() {
    let mut rig = Rig::new();
    rig.add_loop(1, Once(noise(1_500), false), Loops::Times(2));
    let heard = rig.mix(7);
    // What it says it has not, it does not yield.
    assert_same(&heard, &noise(1_500).repeat(3), "three times");
    assert!(matches!(rig.ended()[..], [(1, Ended::Finished)]));
}

#[test]
fn an_empty_source_is_not_asked_for_ever() {
    let (mut reader, feed) = prefetch::pipe(Box::new(mono(&[])), prefetch::Config::default().loops(Loops::Forever));
    let steps = (0..20).take_while(|_| matches!(reader.step(), Step::Progress)).count();
    assert!(steps < 10, "{steps}");
    let mut rig = Rig::new();
    rig.mixer.add(TrackId(1), Track::new(feed).loops(Loops::Forever));
    rig.add_after(2, mono(&noise(960)), 1, Duration::ZERO);
    assert_same(&rig.mix(3), &noise(960), "the next one");
    assert!(matches!(rig.ended()[..], [(1, Ended::Finished), (2, Ended::Finished)]));
    assert!(matches!(Cue::default(), Cue::Now));
}

#[test]
fn a_stretched_round_ends_at_the_seam_too() {
    use crate::effects::{Stretch, Timescale};
    let faster = Timescale { speed: 1.5, ..Timescale::default() };
    let mut rig = Rig::new();
    let config = prefetch::Config::default().loops(Loops::Forever);
    let feed = rig.pipe_with(mono(&sine(300.0, 0.5, 9_600)), config);
    let stretch = Stretch::new(faster).expect("a stretch");
    rig.mixer.add(TrackId(1), Track::new(feed).loops(Loops::Forever).stretch(Some(Box::new(stretch))));
    rig.mix(8);
    rig.mixer.set_loops(TrackId(1), Loops::Times(0));
    rig.mix(10);
    assert!(matches!(rig.ended()[..], [(1, Ended::Finished)]));
    assert_eq!((looped(&mut rig), rig.mixer.stats().underruns), (1, 0));
}
