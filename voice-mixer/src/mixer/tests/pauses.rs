//! Pauses, stops and fades.

use std::time::Duration;

use super::{Rig, TICK, assert_same, at, decode, largest_error, mono, noise, opus, sine};
use crate::generate::{Silence, Tone};
use crate::mixer::{Ended, Tick, TrackEvent};
use crate::opus::Packets;
use crate::prefetch::{self, Push, Step};
use crate::{EncoderConfig, FrameLength, Phase, Track, TrackId};

const MS: fn(u64) -> Duration = Duration::from_millis;

#[test]
fn packets_that_pass_stop_and_go_where_they_are() {
    let packets = opus(&[960; 8]);
    let mut rig = Rig::new();
    rig.add(1, Packets::new(packets.clone()));
    let mut sent: Vec<Vec<u8>> = (0..3).flat_map(|_| rig.packets()).collect();
    rig.mixer.set_paused(TrackId(1), true);
    assert!(rig.mixer.is_idle());
    assert_eq!([rig.tick(), rig.tick()], [Tick::Idle; 2]);
    rig.mixer.set_paused(TrackId(1), false);
    sent.extend((0..5).flat_map(|_| rig.packets()));
    assert_eq!(sent, packets);
    assert_eq!(rig.mixer.stats().encoded_frames, 0);
}

#[test]
fn packets_that_are_mixed_pass_again_after_a_pause() {
    for frame in [FrameLength::Ms10, FrameLength::Ms20, FrameLength::Ms60] {
        let packets = opus(&[960; 120]);
        let wanted = decode(&packets);
        let mut rig = Rig::new();
        rig.mixer.configure(EncoderConfig::default().bitrate(Some(256_000)).frame(frame));
        rig.add(1, Packets::new(packets.clone()));
        rig.add(2, Silence::new(Some(TICK * 18)));
        let ticks = TICK.as_micros() as usize * 48 / 1_000 / rig.mixer.period();
        for _ in 0..6 * ticks {
            rig.tick();
        }
        rig.mixer.set_paused(TrackId(1), true);
        for _ in 0..6 * ticks {
            rig.tick();
        }
        let place = rig.position(1);
        rig.tick();
        assert_eq!(rig.position(1), place, "{frame:?}");
        rig.mixer.set_paused(TrackId(1), false);
        for _ in 0..12 * ticks {
            rig.tick();
        }
        let sent: Vec<Vec<u8>> = (0..60 * ticks).flat_map(|_| rig.packets()).collect();
        let passed = sent.iter().filter(|packet| packets.contains(packet)).count();
        assert!(passed >= 50, "{frame:?}: {passed} passed");
        assert!(packets.windows(40).any(|some| sent.windows(40).any(|sent| sent == some)), "{frame:?}: in their order");
        let _ = largest_error(&wanted, &wanted);
    }
}

#[test]
fn stops_are_told_once_however_they_come() {
    let packets = opus(&[960; 200]);
    let ramps = [Duration::ZERO, MS(7), MS(20), MS(250)];
    for ramp in ramps {
        for opus_track in [false, true] {
            for how in ["playing", "paused", "pausing", "waiting", "muted", "starved"] {
                let what = format!("{how}, opus: {opus_track}, {ramp:?}");
                let mut rig = Rig::new();
                let config = prefetch::Config::default();
                let length = Duration::from_millis(if how == "starved" { 200 } else { 1_000 });
                let config = config.length(length);
                let (reader, feed) = match opus_track {
                    true => prefetch::pipe(Box::new(Packets::new(packets.clone())), config),
                    false => prefetch::pipe(Box::new(Tone::new(300.0, 0.5, None)), config),
                };
                rig.readers.push(reader);
                rig.mixer.add(TrackId(1), Track::new(feed));
                if how == "waiting" {
                    rig.mixer.set_cue(TrackId(1), crate::Cue::Held);
                }
                for _ in 0..5 {
                    rig.tick();
                }
                match how {
                    "muted" => rig.mixer.set_volume(TrackId(1), 0.0, Duration::ZERO),
                    "paused" | "pausing" => rig.mixer.set_paused(TrackId(1), true),
                    _ => {}
                }
                if how == "paused" || how == "muted" {
                    rig.tick();
                    rig.tick();
                }
                let starved: Vec<_> = if how == "starved" { rig.readers.drain(..).collect() } else { Vec::new() };
                if how == "starved" {
                    // All that was read is played.
                    (0..180).for_each(|_| _ = rig.tick());
                }
                rig.mixer.stop(TrackId(1), ramp);
                rig.mixer.stop(TrackId(1), ramp);
                let mut ended = rig.ended();
                for _ in 0..15 {
                    rig.tick();
                    ended.extend(rig.ended());
                }
                assert!(matches!(ended[..], [(1, Ended::Stopped)]), "{what}: {ended:?}");
                assert!(rig.mixer.is_idle(), "{what}");
                drop(starved);
            }
        }
    }
}

#[test]
fn a_stop_fades_over_its_ramp() {
    let mut rig = Rig::new();
    rig.add(1, mono(&[0.5; 48_000]));
    rig.mix(2);
    rig.mixer.stop(TrackId(1), MS(50));
    let heard = rig.mix(5);
    for (n, sample) in heard.iter().enumerate() {
        let wanted = 0.5 * (1.0 - (n + 1) as f32 / 2_400.0).max(0.0);
        assert!((sample - wanted).abs() < 1e-5, "{n}: {sample} instead of {wanted}");
    }
    assert!(matches!(rig.ended()[..], [(1, Ended::Stopped)]));
}

#[test]
fn what_is_late_can_be_paused() {
    let mut rig = Rig::new();
    let (mut reader, feed) = prefetch::pipe(Box::new(Tone::new(300.0, 0.5, None)), prefetch::Config::default());
    rig.mixer.add(TrackId(1), Track::new(feed));
    while let Step::Progress = reader.step() {}
    (0..52).for_each(|_| _ = rig.tick());
    rig.mixer.set_paused(TrackId(1), true);
    (0..3).for_each(|_| _ = rig.tick());
    assert!(rig.mixer.is_idle(), "there is nothing to fade out");
    assert_eq!(rig.tick(), Tick::Idle);
}

#[test]
fn an_empty_sink_can_be_paused_and_stopped() {
    for stop in [false, true] {
        let (mut pusher, feed) = prefetch::sink(TICK, std::sync::Arc::new(|| {}));
        let mut rig = Rig::new();
        let track = Track::new(feed).volume(0.5);
        let gauge = track.gauge();
        rig.mixer.add(TrackId(1), track);
        assert_eq!(pusher.push(&opus(&[960])[0]), Ok(Push::Done));
        (0..3).for_each(|_| _ = rig.tick());
        match stop {
            true => rig.mixer.stop(TrackId(1), MS(100)),
            false => rig.mixer.set_paused(TrackId(1), true),
        }
        (0..3).for_each(|_| _ = rig.tick());
        assert_eq!(rig.ended().len(), usize::from(stop));
        assert!(rig.mixer.is_idle());
        assert_eq!(gauge.phase(), if stop { Phase::Ended } else { Phase::Paused });
        assert_eq!(rig.tick(), Tick::Idle);
    }
}

#[test]
fn a_fade_in_is_a_line() {
    let mut rig = Rig::new();
    let feed = rig.pipe(mono(&[1.0; 9_600]));
    rig.mixer.add(TrackId(1), Track::new(feed).volume(0.5).fade_in(MS(60)));
    for (n, sample) in rig.mix(5).iter().enumerate() {
        let wanted = 0.5 * ((n + 1) as f32 / 2_880.0).min(1.0);
        assert!((sample - wanted).abs() < 1e-5, "{n}: {sample} instead of {wanted}");
    }
    // Packets fade in mixed, and pass then.
    let packets = opus(&[960; 40]);
    let mut rig = Rig::new();
    let feed = rig.pipe(Packets::new(packets.clone()));
    rig.mixer.add(TrackId(1), Track::new(feed).fade_in(MS(100)));
    let sent: Vec<Vec<u8>> = (0..40).flat_map(|_| rig.packets()).collect();
    assert!(packets.ends_with(&sent[sent.len() - 25..]));
}

#[test]
fn at_volume_zero_it_runs_on_to_its_end() {
    let mut rig = Rig::new();
    let feed = rig.pipe(mono(&noise(2_500)));
    rig.mixer.add(TrackId(1), Track::new(feed).volume(0.0));
    rig.add_after(2, mono(&[0.5; 960]), 1, Duration::ZERO);
    assert_eq!([rig.tick(), rig.tick()], [Tick::Idle; 2]);
    assert_eq!(rig.position(1), 2 * TICK);
    assert_eq!(rig.mix(5).iter().filter(|sample| **sample == 0.5).count(), 960);
    assert_eq!(rig.ended().len(), 2);
}

#[test]
fn a_seek_while_paused_is_heard_after_the_pause() {
    let ramp: Vec<f32> = (0..96_000).map(|n| n as f32 / 96_000.0).collect();
    for started in [false, true] {
        let mut rig = Rig::new();
        let feed = rig.pipe(mono(&ramp));
        let track = Track::new(feed).paused(!started);
        let gauge = track.gauge();
        rig.mixer.add(TrackId(1), track);
        rig.mix(3);
        rig.mixer.set_paused(TrackId(1), true);
        rig.mix(3);
        assert_eq!(gauge.phase(), Phase::Paused);
        let (feed, place) = rig.readers[0].seek(Duration::from_secs(1)).expect("memory can seek");
        drop(rig.mixer.replace(TrackId(1), feed, place).expect("it is there"));
        assert_eq!((gauge.position(), gauge.phase()), (Duration::from_secs(1), Phase::Paused));
        assert!(rig.mix(3).iter().all(|sample| *sample == 0.0) && rig.mixer.is_idle());
        rig.mixer.set_paused(TrackId(1), false);
        assert_same(&rig.mix(2), &ramp[48_000..49_920], "from there");
        assert_eq!((gauge.position(), gauge.phase()), (at(49_920), Phase::Playing));
    }
}

#[test]
fn pausing_pcm_loses_no_sample() {
    let tone = sine(300.0, 0.5, 48_000);
    let mut rig = Rig::new();
    rig.add(1, mono(&tone));
    let mut heard = rig.mix(3);
    rig.mixer.set_paused(TrackId(1), true);
    rig.mixer.set_paused(TrackId(1), true);
    heard.truncate(2_880);
    rig.mix(4);
    rig.mixer.set_paused(TrackId(1), false);
    let resumed = rig.mix(3);
    // Faded out over 240 samples, and in over the next 240.
    assert_same(&resumed[240..], &tone[2_880 + 480..2_880 + 240 + 2_880], "after the pause");
    let told: Vec<TrackEvent> = rig.events().into_iter().map(|it| it.1).collect();
    assert_eq!(told, [TrackEvent::Playable, TrackEvent::Started, TrackEvent::Paused, TrackEvent::Resumed]);
}
