//! Groups, ducking, and what is done to the whole.

use std::time::Duration;

use super::{Rig, TICK, assert_same, decode, mono, noise, opus, roughness, sine};
use crate::effects::{Chain, Effect, Limiter, LimiterSettings, Reverb, Volume};
use crate::mixer::{Ducking, Tick};
use crate::opus::Packets;
use crate::{EncoderConfig, GroupId, Source, Track, TrackId};

const MS: fn(u64) -> Duration = Duration::from_millis;

fn chain(effect: Effect) -> Option<Chain> {
    Some(Chain::new(&[effect]).expect("a chain"))
}

fn add_to(rig: &mut Rig, id: u64, group: GroupId, source: impl Source + 'static) {
    let feed = rig.pipe(source);
    rig.mixer.add(TrackId(id), Track::new(feed).group(group));
}

fn passes(rig: &mut Rig) -> bool {
    let before = rig.mixer.stats().passthrough_frames;
    rig.tick();
    rig.mixer.stats().passthrough_frames > before
}

#[test]
fn a_group_has_a_volume() {
    let mut rig = Rig::new();
    add_to(&mut rig, 1, GroupId::MUSIC, mono(&[0.5; 48_000]));
    add_to(&mut rig, 2, GroupId::SPEECH, mono(&[0.25; 48_000]));
    rig.mixer.set_group_volume(GroupId::MUSIC, 0.5, MS(40));
    for (n, sample) in rig.mix(4).iter().enumerate() {
        let music = 0.5 * (1.0 - 0.5 * ((n + 1) as f32 / 1_920.0).min(1.0));
        assert!((sample - music - 0.25).abs() < 1e-5, "{n}: {sample}");
    }
    rig.mixer.set_group(TrackId(2), GroupId::MUSIC);
    assert_same(&rig.mix(1), &[0.375; 960], "both in one");
    rig.mixer.set_master_volume(2.0, Duration::ZERO);
    assert_same(&rig.mix(1)[240..], &[0.75; 720], "all of it");
}

#[test]
fn what_was_set_while_nothing_sounded_is_there_from_the_first_sample_on() {
    let mut rig = Rig::new();
    rig.mixer.set_group_volume(GroupId::MUSIC, 0.5, MS(10_000));
    rig.mixer.set_master_volume(0.5, MS(10_000));
    assert_eq!(rig.tick(), Tick::Idle);
    add_to(&mut rig, 1, GroupId::MUSIC, mono(&[0.8; 960]));
    assert_same(&rig.mix(1), &[0.2; 960], "both volumes");
}

#[test]
fn what_was_ducked_is_back_when_nothing_sounded_since() {
    let mut rig = Rig::new();
    rig.mixer.set_ducking(GroupId::MUSIC, Some(Ducking::under(GroupId::SPEECH)));
    add_to(&mut rig, 1, GroupId::MUSIC, mono(&[0.5; 9_600]));
    add_to(&mut rig, 2, GroupId::SPEECH, mono(&[0.25; 9_600]));
    while !rig.mixer.is_idle() {
        rig.tick();
        rig.ended();
    }
    rig.tick();
    add_to(&mut rig, 3, GroupId::MUSIC, mono(&[0.5; 9_600]));
    assert_same(&rig.mix(1), &[0.5; 960], "as loud as before");
}

/// What a group's level is after so many ticks, of which the first `speech` had speech in them.
fn level(tick: usize, speech: usize) -> f32 {
    let (attack, hold, release) = (4, 20, 30);
    let down = tick.min(speech + hold - 1).min(attack) as f32 / attack as f32;
    let up = tick.saturating_sub(speech + hold - 1) as f32 / release as f32;
    (1.0 - 0.75 * down + 0.75 * up).min(1.0)
}

#[test]
fn ducking_follows_its_formula_and_ends_at_one() {
    let mut rig = Rig::new();
    rig.mixer.set_ducking(GroupId::MUSIC, Some(Ducking::under(GroupId::SPEECH)));
    let packets = opus(&[960; 120]);
    add_to(&mut rig, 1, GroupId::MUSIC, Packets::new(packets.clone()));
    assert!(passes(&mut rig) && passes(&mut rig), "nothing ducks it yet");
    rig.mixer.remove(TrackId(1));
    let mut rig = Rig::new();
    rig.mixer.set_ducking(GroupId::MUSIC, Some(Ducking::under(GroupId::SPEECH)));
    // Music at the left, speech at the right.
    let (music, speech) = ([0.5, 0.0].repeat(48_000 * 3), [0.0, 0.25].repeat(960 * 10));
    add_to(&mut rig, 1, GroupId::MUSIC, crate::pcm::Pcm::samples(&music, 48_000, 2));
    add_to(&mut rig, 2, GroupId::SPEECH, crate::pcm::Pcm::samples(&speech, 48_000, 2));
    for tick in 1..=70 {
        let heard = rig.mixed();
        let (from, to) = (0.5 * level(tick - 1, 10), 0.5 * level(tick, 10));
        for (n, sample) in heard.iter().enumerate() {
            let wanted = from + (to - from) * (n + 1) as f32 / 960.0;
            assert!((sample - wanted).abs() < 1e-4, "tick {tick}, {n}: {sample} instead of {wanted}");
        }
        assert!(tick > 10 || rig.sum()[1_919] == 0.25);
    }
    assert_same(&rig.mix(1), &[0.5; 960], "exactly as before");
}

#[test]
fn packets_pass_again_when_the_duck_is_over_or_taken_away() {
    for taken_away in [false, true] {
        let packets = opus(&[960; 160]);
        let mut rig = Rig::new();
        rig.mixer.configure(EncoderConfig::default().bitrate(Some(256_000)));
        rig.mixer.set_ducking(GroupId::MUSIC, Some(Ducking::under(GroupId::SPEECH)));
        add_to(&mut rig, 1, GroupId::MUSIC, Packets::new(packets.clone()));
        assert!(passes(&mut rig));
        add_to(&mut rig, 2, GroupId::SPEECH, mono(&sine(300.0, 0.25, 9_600)));
        let mut sent: Vec<Vec<u8>> = (0..12).flat_map(|_| rig.packets()).collect();
        if taken_away {
            rig.mixer.set_ducking(GroupId::MUSIC, None);
        }
        sent.extend((0..180).flat_map(|_| rig.packets()));
        let passed = rig.mixer.stats().passthrough_frames;
        let least = if taken_away { 160 - 12 - 30 - 5 } else { 160 - 12 - 20 - 30 - 5 };
        assert!(passed >= least, "{passed} of {least}");
        assert!(packets.ends_with(&sent[sent.len() - 60..]));
        let heard = decode(&sent);
        let (bend, at) = roughness(&heard[1_920..heard.len() - 960]);
        assert!(bend < 0.02, "a click of {bend} at {at}");
    }
}

#[test]
fn groups_duck_under_each_other() {
    let (a, b, c) = (GroupId(10), GroupId(11), GroupId(12));
    let mut rig = Rig::new();
    rig.mixer.set_ducking(a, Some(Ducking::under(b).to(0.5).attack(MS(20))));
    rig.mixer.set_ducking(b, Some(Ducking::under(c).to(0.0).attack(MS(20)).hold(Duration::ZERO).release(MS(20))));
    add_to(&mut rig, 1, a, mono(&[0.5; 96_000]));
    rig.mix(3);
    add_to(&mut rig, 2, b, mono(&[0.25; 96_000]));
    rig.mix(1);
    assert_same(&rig.mix(2), &[0.5; 1_920], "the first is ducked, the second is not");
    add_to(&mut rig, 3, c, mono(&[0.125; 1_920]));
    rig.mix(1);
    assert_same(&rig.mix(1), &[0.375; 960], "the second is silent, and ducks the first even so");
    rig.mix(2);
    assert_same(&rig.mix(1), &[0.5; 960], "the second is back");
    // Quiet sound is no trigger.
    let mut rig = Rig::new();
    rig.mixer.set_ducking(a, Some(Ducking::under(b).threshold(-20.0)));
    add_to(&mut rig, 1, a, mono(&[0.5; 96_000]));
    add_to(&mut rig, 2, b, mono(&[0.05; 96_000]));
    assert_same(&rig.mix(3), &[0.55; 2_880], "both");
}

#[test]
fn a_duck_comes_back_while_nothing_sounds() {
    let mut rig = Rig::new();
    rig.mixer.set_ducking(GroupId::MUSIC, Some(Ducking::under(GroupId::SPEECH)));
    add_to(&mut rig, 1, GroupId::MUSIC, mono(&[0.5; 96_000]));
    add_to(&mut rig, 2, GroupId::SPEECH, mono(&[0.25; 9_600]));
    rig.mix(10);
    rig.mixer.set_paused(TrackId(1), true);
    (0..60).for_each(|_| _ = rig.tick());
    assert_eq!(rig.tick(), Tick::Idle);
    rig.mixer.set_paused(TrackId(1), false);
    assert_same(&rig.mix(1)[240..], &[0.5; 720], "as loud as ever");
}

#[test]
fn reverb_of_a_group_sounds_on_after_its_tracks() {
    let packets = opus(&[960; 200]);
    for short in [500, 9_600] {
        let mut rig = Rig::new();
        rig.mixer.set_group_effects(GroupId::EFFECTS, chain(Effect::Reverb(Reverb::default())));
        add_to(&mut rig, 1, GroupId::EFFECTS, mono(&noise(short)));
        let heard = rig.mix(30);
        assert_eq!(rig.ended().len(), 1);
        let after = &heard[short.div_ceil(960) * 960 + 960..];
        assert!(after[..9_600].iter().any(|sample| sample.abs() > 1e-4), "{short} samples ring");
        let ticks = (0..400).take_while(|_| rig.tick() != Tick::Idle).count();
        assert!((10..300).contains(&ticks) && rig.mixer.is_idle(), "{ticks}");
        // Taken away in the middle of its tail, it keeps nobody from passing.
        add_to(&mut rig, 2, GroupId::EFFECTS, mono(&noise(short)));
        rig.mix(15);
        drop(rig.mixer.set_group_effects(GroupId::EFFECTS, None));
        add_to(&mut rig, 3, GroupId::MUSIC, Packets::new(packets.clone()));
        let wait = (0..50).take_while(|_| !passes(&mut rig)).count();
        assert!(wait < 6, "{wait} ticks");
    }
}

#[test]
fn the_whole_has_effects_and_passes_as_soon_as_they_are_gone() {
    let packets = opus(&[960; 100]);
    let mut rig = Rig::new();
    add_to(&mut rig, 1, GroupId::MUSIC, Packets::new(packets.clone()));
    assert!(passes(&mut rig));
    rig.mixer.set_master_effects(chain(Effect::Volume(Volume { level: 0.5 })));
    assert!((0..5).all(|_| !passes(&mut rig)));
    let peak = rig.sum().iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
    assert!((0.24..0.26).contains(&peak), "{peak}");
    drop(rig.mixer.set_master_effects(None));
    assert!((0..50).take_while(|_| !passes(&mut rig)).count() < 5);
    assert!(rig.mixer.pop_spent().is_some() && rig.mixer.pop_spent().is_none());
    rig.mixer.set_master_volume(0.5, Duration::ZERO);
    assert!(!passes(&mut rig));
    rig.mixer.set_master_volume(1.0, Duration::ZERO);
    assert!((0..50).take_while(|_| !passes(&mut rig)).count() < 5);
    rig.mixer.set_group_volume(GroupId::MUSIC, 0.5, TICK);
    assert!(!passes(&mut rig));
    rig.mixer.set_group_volume(GroupId::MUSIC, 1.0, TICK);
    assert!((0..50).take_while(|_| !passes(&mut rig)).count() < 5);
}

fn limiter() -> Option<Box<Limiter>> {
    let settings = LimiterSettings { ceiling_db: -12.0, ..LimiterSettings::default() };
    Some(Box::new(Limiter::new(settings).expect("a limiter")))
}

#[test]
fn a_limiter_comes_and_goes_without_a_click() {
    let mut rig = Rig::new();
    rig.add(1, mono(&sine(200.0, 0.7, 96_000)));
    let mut heard = rig.mix(10);
    assert!(rig.mixer.set_limiter(limiter()).is_none());
    let limited = rig.mix(20);
    let ceiling = 10.0_f32.powf(-12.0 / 20.0);
    assert!(limited[960..].iter().all(|sample| sample.abs() <= ceiling));
    assert!(limited[9_600..].iter().any(|sample| sample.abs() > ceiling * 0.9));
    heard.extend(limited);
    assert!(rig.mixer.set_limiter(None).is_none());
    heard.extend(rig.mix(10));
    assert!(rig.mixer.pop_spent().is_some(), "the limiter comes back");
    let (bend, at) = roughness(&heard);
    assert!(bend < 0.002, "a click of {bend} at {at}");
    assert_same(&heard[31 * 960..], &sine(200.0, 0.7, 40 * 960)[31 * 960..], "as it was");
}

#[test]
fn a_limiter_forgets_what_was_before_packets_passed() {
    let packets = opus(&[960; 40]);
    let mut rig = Rig::new();
    rig.mixer.set_limiter(limiter());
    add_to(&mut rig, 1, GroupId::MUSIC, Packets::new(packets.clone()));
    rig.mixer.set_volume(TrackId(1), 0.9, Duration::ZERO);
    (0..4).for_each(|_| _ = rig.tick());
    rig.mixer.set_volume(TrackId(1), 1.0, Duration::ZERO);
    assert!((0..10).take_while(|_| !passes(&mut rig)).count() < 10);
    (0..50).for_each(|_| _ = rig.tick());
    assert_eq!(rig.ended().len(), 1);
    rig.add(2, mono(&[0.125; 9_600]));
    let heard = rig.mix(2);
    assert!(heard[..240].iter().all(|sample| *sample == 0.0), "nothing old");
    assert!(heard[240..].iter().all(|sample| *sample == 0.125));
}
