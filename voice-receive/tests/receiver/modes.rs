use std::time::Duration;

use voice_model::SILENCE_FRAME;
use voice_receive::{Config, Decode, Kind};

use crate::script::{Script, Tone};

#[test]
fn packets_mode_gives_packets_in_order_and_the_places_of_lost_ones() {
    let packets = Tone::redundant(200.0).packets(10);
    let mut script = Script::new(Config::default().decode(Decode::Packets));
    for number in [1, 0, 2, 3, 6, 5, 7, 8, 9_u16] {
        script.play(number, 960 * u32::from(number), &packets[usize::from(number)]);
    }
    script.tick();
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
    let mut script = Script::new(Config::default().decode(Decode::Packets).depth(Duration::ZERO));
    script.push(0, 0, &tone.packet(2880));
    script.push(1, 2880, &tone.packet(480));
    script.push(2, 3360, &tone.packet(480));
    script.push(3, 3840, &SILENCE_FRAME);
    script.drain();
    let ticks: Vec<_> = script.heard.iter().map(|frame| (frame.tick, frame.samples)).collect();
    assert_eq!(ticks, [(0, 2880), (3, 480), (3, 480), (4, 960)]);
}
