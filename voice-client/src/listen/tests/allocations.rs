//! The receive path allocates nothing once warm, with listeners of every form.

use std::time::Duration;

use model::{CHANNELS, FRAME_SAMPLES};

use allocation_counter::measure;

use super::stage::{Stage, user};
use crate::listen::{Format, ListenOptions, Mode};

#[test]
fn memory_is_in_proportion_to_use() {
    const FRAME: u64 = (FRAME_SAMPLES * CHANNELS * size_of::<f32>()) as u64;
    let mut stage = Stage::new();
    let mut listener = None;
    let made = measure(|| listener = Some(stage.listen(ListenOptions::default().queue(Some(128)))));
    assert!(made.bytes_current < 32 * 1_024, "{} bytes for nothing heard yet", made.bytes_current);
    stage.speak(2, 20, 440.0, 0.5, Duration::from_secs(20));
    stage.run(50);
    let listener = listener.expect("made");
    while listener.try_next().is_some() {}
    // Its reader keeps up from now on; buffers of the burst serve again.
    let heard = measure(|| {
        stage.wire.reserve(1_000);
        for _ in 0..100 {
            stage.run(1);
            while listener.try_next().is_some() {}
        }
    });
    assert!(heard.count_total <= 101, "{} allocations", heard.count_total);
    let mut stage = Stage::new();
    let listener = stage.listen(ListenOptions::default().queue(Some(128)));
    stage.speak(2, 20, 440.0, 0.5, Duration::from_secs(20));
    let heard = measure(|| {
        stage.wire.reserve(1_000);
        for _ in 0..50 {
            stage.run(1);
            while listener.try_next().is_some() {}
        }
    });
    assert!(heard.bytes_max < 40 * FRAME, "{} bytes", heard.bytes_max);
}

#[test]
fn a_thousand_ticks_into_listeners_of_every_form() {
    let mut stage = Stage::new();
    let gains = [(user(2), 1.5)].into();
    let listeners = [
        stage.listen(ListenOptions::default()),
        stage.listen(ListenOptions::default().mode(Mode::Opus)),
        stage.listen(ListenOptions::default().mode(Mode::Pcm(Format::SPEECH)).gains(gains)),
        stage.listen(ListenOptions::default().mix(true).continuous(true).mode(Mode::Pcm(Format::SPEECH))),
        stage.listen(ListenOptions::default().mix(true)),
    ];
    for id in 2..=4 {
        stage.speak(id, 10 * id as u32, 440.0, 0.5, Duration::from_secs(25));
    }
    // Sending allocates for the list of what was sent: made before.
    stage.wire.reserve(10_000);
    let mut heard = 0;
    let mut tick = |stage: &mut Stage| {
        stage.run(1);
        for listener in &listeners {
            while listener.try_next().is_some() {
                heard += 1;
            }
        }
    };
    (0..100).for_each(|_| tick(&mut stage));
    let sent = stage.wire.len();
    let counted = measure(|| (0..1_000).for_each(|_| tick(&mut stage)));
    // One for each packet, in the list of what was sent.
    assert_eq!(counted.count_total as usize, stage.wire.len() - sent);
    assert!(heard > 10_000, "{heard}");
}
