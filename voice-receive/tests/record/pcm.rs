//! Files of samples: WAV, FLAC, and the mix.

use std::time::Duration;

use voice_model::{RtpTime, SILENCE_FRAME, Seq, Ssrc, UserId};
use voice_receive::record::{Format, MixFormat, Recorder, Settings};

use super::files::Memory;

const WINDOW: u64 = 500;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn user(number: u64) -> UserId {
    UserId::new(number).expect("not zero")
}

/// Packets of a tone.
fn tone(hz: f32, packets: usize) -> Vec<Vec<u8>> {
    let mut opus = opus::Encoder::new(48_000, opus::Channels::Stereo, opus::Application::Audio).expect("an encoder");
    opus.set_inband_fec(true).expect("a legal setting");
    let wave = |at: usize| 0.3 * (at as f32 * hz * std::f32::consts::TAU / 48_000.0).sin();
    (0..packets)
        .map(|packet| {
            let pcm: Vec<f32> = (packet * 960..(packet + 1) * 960).flat_map(|at| [wave(at); 2]).collect();
            opus.encode_vec_float(&pcm, 1_275).expect("a packet")
        })
        .collect()
}

/// What libopus makes of the packets, in 16 bits.
fn decoded(packets: &[Vec<u8>]) -> Vec<i16> {
    let mut opus = opus::Decoder::new(48_000, opus::Channels::Stereo).expect("a decoder");
    let mut all = Vec::new();
    for packet in packets {
        let mut pcm = vec![0.0; 2 * 5_760];
        let samples = opus.decode_float(packet, &mut pcm, false).expect("a packet");
        all.extend(pcm[..2 * samples].iter().map(|value| (value.clamp(-1.0, 1.0) * 32_767.0).round() as i16));
    }
    all
}

fn samples(wav: &[u8]) -> Vec<i16> {
    let len = u32::from_le_bytes(wav[76..80].try_into().expect("four bytes")) as usize;
    assert_eq!((wav.len(), &wav[..4]), (80 + len, &b"RIFF"[..]));
    wav[80..].chunks(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
}

struct Call {
    recorder: Recorder<Memory>,
    memory: Memory,
}

impl Call {
    fn new(settings: Settings) -> Self {
        let memory = Memory::default();
        Self { recorder: Recorder::new(memory.clone(), settings), memory }
    }

    fn wav() -> Settings {
        let mut settings = Settings::default();
        settings.format = Format::Wav;
        settings.window = ms(WINDOW);
        settings
    }

    /// Packets of somebody, from the `from`-th 20 ms on; `lost` are not there.
    fn play(&mut self, who: u64, from: u64, packets: &[Vec<u8>], lost: &[usize]) {
        for (number, packet) in packets.iter().enumerate().filter(|(number, _)| !lost.contains(number)) {
            let at = from + number as u64;
            let time = RtpTime((at * 960) as u32 + 7);
            self.recorder.push(ms(20 * at), user(who), Ssrc(who as u32), Seq(number as u16), time, packet);
        }
    }

    fn finish(mut self, at: u64) -> Memory {
        for tenth in 0..at / 100 {
            self.recorder.tick(ms(100 * tenth)).expect("memory");
        }
        let (_, result) = self.recorder.finish(ms(at));
        result.expect("memory");
        self.memory
    }
}

#[test]
fn every_sample_is_there_and_at_its_place() {
    let packets = tone(440.0, 50);
    let mut call = Call::new(Call::wav());
    call.play(1, 100, &packets, &[]);
    let wav = samples(&call.finish(4_000).file("1.wav"));
    assert_eq!(wav.len(), 2 * 4 * 48_000);
    let (before, rest) = wav.split_at(2 * 96_000);
    assert!(before.iter().all(|sample| *sample == 0));
    assert_eq!(rest[..100 * 960], decoded(&packets));
    assert!(rest[100 * 960..].iter().all(|sample| *sample == 0));
}

#[test]
fn a_silence_frame_is_20_ms_of_silence() {
    let mut packets = tone(440.0, 10);
    packets.extend(std::iter::repeat_n(SILENCE_FRAME.to_vec(), 5));
    packets.extend(tone(440.0, 10));
    let mut call = Call::new(Call::wav());
    call.play(1, 0, &packets, &[]);
    let wav = samples(&call.finish(500).file("1.wav"));
    assert_eq!(wav[..], decoded(&packets)[..]);
    assert_eq!(wav.len(), 25 * 1_920);
}

#[test]
fn losses_are_concealed_for_exactly_as_long() {
    let packets = tone(440.0, 40);
    let mut call = Call::new(Call::wav());
    call.play(1, 0, &packets, &[10, 20, 21]);
    let notes: Vec<_> = std::iter::from_fn(|| call.recorder.poll_note()).collect();
    assert!(notes.is_empty());
    let memory = call.memory.clone();
    let (report, result) = call.recorder.finish(ms(800));
    result.expect("memory");
    let wav = samples(&memory.file("1.wav"));
    assert_eq!(wav.len(), 40 * 1_920);
    let report = &report.users[&user(1)];
    assert_eq!((report.track.lost, report.track.packets), (3, 37));
    assert!((1..=3 * 960).contains(&report.concealed));
    let energy = |packet: usize| {
        let part = &wav[packet * 1_920..(packet + 1) * 1_920];
        part.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>()
    };
    assert!(energy(10) > 0.2 * energy(9) && energy(20) > 0.2 * energy(19), "{} {}", energy(10), energy(9));
}

#[test]
fn flac_holds_the_same_samples_as_wav() {
    let packets = tone(440.0, 120);
    let mut settings = Call::wav();
    settings.format = Format::Flac;
    let mut call = Call::new(settings);
    call.play(1, 30, &packets, &[]);
    let flac = call.finish(4_000).file("1.flac");
    let mut call = Call::new(Call::wav());
    call.play(1, 30, &packets, &[]);
    let wav = samples(&call.finish(4_000).file("1.wav"));
    assert_eq!(&flac[..4], b"fLaC");
    assert!(flac.len() < wav.len());
    assert_eq!(super::files::flac(flac), wav);
}

#[test]
fn the_mix_is_the_sum_and_one_speaker_is_left_as_he_is() {
    let (low, high) = (tone(200.0, 50), tone(1_000.0, 50));
    let mut settings = Call::wav();
    settings.mix = Some(MixFormat::Wav);
    let mut call = Call::new(settings);
    call.play(1, 0, &low, &[]);
    call.play(2, 75, &high, &[]);
    call.play(3, 25, &low, &[]);
    let memory = call.finish(4_000);
    let [one, two, three, mix] = ["1.wav", "2.wav", "3.wav", "mix.wav"].map(|name| samples(&memory.file(name)));
    assert_eq!([two.len(), three.len(), mix.len()], [one.len(); 3]);
    for (at, sample) in mix.iter().enumerate() {
        let sum = i32::from(one[at]) + i32::from(two[at]) + i32::from(three[at]);
        assert!((i32::from(*sample) - sum).abs() <= 2, "{at}: {sample} for {sum}");
    }
    assert_eq!(mix[..2 * 25 * 960], one[..2 * 25 * 960]);
}

#[test]
fn what_the_network_held_up_is_in_the_mix() {
    let (memory, mut settings) = (Memory::default(), Settings::default());
    (settings.format, settings.mix) = (Format::Wav, Some(MixFormat::Wav));
    let mut recorder = Recorder::new(memory.clone(), settings);
    let packets = tone(440.0, 200);
    let mut next = 0;
    for tick in 0..60_u64 {
        let now = ms(100 * tick);
        for (number, packet) in packets.iter().enumerate().skip(next) {
            // Half a second comes at once, at its end.
            let number = number as u64;
            let at = ms(if (50..75).contains(&number) { 1_480 } else { 20 * number });
            if at > now {
                break;
            }
            recorder.push(at, user(5), Ssrc(1), Seq(number as u16), RtpTime(960 * number as u32), packet);
            next += 1;
        }
        recorder.tick(now).expect("memory");
    }
    let (report, result) = recorder.finish(ms(6_000));
    result.expect("memory");
    assert_eq!((report.mix_missed, report.users[&user(5)].track.restarts), (0, 1));
    let (track, mix) = (samples(&memory.file("5.wav")), samples(&memory.file("mix.wav")));
    let least = track.len().min(mix.len());
    assert!(least >= 2 * 200 * 960 && track[..least] == mix[..least]);
}

#[test]
fn a_pause_and_a_denial_are_gaps_without_loss() {
    let packets = tone(440.0, 100);
    let mut call = Call::new(Call::wav());
    call.recorder.pause(ms(0));
    call.play(1, 0, &packets[..10], &[]);
    call.recorder.resume(ms(200));
    for (number, packet) in packets.iter().enumerate().skip(10) {
        let (at, time) = (ms(20 * number as u64), RtpTime(960 * number as u32));
        match number {
            30 => call.recorder.deny(at, user(1)),
            50 => call.recorder.allow(at, user(1)),
            _ => {}
        }
        call.recorder.push(at, user(1), Ssrc(1), Seq(number as u16), time, packet);
        call.recorder.tick(at).expect("memory");
    }
    let memory = call.memory.clone();
    let (report, result) = call.recorder.finish(ms(2_000));
    result.expect("memory");
    let track = &report.users[&user(1)].track;
    assert_eq!((track.packets, track.lost), (70, 0));
    let wav = samples(&memory.file("1.wav"));
    assert!(wav[..2 * 10 * 960].iter().all(|sample| *sample == 0));
    assert!(wav[2 * 30 * 960..2 * 50 * 960].iter().all(|sample| *sample == 0));
    assert!(wav[2 * 51 * 960..2 * 52 * 960].iter().any(|sample| sample.abs() > 5_000));
}

#[test]
fn packets_that_were_held_up_are_judged_by_when_they_arrived() {
    let packets = tone(440.0, 100);
    let mut settings = Call::wav();
    settings.everyone = false;
    let mut call = Call::new(settings);
    call.recorder.allow(ms(400), user(1));
    call.recorder.pause(ms(800));
    call.recorder.resume(ms(1_000));
    call.recorder.deny(ms(1_600), user(1));
    // All of them late, as from a slow disk or without a key.
    for (number, packet) in packets.iter().enumerate() {
        let time = RtpTime(960 * number as u32);
        call.recorder.push(ms(20 * number as u64), user(1), Ssrc(1), Seq(number as u16), time, packet);
    }
    call.recorder.tick(ms(2_000)).expect("memory");
    let memory = call.memory.clone();
    let (report, result) = call.recorder.finish(ms(2_000));
    result.expect("memory");
    let track = &report.users[&user(1)].track;
    assert_eq!((track.packets, track.lost), (20 + 30, 0));
    let wav = samples(&memory.file("1.wav"));
    for (frame, pcm) in wav.chunks(2 * 960).enumerate() {
        let is_recorded = (20..40).contains(&frame) || (50..80).contains(&frame);
        // A new decoder takes a moment.
        let is_heard = pcm.iter().any(|sample| sample.abs() > 3_000);
        assert!(is_heard == is_recorded, "frame {frame}");
    }
}

#[test]
fn only_those_who_are_allowed_are_recorded_when_not_everyone_is() {
    let packets = tone(440.0, 20);
    let mut settings = Call::wav();
    settings.everyone = false;
    let mut call = Call::new(settings);
    call.play(1, 0, &packets, &[]);
    call.recorder.allow(ms(0), user(2));
    call.play(2, 0, &packets, &[]);
    assert_eq!(call.finish(500).names(), ["2.wav"]);
}

#[test]
fn drift_is_cut_or_repeated_within_the_limit_and_without_clicks() {
    // Five minutes of a sender whose clock is off by 200 ppm: 60 ms in all.
    let second = tone(250.0, 50);
    for ppm in [-200, 200_i64] {
        let mut call = Call::new(Call::wav());
        for number in 0..50 * 300_i64 {
            let sent = Duration::from_nanos((number * 20_000_000 - number * 20 * ppm) as u64);
            let (time, seq) = (RtpTime((number * 960) as u32), Seq(number as u16));
            call.recorder.push(sent, user(1), Ssrc(1), seq, time, &second[number as usize % 50]);
            call.recorder.tick(sent).expect("memory");
        }
        let memory = call.memory.clone();
        let (report, result) = call.recorder.finish(ms(300_000));
        result.expect("memory");
        let track = &report.users[&user(1)].track;
        assert!((6..=9).contains(&track.corrections) && track.dropped == 0, "{track:?}");
        assert!(track.worst_error <= 960 && (track.drift_ppm - ppm as f64).abs() < 5.0, "{track:?}");
        let wav = samples(&memory.file("1.wav"));
        assert!(wav.len().abs_diff(2 * 300 * 48_000) < 2 * 4 * 960);
        // The steepest that this tone gets is 0.01 a sample; its seams each second are those of the encoder.
        let steps = wav.chunks(2).map(|pair| pair[0]).collect::<Vec<_>>();
        let steepest =
            steps[4_800..14_000_000].windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max();
        assert!(steepest < Some(4_000), "{steepest:?}");
    }
}
