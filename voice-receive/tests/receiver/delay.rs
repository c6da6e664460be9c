use std::f32::consts::TAU;
use std::time::Duration;

use voice_model::FRAME;
use voice_receive::{Config, Decode, Kind, Latency, Preset};

use crate::script::Tone;
use crate::world::{Link, World};

const CLEAN: Link = Link { jitter: Duration::ZERO, burst: None, duplicates: 0, drift: 0 };

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Speech without a pause.
fn speak(world: &mut World, link: &Link, frames: std::ops::Range<u32>) {
    frames.for_each(|number| world.send(link, number, Some(number as usize)));
}

fn latency(preset: Preset, jitter: Duration, phase: Duration) -> Latency {
    let packets = Tone::new(440.0).packets(50);
    let mut world = World::new(Config::preset(preset), 1);
    speak(&mut world, &Link { jitter, ..CLEAN }, 0..500);
    (500..505).for_each(|number| world.send(&CLEAN, number, None));
    world.run(&packets, phase, FRAME * 515);
    let stats = world.script.stats();
    assert_eq!((stats.late, stats.lost), (0, 0), "{phase:?}");
    if jitter.is_zero() {
        assert_eq!((stats.held_samples, stats.accelerated_samples, stats.expanded_samples), (0, 0, 0), "{phase:?}");
    }
    stats.delay
}

#[test]
fn a_clean_link_adds_little_whatever_the_phase() {
    for (preset, longest) in [(Preset::LowLatency, 20), (Preset::Balanced, 30)] {
        for phase in 0..40 {
            let phase = Duration::from_micros(500) * phase;
            let latency = latency(preset, Duration::ZERO, phase);
            assert!(latency.p95() <= Some(millis(longest)), "{preset:?} {phase:?} {latency:?}");
        }
    }
}

#[test]
fn over_all_phases_a_link_with_a_little_noise_is_as_good() {
    // Shares of all speakers of all phases, as a call has them.
    for (preset, longest) in [(Preset::LowLatency, 21), (Preset::Balanced, 30)] {
        let mut over = 0;
        for phase in 0..40 {
            let latency = latency(preset, Duration::from_micros(300), Duration::from_micros(500) * phase);
            over += u32::from(latency.p95() > Some(millis(longest)));
        }
        assert!(over <= 2, "{preset:?}: {over} of 40 phases");
    }
}

#[test]
fn a_recording_waits_longer() {
    let latency = latency(Preset::Recording, millis(60), millis(5));
    assert!(latency.p50() >= Some(millis(60)) && latency.p95() <= Some(millis(200)), "{latency:?}");
}

#[test]
fn the_delay_follows_the_jitter_up_and_down() {
    let packets = Tone::new(440.0).packets(50);
    let mut world = World::new(Config::default(), 7);
    speak(&mut world, &CLEAN, 0..250);
    world.run(&packets, millis(5), FRAME * 250);
    assert_eq!(world.script.stats().target, millis(8));
    speak(&mut world, &Link { jitter: millis(80), ..CLEAN }, 250..1250);
    world.run(&packets, millis(5), FRAME * 350);
    let learning = world.script.stats();
    world.run(&packets, millis(5), FRAME * 1250);
    let learnt = world.script.stats();
    assert!((millis(75)..=millis(120)).contains(&learnt.target), "{learnt:?}");
    // Once it is learnt, a packet in a hundred is missed at most.
    assert!(learnt.held_samples - learning.held_samples <= 9 * 960, "{learnt:?}");
    assert_eq!((learnt.late, learnt.lost), (learning.late, 0));
    speak(&mut world, &CLEAN, 1250..3250);
    world.run(&packets, millis(5), FRAME * 3250);
    let calm = world.script.stats();
    assert_eq!(calm.target, millis(8));
    assert!(calm.accelerated_samples > 40 * 48, "{calm:?}");
    // Of speech alone, without a pause.
    assert!(world.script.heard.last().expect("frames").depth <= millis(60));
    assert_eq!(calm.concealed_samples, learnt.concealed_samples);
}

#[test]
fn a_spike_costs_no_packet_and_is_forgotten() {
    let packets = Tone::new(440.0).packets(50);
    let mut world = World::new(Config::default(), 7);
    for number in 0..1000_u32 {
        // Ten packets come together, up to 200 ms late.
        let sent = if (300..310).contains(&number) { 310 } else { number };
        world.send_at(&CLEAN, FRAME * sent, number, Some(number as usize));
    }
    (1000..1005).for_each(|number| world.send(&CLEAN, number, None));
    world.run(&packets, millis(10), FRAME * 320);
    let spike = world.script.stats();
    assert_eq!((spike.late, spike.lost), (0, 0));
    assert!(spike.target >= millis(180), "{spike:?}");
    world.run(&packets, millis(10), FRAME * 1001);
    assert!(world.script.heard.last().expect("frames").depth <= millis(60));
    world.run(&packets, millis(10), FRAME * 1020);
    let stats = world.script.stats();
    assert_eq!(stats.target, millis(8));
    assert_eq!((stats.late, stats.lost, stats.resyncs), (0, 0, 0));
    assert_eq!(stats.concealed_samples, spike.concealed_samples);
    // 10 % at most.
    assert!(stats.accelerated_samples <= 700 * 96, "{stats:?}");
    let mix = world.mix();
    assert_eq!(u64::from(mix.received) + stats.accelerated_samples - stats.expanded_samples, 1000 * 960);
}

#[test]
fn clocks_that_drift_apart_in_speech_without_a_pause_change_nothing() {
    // Five minutes, in which the clocks part by 60 ms: three times what there is room for.
    let packets = Tone::redundant(200.0).packets(20);
    for drift in [200, -200] {
        let mut world = World::new(Config::default(), 3);
        let mut deepest = Duration::ZERO;
        for minute in 0..5 {
            let frames = minute * 3000..(minute + 1) * 3000;
            speak(&mut world, &Link { drift, jitter: millis(2), ..CLEAN }, frames.clone());
            world.run(&packets, millis(9), World::sent(frames.end, drift));
            deepest = world.script.heard.drain(..).map(|frame| frame.depth).fold(deepest, Duration::max);
        }
        let stats = world.script.stats();
        assert!(deepest <= millis(60), "{drift}: {deepest:?}");
        assert_eq!((stats.late, stats.lost, stats.resyncs, stats.skipped_samples), (0, 0, 0, 0), "{drift}");
        assert!(stats.delay.p95() <= Some(millis(40)), "{stats:?}");
        assert!(stats.concealed_samples <= 5 * 960, "{drift}: {stats:?}");
        let (most, least) = match drift {
            200 => (stats.accelerated_samples, stats.expanded_samples),
            _ => (stats.expanded_samples + stats.held_samples, stats.accelerated_samples),
        };
        assert!((1_500..4_500).contains(&(most - least)), "{drift}: {stats:?}");
        assert!(drift > 0 || stats.expanded_samples > 0, "{stats:?}");
    }
}

#[test]
fn clocks_that_drift_apart_for_hours_change_nothing() {
    // Packets only, an hour of talk with a pause every ten seconds.
    let packets = Tone::new(200.0).packets(1);
    for drift in [200, -200] {
        let link = Link { drift, jitter: millis(2), ..CLEAN };
        let mut world = World::new(Config::default().decode(Decode::Packets), 3);
        let mut deepest = Duration::ZERO;
        for spurt in 0..360 {
            let first = spurt * 500;
            speak(&mut world, &link, first..first + 450);
            (first + 450..first + 455).for_each(|number| world.send(&link, number, None));
            world.run(&packets, millis(9), World::sent(first + 500, drift));
            deepest = world.script.heard.drain(..).map(|frame| frame.depth).fold(deepest, Duration::max);
        }
        let stats = world.script.stats();
        assert!(deepest <= millis(60), "{drift}: {deepest:?}");
        assert_eq!((stats.late, stats.lost, stats.resyncs, stats.concealed_samples), (0, 0, 0, 0), "{drift}");
        assert!(stats.delay.p95() <= Some(millis(40)), "{drift}: {stats:?}");
    }
}

#[test]
fn faster_speech_has_no_clicks() {
    for hertz in [80.0, 130.0, 440.0, 997.0] {
        let packets = Tone::new(hertz).packets(400);
        let mut world = World::new(Config::default(), 7);
        for number in 0..400_u32 {
            let sent = if number < 15 { 15 } else { number };
            world.send_at(&CLEAN, FRAME * sent, number, Some(number as usize));
        }
        world.run(&packets, millis(10), FRAME * 401);
        let stats = world.script.stats();
        assert!(stats.accelerated_samples > 100 * 48, "{hertz}: {stats:?}");
        assert_eq!(stats.concealed_samples, 0);
        let heard = world.script.pcm();
        let slope = 0.4 * TAU * hertz / 48_000.0;
        // The first packets are the encoder's beginning.
        let steepest = heard[4 * 1920..].chunks(2).map(|pair| pair[0]).collect::<Vec<_>>();
        let steepest = steepest.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max);
        assert!(steepest < 2.0 * slope, "{hertz}: {steepest} instead of {slope}");
    }
}

#[test]
fn bursts_of_loss_jitter_reordering_copies_and_pauses_keep_the_account() {
    let packets = Tone::redundant(200.0).packets(50);
    for seed in 0..6 {
        for preset in [Preset::LowLatency, Preset::Balanced, Preset::Recording] {
            let link = Link {
                jitter: millis(50),
                burst: Some((30, 300)),
                duplicates: 50,
                drift: [200, -200][seed as usize % 2],
            };
            let mut world = World::new(Config::preset(preset), seed);
            let mut number = 0;
            for spurt in 0..10 {
                let end = number + 60 + spurt * 7;
                speak(&mut world, &link, number..end);
                (end..end + 5).for_each(|number| world.send(&link, number, None));
                number = end + 40;
            }
            world.run(&packets, millis(3), FRAME * (number + 50));
            let (stats, mix) = (world.script.stats(), world.mix());
            let about = format!("seed {seed}, {preset:?}: {stats:?}");
            assert_eq!(stats.received, world.arrived, "{about}");
            assert!(stats.duplicate > 0 && stats.lost > 0, "{about}");
            // Every packet of speech is played, or was late, or is accounted for by what was taken out and put in.
            let played = u64::from(mix.received) + stats.accelerated_samples - stats.expanded_samples;
            let spoken = world.spoken * 960;
            assert!(
                played <= spoken && played + stats.late * 960 >= spoken - spoken / 100,
                "{about}, {played} of {spoken}"
            );
            let all = mix.received + mix.fec + mix.concealed + mix.silence;
            assert_eq!(u64::from(all), 960 * stats.frames, "{about}");
            assert!(stats.fec > 0, "{about}");
            let longest = world.script.heard.iter().map(|frame| frame.depth).max().expect("frames");
            assert!(
                longest <= if preset == Preset::Recording { millis(300) } else { millis(200) },
                "{longest:?} {about}"
            );
            assert!(preset != Preset::Recording || stats.accelerated_samples + stats.expanded_samples == 0, "{about}");
        }
    }
}

#[test]
fn what_is_received_is_where_its_timestamp_says() {
    let packets = Tone::new(440.0).packets(500);
    let wanted = crate::script::decoded(&packets);
    for seed in 0..6 {
        let link = Link { jitter: millis(40), burst: Some((20, 300)), duplicates: 30, drift: 100 };
        let mut world = World::new(Config::default().stretch(false), seed);
        speak(&mut world, &link, 0..500);
        world.run(&packets, millis(3), FRAME * 520);
        let mut compared = 0;
        let mut clean = 0;
        for frame in &world.script.heard {
            clean = if frame.kind == Kind::Received { clean + 1 } else { 0 };
            let at = 2 * frame.time as usize;
            if clean > 5 && at > 20 * 1920 && at + 1920 <= wanted.len() {
                let error = crate::script::error(&frame.pcm, &wanted[at..at + 1920]);
                assert!(error < 0.001, "seed {seed}, {}: {error}", frame.time / 960);
                compared += 1;
            }
        }
        assert!(compared > 150, "seed {seed}: {compared}");
    }
}

/// One packet of 100 is lost; returns what was heard, and the delay before and after.
fn lose_one(packets: &[Vec<u8>], preset: Preset, phase: Duration) -> (World, Duration, Duration) {
    let mut world = World::new(Config::preset(preset), 1);
    for number in 0..100_u32 {
        if number == 50 {
            world.lose();
        } else {
            world.send(&CLEAN, number, Some(number as usize));
        }
    }
    (100..105).for_each(|number| world.send(&CLEAN, number, None));
    world.run(packets, phase, FRAME * 48);
    let before = world.script.stats().depth;
    world.run(packets, phase, FRAME * 60);
    let after = world.script.stats().depth;
    world.run(packets, phase, FRAME * 120);
    (world, before, after)
}

#[test]
fn case_08_holds_whatever_the_phase_and_the_delay() {
    let packets = Tone::new(440.0).packets(50);
    for preset in [Preset::LowLatency, Preset::Balanced, Preset::Recording] {
        for phase in 0..20 {
            let (world, before, after) = lose_one(&packets, preset, millis(phase));
            let (stats, mix) = (world.script.stats(), world.mix());
            let about = format!("{preset:?}, {phase} ms: {stats:?}");
            assert_eq!((mix.received, mix.concealed, stats.lost), (99 * 960, 960, 1), "{about}");
            assert_eq!(before, after, "{about}");
            assert_eq!(stats.longest_gap, if stats.held_samples > 0 { FRAME } else { stats.longest_gap }, "{about}");
        }
    }
}

#[test]
fn redundancy_is_worth_a_packet_of_delay_but_not_in_a_hurry() {
    let packets = Tone::redundant(200.0).packets(50);
    for phase in 0..20 {
        let (world, ..) = lose_one(&packets, Preset::Balanced, millis(phase));
        let (stats, mix) = (world.script.stats(), world.mix());
        assert_eq!((mix.fec, u64::from(mix.concealed)), (960, stats.held_samples), "{phase}: {stats:?}");
        assert!(mix.concealed <= 960, "{phase}: {stats:?}");
        let (world, ..) = lose_one(&packets, Preset::LowLatency, millis(phase));
        assert_eq!(world.mix().fec + world.mix().concealed, 960, "{phase}");
    }
}
