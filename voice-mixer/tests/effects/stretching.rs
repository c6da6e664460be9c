use proptest::prelude::prop;
use proptest::test_runner::{Config as ProptestConfig, RngSeed};
use proptest::{prop_assert, prop_assert_eq, proptest};
use realfft::RealFftPlanner;
use voice_mixer::effects::{EffectError, Rendered, Stretch, Timescale};

use crate::signal::{channel, db, noise, rms, sine};

/// A stretch and the sound that it plays, with a place in it.
struct Player<'a> {
    stretch: Stretch,
    sound: &'a [f32],
    place: usize,
}

impl<'a> Player<'a> {
    fn new(settings: Timescale, sound: &'a [f32]) -> Self {
        Self { stretch: Stretch::new(settings).expect("a stretch"), sound, place: 0 }
    }

    /// Renders up to `frames`; the source has only `more` at the moment.
    fn render(&mut self, frames: usize, more: usize, out: &mut Vec<f32>) -> Rendered {
        let start = out.len();
        out.resize(start + frames * 2, 0.0);
        let end = self.sound.len().min((self.place + more) * 2);
        let ended = end == self.sound.len();
        let place = &mut self.place;
        let mut source = |frames: &mut [f32]| {
            let rest = &self.sound[*place * 2..end];
            let len = rest.len().min(frames.len());
            frames[..len].copy_from_slice(&rest[..len]);
            *place += len / 2;
            len / 2
        };
        let rendered = self.stretch.render(&mut out[start..], &mut source, ended);
        out.truncate(start + rendered.frames * 2);
        rendered
    }
}

fn stretched(speed: f32, pitch: f32, rate: f32, sound: &[f32]) -> Vec<f32> {
    let mut player = Player::new(Timescale { speed, pitch, rate }, sound);
    let mut out = Vec::new();
    while player.render(960, 1 << 20, &mut out).frames == 960 {}
    assert_eq!(player.stretch.held(), 0);
    out
}

/// The frequency of the strongest tone in the middle of `out`, and how much everything else is below it, in dB.
fn tone(out: &[f32]) -> (f64, f64) {
    const SIZE: usize = 65_536;
    let side = channel(out, 0);
    let start = (side.len() - SIZE) / 2;
    let window = |n: usize| 0.5 - 0.5 * (n as f64 / SIZE as f64 * std::f64::consts::TAU).cos();
    let mut input: Vec<f64> = (0..SIZE).map(|n| side[start + n] * window(n).powi(2)).collect();
    let fft = RealFftPlanner::<f64>::new().plan_fft_forward(SIZE);
    let mut spectrum = fft.make_output_vec();
    fft.process(&mut input, &mut spectrum).expect("as long as planned");
    let power: Vec<f64> = spectrum.iter().map(|bin| bin.norm_sqr()).collect();
    let peak = (20..power.len() - 20).max_by(|a, b| power[*a].total_cmp(&power[*b])).expect("bins");
    let near = peak - 8..=peak + 8;
    let strength: f64 = power[near.clone()].iter().sum();
    let middle = near.clone().map(|bin| bin as f64 * power[bin]).sum::<f64>() / strength;
    let rest: f64 = power.iter().enumerate().filter(|(bin, _)| !near.contains(bin)).map(|(_, power)| power).sum();
    (middle * 48_000.0 / SIZE as f64, db((strength / rest).sqrt()))
}

#[test]
fn nothing_to_change_changes_no_bit_and_holds_nothing() {
    let sound = noise(12, 0.7, 20_000);
    assert_eq!(stretched(1.0, 1.0, 1.0, &sound), sound);
    let mut player = Player::new(Timescale::default(), &sound);
    assert_eq!(player.render(960, 5_000, &mut Vec::new()), Rendered { frames: 960, consumed: 960 });
    assert_eq!(player.stretch.held(), 0);
}

#[test]
fn duration_and_pitch_are_what_the_settings_say() {
    let settings = [
        (0.5, 1.0, 1.0),
        (0.75, 1.0, 1.0),
        (1.25, 1.0, 1.0),
        (2.0, 1.0, 1.0),
        (4.0, 1.0, 1.0),
        (0.25, 1.0, 1.0),
        (1.0, 0.5, 1.0),
        (1.0, 0.8, 1.0),
        (1.0, 1.5, 1.0),
        (1.0, 2.0, 1.0),
        (1.0, 1.0, 1.25),
        (1.0, 1.0, 0.7),
        (1.25, 0.9, 1.1),
    ];
    for (speed, pitch, rate) in settings {
        for frequency in [220.0, 440.0, 1_000.0] {
            let sound = sine(frequency, 0.5, 0.8, 480_000);
            let out = stretched(speed, pitch, rate, &sound);
            let ideal = (480_000.0 / (f64::from(speed) * f64::from(rate))).ceil();
            let name = format!("{speed} {pitch} {rate} {frequency} Hz");
            assert!((out.len() as f64 / 2.0 - ideal).abs() <= 1.0, "{name}: {} frames", out.len() / 2);
            let (found, purity) = tone(&out);
            let ideal = frequency * f64::from(pitch) * f64::from(rate);
            assert!((1_200.0 * (found / ideal).log2()).abs() < 2.0, "{name}: {found} Hz");
            let least = if speed == pitch || speed == 1.0 && pitch == 1.0 { 70.0 } else { 30.0 };
            assert!(purity > least, "{name}: the rest is only {purity} dB below");
            let level = db(rms(&channel(&out[9_600..out.len() - 9_600], 0)) / (0.5 / 2.0_f64.sqrt()));
            assert!(level.abs() < 0.2, "{name}: {level} dB louder");
        }
    }
}

#[test]
fn noise_stays_as_loud_and_what_pitch_moves_too_high_is_gone() {
    let sound = noise(13, 0.5, 240_000);
    for speed in [0.5, 0.8, 1.3, 2.0, 3.0] {
        let out = stretched(speed, 1.0, 1.0, &sound);
        let level = db(rms(&channel(&out, 1)) / rms(&channel(&sound, 1)));
        assert!(level.abs() < 0.3, "speed {speed}: {level} dB");
    }
    let out = stretched(1.0, 1.0, 2.0, &sine(15_000.0, 0.5, 1.0, 240_000));
    assert!(db(rms(&channel(&out[2_000..out.len() - 2_000], 0))) < -60.0);
}

#[test]
fn a_click_stays_where_it_is_in_time() {
    for speed in [0.5_f32, 0.8, 1.5] {
        let mut sound = noise(14, 0.001, 96_000);
        // 40 ms of a decaying tone, as a drum has it.
        for (n, frame) in sound.chunks_exact_mut(2).skip(48_000).take(4_800).enumerate() {
            let value = (n as f32 * 0.05).sin() * (-(n as f32) / 1_000.0).exp();
            frame.fill(value);
        }
        let out = channel(&stretched(speed, 1.0, 1.0, &sound), 0);
        let first = out.iter().position(|sample| sample.abs() > 0.2).expect("a click");
        let ideal = 48_000.0 / f64::from(speed);
        assert!((first as f64 - ideal).abs() < 1_440.0, "speed {speed}: at {first} instead of {ideal}");
    }
}

#[test]
fn settings_out_of_range_are_named() {
    let error =
        |speed, pitch, rate| Stretch::new(Timescale { speed, pitch, rate }).expect_err("out of range").to_string();
    assert_eq!(error(5.0, 1.0, 1.0), "timescale: speed is 5, but it has to be from 0.25 to 4");
    assert_eq!(error(1.0, f32::NAN, 1.0), "timescale: pitch is NaN, but it has to be from 0.25 to 4");
    assert_eq!(error(2.0, 1.0, 3.0), "timescale: speed * rate is 6, but it has to be from 0.25 to 4");
    assert_eq!(error(1.0, 0.5, 0.4), "timescale: pitch * rate is 0.2, but it has to be from 0.25 to 4");
    assert_eq!(error(4.0, 0.25, 1.0), "timescale: speed / pitch is 16, but it has to be from 0.125 to 8");
    let mut stretch = Stretch::new(Timescale::default()).expect("a stretch");
    let wrong = Timescale { rate: 0.0, ..Timescale::default() };
    assert!(matches!(stretch.set(wrong), Err(EffectError::OutOfRange { parameter: "rate", .. })));
    assert_eq!(stretch.settings(), Timescale::default());
}

#[test]
fn settings_change_without_a_click() {
    let sound = sine(300.0, 0.5, 1.0, 480_000);
    let mut player = Player::new(Timescale::default(), &sound);
    let mut out = Vec::new();
    for (speed, pitch) in
        [(1.0, 1.0), (1.5, 1.0), (0.6, 1.0), (1.0, 1.2), (1.0, 0.8), (2.0, 2.0), (4.0, 1.0), (1.0, 1.0)]
    {
        player.stretch.set(Timescale { speed, pitch, rate: 1.0 }).expect("settings in range");
        for frames in [960, 500, 100, 960, 960, 960, 960] {
            assert_eq!(player.render(frames, 1 << 20, &mut out).frames, frames);
        }
    }
    let side = channel(&out, 0);
    let rough = side.windows(3).map(|three| (three[0] - 2.0 * three[1] + three[2]).abs()).fold(0.0, f64::max);
    // At twice the pitch the sine itself has 0.0031; a click would have a hundred times that.
    assert!(rough < 0.02, "{rough}");
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(4_711), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn however_it_is_asked_for_it_is_the_same_sound_and_every_frame_is_accounted_for(
        speed in 0.5_f32..2.0, pitch in 0.5_f32..2.0, seed: u32,
        calls in prop::collection::vec((1_usize..960, 0_usize..1_500), 40..80),
    ) {
        let sound = noise(seed, 0.5, 12_000);
        let settings = Timescale { speed, pitch, rate: 1.0 };
        let whole = stretched(speed, pitch, 1.0, &sound);
        let mut player = Player::new(settings, &sound);
        let (mut out, mut consumed, mut heard) = (Vec::new(), 0, 0);
        for (frames, more) in calls.into_iter().cycle() {
            let rendered = player.render(frames, more, &mut out);
            consumed += rendered.consumed;
            prop_assert_eq!(consumed as usize, player.place);
            // What has been heard is what has come out, at the tempo.
            let place = consumed - player.stretch.held();
            let ideal = (out.len() as f64 / 2.0 * f64::from(speed)).min(12_000.0);
            prop_assert!((place as f64 - ideal).abs() < 2.0 && place >= heard, "{} instead of {}", place, ideal);
            heard = place;
            if player.place == 12_000 && rendered.frames < frames {
                break;
            }
        }
        prop_assert_eq!((consumed, heard), (12_000, 12_000));
        prop_assert_eq!(out.len(), whole.len());
        prop_assert!(out == whole);
    }

    #[test]
    fn places_stay_true_while_settings_change(
        seed: u32, changes in prop::collection::vec((0.25_f32..4.0, 0.5_f32..2.0, 1_usize..3_000, 0_usize..3_000), 1..40),
    ) {
        let sound = noise(seed, 0.5, 20_000);
        let mut player = Player::new(Timescale::default(), &sound);
        let (mut out, mut consumed, mut ideal) = (Vec::new(), 0, 0.0);
        for (speed, pitch, frames, more) in changes {
            player.stretch.set(Timescale { speed, pitch, rate: 1.0 }).expect("settings in range");
            let rendered = player.render(frames, more, &mut out);
            consumed += rendered.consumed;
            ideal += rendered.frames as f64 * f64::from(speed);
            let place = (consumed - player.stretch.held()) as f64;
            // What had been resampled at a change comes out at the pitch it was made for: 60 ms at most.
            prop_assert!(place <= consumed as f64 && (place - ideal).abs() < 2_880.0 * 4.0, "{} instead of {}", place, ideal);
            ideal = place;
        }
        while player.render(960, 1 << 20, &mut out).frames == 960 {}
        prop_assert_eq!((player.place, player.stretch.held()), (20_000, 0));
    }
}
