use std::time::Duration;

use proptest::prelude::{ProptestConfig, any, prop, prop_oneof, proptest};
use proptest::strategy::{Just, Strategy};
use voice_model::{FRAME, RtpTime, SILENCE_FRAME, Seq, Ssrc};
use voice_receive::{Config, Decode, Kind, Preset};

use crate::script::{Dice, SSRC, Script, Tone, decoded, error, fixed};

const PACKETS: usize = 400;

/// With delays that the target covers, and no more lost in a row than concealment covers, nothing moves: every frame is
/// at its time, and is what its packet's fate says.
#[test]
fn random_loss_reordering_and_duplication_leave_the_time_line_whole() {
    let packets = Tone::new(440.0).packets(PACKETS);
    let wanted = decoded(&packets);
    for seed in 0..20 {
        let mut dice = Dice(seed);
        let (first_seq, first_time) = (dice.roll(65_536) as u16, dice.roll(1 << 32) as u32);
        let mut lost_run = 0;
        let lost: Vec<bool> = (0..PACKETS)
            .map(|number| {
                let lost = (3..PACKETS - 1).contains(&number) && lost_run < 5 && dice.roll(100) < 15;
                lost_run = if lost { lost_run + 1 } else { 0 };
                lost
            })
            .collect();
        let mut script = Script::new(fixed());
        let start = script.now;
        let mut arrivals = Vec::new();
        for number in (0..PACKETS + 5).filter(|number| !lost.get(*number).copied().unwrap_or(false)) {
            for _ in 0..if dice.roll(10) == 0 { 2 } else { 1 } {
                // The first is as fast as any: how late it is cannot be known before others have come.
                let delay = Duration::from_micros(if number == 0 { 0 } else { dice.roll(40_000) });
                arrivals.push((start + number as u32 * FRAME + delay, number));
            }
        }
        arrivals.sort();
        let copies = arrivals.len() as u64;
        let mut arrivals = arrivals.into_iter().peekable();
        while arrivals.peek().is_some() || script.receiver.poll_timeout().is_some() {
            while let Some((at, number)) = arrivals.next_if(|(at, _)| *at <= script.now) {
                let seq = Seq(first_seq.wrapping_add(number as u16));
                let time = RtpTime(first_time.wrapping_add(960 * number as u32));
                script.receiver.push(at, SSRC, seq, time, packets.get(number).map_or(&SILENCE_FRAME, Vec::as_slice));
            }
            script.tick();
        }
        assert_eq!(script.heard.len(), PACKETS + 5, "seed {seed}");
        for (number, frame) in script.heard.iter().enumerate() {
            let kind = match lost.get(number) {
                Some(true) => Kind::Concealed,
                Some(false) => Kind::Received,
                None => Kind::Silence,
            };
            let time = first_time.wrapping_add(960 * number as u32);
            // While a packet might still have come, the place in the stream stood still.
            let still = if kind == Kind::Concealed { time.wrapping_sub(frame.time) } else { 0 };
            assert_eq!((frame.time, frame.kind), (time.wrapping_sub(still), kind), "seed {seed}, frame {number}");
            assert!(still <= 4 * 960, "seed {seed}, frame {number}");
            assert!(frame.depth <= Duration::from_millis(120));
        }
        let stats = script.stats();
        let missing = lost.iter().filter(|lost| **lost).count() as u64;
        assert_eq!(stats.lost, missing, "seed {seed}");
        assert_eq!((stats.received + stats.duplicate, stats.late), (copies, 0), "seed {seed}");
        assert_eq!(stats.received, PACKETS as u64 + 5 - missing, "seed {seed}");
        assert_eq!(stats.concealed_samples, 960 * missing, "seed {seed}");
        // The tone is where it belongs: a shift of a single sample is an error of 0.003, of a millisecond 3.
        let heard = script.pcm();
        let clean: Vec<_> = (4..PACKETS).filter(|number| !lost[number - 4..=*number].contains(&true)).collect();
        assert!(clean.len() > 50);
        for number in clean {
            let range = 1920 * number..1920 * (number + 1);
            assert!(error(&heard[range.clone()], &wanted[range]) < 0.001, "seed {seed}, frame {number}");
        }
    }
}

#[derive(Clone, Debug)]
enum Operation {
    Push { ssrc: u32, seq: u16, time: u32, frame: Vec<u8> },
    Follow { step: u16, time: u32, frame: Vec<u8> },
    Pass { micros: u64 },
    Tick,
    Forget { ssrc: u32 },
    Set { ssrc: u32, decode: Decode },
    Take,
    Give,
}

fn frame() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..80),
        prop::collection::vec(any::<u8>(), 3800..3900),
        Just(SILENCE_FRAME.to_vec()),
        (any::<u8>(), 0..60_usize).prop_map(|(toc, length)| [vec![toc], vec![0x5A; length]].concat()),
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        1 => (0..5_u32, any::<u16>(), any::<u32>(), frame())
            .prop_map(|(ssrc, seq, time, frame)| Operation::Push { ssrc, seq, time, frame }),
        6 => (0..4_u16, prop_oneof![Just(960), Just(0), 0..6000_u32, any::<u32>()], frame())
            .prop_map(|(step, time, frame)| Operation::Follow { step, time, frame }),
        1 => (0..3_000_000_u64).prop_map(|micros| Operation::Pass { micros }),
        6 => Just(Operation::Tick),
        1 => (0..5_u32).prop_map(|ssrc| Operation::Forget { ssrc }),
        1 => (0..5_u32, prop::sample::select(vec![Decode::Off, Decode::Packets, Decode::Pcm, Decode::Both]))
            .prop_map(|(ssrc, decode)| Operation::Set { ssrc, decode }),
        1 => Just(Operation::Take),
        2 => Just(Operation::Give),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever arrives, whatever is wanted, wherever speakers are, and however time passes: no panic, frames of 20 ms,
    /// bounded memory, and silence in the end.
    #[test]
    fn anything_may_arrive(
        operations in prop::collection::vec(operation(), 1..300),
        preset in prop::sample::select(vec![Preset::LowLatency, Preset::Balanced, Preset::Recording]),
    ) {
        let mut script = Script::new(Config::preset(preset).max_speakers(3));
        let (mut seq, mut time) = (Seq(65_500), RtpTime(u32::MAX - 9600));
        let mut away = Vec::new();
        for operation in operations {
            match operation {
                Operation::Push { ssrc, seq, time, frame } => {
                    script.receiver.push(script.now, Ssrc(ssrc), Seq(seq), RtpTime(time), &frame);
                }
                Operation::Follow { step, time: ahead, frame } => {
                    seq = seq + step;
                    time += ahead;
                    script.receiver.push(script.now, Ssrc(0), seq, time, &frame);
                }
                Operation::Pass { micros } => script.now += Duration::from_micros(micros),
                Operation::Tick => script.tick(),
                Operation::Forget { ssrc } => script.receiver.forget(Ssrc(ssrc)),
                Operation::Set { ssrc, decode } => script.receiver.set_decode(Ssrc(ssrc), decode),
                Operation::Take => script.receiver.take_due(script.now, &mut away),
                Operation::Give => script.receiver.give_back(script.now, away.drain(..)),
            }
            assert!(script.receiver.speakers().count() <= 3);
        }
        script.receiver.give_back(script.now, away);
        script.drain();
        let hard = Duration::from_millis(if preset == Preset::Recording { 2000 } else { 400 });
        for frame in &script.heard {
            assert!(frame.pcm.is_empty() || frame.pcm.len() == 1920 && frame.packet.is_empty());
            assert!(frame.pcm.iter().all(|sample| sample.is_finite()));
            assert!(frame.samples >= 1);
            // The hard limit, and two packets of 120 ms that are being played.
            assert!(frame.depth <= hard + Duration::from_millis(240), "{:?}", frame.depth);
        }
    }
}
