use std::f32::consts::TAU;
use std::ffi::c_int;
use std::ptr::{self, NonNull};
use std::time::{Duration, Instant};

use opusic_sys as sys;
use voice_model::{CHANNELS, FRAME, FRAME_SAMPLES, RtpTime, SAMPLE_RATE, Seq, Ssrc};

use super::Decoder;
use crate::{Config, Deep, Kind, Receiver, Stats};

/// An encoder that puts a second of deep redundancy into its packets.
struct Encoder(NonNull<sys::OpusEncoder>);

impl Encoder {
    fn new() -> Self {
        // SAFETY: a legal rate, channel count and application; each request takes one int, by value.
        unsafe {
            let rate = SAMPLE_RATE as i32;
            let state = sys::opus_encoder_create(rate, 1, sys::OPUS_APPLICATION_VOIP, ptr::null_mut());
            let state = NonNull::new(state).expect("an encoder");
            for (request, value) in [
                (sys::OPUS_SET_BITRATE_REQUEST, 64_000),
                (sys::OPUS_SET_PACKET_LOSS_PERC_REQUEST, 20),
                (sys::OPUS_SET_DRED_DURATION_REQUEST, 100),
            ] {
                let set: c_int = sys::opus_encoder_ctl(state.as_ptr(), request, value as c_int);
                assert_eq!(set, sys::OPUS_OK, "request {request}");
            }
            Self(state)
        }
    }

    fn packet(&mut self, pcm: &[f32]) -> Vec<u8> {
        let mut packet = vec![0; 1275];
        // SAFETY: one channel of `pcm.len()` samples; `packet` has as many bytes as told.
        let len = unsafe {
            sys::opus_encode_float(self.0.as_ptr(), pcm.as_ptr(), pcm.len() as c_int, packet.as_mut_ptr(), 1275)
        };
        packet.truncate(usize::try_from(len).expect("a packet"));
        packet
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // SAFETY: made by `opus_encoder_create`, and not used again.
        unsafe { sys::opus_encoder_destroy(self.0.as_ptr()) };
    }
}

/// Two resonators of a mouth that says another vowel every 120 ms, over a voice that rises and falls.
fn speech(frames: usize) -> Vec<Vec<f32>> {
    const VOWELS: [(f32, f32); 5] = [(730.0, 1090.0), (270.0, 2290.0), (570.0, 840.0), (300.0, 870.0), (530.0, 1840.0)];
    let (mut phase, mut state) = (0.0_f32, [[0.0_f32; 2]; 2]);
    let mut sample = |at: usize| {
        let seconds = at as f32 / SAMPLE_RATE as f32;
        phase += (130.0 + 30.0 * (TAU * 0.7 * seconds).sin()) / SAMPLE_RATE as f32;
        let mut wave = if phase >= 1.0 { 1.0 } else { 0.0 };
        phase = phase.fract();
        let (first, second) = VOWELS[(seconds / 0.12) as usize % VOWELS.len()];
        for (resonator, hertz) in state.iter_mut().zip([first, second]) {
            let (radius, angle) = (0.992_f32, TAU * hertz / SAMPLE_RATE as f32);
            let out = wave + 2.0 * radius * angle.cos() * resonator[0] - radius * radius * resonator[1];
            *resonator = [out, resonator[0]];
            wave = out * (1.0 - radius);
        }
        4.0 * wave
    };
    (0..frames).map(|frame| (0..FRAME_SAMPLES).map(|at| sample(frame * FRAME_SAMPLES + at)).collect()).collect()
}

/// What is heard, by frame, when some packets are lost.
fn play(packets: &[Vec<u8>], deep: Deep, is_lost: impl Fn(usize) -> bool) -> (Vec<(Kind, Vec<f32>)>, Stats) {
    #[expect(clippy::disallowed_methods, reason = "virtual time begins somewhere")]
    let start = Instant::now();
    let delay = Duration::from_millis(200);
    let mut receiver = Receiver::new(Config::default().delay(delay).stretch(false).deep(deep));
    let mut heard = Vec::new();
    for number in 0..packets.len() as u32 {
        let now = start + number * FRAME;
        if !is_lost(number as usize) {
            receiver.push(now, Ssrc(1), Seq(number as u16), RtpTime(960 * number), &packets[number as usize]);
        }
        receiver.tick(now, &mut |frame| heard.push((frame.kind, frame.pcm.to_vec())));
    }
    (heard, receiver.stats(Ssrc(1)).expect("known"))
}

/// Loudness in decibels of the voice's harmonics, in bands of 150 Hz up to 3 kHz.
fn bands(pcm: &[f32]) -> Vec<f32> {
    let mono: Vec<f32> = pcm.chunks(CHANNELS).map(|sample| sample[0]).collect();
    let power = |hertz: f32| {
        let (mut real, mut imaginary) = (0.0, 0.0);
        for (at, sample) in mono.iter().enumerate() {
            let window = 0.5 - 0.5 * (TAU * at as f32 / mono.len() as f32).cos();
            let (sin, cos) = (TAU * hertz * at as f32 / SAMPLE_RATE as f32).sin_cos();
            real += window * sample * cos;
            imaginary += window * sample * sin;
        }
        real * real + imaginary * imaginary
    };
    (0..20)
        .map(|band| {
            10.0 * ((0..3).map(|part| power(150.0 * band as f32 + 50.0 * part as f32)).sum::<f32>() + 1e-2).log10()
        })
        .collect()
}

fn distance(one: &[f32], other: &[f32]) -> f32 {
    let (one, other) = (bands(one), bands(other));
    one.iter().zip(&other).map(|(one, other)| (one - other).abs()).sum::<f32>() / one.len() as f32
}

#[test]
fn deep_redundancy_brings_lost_speech_closer_than_concealment() {
    let mut encoder = Encoder::new();
    let packets: Vec<_> = speech(250).iter().map(|frame| encoder.packet(frame)).collect();
    // Five packets in a row, every half second.
    let is_lost = |number: usize| (50..230).contains(&number) && (10..15).contains(&(number % 25));
    let (whole, _) = play(&packets, Deep::Off, |_| false);
    let (plain, before) = play(&packets, Deep::Off, is_lost);
    let (deep, after) = play(&packets, Deep::Concealment, is_lost);
    assert_eq!((before.lost, before.dred_samples), (after.lost, 0));
    assert!(after.dred_samples > 0 && after.concealed_samples < before.concealed_samples / 2, "{after:?}");
    assert_eq!(after.dred_samples + after.concealed_samples + after.fec_samples, after.lost * 960);
    let error = |heard: &[(Kind, Vec<f32>)]| {
        let lost = (0..heard.len()).filter(|number| is_lost(*number));
        let errors: Vec<_> = lost.map(|number| distance(&heard[number].1, &whole[number].1)).collect();
        errors.iter().sum::<f32>() / errors.len() as f32
    };
    let (plain, deep) = (error(&plain), error(&deep));
    assert!(deep < 0.5 * plain, "distance in decibels: deep {deep:.1}, plain {plain:.1}");
}

#[test]
fn packets_without_deep_redundancy_are_concealed() {
    let mut encoder =
        opus::Encoder::new(SAMPLE_RATE, opus::Channels::Mono, opus::Application::Voip).expect("an encoder");
    let packets: Vec<_> =
        speech(100).iter().map(|frame| encoder.encode_vec_float(frame, 1275).expect("a packet")).collect();
    for deep in [Deep::Concealment, Deep::Enhancement] {
        let (heard, stats) = play(&packets, deep, |number| number == 50);
        assert_eq!((stats.dred_samples, stats.concealed_samples), (0, 960));
        assert_eq!(heard[50].0, Kind::Concealed);
        assert!(heard[50].1.iter().any(|sample| sample.abs() > 0.01));
    }
}

#[test]
fn garbage_is_refused() {
    let mut decoder = Decoder::new(5).expect("a decoder");
    let mut pcm = [0.0; 2 * 5760];
    assert_eq!(decoder.decode(&[0xFF], &mut pcm, false), None);
    for length in 0..200_u8 {
        let packet: Vec<u8> = (0..length).map(|byte| byte.wrapping_mul(37) ^ length).collect();
        decoder.decode(&packet, &mut pcm, length % 2 == 0);
        decoder.recall(Seq(length.into()), &packet, 960, &mut pcm[..1920]);
    }
    decoder.reset();
}
