//! Signals and measurements.

use std::f64::consts::TAU;

use voice_mixer::effects::{Chain, Effect};

/// A sine on the left, and the same times `right` on the right.
pub(crate) fn sine(frequency: f64, amplitude: f64, right: f64, frames: usize) -> Vec<f32> {
    let value = |n: usize| (n as f64 * frequency / 48_000.0 * TAU).sin() * amplitude;
    (0..frames).flat_map(|n| [value(n) as f32, (value(n) * right) as f32]).collect()
}

/// White noise, interleaved, of its own in each channel.
pub(crate) fn noise(seed: u32, amplitude: f32, frames: usize) -> Vec<f32> {
    let mut state = seed;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((state >> 8) as f32 / 8_388_608.0 - 1.0) * amplitude
    };
    std::iter::repeat_with(next).take(frames * 2).collect()
}

pub(crate) fn channel(frames: &[f32], channel: usize) -> Vec<f64> {
    frames.iter().skip(channel).step_by(2).map(|sample| f64::from(*sample)).collect()
}

pub(crate) fn rms(samples: &[f64]) -> f64 {
    (samples.iter().map(|sample| sample * sample).sum::<f64>() / samples.len() as f64).sqrt()
}

pub(crate) fn db(gain: f64) -> f64 {
    20.0 * gain.log10()
}

pub(crate) fn chain(effects: &[Effect]) -> Chain {
    Chain::new(effects).expect("a chain")
}

/// `frames` after one effect, in pieces of many lengths.
pub(crate) fn applied(effect: Effect, frames: &[f32]) -> Vec<f32> {
    let mut chain = chain(&[effect]);
    let mut out = frames.to_vec();
    let mut rest = &mut out[..];
    for length in [960, 1, 479, 240, 33].into_iter().cycle() {
        let (piece, later) = rest.split_at_mut((length * 2).min(rest.len()));
        chain.process(piece);
        rest = later;
        if rest.is_empty() {
            break;
        }
    }
    out
}

/// How large the part of `samples` is that is a sine of `frequency`, and its phase in radians.
pub(crate) fn probe(samples: &[f64], frequency: f64) -> (f64, f64) {
    let (mut re, mut im) = (0.0, 0.0);
    for (n, sample) in samples.iter().enumerate() {
        let (sin, cos) = (n as f64 * frequency / 48_000.0 * TAU).sin_cos();
        re += sample * cos;
        im -= sample * sin;
    }
    let amplitude = 2.0 / samples.len() as f64;
    (re.hypot(im) * amplitude, im.atan2(re))
}

/// The left channel's gain in dB at a whole number of Hz, once settled. `right` says what is in the other channel.
pub(crate) fn response(effect: Effect, frequency: f64, right: f64) -> f64 {
    let out = applied(effect, &sine(frequency, 0.25, right, 96_000));
    db(probe(&channel(&out, 0)[48_000..], frequency).0 / 0.25)
}
