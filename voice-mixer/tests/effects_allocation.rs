//! Effects allocate when they are made, and not again.

use std::time::Duration;

use allocation_counter::measure;
use voice_mixer::effects::{
    Chain, ChannelMix, Compressor, Distortion, Effect, Equalizer, HighPass, Karaoke, Limiter, LimiterSettings, LowPass,
    Rack, Reverb, Rotation, Stretch, Timescale, Tremolo, Vibrato, Volume,
};

const FRAMES: usize = 1_000;

fn all() -> Chain {
    Chain::new(&[
        Effect::Volume(Volume { level: 0.5 }),
        Effect::Equalizer(Equalizer { gains: [0.1; Equalizer::BANDS] }),
        Effect::Karaoke(Karaoke::default()),
        Effect::Tremolo(Tremolo::default()),
        Effect::Vibrato(Vibrato::default()),
        Effect::Rotation(Rotation { hz: 0.2 }),
        Effect::Distortion(Distortion { sin_scale: 2.0, ..Distortion::default() }),
        Effect::ChannelMix(ChannelMix { left_to_right: 0.5, ..ChannelMix::default() }),
        Effect::LowPass(LowPass::default()),
        Effect::HighPass(HighPass::default()),
        Effect::Compressor(Compressor::default()),
        Effect::Reverb(Reverb::default()),
    ])
    .expect("a chain")
}

fn noise(state: &mut u32, frames: &mut [f32]) -> usize {
    for sample in frames.iter_mut() {
        *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *sample = (*state >> 8) as f32 / 8_388_608.0 - 1.0;
    }
    frames.len() / 2
}

#[test]
fn chains_in_a_rack_and_the_limiter() {
    let mut chains: Vec<Chain> = (0..FRAMES).map(|_| all()).step_by(10).collect();
    let mut spent = Vec::with_capacity(chains.len());
    let mut rack = Rack::new();
    let settings =
        LimiterSettings { ceiling_db: -10.0, release: Duration::from_millis(20), ..LimiterSettings::default() };
    let mut limiter = Limiter::new(settings).expect("a limiter");
    let mut frames = [0.0; 1_920];
    let mut state = 1;
    let counted = measure(|| {
        for n in 0..FRAMES {
            noise(&mut state, &mut frames);
            if n % 10 == 0 {
                spent.extend(rack.replace(chains.pop()));
            }
            if n % 70 == 0 {
                // A second one before the fade has ended.
                rack.process(&mut frames[..200]);
                spent.extend(rack.replace(None));
            }
            rack.process(&mut frames);
            limiter.process(&mut frames);
            spent.extend(rack.take_spent());
        }
    });
    assert_eq!(counted.count_total, 0);
    assert!(spent.len() > FRAMES / 10 - 5, "{}", spent.len());
}

#[test]
fn stretching_with_changes() {
    let mut stretch = Stretch::new(Timescale::default()).expect("a stretch");
    let mut frames = [0.0; 1_920];
    let mut state = 1;
    let mut produced = 0;
    let counted = measure(|| {
        for n in 0..FRAMES {
            if n % 7 == 0 {
                let (speed, pitch) = (0.5 + (n % 50) as f32 / 20.0, 0.6 + (n % 30) as f32 / 20.0);
                stretch.set(Timescale { speed, pitch, rate: 1.0 }).expect("settings in range");
            }
            produced += stretch.render(&mut frames, &mut |frames| noise(&mut state, frames), n + 1 == FRAMES).frames;
        }
        stretch.reset();
    });
    assert_eq!((counted.count_total, produced), (0, FRAMES * 960));
}
