use std::f64::consts::{PI, TAU};

use voice_mixer::effects::{Effect, Equalizer, HighPass, Karaoke, LowPass};

use crate::signal::{applied, channel, db, noise, response};

fn band(index: usize, gain: f32) -> Effect {
    let mut equalizer = Equalizer::default();
    equalizer.gains[index] = gain;
    Effect::Equalizer(equalizer)
}

#[test]
fn each_band_is_raised_and_lowered_by_what_lavalink_says() {
    for (index, frequency) in Equalizer::FREQUENCIES.into_iter().enumerate() {
        for gain in [-0.25_f32, -0.125, 0.25, 1.0] {
            let found = response(band(index, gain), f64::from(frequency), 1.0);
            let ideal = 1.0 + 4.0 * f64::from(gain);
            if ideal == 0.0 {
                assert!(found < -60.0, "{frequency} Hz is gone only by {found} dB");
            } else {
                assert!((found - db(ideal)).abs() < 0.02, "{frequency} Hz: {found} dB instead of {}", db(ideal));
            }
        }
        // Two octaves away little happens.
        let away = f64::from(frequency) * if frequency < 6_000.0 { 4.0 } else { 0.25 };
        let found = response(band(index, 0.25), away, 1.0);
        assert!(found.abs() < 0.5, "{found} dB two octaves from {frequency} Hz");
    }
}

/// The recursion that Lavalink's equalizer is: `band = (1 - b) / 2 * (x - x2) + (1 + b) * cos(w) * band1 - b * band2`,
/// with the numbers `b` that it has for these bands.
#[test]
fn it_does_what_the_recursion_does() {
    let input = noise(3, 0.3, 48_000);
    for (index, b) in [(0, 9.984_754_666_4e-1), (8, 9.408_093_313_2e-1), (14, 4.181_188_844_7e-1)] {
        let turn = TAU * f64::from(Equalizer::FREQUENCIES[index]) / 48_000.0;
        let out = channel(&applied(band(index, 0.7), &input), 1);
        let input = channel(&input, 1);
        let (mut one, mut two, mut worst) = (0.0, 0.0, 0.0_f64);
        for n in 0..input.len() {
            let before = if n < 2 { 0.0 } else { input[n - 2] };
            let now = (1.0 - b) / 2.0 * (input[n] - before) + (1.0 + b) * turn.cos() * one - b * two;
            (one, two) = (now, one);
            worst = worst.max((out[n] - (input[n] + 2.8 * now)).abs());
        }
        assert!(worst < 1e-5, "band {index} is off by {worst}");
    }
}

#[test]
fn all_bands_together_are_the_sum_of_each() {
    let input = noise(4, 0.3, 9_600);
    let gains: [f32; 15] = std::array::from_fn(|index| (index as f32 * 0.37).sin() * 0.2);
    let mut sum = channel(&input, 0);
    for (index, gain) in gains.into_iter().enumerate() {
        let alone = channel(&applied(band(index, gain), &input), 0);
        for ((sum, alone), input) in sum.iter_mut().zip(alone).zip(channel(&input, 0)) {
            *sum += alone - input;
        }
    }
    let together = channel(&applied(Effect::Equalizer(Equalizer { gains }), &input), 0);
    let worst = together.iter().zip(sum).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(worst < 1e-5, "{worst}");
}

#[test]
fn low_pass_falls_by_6_db_per_octave() {
    for smoothing in [2.0_f32, 20.0, 300.0] {
        for frequency in [10.0, 100.0, 380.0, 1_000.0, 4_000.0, 16_000.0] {
            let share = 1.0 / f64::from(smoothing);
            let turn = TAU * frequency / 48_000.0;
            let ideal = share / (1.0 - 2.0 * (1.0 - share) * turn.cos() + (1.0 - share).powi(2)).sqrt();
            let found = response(Effect::LowPass(LowPass { smoothing }), frequency, 1.0);
            assert!((found - db(ideal)).abs() < 0.01, "{smoothing}, {frequency} Hz: {found} instead of {}", db(ideal));
        }
    }
}

#[test]
fn high_pass_falls_by_12_db_per_octave() {
    for corner in [10.0_f32, 80.0, 1_000.0, 12_000.0] {
        for frequency in [10.0, 40.0, 80.0, 500.0, 1_000.0, 12_000.0, 20_000.0] {
            let warp = |frequency: f64| (PI * frequency / 48_000.0).tan();
            let ideal = 1.0 / (1.0 + (warp(f64::from(corner)) / warp(frequency)).powi(4)).sqrt();
            let found = response(Effect::HighPass(HighPass { frequency: corner }), frequency, 1.0);
            assert!((found - db(ideal)).abs() < 0.02, "{corner}, {frequency} Hz: {found} instead of {}", db(ideal));
        }
    }
}

#[test]
fn karaoke_takes_the_middle_and_keeps_the_sides_and_the_bass() {
    let karaoke = |mono_level| Effect::Karaoke(Karaoke { mono_level, ..Karaoke::default() });
    for frequency in [100.0, 220.0, 1_000.0, 5_000.0] {
        let (middle, sides) = (response(karaoke(0.0), frequency, 1.0), response(karaoke(1.0), frequency, -1.0));
        assert!(middle < -120.0, "the middle is still at {middle} dB at {frequency} Hz");
        assert!((sides - db(2.0)).abs() < 0.001, "the sides are at {sides} dB at {frequency} Hz");
    }
    assert!(response(karaoke(1.0), 220.0, 1.0).abs() < 0.5, "the bass comes back");
    assert!(response(karaoke(1.0), 3_000.0, 1.0) < -40.0, "the voice does not");
    // The band is as wide as it says.
    for frequency in [170.0, 270.0] {
        let found = response(karaoke(1.0), frequency, 1.0);
        assert!((-4.5..-2.0).contains(&found), "{found} dB at {frequency} Hz");
    }
}
