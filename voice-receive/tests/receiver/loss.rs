use std::time::Duration;

use voice_model::FRAME;
use voice_receive::Kind;

use crate::script::{Script, Tone, decoded, error, fixed};

/// Plays all packets but those in `lost`, in time, and the end of speech.
fn play(packets: &[Vec<u8>], samples: u32, lost: &[usize]) -> Script {
    // What a packet says about the one before it comes when that is due.
    let ticks = samples.div_ceil(960).max(2);
    let mut script = Script::new(fixed().delay(FRAME * ticks));
    let mut sent = 0;
    while sent < packets.len() {
        while sent < packets.len() && sent as u32 * samples <= (script.heard.len() as u32 + ticks) * 960 {
            if !lost.contains(&sent) {
                script.push(sent as u16, sent as u32 * samples, &packets[sent]);
            }
            sent += 1;
        }
        script.tick();
    }
    script.ticks(1);
    script.end(sent as u16, sent as u32 * samples);
    script
}

#[test]
fn case_08_a_lost_packet_of_20_ms_is_960_concealed_samples() {
    let packets = Tone::new(440.0).packets(20);
    let script = play(&packets, 960, &[9]);
    assert_eq!(script.mix().concealed, 960);
    assert_eq!(script.mix().received, 19 * 960);
    assert_eq!(script.heard[9].kind, Kind::Concealed);
    assert_eq!(script.heard.len(), 25);
    assert_eq!(script.times(), (0..25).map(|number| 960 * number).collect::<Vec<_>>());
    let stats = script.stats();
    assert_eq!((stats.lost, stats.concealed_samples, stats.resyncs), (1, 960, 0));
    // Made up from the tone before it, it goes on in phase.
    let wanted = decoded(&packets);
    assert!(error(&script.heard[9].pcm, &wanted[9 * 1920..10 * 1920]) < 0.1);
}

#[test]
fn a_lost_packet_of_60_ms_is_2880_concealed_samples() {
    let mut tone = Tone::new(440.0);
    let packets: Vec<_> = (0..10).map(|_| tone.packet(2880)).collect();
    let script = play(&packets, 2880, &[4]);
    assert_eq!(script.mix().concealed, 2880);
    assert_eq!(script.mix().received, 9 * 2880);
    assert_eq!(script.stats().lost, 1);
}

#[test]
fn a_lost_packet_of_2_5_ms_is_120_concealed_samples() {
    let mut tone = Tone::new(440.0);
    let packets: Vec<_> = (0..160).map(|_| tone.packet(120)).collect();
    let script = play(&packets, 120, &[77]);
    assert_eq!(script.mix().concealed, 120);
    assert_eq!(script.mix().received, 159 * 120);
}

#[test]
fn redundancy_recovers_what_concealment_cannot_know() {
    // The tone changes in the very packet that is lost.
    let mut tone = Tone::redundant(200.0);
    let mut packets = tone.packets(20);
    tone.hertz = 700.0;
    packets.extend(tone.packets(10));
    let script = play(&packets, 960, &[20]);
    assert_eq!(script.heard[20].kind, Kind::Fec);
    assert_eq!((script.mix().fec, script.mix().concealed), (960, 0));
    let stats = script.stats();
    assert_eq!((stats.fec, stats.fec_samples, stats.lost), (1, 960, 1));

    let wanted = &decoded(&packets)[20 * 1920..21 * 1920];
    packets.truncate(20);
    let concealed = play(&packets, 960, &[]).heard[20].pcm.clone();
    let (recovered, made_up) = (error(&script.heard[20].pcm, wanted), error(&concealed, wanted));
    assert!(recovered < 0.2 && made_up > 0.8, "{recovered} {made_up}");
}

#[test]
fn of_three_lost_packets_redundancy_brings_back_the_last() {
    let packets = Tone::redundant(200.0).packets(30);
    let script = play(&packets, 960, &[10, 11, 12]);
    assert_eq!(script.kinds()[9..14], [Kind::Received, Kind::Concealed, Kind::Concealed, Kind::Fec, Kind::Received]);
    assert_eq!(script.mix().fec, 960);
    assert_eq!(script.mix().concealed, 1920);
}

#[test]
fn redundancy_covers_a_frame_of_60_ms() {
    let mut tone = Tone::redundant(200.0);
    let packets: Vec<_> = (0..12).map(|_| tone.packet(2880)).collect();
    let script = play(&packets, 2880, &[7]);
    assert_eq!((script.mix().fec, script.mix().concealed), (2880, 0));
}

#[test]
fn a_packet_without_redundancy_is_not_taken_for_one() {
    let script = play(&Tone::new(200.0).packets(20), 960, &[10]);
    assert_eq!(script.stats().fec, 0);
}

#[test]
fn a_long_gap_is_concealed_within_the_bound_and_fades_out() {
    let packets = Tone::new(440.0).packets(40);
    let mut script = Script::new(fixed().max_concealment(Duration::from_millis(100)));
    for (number, packet) in packets.iter().enumerate() {
        if (10..25).contains(&number) {
            script.tick();
        } else {
            script.play(number as u16, 960 * number as u32, packet);
        }
    }
    script.end(40, 960 * 40);
    let concealed: Vec<_> = script.heard.iter().filter(|frame| frame.kind == Kind::Concealed).collect();
    assert_eq!(concealed.len(), 5);
    let last = concealed[4].pcm.iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
    let end = concealed[4].pcm.iter().rev().take(20).fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
    assert!(last < 0.3 && end < 0.02, "{last} {end}");
    assert_eq!(script.stats().lost, 15);
    assert_eq!(script.mix().received, 25 * 960);
}

#[test]
fn silence_without_a_farewell_is_concealed_briefly_then_nothing() {
    let packets = Tone::new(440.0).packets(10);
    let mut script = Script::new(fixed());
    for (number, packet) in packets.iter().enumerate() {
        script.play(number as u16, 960 * number as u32, packet);
    }
    script.drain();
    assert_eq!(script.mix().concealed, 120 * 48);
    assert_eq!(script.mix().silence, 80 * 48);
    assert_eq!(script.stats().lost, 0);
}

#[test]
fn what_is_no_opus_is_counted_and_concealed() {
    let packets = Tone::new(440.0).packets(20);
    let mut script = Script::new(fixed());
    for (number, packet) in packets.iter().enumerate() {
        let frame: &[u8] = match number {
            7 => &[0xFF],               // code 3 without its count byte
            12 => &[0xFC | 1, 0, 0, 0], // two frames of equal length in an odd number of bytes
            _ => packet,
        };
        script.play(number as u16, 960 * number as u32, frame);
    }
    script.push(20, 960 * 20, &[0xF8; 3826]);
    script.end(20, 960 * 20);
    let stats = script.stats();
    assert_eq!((stats.malformed, stats.lost), (3, 0));
    assert_eq!(script.kinds()[7], Kind::Concealed);
    assert_eq!(script.mix().received + script.mix().concealed, 20 * 960 + 960);
}

#[test]
fn bursts_of_padding_use_sequence_numbers_and_nothing_else() {
    let packets = Tone::new(440.0).packets(20);
    let mut script = Script::new(fixed());
    let mut seq = 65_000_u16;
    for (number, packet) in packets.iter().enumerate() {
        for _ in 0..if number % 5 == 0 { 30 } else { 0 } {
            script.push(seq, 960 * number as u32, &[]);
            seq = seq.wrapping_add(1);
        }
        script.play(seq, 960 * number as u32, packet);
        seq = seq.wrapping_add(1);
    }
    script.end(seq, 960 * 20);
    assert_eq!(script.mix().received, 20 * 960);
    assert_eq!(script.mix().concealed, 0);
    let stats = script.stats();
    assert_eq!((stats.lost, stats.malformed, stats.resyncs), (0, 0, 0));
}
