use voice_mixer::effects::{Effect, Reverb};

use crate::signal::{applied, channel, db, noise, rms};

fn reverb(room: f32, damping: f32, width: f32) -> Effect {
    Effect::Reverb(Reverb { room, damping, width, wet: 1.0, dry: 0.0 })
}

/// Half a second of noise in the middle, and what comes of it.
fn burst(effect: Effect, seconds: usize) -> Vec<f32> {
    let mut input = noise(6, 0.5, 24_000);
    input.chunks_exact_mut(2).for_each(|frame| frame[1] = frame[0]);
    input.resize(48_000 * 2 * seconds, 0.0);
    applied(effect, &input)
}

#[test]
fn it_decays_within_the_time_that_its_size_says() {
    for (room, seconds) in [(0.25, 3), (0.5, 4), (0.75, 8)] {
        let time = 0.2 * 40.0_f64.powf(f64::from(room));
        let out = channel(&burst(reverb(room, 0.0, 1.0), seconds), 0);
        let level = |after: f64| {
            let start = 24_000 + (after * time * 48_000.0) as usize;
            db(rms(&out[start..start + 4_800]))
        };
        let fall = (level(0.1) - level(0.6)) / 0.5;
        assert!((fall - 60.0).abs() < 4.0, "room {room} falls by {fall} dB in {time} s");
    }
}

#[test]
fn damping_makes_it_duller() {
    let brightness = |damping| {
        let out = channel(&burst(reverb(0.5, damping, 1.0), 2), 0);
        let tail = &out[36_000..60_000];
        let edges: Vec<f64> = tail.windows(2).map(|pair| pair[1] - pair[0]).collect();
        rms(&edges) / rms(tail)
    };
    let (none, half, full) = (brightness(0.0), brightness(0.5), brightness(1.0));
    assert!(half < 0.7 * none && full < 0.8 * half, "{none}, {half} and {full}");
}

#[test]
fn width_goes_from_mono_to_two_rooms() {
    let likeness = |width| {
        let out = burst(reverb(0.6, 0.3, width), 2);
        let (left, right) = (channel(&out, 0), channel(&out, 1));
        let product: f64 = left.iter().zip(&right).map(|(l, r)| l * r).sum();
        product / left.len() as f64 / rms(&left) / rms(&right)
    };
    assert!(likeness(0.0) > 0.9999, "{}", likeness(0.0));
    assert!(likeness(1.0).abs() < 0.2, "{}", likeness(1.0));
    assert!((0.3..0.98).contains(&likeness(0.5)), "{}", likeness(0.5));
}

#[test]
fn steady_sound_in_it_is_about_as_loud_and_the_dry_sound_passes() {
    let input = noise(8, 0.3, 48_000 * 4);
    let out = applied(reverb(0.5, 0.0, 1.0), &input);
    let gain = db(rms(&channel(&out, 0)[96_000..]) / rms(&channel(&input, 0)[96_000..]));
    assert!(gain.abs() < 2.0, "{gain} dB");
    let dry = Reverb { wet: 0.0, dry: 0.5, ..Reverb::default() };
    let out = applied(Effect::Reverb(dry), &input);
    assert!(out.iter().zip(&input).all(|(out, input)| *out == input * 0.5));
}
