//! RTP time and the clock.

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::Rig;
use crate::generate::Tone;
use crate::mixer::Tick;
use crate::opus::Packets;
use crate::{EncoderConfig, TrackId};

#[derive(Clone, Debug)]
enum Operation {
    Tick,
    Read,
    Tone(u64),
    Packets(u64, Vec<usize>),
    Volume(u64, f32),
    Pause(u64, bool),
    Remove(u64),
    Seek(u64),
}

fn operation() -> impl Strategy<Value = Operation> {
    let id = 0..3_u64;
    let duration = prop::sample::select(vec![120, 240, 480, 960, 1_920, 2_880, 3_840, 5_760]);
    prop_oneof![
        10 => Just(Operation::Tick),
        5 => Just(Operation::Read),
        1 => id.clone().prop_map(Operation::Tone),
        3 => (id.clone(), prop::collection::vec(duration, 1..30)).prop_map(|(id, all)| Operation::Packets(id, all)),
        1 => (id.clone(), prop::sample::select(vec![0.0, 0.5, 1.0, f32::NAN])).prop_map(|(id, v)| Operation::Volume(id, v)),
        1 => (id.clone(), any::<bool>()).prop_map(|(id, paused)| Operation::Pause(id, paused)),
        1 => id.clone().prop_map(Operation::Remove),
        1 => id.prop_map(Operation::Seek),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64, failure_persistence: None, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default()
    })]

    /// Whatever happens, RTP time is never behind the ticks, and never further ahead than the longest packet.
    #[test]
    fn rtp_time_keeps_pace(operations in prop::collection::vec(operation(), 1..120)) {
        let mut rig = Rig::new();
        rig.mixer.configure(EncoderConfig::default().complexity(0));
        let (mut clock, mut rtp) = (0_u64, 0_u64);
        for operation in operations {
            match operation {
                Operation::Tick => {
                    let mut frames = 0;
                    let mut tick = rig.mixer.tick(&mut rig.out);
                    if tick == Tick::Idle { rtp += 960; }
                    while let Tick::Frame { len, samples, more } = tick {
                        prop_assert!((1..=1_276).contains(&len));
                        rtp += u64::from(samples);
                        frames += 1;
                        prop_assert!(frames <= 8);
                        if !more { break; }
                        tick = rig.mixer.next_frame(&mut rig.out);
                    }
                    clock += 960;
                    prop_assert!(rtp >= clock && rtp - clock < 5_760, "{} {}", rtp, clock);
                }
                Operation::Read => rig.read(),
                Operation::Tone(id) => rig.add(id, Tone::new(440.0, 0.4, Some(Duration::from_millis(333)))),
                Operation::Packets(id, durations) => {
                    let packets = durations.iter().map(|samples| match samples {
                        120 => vec![0xE4, 0xFF], 240 => vec![0xEC, 0xFF], 480 => vec![0xF4, 0xFF], 960 => vec![0xFC, 0xFF],
                        more => vec![0xFF, (more / 960) as u8, 0xFF, 0xFE, 0x01, 0x02, 0x03, 0x04][..2].to_vec(),
                    });
                    rig.add(id, Packets::new(packets));
                }
                Operation::Volume(id, volume) => rig.mixer.set_volume(TrackId(id), volume, Duration::ZERO),
                Operation::Pause(id, paused) => rig.mixer.set_paused(TrackId(id), paused),
                Operation::Remove(id) => drop(rig.mixer.remove(TrackId(id))),
                Operation::Seek(id) => {
                    if let Some(Ok((feed, at))) = rig.readers.last_mut().map(|reader| reader.seek(Duration::from_millis(41))) {
                        let _ = rig.mixer.replace(TrackId(id), feed, at);
                    }
                }
            }
        }
    }
}
