use voice_mixer::effects::{Effect, Limiter, LimiterSettings, Rack, Stretch, Timescale, Volume};

use crate::seamless::all;
use crate::signal::{chain, noise, sine};

/// Sound that nobody should send: NaN, infinity, denormal numbers, huge ones, full-scale square.
fn hostile() -> Vec<Vec<f32>> {
    let square = |amplitude: f32| (0..1_920).map(|n| if n / 100 % 2 == 0 { amplitude } else { -amplitude }).collect();
    vec![
        vec![f32::NAN; 1_920],
        vec![f32::INFINITY; 1_920],
        (0..1_920).map(|n| if n % 2 == 0 { f32::NEG_INFINITY } else { f32::MAX }).collect(),
        square(1.0),
        square(f32::MAX),
        vec![f32::MIN_POSITIVE / 3.0; 1_920],
        noise(11, 1e-39, 960),
    ]
}

/// Hostile sound in between, then clean sound: does it come out as if nothing had been?
fn recovers(name: &str, mut process: impl FnMut(&mut [f32]), mut clean: impl FnMut(&mut [f32])) {
    for mut frames in hostile() {
        process(&mut frames);
        assert!(frames.iter().all(|sample| sample.is_finite()), "{name}");
        clean(&mut vec![0.0; frames.len()]);
    }
    for _ in 0..1_500 {
        process(&mut [0.0; 1_920]);
        clean(&mut [0.0; 1_920]);
    }
    let tone = sine(440.0, 0.4, 0.7, 48_000);
    for (n, piece) in tone.chunks(1_920).enumerate() {
        let (mut frames, mut ideal) = (piece.to_vec(), piece.to_vec());
        process(&mut frames);
        clean(&mut ideal);
        for (found, ideal) in frames.iter().zip(&ideal) {
            assert!((found - ideal).abs() < 1e-3, "{name}, frame {n}: {found} instead of {ideal}");
        }
    }
}

#[test]
fn every_effect_survives_and_recovers() {
    for effect in all() {
        let name = format!("{effect:?}");
        let (mut hit, mut clean) = (chain(std::slice::from_ref(&effect)), chain(&[effect]));
        recovers(&name, |frames| hit.process(frames), |frames| clean.process(frames));
    }
}

#[test]
fn many_effects_that_amplify_stay_finite() {
    let effects: Vec<Effect> = (0..100).map(|_| Effect::Volume(Volume { level: 5.0 })).collect();
    let mut hit = chain(&effects);
    for mut frames in hostile() {
        hit.process(&mut frames);
        assert!(frames.iter().all(|sample| sample.is_finite()));
    }
    let mut rack = Rack::new();
    rack.replace(Some(chain(&all())));
    for mut frames in hostile() {
        rack.process(&mut frames);
        rack.replace(Some(chain(&all())));
        rack.process(&mut frames[..100]);
        assert!(frames[..100].iter().all(|sample| sample.is_finite()));
    }
}

#[test]
fn the_limiter_survives_and_recovers() {
    let limiter = || Limiter::new(LimiterSettings::default()).expect("a limiter");
    let (mut hit, mut clean) = (limiter(), limiter());
    recovers("limiter", |frames| hit.process(frames), |frames| clean.process(frames));
}

#[test]
fn stretching_survives_and_recovers() {
    for (speed, pitch) in [(1.0, 1.0), (1.3, 1.0), (1.0, 0.8)] {
        let mut stretch = Stretch::new(Timescale { speed, pitch, rate: 1.0 }).expect("a stretch");
        let mut out = [0.0; 1_920];
        for input in hostile() {
            for _ in 0..5 {
                stretch.render(&mut out, &mut |frames| copy(&input, frames), false);
                assert!(out.iter().all(|sample| sample.is_finite()));
            }
        }
        for _ in 0..20 {
            stretch.render(&mut out, &mut |frames| copy(&[0.0; 1_920], frames), false);
        }
        assert!(out.iter().all(|sample| sample.abs() < 1e-9));
    }
}

fn copy(from: &[f32], to: &mut [f32]) -> usize {
    let len = from.len().min(to.len());
    to[..len].copy_from_slice(&from[..len]);
    len / 2
}
