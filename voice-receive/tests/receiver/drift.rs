//! Clocks that drift apart where nobody ever pauses: music, an open microphone.

use std::ops::Range;
use std::time::Duration;

use voice_model::FRAME_SAMPLES;
use voice_receive::{Config, Decode, Preset, Stats};

use crate::script::{Dice, Tone};
use crate::world::{Link, World};

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Minutes without a pause; returns the figures at the end, and the greatest depth.
fn play(config: Config, packets: &[Vec<u8>], drift: i64, minutes: Range<u32>) -> (Stats, Duration) {
    let link = Link { drift, jitter: millis(2), burst: None, duplicates: 0 };
    let mut world = World::new(config, 3);
    let mut deepest = Duration::ZERO;
    for minute in minutes {
        (minute * 3000..(minute + 1) * 3000).for_each(|number| world.send(&link, number, Some(number as usize)));
        world.run(packets, millis(9), World::sent((minute + 1) * 3000, drift));
        deepest = world.script.heard.drain(..).map(|frame| frame.depth).fold(deepest, Duration::max);
    }
    (world.script.stats(), deepest)
}

#[test]
fn packets_alone_stay_in_time_for_hours() {
    let packets = Tone::new(200.0).packets(1);
    for (preset, longest) in [(Preset::Balanced, 60), (Preset::Recording, 200)] {
        let (stats, deepest) = play(Config::preset(preset).decode(Decode::Packets), &packets, 200, 0..120);
        let about = format!("{preset:?}: {deepest:?}, {stats:?}");
        assert!(deepest <= millis(longest), "{about}");
        assert_eq!((stats.late, stats.lost, stats.resyncs, stats.concealed_samples), (0, 0, 0, 0), "{about}");
        // The clocks part by 1.44 s: 72 packets, one by one.
        assert!((68 * 960..=72 * 960).contains(&stats.skipped_samples), "{about}");
    }
    let (stats, deepest) = play(Config::default().decode(Decode::Packets), &packets, -200, 0..120);
    assert!(deepest <= millis(60), "{deepest:?}, {stats:?}");
    assert_eq!((stats.late, stats.lost, stats.resyncs, stats.skipped_samples), (0, 0, 0, 0), "{stats:?}");
    assert!(stats.held_samples == stats.concealed_samples && stats.held_samples <= 73 * 960, "{stats:?}");
}

#[test]
fn a_recording_is_stretched_for_the_clocks_and_for_nothing_else() {
    // Five minutes in which they part by 120 ms.
    let packets = Tone::new(200.0).packets(20);
    for drift in [400, -400] {
        let (stats, deepest) = play(Config::preset(Preset::Recording), &packets, drift, 0..5);
        let about = format!("{drift}: {deepest:?}, {stats:?}");
        assert!(deepest <= millis(200), "{about}");
        let noise = (stats.late, stats.lost, stats.resyncs, stats.skipped_samples, stats.concealed_samples);
        assert_eq!(noise, (0, 0, 0, 0, 0), "{about}");
        let (some, none) = match drift {
            400 => (stats.accelerated_samples, stats.expanded_samples),
            _ => (stats.expanded_samples, stats.accelerated_samples),
        };
        // What is left of the 120 ms lies within the tolerance.
        assert!((30 * 48..=120 * 48).contains(&some) && none == 0, "{about}");
        assert!(stats.delay.p50() >= Some(millis(70)) && stats.delay.p95() <= Some(millis(180)), "{about}");
    }
    let (stats, _) = play(Config::preset(Preset::Recording), &packets, 0, 0..1);
    assert_eq!((stats.accelerated_samples, stats.expanded_samples), (0, 0), "{stats:?}");
}

#[test]
fn noise_that_never_repeats_is_no_way_out() {
    let mut encoder = opus::Encoder::new(48_000, opus::Channels::Stereo, opus::Application::Audio).expect("an encoder");
    let mut dice = Dice(5);
    let packets: Vec<_> = (0..50)
        .map(|_| {
            let noise: Vec<_> = (0..2 * FRAME_SAMPLES).map(|_| dice.roll(1000) as f32 / 1000.0 - 0.5).collect();
            encoder.encode_vec_float(&noise, 4000).expect("a legal length")
        })
        .collect();
    for (preset, longest) in [(Preset::Balanced, 90), (Preset::Recording, 220)] {
        let (stats, deepest) = play(Config::preset(preset), &packets, 400, 0..5);
        let about = format!("{preset:?}: {deepest:?}, {stats:?}");
        assert!(deepest <= millis(longest) && stats.accelerated_samples >= 40 * 48, "{about}");
        assert_eq!((stats.lost, stats.resyncs, stats.skipped_samples), (0, 0, 0), "{about}");
    }
}
