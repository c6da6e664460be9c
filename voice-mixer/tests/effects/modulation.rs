use std::f64::consts::{PI, TAU};

use voice_mixer::effects::{Distortion, Effect, Rotation, Tremolo, Vibrato};

use crate::signal::{applied, channel, noise, probe, rms, sine};

#[test]
fn tremolo_makes_side_tones_of_its_rate_and_depth() {
    for (frequency, depth) in [(2.0_f32, 0.5_f32), (7.0, 1.0), (50.0, 0.2)] {
        let out = applied(Effect::Tremolo(Tremolo { frequency, depth }), &sine(1_000.0, 0.5, 1.0, 48_000));
        let out = channel(&out, 0);
        let (frequency, depth) = (f64::from(frequency), f64::from(depth));
        let middle = probe(&out, 1_000.0).0;
        assert!((middle - 0.5 * (1.0 - depth / 2.0)).abs() < 1e-4, "{middle}");
        for side in [1_000.0 - frequency, 1_000.0 + frequency] {
            let found = probe(&out, side).0;
            assert!((found - 0.5 * depth / 4.0).abs() < 1e-4, "{found} at {side} Hz");
        }
    }
}

#[test]
fn rotation_moves_power_from_side_to_side() {
    let out = applied(Effect::Rotation(Rotation { hz: 0.5 }), &sine(1_000.0, 0.5, 1.0, 96_000));
    let (left, right) = (channel(&out, 0), channel(&out, 1));
    // A quarter turn is half a second.
    for (at, sides) in [(0.0, (0.5, 0.5)), (0.5, (1.0, 0.0)), (1.0, (0.5, 0.5)), (1.5, (0.0, 1.0))] {
        let range = (at * 48_000.0) as usize..(at * 48_000.0) as usize + 480;
        let level = |side: &[f64]| rms(&side[range.clone()]) / (0.5 / 2.0_f64.sqrt());
        let found = (level(&left), level(&right));
        assert!((found.0 - sides.0).abs() < 0.02 && (found.1 - sides.1).abs() < 0.02, "{found:?} at {at} s");
    }
}

#[test]
fn vibrato_bends_the_pitch_as_its_delay_moves() {
    for (frequency, depth) in [(2.0_f32, 0.5_f32), (14.0, 1.0), (5.0, 0.3)] {
        let out = applied(Effect::Vibrato(Vibrato { frequency, depth }), &sine(1_000.0, 0.5, 1.0, 96_000));
        let out = channel(&out, 0);
        // The pitch of every 5 ms, from the phase of neighbours.
        let phases: Vec<f64> = out[960..].chunks_exact(240).map(|piece| probe(piece, 1_000.0).1).collect();
        let bends: Vec<f64> = phases
            .windows(2)
            .map(|pair| ((pair[1] - pair[0] + 3.0 * PI).rem_euclid(TAU) - PI) / TAU * 200.0 / 1_000.0)
            .collect();
        let (highest, lowest) = bends.iter().fold((f64::MIN, f64::MAX), |(a, b), bend| (a.max(*bend), b.min(*bend)));
        let ideal = f64::from(depth) * 48.0 * TAU * f64::from(frequency) / 48_000.0;
        assert!((highest / ideal - 1.0).abs() < 0.03, "up by {highest} instead of {ideal}");
        assert!((-lowest / ideal - 1.0).abs() < 0.03, "down by {lowest} instead of {ideal}");
        assert!((rms(&out[960..]) - 0.5 / 2.0_f64.sqrt()).abs() < 0.005, "as loud as before");
    }
}

#[test]
fn distortion_is_its_formula() {
    let bends = [
        Distortion { sin_scale: 3.0, ..Distortion::default() },
        Distortion { sin_offset: 0.3, cos_scale: 5.0, tan_offset: 0.7, tan_scale: 0.8, ..Distortion::default() },
        Distortion { cos_offset: -0.2, tan_scale: 20.0, offset: 0.1, scale: 0.4, ..Distortion::default() },
        Distortion { scale: 0.0, offset: 0.25, ..Distortion::default() },
    ];
    let input = noise(5, 1.0, 20_000);
    for bend in bends {
        let out = applied(Effect::Distortion(bend), &input);
        for (x, found) in input.iter().zip(&out) {
            let [so, ss, co, cs, to, ts, offset, scale] = [
                bend.sin_offset,
                bend.sin_scale,
                bend.cos_offset,
                bend.cos_scale,
                bend.tan_offset,
                bend.tan_scale,
                bend.offset,
                bend.scale,
            ]
            .map(f64::from);
            let x = f64::from(*x);
            let product = (so + (x * ss).sin()) * (co + (x * cs).cos()) * (to + (x * ts).tan());
            let ideal = (offset + scale * product).clamp(-1.0, 1.0);
            // Rounding counts more the steeper the tangent is.
            let bound = 1e-5 * (1.0 + (x * ts).tan().powi(2) * ts.abs());
            assert!((f64::from(*found) - ideal).abs() < bound, "{bend:?} at {x}: {found} instead of {ideal}");
        }
    }
}
