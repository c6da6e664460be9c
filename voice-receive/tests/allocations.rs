//! Once warm, receiving allocates nothing.

use std::time::Instant;

use voice_model::{FRAME, RtpTime, SAMPLE_RATE, Seq, Ssrc};
use voice_receive::{Config, Decode, Receiver, Speaker};

/// Packets of changing size, some lost, some twice, some out of order.
fn run(receiver: &mut Receiver, start: Instant, numbers: std::ops::Range<u32>, packets: &[Vec<u8>]) -> u32 {
    let mut frames = 0;
    for number in numbers {
        let now = start + number * FRAME;
        for ssrc in [1, 2, 3] {
            let mut push = |number: u32| {
                let packet = &packets[number as usize % packets.len()];
                receiver.push(now, Ssrc(ssrc), Seq(number as u16), RtpTime(960 * number), packet);
            };
            match number % 20 {
                5 => {}
                9 => push(number + 1),
                10 => push(number - 1),
                15 => [number, number].into_iter().for_each(&mut push),
                _ => push(number),
            }
        }
        receiver.tick(now, &mut |heard| frames += u32::from(heard.pcm.len() == 1920));
    }
    frames
}

#[test]
fn a_thousand_packets_allocate_nothing() {
    let mut encoder =
        opus::Encoder::new(SAMPLE_RATE, opus::Channels::Stereo, opus::Application::Voip).expect("an encoder");
    encoder.set_inband_fec(true).expect("a legal setting");
    encoder.set_packet_loss_perc(20).expect("a legal share");
    let packets: Vec<_> = (0..50)
        .map(|number| {
            encoder.set_bitrate(opus::Bitrate::Bits(20_000 + 2_000 * number)).expect("a legal bitrate");
            let pcm: Vec<f32> = (0..1920).map(|at| (at as f32 * 0.02 * number as f32).sin() * 0.3).collect();
            encoder.encode_vec_float(&pcm, 1275).expect("a packet")
        })
        .collect();
    #[allow(clippy::disallowed_methods)]
    let start = Instant::now();
    let mut receiver = Receiver::new(Config::default());
    run(&mut receiver, start, 0..200, &packets);
    let mut frames = 0;
    let counted = allocation_counter::measure(|| frames = run(&mut receiver, start, 200..1200, &packets));
    assert_eq!(frames, 3000);
    assert_eq!(counted.count_total, 0);
    let concealed: u64 = receiver.speakers().map(|(_, stats)| stats.concealed_samples + stats.fec_samples).sum();
    assert!(concealed > 0, "the schedule loses packets");
}

/// Bursts that make speech faster, stalls that make it slower, and ticks elsewhere, with packets that come in between.
fn move_about(receiver: &mut Receiver, start: Instant, numbers: std::ops::Range<u32>, due: &mut Vec<Speaker>) {
    for number in numbers {
        let now = start + number * FRAME;
        receiver.take_due(now, due);
        // Eight of 100 packets come together, late.
        let arrived = match number % 100 {
            50..57 => number..number,
            57 => number - 7..number + 1,
            _ => number..number + 1,
        };
        for number in arrived {
            for ssrc in [1, 2, 3] {
                receiver.push(now, Ssrc(ssrc), Seq(number as u16), RtpTime(960 * number), &TONE);
            }
        }
        due.iter_mut().for_each(|speaker| speaker.tick(now, &mut |_| {}));
        receiver.give_back(now, due.drain(..));
    }
}

/// A packet that sounds the same whenever it is decoded: 20 ms of a SILK frame.
const TONE: [u8; 8] = [0x48, 0x0B, 0xE4, 0xC1, 0x36, 0xEC, 0xC5, 0x80];

#[test]
fn stretching_and_moving_allocate_nothing() {
    #[allow(clippy::disallowed_methods)]
    let start = Instant::now();
    let mut receiver = Receiver::new(Config::default().decode(Decode::Both));
    let mut due = Vec::new();
    move_about(&mut receiver, start, 0..500, &mut due);
    let counted = allocation_counter::measure(|| move_about(&mut receiver, start, 500..1500, &mut due));
    assert_eq!(counted.count_total, 0);
    let stats = receiver.stats(Ssrc(1)).expect("known");
    assert!(stats.held_samples > 0 && stats.accelerated_samples > 0, "{stats:?}");
}
