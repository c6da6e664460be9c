use std::time::Duration;

use voice_model::{FRAME, RtpTime, Seq};
use voice_receive::{Config, Decode, Preset};

use crate::script::{Dice, SSRC, Script, Tone, fixed};

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn a_buffer_that_holds_less_than_the_delay_plays_all_the_same() {
    let packets = Tone::new(440.0).packets(100);
    for decode in [Decode::Pcm, Decode::Packets] {
        for delay in [300, 500, 2000] {
            for stretch in [false, true] {
                let config = Config::default().delay(millis(delay)).stretch(stretch).decode(decode);
                let mut script = Script::new(config.max_packets(16).max_depth(millis(4000)));
                for (number, packet) in packets.iter().enumerate() {
                    script.play(number as u16, 960 * number as u32, packet);
                }
                script.end(100, 960 * 100);
                let stats = script.stats();
                let about = format!("{decode:?}, {delay} ms, {stretch}: {stats:?}");
                assert_eq!((stats.lost, stats.late, stats.skipped_samples, stats.resyncs), (0, 0, 0, 0), "{about}");
                assert_eq!((script.mix().received, stats.expanded_samples), (100 * 960, 0), "{about}");
                // Three of four packets that there is room for.
                assert_eq!((script.heard[0].tick, stats.target), (12, millis(240)), "{about}");
            }
        }
    }
}

#[test]
fn timestamps_that_promise_more_than_comes_do_not_keep_it_from_playing() {
    // Each says that it lasts 120 ms, and is sent every 20.
    let packet = Tone::new(440.0).packet(5760);
    let mut script = Script::new(fixed().max_packets(16).delay(millis(1000)).max_depth(millis(4000)));
    for number in 0..100 {
        script.play(number, 960 * u32::from(number), &packet);
    }
    assert_eq!(script.heard[0].tick, 14);
    assert!(script.heard.len() > 80, "{}", script.heard.len());
}

#[test]
fn short_packets_that_vary_do_not_silence_a_recording() {
    let mut tone = Tone::new(440.0);
    for (samples, seed) in [(120, 1), (240, 2)] {
        let packets: Vec<_> = (0..50).map(|_| tone.packet(samples)).collect();
        let mut script = Script::new(Config::preset(Preset::Recording).min_delay(millis(700)));
        let (start, count, mut dice) = (script.now, 10 * 48_000 / samples, Dice(seed));
        let mut arrivals: Vec<_> = (0..count)
            .map(|number| {
                let sent = Duration::from_micros(number as u64 * samples as u64 * 1000 / 48);
                (start + sent + Duration::from_micros(dice.roll(60_000)), number)
            })
            .collect();
        arrivals.sort();
        let mut arrivals = arrivals.into_iter().peekable();
        while arrivals.peek().is_some() {
            while let Some((at, number)) = arrivals.next_if(|(at, _)| *at <= script.now) {
                let (seq, time) = (Seq(number as u16), RtpTime((number * samples) as u32));
                script.receiver.push(at, SSRC, seq, time, &packets[number % packets.len()]);
            }
            script.tick();
        }
        let (stats, received) = (script.stats(), script.mix().received);
        assert!(received > 9 * 48_000, "seed {seed}, {samples} samples: {received}, {stats:?}");
        assert!(stats.late + stats.lost < count as u64 / 50, "seed {seed}, {samples} samples: {stats:?}");
    }
}

#[test]
fn what_came_while_nobody_ticked_is_skipped_and_not_lost() {
    let packets = Tone::new(440.0).packets(50);
    let packet = |number: u16| &packets[usize::from(number) % 50];
    for (config, resyncs) in [(fixed(), 1), (fixed().max_depth(millis(4000)), 1)] {
        let mut script = Script::new(config);
        (0..20).for_each(|number| script.play(number, 960 * u32::from(number), packet(number)));
        // A stall of six seconds, in which one packet is lost.
        for number in (20..320).filter(|number| *number != 100) {
            script.push(number, 960 * u32::from(number), packet(number));
            script.now += FRAME;
        }
        (320..340).for_each(|number| script.play(number, 960 * u32::from(number), packet(number)));
        script.end(340, 960 * 340);
        let (stats, mix) = (script.stats(), script.mix());
        assert_eq!((stats.received, stats.lost, stats.late, stats.resyncs), (344, 1, 0, resyncs), "{stats:?}");
        assert_eq!(u64::from(mix.received + mix.silence) + stats.skipped_samples, 344 * 960, "{stats:?}");
        assert!(stats.skipped_samples >= 170 * 960, "{stats:?}");
        assert_eq!((mix.concealed, stats.duplicate), (0, 0), "{stats:?}");
    }
}
