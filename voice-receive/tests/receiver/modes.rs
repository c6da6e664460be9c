use std::time::Duration;

use voice_model::SILENCE_FRAME;
use voice_receive::{Decode, Kind};

use crate::script::{Frame, SSRC, Script, Tone, fixed};

#[test]
fn packets_mode_gives_packets_in_order_and_the_places_of_lost_ones() {
    let packets = Tone::redundant(200.0).packets(10);
    let mut script = Script::new(fixed().decode(Decode::Packets));
    // One is late, one is lost, and two come in the wrong order.
    for numbers in [&[0][..], &[], &[2, 1], &[3], &[], &[], &[6, 5], &[7], &[8], &[9_u16]] {
        for number in numbers {
            script.push(*number, 960 * u32::from(*number), &packets[usize::from(*number)]);
        }
        script.tick();
    }
    script.end(10, 9600);
    let wanted: Vec<&[u8]> = packets.iter().map(Vec::as_slice).chain([SILENCE_FRAME.as_slice(); 5]).collect();
    assert_eq!(script.heard.len(), 15);
    for (number, (frame, wanted)) in script.heard.iter().zip(wanted).enumerate() {
        assert_eq!((frame.time, frame.samples, frame.pcm.len()), (960 * number as u32, 960, 0));
        if number == 4 {
            assert_eq!((frame.kind, frame.seq, frame.packet.len()), (Kind::Concealed, None, 0));
        } else {
            assert_eq!((frame.seq, &frame.packet[..]), (Some(number as u16), wanted));
        }
    }
}

#[test]
fn packets_come_when_they_are_due() {
    let mut tone = Tone::new(440.0);
    let mut script = Script::new(fixed().decode(Decode::Packets).delay(Duration::ZERO));
    script.push(0, 0, &tone.packet(2880));
    script.push(1, 2880, &tone.packet(480));
    script.push(2, 3360, &tone.packet(480));
    script.push(3, 3840, &SILENCE_FRAME);
    script.drain();
    let ticks: Vec<_> = script.heard.iter().map(|frame| (frame.tick, frame.samples)).collect();
    assert_eq!(ticks, [(0, 2880), (3, 480), (3, 480), (4, 960)]);
}

#[test]
fn both_gives_what_each_alone_would_give() {
    let packets = Tone::redundant(200.0).packets(30);
    let play = |decode| {
        let mut script = Script::new(fixed().decode(decode));
        for (number, packet) in packets.iter().enumerate().filter(|(number, _)| ![7, 8, 20].contains(number)) {
            script.play(number as u16, 960 * number as u32, packet);
        }
        script.end(30, 960 * 30);
        script.heard
    };
    let key = |frame: &Frame| (frame.tick, frame.time, frame.seq, frame.packet.clone(), frame.pcm.clone());
    let (pcm, opus): (Vec<_>, Vec<_>) = play(Decode::Both).into_iter().partition(|frame| !frame.pcm.is_empty());
    let alone = play(Decode::Pcm);
    assert_eq!(pcm.iter().map(key).collect::<Vec<_>>(), alone.iter().map(key).collect::<Vec<_>>());
    let wanted: Vec<_> = play(Decode::Packets).into_iter().map(|frame| (frame.seq, frame.packet)).collect();
    assert_eq!(opus.into_iter().map(|frame| (frame.seq, frame.packet)).collect::<Vec<_>>(), wanted);
}

#[test]
fn a_straggler_costs_nothing_where_nobody_listens() {
    let packet = Tone::new(200.0).packet(960);
    let mut script = Script::new(fixed().decode(Decode::Off));
    for number in 1000..1200_u16 {
        script.push(number, 960 * u32::from(number), &packet);
        if number == 1150 {
            script.push(700, 960 * 700, &packet);
        }
    }
    let stats = script.stats();
    assert_eq!((stats.received, stats.late, stats.lost, stats.duplicate), (201, 1, 0, 0));
}

#[test]
fn off_counts_and_holds_nothing() {
    let packet = Tone::new(200.0).packet(960);
    let mut script = Script::new(fixed());
    script.receiver.set_decode(SSRC, Decode::Off);
    for number in 0..20 {
        script.play(number, 960 * u32::from(number), &packet);
    }
    script.play(20, 960 * 20, &[0xFF]);
    let stats = script.stats();
    assert_eq!((stats.received, stats.malformed, stats.frames, script.heard.len()), (21, 1, 0, 0));
    assert_eq!((stats.depth, script.receiver.poll_timeout()), (Duration::ZERO, None));
    for number in [23, 22, 22] {
        script.push(number, 960 * u32::from(number), &packet);
    }
    let stats = script.stats();
    assert_eq!((stats.received, stats.lost, stats.duplicate), (23, 1, 1), "21 is missing");
}

#[test]
fn what_is_given_out_changes_at_any_time() {
    let mut tone = Tone::new(440.0);
    let packets: Vec<_> = (0..40).map(|_| tone.packet(2880)).collect();
    let mut script = Script::new(fixed());
    let plan = [Decode::Packets, Decode::Pcm, Decode::Both, Decode::Off, Decode::Pcm, Decode::Packets];
    for tick in 0..120_u32 {
        if tick % 20 == 10 {
            script.receiver.set_decode(SSRC, plan[tick as usize / 20]);
        }
        if tick % 3 == 0 {
            let number = (tick / 3) as u16;
            script.push(number, 2880 * u32::from(number), &packets[usize::from(number)]);
        }
        script.tick();
    }
    script.drain();
    // Nothing is concealed, and in no tick is there more than one frame of samples.
    assert!(script.heard.iter().take_while(|frame| frame.tick < 118).all(|frame| frame.kind != Kind::Concealed));
    for tick in 5..118 {
        let (pcm, opus): (Vec<_>, Vec<_>) =
            script.heard.iter().filter(|frame| frame.tick == tick).partition(|frame| !frame.pcm.is_empty());
        match tick {
            ..10 | 30..50 | 96..110 => assert_eq!((pcm.len(), opus.len()), (1, 0), "{tick}"),
            10..30 | 110.. => assert!(pcm.is_empty() && opus.len() <= 1, "{tick}"),
            50..70 => assert_eq!(pcm.len(), 1, "{tick}"),
            70..90 => assert!(pcm.is_empty() && opus.is_empty(), "{tick}"),
            _ => {}
        }
        // Samples continue where they are, whatever was given out before.
        assert!(pcm.iter().all(|frame| frame.time % 960 == 0));
    }
}
