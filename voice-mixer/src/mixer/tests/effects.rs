//! Effects, speed and pitch of single tracks.

use std::time::Duration;

use super::{Rig, TICK, assert_same, at, decode, mono, noise, opus, roughness, sine};
use crate::effects::{Chain, Effect, Reverb, Stretch, Timescale, Volume};
use crate::mixer::{Ended, Spent};
use crate::opus::Packets;
use crate::prefetch::{self, Push, Step};
use crate::{EncoderConfig, Track, TrackId};

const ONE: TrackId = TrackId(1);

fn chain(effect: Effect) -> Option<Chain> {
    Some(Chain::new(&[effect]).expect("a chain"))
}

fn quiet() -> Option<Chain> {
    chain(Effect::Volume(Volume { level: 0.5 }))
}

fn speed(speed: f32) -> Timescale {
    Timescale { speed, ..Timescale::default() }
}

fn set_speed(rig: &mut Rig, factor: f32) {
    let fresh = Box::new(Stretch::new(speed(factor)).expect("a stretch"));
    drop(rig.mixer.set_timescale(ONE, speed(factor), Some(fresh)));
}

#[test]
fn effects_come_change_and_go_without_a_click() {
    let tone = sine(200.0, 0.5, 48_000);
    let mut rig = Rig::new();
    rig.add(1, mono(&tone));
    let mut heard = rig.mix(2);
    assert!(rig.mixer.set_effects(ONE, quiet()).is_none());
    heard.extend(rig.mix(3));
    drop(rig.mixer.set_effects(ONE, chain(Effect::Volume(Volume { level: 0.25 }))));
    heard.extend(rig.mix(3));
    assert!(matches!(rig.mixer.pop_spent(), Some(Spent::Effects(_))));
    drop(rig.mixer.set_effects(ONE, None));
    heard.extend(rig.mix(3));
    assert!(matches!(rig.mixer.pop_spent(), Some(Spent::Effects(_))) && rig.mixer.pop_spent().is_none());
    for (range, level) in [(0..1_920, 1.0), (2_880..4_800, 0.5), (5_760..7_680, 0.25), (8_640..10_560, 1.0)] {
        let wanted: Vec<f32> = tone[range.clone()].iter().map(|sample| sample * level).collect();
        assert_same(&heard[range.clone()], &wanted, &format!("{range:?}"));
    }
    assert!(roughness(&heard).0 < 0.001, "{:?}", roughness(&heard));
    assert!(rig.mixer.set_effects(TrackId(9), quiet()).is_some(), "there is no such track");
}

#[test]
fn packets_pass_again_without_effects() {
    let packets = opus(&[960; 100]);
    let mut rig = Rig::new();
    rig.mixer.configure(EncoderConfig::default().bitrate(Some(256_000)));
    rig.add(1, Packets::new(packets.clone()));
    let mut sent: Vec<Vec<u8>> = (0..10).flat_map(|_| rig.packets()).collect();
    drop(rig.mixer.set_effects(ONE, quiet()));
    sent.extend((0..10).flat_map(|_| rig.packets()));
    let peak = rig.sum().iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
    assert!((0.24..0.26).contains(&peak), "{peak}");
    drop(rig.mixer.set_effects(ONE, None));
    sent.extend((0..90).flat_map(|_| rig.packets()));
    let passed = rig.mixer.stats().passthrough_frames;
    assert!((84..=90).contains(&passed), "{passed}");
    assert!(packets.ends_with(&sent[sent.len() - 70..]));
    let heard = decode(&sent);
    assert!(roughness(&heard[1_920..heard.len() - 960]).0 < 0.02);
}

#[test]
fn a_reverb_of_a_short_sound_is_heard_and_ends_once() {
    for length in [400, 960, 5_000] {
        let mut rig = Rig::new();
        let feed = rig.pipe(mono(&noise(length)));
        let reverb = chain(Effect::Reverb(Reverb::default())).expect("a chain");
        rig.mixer.add(ONE, Track::new(feed).effects(reverb));
        let heard = rig.mix(20);
        assert!(heard[length + 4_800..].iter().any(|sample| sample.abs() > 1e-4), "{length}");
        assert_eq!(rig.position(1), at(length as u64), "what rings is no audio of the source");
        (0..300).for_each(|_| _ = rig.tick());
        assert!(matches!(rig.ended()[..], [(1, Ended::Finished)]));
        assert!(rig.mixer.is_idle());
    }
}

#[test]
fn speed_moves_the_position_and_a_return_is_exact() {
    for (factor, pcm) in [(0.5, true), (1.7, true), (0.5, false), (1.7, false)] {
        let what = format!("speed {factor}, pcm: {pcm}");
        let mut rig = Rig::new();
        let packets = opus(&[960; 500]);
        let tone = if pcm { sine(500.0, 0.5, 480_000) } else { decode(&packets) };
        match pcm {
            true => rig.add(1, mono(&tone)),
            false => rig.add(1, Packets::new(packets)),
        }
        // Opus is kept from passing.
        rig.add(9, crate::generate::Silence::new(None));
        let gauge = rig.mixer.track(ONE).expect("it is there").gauge();
        let mut heard = rig.mix(10);
        set_speed(&mut rig, factor);
        heard.extend(rig.mix(50));
        let place = rig.position(1).as_secs_f64() * 48_000.0;
        let ideal = 9_600.0 + 48_000.0 * f64::from(factor);
        assert!((place - ideal).abs() < 2_000.0 * f64::from(factor), "{what}: {place} instead of {ideal}");
        assert_eq!(gauge.position(), rig.position(1), "{what}");
        set_speed(&mut rig, 1.0);
        heard.extend(rig.mix(10));
        let from = (rig.position(1).as_secs_f64() * 48_000.0).round() as usize;
        assert_same(&rig.mix(5), &tone[from..from + 4_800], &format!("{what}: the source again"));
        assert_eq!(gauge.played_samples(), (from + 4_800) as u64, "{what}");
        assert!(roughness(&heard[1_500..]).0 < 0.01, "{what}: {:?}", roughness(&heard[1_500..]));
        // And once more, with what it was drained of forgotten.
        set_speed(&mut rig, factor);
        let again = rig.mix(20);
        let peak = again[9_600..].iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
        assert!((0.4..0.6).contains(&peak), "{what}: {peak}");
        assert_eq!(rig.mixer.stats().underruns, 0, "{what}");
    }
}

#[test]
fn a_neutral_timescale_keeps_nothing_from_passing() {
    let packets = opus(&[960; 100]);
    let mut rig = Rig::new();
    let feed = rig.pipe(Packets::new(packets.clone()));
    let stretch = Stretch::new(speed(1.0)).expect("a stretch");
    rig.mixer.add(ONE, Track::new(feed).stretch(Some(Box::new(stretch))));
    let mut sent: Vec<Vec<u8>> = (0..10).flat_map(|_| rig.packets()).collect();
    assert_eq!(sent, packets[..10]);
    set_speed(&mut rig, 1.5);
    sent.extend((0..10).flat_map(|_| rig.packets()));
    set_speed(&mut rig, 1.0);
    sent.extend((0..90).flat_map(|_| rig.packets()));
    assert!(packets.ends_with(&sent[sent.len() - 60..]), "it passes again");
    assert_eq!(rig.mixer.stats().underruns, 0);
}

#[test]
fn a_stretched_track_ends_once_with_all_it_holds() {
    for factor in [0.5_f32, 1.7, 3.0] {
        for length in [200, 4_800, 48_000] {
            let mut rig = Rig::new();
            rig.add(1, mono(&vec![0.25; length]));
            set_speed(&mut rig, factor);
            rig.add_after(2, mono(&[0.75; 960]), 1, Duration::ZERO);
            let ideal = (length as f64 / f64::from(factor)).ceil() as usize;
            let heard = rig.mix(ideal / 960 + 3);
            let next = heard.iter().position(|sample| *sample == 0.75).expect("the next one");
            // It takes as long as it should, though its last sound may be over a little earlier.
            assert!(next.abs_diff(ideal) <= 1, "speed {factor}: {next} instead of {ideal}");
            let loud = heard[..next].iter().filter(|sample| **sample > 0.2).count();
            assert!(length == 200 || loud * 10 >= next * 6, "speed {factor}: {loud} of {next}");
            let ended = rig.ended();
            assert!(matches!(ended[..], [(1, Ended::Finished), ..]), "speed {factor}, {length}");
        }
    }
}

#[test]
fn changes_at_the_very_end_leave_nothing_behind() {
    for factors in [[1.5, 1.0], [1.0, 1.5], [0.5, 2.0], [2.0, 1.0]] {
        let mut rig = Rig::new();
        rig.add(1, mono(&sine(300.0, 0.5, 9_600)));
        set_speed(&mut rig, factors[0]);
        rig.mix(4);
        set_speed(&mut rig, factors[1]);
        set_speed(&mut rig, factors[0]);
        set_speed(&mut rig, factors[1]);
        rig.mix(30);
        assert!(matches!(rig.ended()[..], [(1, Ended::Finished)]), "{factors:?}");
        assert!(rig.mixer.is_idle());
    }
}

#[test]
fn a_seek_while_stretched_forgets_what_was_held() {
    let mut rig = Rig::new();
    rig.add(1, mono(&[vec![0.5; 48_000], vec![0.125; 48_000]].concat()));
    set_speed(&mut rig, 1.7);
    rig.mix(5);
    let (feed, place) = rig.readers[0].seek(Duration::from_millis(1_500)).expect("memory can seek");
    drop(rig.mixer.replace(ONE, feed, place).expect("it plays"));
    assert_eq!(rig.position(1), place);
    assert!(rig.mix(5).iter().all(|sample| (sample - 0.125).abs() < 1e-3));
    let moved = (rig.position(1) - place).as_secs_f64();
    assert!((moved - 0.17).abs() < 0.06, "{moved}");
    // In the middle of the way back to normal.
    set_speed(&mut rig, 1.0);
    let (feed, place) = rig.readers[0].seek(Duration::ZERO).expect("memory can seek");
    drop(rig.mixer.replace(ONE, feed, place).expect("it plays"));
    assert_same(&rig.mix(2), &[0.5; 1_920], "from the beginning");
}

#[test]
fn what_is_late_loses_nothing_in_the_stretch() {
    let mut rig = Rig::new();
    let config = prefetch::Config::default().length(Duration::from_millis(200));
    let (mut reader, feed) = prefetch::pipe(Box::new(mono(&[0.25; 48_000])), config);
    rig.mixer.add(ONE, Track::new(feed));
    set_speed(&mut rig, 1.5);
    let mut heard = 0;
    for _ in 0..400 {
        // The reader is slower than the track: there are gaps, but every sample of the source is played.
        for _ in 0..2 {
            let _ = reader.step();
        }
        (0..10).for_each(|_| heard += rig.mixed().iter().filter(|sample| **sample > 0.2).count());
    }
    assert!(matches!(rig.ended()[..], [(1, Ended::Finished)]));
    assert!((31_000..=32_100).contains(&heard), "{heard} of 32,000");
}

#[test]
fn a_stretched_sink_comes_to_rest() {
    let (mut pusher, feed) = prefetch::sink(TICK * 4, std::sync::Arc::new(|| {}));
    let mut rig = Rig::new();
    rig.mixer.add(ONE, Track::new(feed));
    set_speed(&mut rig, 0.8);
    for packet in &opus(&[960; 4]) {
        assert_eq!(pusher.push(packet), Ok(Push::Done));
    }
    (0..12).for_each(|_| _ = rig.tick());
    assert!(rig.mixer.is_idle());
    assert_eq!(rig.position(1), TICK * 4, "all of it was played");
    assert_eq!(rig.tick(), crate::Tick::Idle);
    let (mut reader, _feed) = prefetch::pipe(Box::new(mono(&[])), prefetch::Config::default());
    assert!(matches!(reader.step(), Step::Progress));
}
