use std::f64::consts::TAU;

use super::*;

const RATES: [Rate; 4] = [Rate::Hz48000, Rate::Hz24000, Rate::Hz16000, Rate::Hz8000];

fn format(rate: Rate, channels: Channels) -> Format {
    Format { rate, channels, sample: SampleKind::F32 }
}

/// Frame `number` of tones, left and right.
fn tones(number: usize, left: f64, right: f64) -> Vec<f32> {
    (0..FRAME_SAMPLES)
        .flat_map(|at| {
            let time = (number * FRAME_SAMPLES + at) as f64 / 48_000.0;
            [left, right].map(|hertz| ((hertz * TAU * time).sin() * 0.5) as f32)
        })
        .collect()
}

/// Amplitude of `hertz` in the signal, and of all that is left without it.
fn split(signal: &[f32], rate: Rate, hertz: f64) -> (f64, f64) {
    let angle = |at: usize| hertz * TAU * at as f64 / f64::from(rate.hertz());
    let part = |of: fn(f64) -> f64| {
        signal.iter().enumerate().map(|(at, x)| f64::from(*x) * of(angle(at))).sum::<f64>() * 2.0 / signal.len() as f64
    };
    let (sine, cosine) = (part(f64::sin), part(f64::cos));
    let rest = signal
        .iter()
        .enumerate()
        .map(|(at, x)| (f64::from(*x) - sine * angle(at).sin() - cosine * angle(at).cos()).powi(2));
    (sine.hypot(cosine), (rest.sum::<f64>() * 2.0 / signal.len() as f64).sqrt())
}

#[test]
fn a_tone_keeps_its_pitch_and_level_in_every_rate_and_has_no_seams() {
    for rate in RATES {
        for channels in [Channels::Mono, Channels::Stereo] {
            let mut converter = Converter::new(format(rate, channels));
            let count = channels.count();
            let mut left = Vec::new();
            for number in 0..60 {
                let converted = converter.convert(&tones(number, 1_000.0, 1_000.0)).to_vec();
                assert_eq!(converted.len(), format(rate, channels).frame_len(), "20 ms are 20 ms");
                left.extend(converted.iter().step_by(count));
            }
            // Whole periods, after the filter has filled.
            let settled = &left[left.len() / 6..];
            let (level, rest) = split(settled, rate, 1_000.0);
            assert!((level - 0.5).abs() < 0.002, "{rate:?} {channels:?}: {level}");
            // What breaks at borders, be it by a sample, would be rest.
            assert!(rest < 0.0005, "{rate:?} {channels:?}: {rest}");
        }
    }
}

#[test]
fn what_comes_out_is_later_by_the_delay_that_is_told() {
    for rate in RATES {
        let mut converter = Converter::new(format(rate, Channels::Mono));
        let ratio = 48_000 / rate.hertz() as usize;
        let mut out = Vec::new();
        for number in 0..4 {
            let mut pcm = vec![0.0; 2 * FRAME_SAMPLES];
            if number == 1 {
                // Around 20 ms: as narrow as the lowest rate can show it.
                for at in 0..480 {
                    let bell = (0.5 - 0.5 * (at as f32 / 480.0 * std::f32::consts::TAU).cos()) * 0.5;
                    (pcm[2 * at], pcm[2 * at + 1]) = (bell, bell);
                }
            }
            out.extend_from_slice(converter.convert(&pcm));
        }
        let top = (0..out.len()).max_by(|a, b| out[*a].total_cmp(&out[*b])).unwrap();
        let expected = (FRAME_SAMPLES + 240 + converter.delay() as usize) / ratio;
        assert!(top.abs_diff(expected) <= 1, "{rate:?}: at {top}, not at {expected}");
        assert_eq!(converter.delay(), if rate == Rate::Hz48000 { 0 } else { 240 });
    }
}

#[test]
fn what_a_rate_cannot_hold_is_gone() {
    for rate in [Rate::Hz24000, Rate::Hz16000, Rate::Hz8000] {
        let mut converter = Converter::new(format(rate, Channels::Mono));
        let mut out = Vec::new();
        for number in 0..30 {
            // 1 kHz above what the rate can hold would come back 1 kHz below it.
            let hertz = f64::from(rate.hertz()) / 2.0 + 1_000.0;
            out.extend_from_slice(converter.convert(&tones(number, hertz, hertz)));
        }
        let loudest = out[out.len() / 2..].iter().fold(0.0_f32, |loudest, x| loudest.max(x.abs()));
        assert!(loudest < 0.003, "{rate:?}: {loudest}");
    }
}

#[test]
fn mono_is_the_mean_and_stereo_stays_apart() {
    let mut mono = Converter::new(format(Rate::Hz48000, Channels::Mono));
    let mut pcm = vec![0.25; 2 * FRAME_SAMPLES];
    pcm.iter_mut().step_by(2).for_each(|left| *left = 0.75);
    assert!(mono.convert(&pcm).iter().all(|sample| *sample == 0.5));

    let mut stereo = Converter::new(format(Rate::Hz16000, Channels::Stereo));
    let mut sides = [Vec::new(), Vec::new()];
    for number in 0..60 {
        for both in stereo.convert(&tones(number, 500.0, 1_500.0)).chunks_exact(2) {
            sides[0].push(both[0]);
            sides[1].push(both[1]);
        }
    }
    for (side, hertz) in sides.iter().zip([500.0, 1_500.0]) {
        let (level, rest) = split(&side[side.len() / 6..], Rate::Hz16000, hertz);
        assert!((level - 0.5).abs() < 0.002 && rest < 0.0005, "{hertz}: {level}, {rest}");
    }
}

#[test]
fn what_is_asked_for_as_it_is_stays_as_it_is() {
    let mut converter = Converter::new(Format::default());
    let pcm = tones(3, 440.0, 880.0);
    assert_eq!(converter.convert(&pcm), &pcm[..]);
}

#[test]
fn a_reset_leaves_nothing_of_what_was() {
    let mut converter = Converter::new(format(Rate::Hz8000, Channels::Stereo));
    let first = converter.convert(&tones(0, 700.0, 300.0)).to_vec();
    converter.convert(&vec![0.9; 2 * FRAME_SAMPLES]);
    converter.reset();
    assert_eq!(converter.convert(&tones(0, 700.0, 300.0)), first);
}

#[test]
fn whole_numbers_are_rounded_and_cut_off_at_full_scale() {
    for (sample, number) in [
        (0.0, 0),
        (1.0, 32_767),
        (-1.0, -32_767),
        (7.0, 32_767),
        (-7.0, -32_767),
        (0.5, 16_384),
        (-0.5, -16_384),
        (0.4 / 32_767.0, 0),
        (0.6 / 32_767.0, 1),
        (-0.6 / 32_767.0, -1),
        (f32::NAN, 0),
    ] {
        assert_eq!(to_i16(sample), number, "{sample}");
    }
}
