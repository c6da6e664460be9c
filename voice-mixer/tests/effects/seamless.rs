use voice_mixer::effects::{
    Chain, ChannelMix, Compressor, Distortion, Effect, Equalizer, HighPass, Karaoke, LowPass, Rack, Reverb, Rotation,
    Tremolo, Vibrato, Volume,
};

use crate::signal::{applied, chain, channel, noise, sine};

pub(crate) fn all() -> Vec<Effect> {
    vec![
        Effect::Volume(Volume { level: 0.25 }),
        Effect::Equalizer(Equalizer { gains: std::array::from_fn(|n| if n % 2 == 0 { -0.2 } else { 0.15 }) }),
        Effect::Karaoke(Karaoke { level: 0.8, ..Karaoke::default() }),
        Effect::Tremolo(Tremolo::default()),
        Effect::Vibrato(Vibrato::default()),
        Effect::Rotation(Rotation { hz: 0.4 }),
        Effect::Distortion(Distortion { sin_scale: 2.0, scale: 0.5, ..Distortion::default() }),
        Effect::ChannelMix(ChannelMix { left_to_right: 0.5, ..ChannelMix::default() }),
        Effect::LowPass(LowPass::default()),
        Effect::HighPass(HighPass { frequency: 300.0 }),
        Effect::Compressor(Compressor { threshold_db: -30.0, ..Compressor::default() }),
        Effect::Reverb(Reverb::default()),
    ]
}

#[test]
fn parameters_that_change_nothing_leave_every_bit_as_it_is() {
    let input = noise(10, 1.5, 4_000);
    let equalizer = Equalizer { gains: [-0.0; 15] };
    let compressor = Compressor { ratio: 1.0, ..Compressor::default() };
    let neutral = [
        Effect::Volume(Volume::default()),
        Effect::Equalizer(Equalizer::default()),
        Effect::Equalizer(equalizer),
        Effect::Karaoke(Karaoke { level: 0.0, ..Karaoke::default() }),
        Effect::Tremolo(Tremolo { depth: 0.0, ..Tremolo::default() }),
        Effect::Vibrato(Vibrato { depth: 0.0, ..Vibrato::default() }),
        Effect::Rotation(Rotation::default()),
        Effect::Distortion(Distortion::default()),
        Effect::ChannelMix(ChannelMix::default()),
        Effect::LowPass(LowPass { smoothing: 1.0 }),
        Effect::Compressor(compressor),
        Effect::Reverb(Reverb { wet: 0.0, ..Reverb::default() }),
    ];
    for effect in neutral {
        assert!(chain(std::slice::from_ref(&effect)).is_empty(), "{effect:?}");
        assert_eq!(applied(effect.clone(), &input), input, "{effect:?}");
    }
}

#[test]
fn parameters_out_of_range_are_named() {
    let cases = [
        (Effect::Volume(Volume { level: 5.1 }), "volume: level is 5.1, but it has to be from 0 to 5"),
        (
            Effect::Vibrato(Vibrato { frequency: 15.0, depth: 0.5 }),
            "vibrato: frequency is 15, but it has to be above 0 and at most 14 Hz",
        ),
        (
            Effect::Tremolo(Tremolo { frequency: 0.0, depth: 0.5 }),
            "tremolo: frequency is 0, but it has to be above 0 and at most 24,000 Hz",
        ),
        (
            Effect::LowPass(LowPass { smoothing: f32::NAN }),
            "low pass: smoothing is NaN, but it has to be from 1 to 1,000",
        ),
        (
            Effect::Reverb(Reverb { room: -0.1, ..Reverb::default() }),
            "reverb: room is -0.1, but it has to be from 0 to 1",
        ),
    ];
    for (effect, message) in cases {
        assert_eq!(Chain::new(&[effect]).expect_err("out of range").to_string(), message);
    }
}

/// The largest second difference: a click is a large one.
fn roughness(frames: &[f32]) -> f64 {
    let rough = |side: usize| {
        let side = channel(frames, side);
        side.windows(3).map(|three| (three[0] - 2.0 * three[1] + three[2]).abs()).fold(0.0, f64::max)
    };
    rough(0).max(rough(1))
}

#[test]
fn going_over_from_any_chain_to_any_other_makes_no_click() {
    let mut options: Vec<Option<Vec<Effect>>> = all().into_iter().map(|effect| Some(vec![effect])).collect();
    options.push(None);
    for from in &options {
        for to in &options {
            let make = |effects: &Option<Vec<Effect>>| effects.as_ref().map(|effects| chain(effects));
            let mut rack = Rack::new();
            rack.replace(make(from));
            let mut frames = sine(440.0, 0.4, 0.5, 48_000);
            let (before, after) = frames.split_at_mut(30_000 * 2);
            before.chunks_mut(1_920).for_each(|frames| rack.process(frames));
            rack.replace(make(to));
            after.chunks_mut(1_920).for_each(|frames| rack.process(frames));
            // The sine alone has 0.00133; equalizer and karaoke make it louder, the distortion adds harmonics, and a
            // filter that starts from rest does so within the fade.
            let rough = roughness(&frames[20_000 * 2..]);
            assert!(rough < 0.006, "{rough} from {from:?} to {to:?}");
        }
    }
}

#[test]
fn chains_that_follow_each_other_too_fast_make_no_click() {
    let mut rack = Rack::new();
    let mut frames = sine(440.0, 0.4, 1.0, 48_000);
    let mut given = 0;
    for (n, frames) in frames.chunks_mut(300 * 2).enumerate() {
        if n > 20 && n < 100 {
            let level = [1.0, 0.2, 1.5, 0.0, 0.7][n % 5];
            rack.replace(Some(chain(&[Effect::Volume(Volume { level })])));
            given += 1;
        }
        rack.process(frames);
    }
    let rough = roughness(&frames);
    assert!(given > 70 && rough < 0.02, "{rough}");
}
