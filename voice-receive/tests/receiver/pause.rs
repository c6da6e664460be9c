use std::time::{Duration, Instant};

use voice_model::{RtpTime, SILENCE_FRAME};
use voice_receive::Kind;
use voice_receive::record::Timeline;

use crate::script::{Script, Tone, decoded, fixed};

#[test]
fn speech_ends_with_its_silence_frames() {
    let packets = Tone::new(440.0).packets(10);
    let mut script = Script::new(fixed());
    for (number, packet) in packets.iter().enumerate() {
        script.play(number as u16, 960 * number as u32, packet);
    }
    script.end(10, 9600);
    assert_eq!(script.heard.len(), 15);
    assert_eq!((script.mix().received, script.mix().silence, script.mix().concealed), (9600, 4800, 0));
    assert_eq!(script.receiver.poll_timeout(), None);
    script.ticks(5);
    assert_eq!(script.heard.len(), 15);
}

#[test]
fn the_next_spurt_is_anchored_anew() {
    let packets = Tone::new(440.0).packets(20);
    let mut script = Script::new(fixed());
    for (number, packet) in packets[..10].iter().enumerate() {
        script.play(number as u16, 960 * number as u32, packet);
    }
    script.end(10, 9600);
    script.ticks(150);
    for (number, packet) in packets[10..].iter().enumerate() {
        script.play(15 + number as u16, 500_000 + 960 * number as u32, packet);
    }
    script.end(25, 500_000 + 9600);
    assert_eq!(script.heard.len(), 30);
    assert_eq!(script.heard[15].time, 500_000);
    assert_eq!((script.stats().lost, script.stats().resyncs, script.mix().concealed), (0, 0, 0));
}

#[test]
fn a_lost_silence_frame_is_no_loss_of_speech() {
    let mut script = Script::new(fixed());
    for number in 0..5 {
        if number != 2 {
            script.push(number, 960 * u32::from(number), &SILENCE_FRAME);
        }
        script.tick();
    }
    script.drain();
    assert_eq!(script.mix().concealed, 0);
    assert_eq!(script.mix().silence, 5 * 960);
}

#[test]
fn a_short_pause_in_the_timestamps_is_as_much_silence() {
    let packets = Tone::new(440.0).packets(20);
    let mut script = Script::new(fixed());
    for (number, packet) in packets.iter().enumerate() {
        // After ten packets the sender says nothing for 20 ms, without losing a sequence number.
        let pause = if number < 10 { 0 } else { 1 };
        if number == 10 {
            script.tick();
        }
        script.play(number as u16, 960 * (number as u32 + pause), packet);
    }
    script.end(20, 960 * 21);
    assert_eq!(script.mix().concealed, 0);
    assert_eq!(script.mix().silence, 6 * 960);
    assert_eq!(script.heard[10].kind, Kind::Silence);
    assert_eq!(script.stats().resyncs, 0);
    assert_eq!(script.times(), (0..26).map(|number| 960 * number).collect::<Vec<_>>());
}

#[test]
fn a_pause_that_did_not_take_place_is_skipped() {
    let packets = Tone::new(440.0).packets(40);
    let mut script = Script::new(fixed());
    for (number, packet) in packets.iter().enumerate() {
        // The timestamp jumps by ten seconds between two packets that come 20 ms apart.
        let jump = if number < 20 { 0 } else { 480_000 };
        script.play(number as u16, 960 * number as u32 + jump, packet);
    }
    script.end(40, 960 * 40 + 480_000);
    assert_eq!(script.mix().received, 40 * 960);
    assert_eq!(script.mix().concealed, 0);
    assert!(script.mix().silence <= 960 * (5 + 3), "{:?}", script.mix());
    assert!(script.heard.iter().all(|frame| frame.depth <= Duration::from_millis(100)));
}

/// Five packets, then one that is 11 sequence numbers and as much time further, though it comes 20 ms later.
fn first_join(opening: impl Fn(usize) -> Vec<u8>) -> Script {
    let packets = Tone::new(440.0).packets(30);
    let mut script = Script::new(fixed());
    for number in 0..5 {
        script.play(100 + number as u16, 960 * number as u32, &opening(number));
    }
    for (number, packet) in packets.iter().enumerate() {
        script.play(115 + number as u16, 960 * (15 + number as u32), packet);
    }
    script.end(145, 960 * 45);
    script
}

#[test]
fn case_32_the_jump_after_joining_creates_no_silence() {
    let script = first_join(|_| SILENCE_FRAME.to_vec());
    assert_eq!(script.mix().received, 30 * 960);
    assert_eq!(script.mix().concealed, 0);
    assert!(script.heard.len() <= 5 + 30 + 5 + 3, "{}", script.heard.len());
}

#[test]
fn case_32_the_jump_amid_speech_is_not_concealed_for_ever() {
    let packets = Tone::new(440.0).packets(5);
    let script = first_join(|number| packets[number].clone());
    assert_eq!(script.mix().received, 35 * 960);
    assert!(script.mix().concealed <= 120 * 48);
    assert!(script.heard.len() <= 5 + 30 + 5 + 3, "{}", script.heard.len());
}

#[test]
fn the_delay_of_a_slow_reader_shrinks_in_silence() {
    let packets = Tone::new(440.0).packets(20);
    let mut script = Script::new(fixed());
    // 200 ms at once: more than wanted, less than forbidden.
    for (number, packet) in packets[..10].iter().enumerate() {
        script.push(number as u16, 960 * number as u32, packet);
    }
    for (number, packet) in packets[10..].iter().enumerate() {
        script.play(10 + number as u16, 960 * (10 + number as u32), packet);
    }
    assert_eq!(script.mix().received, 10 * 960);
    assert_eq!(script.heard[9].depth, Duration::from_millis(200));
    for number in 20..50 {
        script.play(number, 960 * u32::from(number), &SILENCE_FRAME);
    }
    assert_eq!(script.mix().received, 20 * 960);
    assert_eq!(script.heard.last().map(|frame| frame.depth), Some(Duration::from_millis(40)));
    let stats = script.stats();
    assert_eq!((stats.skipped_samples, stats.resyncs, stats.concealed_samples), (8 * 960, 0, 0));
}

#[test]
fn the_delay_has_a_hard_limit() {
    let packets = Tone::new(440.0).packets(60);
    let mut script = Script::new(fixed().max_depth(Duration::from_millis(400)));
    for (number, packet) in packets.iter().enumerate() {
        script.push(number as u16, 960 * number as u32, packet);
    }
    script.tick();
    assert_eq!(script.heard[0].time, 58 * 960);
    assert_eq!(script.stats().skipped_samples, 58 * 960);
    assert_eq!(script.stats().resyncs, 1);
}

#[test]
fn case_29_silence_frames_count_in_a_recording() {
    let packets = Tone::new(440.0).packets(10);
    let mut script = Script::new(fixed());
    for spurt in 0..3_u16 {
        for (number, packet) in packets.iter().enumerate() {
            let number = 15 * spurt + number as u16;
            script.play(number, 960 * u32::from(number), packet);
        }
        for number in 15 * spurt + 10..15 * spurt + 15 {
            script.play(number, 960 * u32::from(number), &SILENCE_FRAME);
        }
    }
    script.drain();
    assert_eq!(recording(&script, script.now).len() / 2, 45 * 960);
}

#[test]
fn a_recording_has_every_packet_at_its_time() {
    let packets = Tone::new(440.0).packets(20);
    let mut script = Script::new(fixed());
    for (number, packet) in packets.iter().enumerate() {
        script.play(number as u16, 7 + 960 * number as u32, packet);
    }
    script.end(20, 7 + 960 * 20);
    let recorded = recording(&script, script.now);
    assert_eq!(recorded[..20 * 1920], decoded(&packets));
}

fn recording(script: &Script, start: Instant) -> Vec<f32> {
    let mut timeline = Timeline::new(Duration::ZERO);
    let mut recorded = Vec::new();
    for frame in &script.heard {
        let now = start + frame.tick * voice_model::FRAME;
        let place = timeline.place(now, RtpTime(frame.time), 960);
        recorded.resize(recorded.len() + 2 * place.silence as usize, 0.0);
        recorded.extend_from_slice(&frame.pcm[2 * place.cut..]);
    }
    recorded
}
