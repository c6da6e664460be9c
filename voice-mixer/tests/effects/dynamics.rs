use std::time::Duration;

use proptest::test_runner::{Config as ProptestConfig, RngSeed};
use proptest::{prop_assert, proptest};
use voice_mixer::effects::{Compressor, Effect, Limiter, LimiterSettings};

use crate::signal::{applied, channel, db, noise, probe, rms, sine};

#[test]
fn the_compressor_takes_its_time_both_ways() {
    let compressor = Compressor {
        threshold_db: -20.0,
        ratio: 5.0,
        attack: Duration::from_millis(10),
        release: Duration::from_millis(100),
        knee_db: 0.0,
        makeup_db: 6.0,
    };
    let mut input = vec![0.01; 9_600];
    input.extend([1.0; 48_000]);
    input.extend([0.01; 48_000]);
    let out = applied(Effect::Compressor(compressor), &input);
    let gain = |frame: usize| db(f64::from(out[frame * 2]) / f64::from(input[frame * 2]));
    assert!((gain(4_799) - 6.0).abs() < 0.001);
    // 20 dB above with a ratio of 5 are 16 dB too much.
    let attack = gain(4_800 + 480);
    assert!((attack - (6.0 - 16.0 * 0.632)).abs() < 0.1, "{attack}");
    assert!((gain(28_799) - (6.0 - 16.0)).abs() < 0.01);
    let release = gain(28_800 + 4_800);
    assert!((release - (6.0 - 16.0 * 0.368)).abs() < 0.1, "{release}");
}

#[test]
fn both_channels_get_the_gain_of_the_louder_one() {
    let out = applied(Effect::Compressor(Compressor::default()), &sine(500.0, 0.9, 0.1, 48_000));
    for frame in out.chunks_exact(2).skip(1_000) {
        assert!((frame[1] - 0.1 * frame[0]).abs() < 1e-6);
    }
}

fn limiter(ceiling_db: f32) -> Limiter {
    Limiter::new(LimiterSettings { ceiling_db, ..LimiterSettings::default() }).expect("a limiter")
}

#[test]
fn what_is_below_the_ceiling_comes_out_as_it_went_in() {
    let mut limiter = limiter(-1.0);
    assert_eq!((limiter.delay(), limiter.is_clear()), (240, true));
    let input = noise(9, 0.89, 5_000);
    let mut out = input.clone();
    out.resize(5_240 * 2, 0.0);
    limiter.process(&mut out[..5_000 * 2]);
    assert!(!limiter.is_clear());
    limiter.process(&mut out[5_000 * 2..]);
    assert!(limiter.is_clear());
    assert!(out[..480].iter().all(|sample| *sample == 0.0));
    assert_eq!(out[480..], input);
}

#[test]
fn a_loud_tone_is_made_quieter_and_stays_a_tone() {
    let mut limiter = limiter(-6.0);
    let mut out = sine(1_000.0, 1.5, 1.0, 96_000);
    out.chunks_mut(1_920).for_each(|frames| limiter.process(frames));
    let out = &channel(&out, 0)[48_000..];
    let tone = probe(out, 1_000.0).0;
    let rest = (rms(out).powi(2) - tone * tone / 2.0).max(0.0).sqrt();
    assert!((db(tone) + 6.0).abs() < 0.1, "{} dB", db(tone));
    assert!(db(rest / tone) < -50.0, "distorted by {} dB", db(rest / tone));
}

#[test]
fn it_gets_quieter_before_a_peak_and_is_itself_again_after_it() {
    let mut limiter = limiter(0.0);
    let mut out = sine(100.0, 0.1, 1.0, 96_000);
    let plain = out.clone();
    out[10_000] = 4.0;
    out.chunks_mut(1_000).for_each(|frames| limiter.process(frames));
    let peak = out.iter().copied().fold(0.0, f32::max);
    assert!((0.99..=1.0).contains(&peak), "{peak}");
    // No step anywhere else.
    for (n, pair) in channel(&out, 1).windows(2).enumerate() {
        assert!((pair[1] - pair[0]).abs() < 0.003, "frame {n}");
    }
    assert_eq!(out[95_000 * 2..95_760 * 2], plain[94_760 * 2..95_520 * 2]);
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(4_711), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_ever_above_the_ceiling(
        seed: u32, loudness in 0.1_f32..30.0, ceiling in -40.0_f32..0.0, look_ahead in 100_u64..20_000, release in 1_u64..500,
    ) {
        let mut limiter = Limiter::new(LimiterSettings {
            ceiling_db: ceiling,
            look_ahead: Duration::from_micros(look_ahead),
            release: Duration::from_millis(release),
        }).expect("a limiter");
        let mut frames = noise(seed, 1.0, 4_000);
        // Mostly quiet, with peaks.
        frames.iter_mut().for_each(|sample| *sample = sample.powi(9) * loudness);
        frames.chunks_mut(338).for_each(|frames| limiter.process(frames));
        let peak = frames.iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
        prop_assert!(peak <= 10.0_f32.powf(ceiling / 20.0), "{peak}");
    }
}
