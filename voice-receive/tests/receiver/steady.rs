use std::time::Duration;

use voice_model::{FRAME, RtpTime, Seq, Ssrc};
use voice_receive::Kind;

use crate::script::{SSRC, Script, Tone, decoded, fixed};

#[test]
fn an_undisturbed_stream_is_decoded_bit_by_bit() {
    let packets = Tone::new(440.0).packets(50);
    let mut script = Script::new(fixed());
    for (number, packet) in packets.iter().enumerate() {
        script.play(number as u16, 960 * number as u32, packet);
    }
    script.ticks(2);
    assert_eq!(script.heard.len(), 50);
    assert_eq!(script.pcm(), decoded(&packets));
    assert!(script.kinds().iter().all(|kind| *kind == Kind::Received));
    assert_eq!(script.times(), (0..50).map(|number| 960 * number).collect::<Vec<_>>());
    assert_eq!(script.heard[7].seq, Some(7));
    let stats = script.stats();
    assert_eq!((stats.received, stats.frames, stats.lost, stats.concealed_samples), (50, 50, 0, 0));
}

#[test]
fn playing_starts_when_the_delay_is_reached() {
    let packets = Tone::new(440.0).packets(10);
    let mut script = Script::new(fixed().delay(Duration::from_millis(60)));
    for (number, packet) in packets.iter().enumerate() {
        script.play(number as u16, 960 * number as u32, packet);
    }
    assert_eq!(script.heard[0].tick, 3);
    assert!(script.heard.iter().all(|frame| frame.depth == Duration::from_millis(60)));
}

#[test]
fn a_burst_is_played_at_once() {
    let packets = Tone::new(440.0).packets(4);
    let mut script = Script::new(fixed().delay(Duration::from_millis(60)));
    for (number, packet) in packets.iter().enumerate() {
        script.push(number as u16, 960 * number as u32, packet);
    }
    script.tick();
    assert_eq!(script.kinds(), [Kind::Received]);
}

#[test]
fn a_lone_packet_is_played_after_the_delay() {
    let packet = Tone::new(440.0).packet(960);
    let mut script = Script::new(fixed().delay(Duration::from_millis(60)));
    script.push(0, 0, &packet);
    assert_eq!(script.receiver.poll_timeout(), Some(script.now + Duration::from_millis(10)));
    script.ticks(3);
    assert!(script.heard.is_empty());
    script.tick();
    assert_eq!(script.kinds(), [Kind::Received]);
}

#[test]
fn packets_of_every_length_come_out_in_frames_of_20_ms() {
    for samples in [120, 240, 480, 960, 1920, 2880, 3840, 4800, 5760] {
        let mut tone = Tone::new(300.0);
        let packets: Vec<_> = (0..11_520 * 5 / samples).map(|_| tone.packet(samples)).collect();
        let mut script = Script::new(fixed());
        let mut sent = 0;
        for tick in 0..70 {
            while sent < packets.len() && sent * samples <= tick * 960 {
                script.push(sent as u16, (sent * samples) as u32, &packets[sent]);
                sent += 1;
            }
            script.tick();
        }
        let wanted = decoded(&packets);
        assert_eq!(script.mix().received as usize, wanted.len() / 2, "{samples} samples a packet");
        assert_eq!(script.pcm()[..wanted.len()], wanted, "{samples} samples a packet");
        assert_eq!(script.stats().lost, 0);
    }
}

#[test]
fn case_10_two_speakers_of_one_batch_are_aligned_and_ten_frames_long() {
    let packets = Tone::new(440.0).packets(10);
    let mut script = Script::new(fixed());
    for (number, packet) in packets.iter().enumerate() {
        for (ssrc, first) in [(Ssrc(1), 60_000), (Ssrc(2), 5)] {
            let seq = Seq(number as u16 + first);
            script.receiver.push(script.now, ssrc, seq, RtpTime(960 * number as u32 + u32::from(first)), packet);
        }
    }
    script.ticks(10);
    for (tick, pair) in script.heard.chunks(2).enumerate() {
        assert_eq!((pair[0].ssrc, pair[1].ssrc), (Ssrc(1), Ssrc(2)));
        assert_eq!((pair[0].tick, pair[1].tick), (tick as u32, tick as u32));
        assert_eq!(pair[0].pcm, pair[1].pcm);
    }
    assert_eq!(script.heard.len(), 20);
    assert_eq!(script.mix().received, 2 * 10 * 960);
}

#[test]
fn case_28_sequence_numbers_wrap_while_packets_change_places() {
    let packets = Tone::new(440.0).packets(20);
    let mut script = Script::new(fixed());
    for pair in 0..10 {
        for number in [2 * pair + 1, 2 * pair] {
            let seq = 65_526_u16.wrapping_add(number as u16);
            script.play(seq, (u32::MAX - 5000).wrapping_add(960 * number as u32), &packets[number]);
        }
    }
    script.ticks(3);
    assert_eq!(script.pcm()[..20 * 1920], decoded(&packets));
    let stats = script.stats();
    assert_eq!((stats.lost, stats.late, stats.resyncs), (0, 0, 0));
}

#[test]
fn duplicates_and_late_packets_are_counted_and_dropped() {
    let packets = Tone::new(440.0).packets(20);
    let mut script = Script::new(fixed());
    for (number, packet) in packets.iter().enumerate().filter(|(number, _)| *number != 5) {
        script.play(number as u16, 960 * number as u32, packet);
        if number == 10 {
            script.push(10, 9600, packet); // still buffered
            script.push(3, 2880, &packets[3]); // played
            script.push(5, 4800, &packets[5]); // missed
            script.push(5, 4800, &packets[5]);
        }
    }
    script.ticks(3);
    let stats = script.stats();
    assert_eq!((stats.duplicate, stats.late, stats.lost), (3, 1, 0));
    assert_eq!(stats.received, 20);
    assert_eq!(script.heard.len(), 20);
    assert_eq!(stats.concealed_samples, 960);
}

#[test]
fn jitter_is_that_of_rfc_3550() {
    let packet = Tone::new(440.0).packet(960);
    let mut script = Script::new(fixed());
    let start = script.now;
    let mut wanted = 0.0;
    for number in 0..100_u32 {
        // Every other packet is 8 ms late: neighbours always differ by 8 ms.
        let late = if number % 2 == 1 { Duration::from_millis(8) } else { Duration::ZERO };
        script.receiver.push(start + number * FRAME + late, SSRC, Seq(number as u16), RtpTime(960 * number), &packet);
        if number > 0 {
            wanted += (0.008 - wanted) / 16.0;
        }
    }
    let jitter = script.stats().jitter.as_secs_f64();
    assert!((jitter - wanted).abs() < 1e-6, "{jitter} instead of {wanted}");
}
