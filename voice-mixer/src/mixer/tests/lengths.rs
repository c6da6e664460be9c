//! Frames of 10, 20, 40 and 60 ms.

use std::time::Duration;

use super::{Rig, assert_same, decode, largest_error, mono, noise, opus, sine};
use crate::generate::{Silence, Tone};
use crate::mixer::Tick;
use crate::opus::Packets;
use crate::{EncoderConfig, FrameLength, Signal, Track, TrackId};

const ALL: [FrameLength; 4] = [FrameLength::Ms10, FrameLength::Ms20, FrameLength::Ms40, FrameLength::Ms60];

fn rig(frame: FrameLength) -> Rig {
    let mut rig = Rig::new();
    rig.out.resize(4_000, 0);
    rig.mixer.configure(EncoderConfig::default().bitrate(Some(256_000)).frame(frame));
    rig
}

/// How far RTP time moves on in a tick, and the packets of it.
fn tick(rig: &mut Rig) -> (usize, Vec<Vec<u8>>) {
    let (mut time, mut packets) = (0, Vec::new());
    let mut tick = rig.tick();
    loop {
        match tick {
            Tick::Idle => return (time + rig.mixer.period(), packets),
            Tick::Hold => return (time, packets),
            Tick::Frame { len, samples, more } => {
                packets.push(rig.out[..len].to_vec());
                time += samples as usize;
                if !more {
                    return (time, packets);
                }
            }
        }
        tick = rig.mixer.next_frame(&mut rig.out);
    }
}

#[test]
fn pcm_is_mixed_whole_at_each_length() {
    for frame in ALL {
        let mut rig = rig(frame);
        let sound = noise(20_000);
        rig.add(1, mono(&sound));
        assert_same(&rig.mix(60), &sound, &format!("{frame:?}"));
        assert_eq!(rig.ended().len(), 1);
    }
}

#[test]
fn what_is_heard_is_what_was_mixed_at_each_length() {
    for frame in ALL {
        let mut rig = rig(frame);
        rig.add(1, mono(&sine(440.0, 0.5, 48_000)));
        let sent: Vec<Vec<u8>> = (0..110).flat_map(|_| tick(&mut rig).1).collect();
        let heard = decode(&sent);
        let count = (heard.len() - 312).min(48_000);
        let (error, at) = largest_error(&heard[312 + 960..312 + count - 960], &sine(440.0, 0.5, 48_000)[960..]);
        assert!(error < 0.03, "{frame:?}: off by {error} at {at}");
    }
}

#[test]
fn every_tick_is_accounted_for() {
    for frame in ALL {
        for duration in [120, 240, 480, 960, 1_920, 2_880, 3_840, 5_760] {
            let what = format!("{frame:?}, packets of {duration}");
            let mut rig = rig(frame);
            let toc: &[u8] = match duration {
                120 => &[0xE4, 0xFF],
                240 => &[0xEC, 0xFF],
                480 => &[0xF4, 0xFF],
                960 => &[0xFC, 0xFF],
                more => &[0xFF, (more / 960) as u8],
            };
            let packets = vec![toc.to_vec(); 28_800 / duration];
            rig.add(1, Packets::new(packets.clone()));
            let (mut clock, mut time, mut sent) = (0, 0, Vec::new());
            while !rig.gone(1) || time > clock {
                let (moved, some) = tick(&mut rig);
                clock += rig.mixer.period();
                time += moved;
                sent.extend(some);
                assert!(time >= clock && time - clock < duration.max(961), "{what}: {time} at {clock}");
            }
            assert_eq!((sent, time), (packets, clock), "{what}");
            assert_eq!(rig.mixer.stats().encoded_frames, 0, "{what}");
            // Mixed: nothing runs ahead further than a frame.
            rig.add(2, Tone::new(300.0, 0.1, Some(Duration::from_millis(333))));
            for _ in 0..60 {
                clock += rig.mixer.period();
                time += tick(&mut rig).0;
                assert!(time >= clock && time - clock < 2_880, "{what}: {time} at {clock}");
            }
            assert_eq!(time, clock, "{what}");
        }
    }
}

#[test]
fn a_change_in_the_middle_loses_and_doubles_nothing() {
    let tone = sine(440.0, 0.5, 96_000);
    let mut rig = rig(FrameLength::Ms20);
    rig.add(1, mono(&tone));
    let (mut sent, mut clock, mut time) = (Vec::new(), 0, 0);
    for frame in [1, 3, 0, 2, 1, 0, 3, 1].map(|index: usize| ALL[index]) {
        rig.mixer.configure(rig.mixer.encoder().frame(frame));
        for _ in 0..7 {
            let (moved, packets) = tick(&mut rig);
            (clock, time) = (clock + rig.mixer.period(), time + moved);
            assert!(time >= clock && time - clock < 2_880, "{time} at {clock}");
            sent.extend(packets);
        }
    }
    let heard = decode(&sent);
    assert_eq!(heard.len(), time, "every frame has its time");
    let (error, at) = largest_error(&heard[312 + 960..], &tone[960..]);
    assert!(error < 0.03, "off by {error} at {at}");
}

#[test]
fn packets_go_in_and_out_of_the_mix_at_each_length() {
    for frame in ALL {
        for duration in [480, 960, 2_880] {
            let packets = opus(&vec![duration; 96 * 960 / duration]);
            let wanted = decode(&packets);
            let mut rig = rig(frame);
            rig.add(1, Packets::new(packets.clone()));
            let mut sent = Vec::new();
            let mut clock = 0;
            while !rig.gone(1) {
                if clock == 12 * 960 || clock == 48 * 960 {
                    rig.add(2, Silence::new(Some(Duration::from_millis(200))));
                }
                sent.extend(tick(&mut rig).1);
                clock += rig.mixer.period();
            }
            let heard = decode(&sent);
            let end = heard.len().min(wanted.len());
            let (error, at) = largest_error(&heard[960..end], &wanted[960..end]);
            assert!(error < 0.03, "{frame:?}, packets of {duration}: off by {error} at {}", at + 960);
            let passed = rig.mixer.stats().passthrough_frames as usize * duration / 960;
            assert!(passed > 40, "{frame:?}, packets of {duration}: {passed} ticks passed");
        }
    }
}

#[test]
fn silent_tracks_run_in_time() {
    for frame in ALL {
        for other in [0, 960, 5_760] {
            let mut rig = rig(frame);
            let feed = rig.pipe(mono(&noise(96_000)));
            rig.mixer.add(TrackId(1), Track::new(feed).volume(0.0));
            match other {
                0 => rig.add(2, Tone::new(300.0, 0.1, None)),
                5_760 => rig.add(2, Packets::new(vec![vec![0xFF, 6]; 20])),
                duration => rig.add(2, Packets::new(opus(&vec![duration; 60]))),
            }
            let mut clock = 0;
            for _ in 0..40 {
                rig.tick();
                while let Tick::Frame { more: true, .. } = rig.mixer.next_frame(&mut rig.out) {}
                clock += rig.mixer.period();
                let played = (rig.position(1).as_secs_f64() * 48_000.0).round() as usize;
                let ahead = if other == 0 { frame.samples() } else { rig.mixer.period() };
                assert!((clock..clock + ahead).contains(&played), "{frame:?}, {other}: {played} at {clock}");
            }
        }
    }
}

#[test]
fn silence_that_is_not_sent_takes_its_time() {
    for frame in ALL {
        let mut rig = rig(frame);
        let config = EncoderConfig::default().dtx(true).signal(Signal::Voice).bitrate(Some(24_000)).frame(frame);
        rig.mixer.configure(config);
        rig.add(1, Silence::new(None));
        let (mut clock, mut time, mut silent) = (0, 0, 0);
        for _ in 0..120 {
            let (moved, packets) = tick(&mut rig);
            (clock, time, silent) =
                (clock + rig.mixer.period(), time + moved, silent + usize::from(packets.is_empty()));
            assert!(time >= clock && time - clock < 2_880, "{frame:?}: {time} at {clock}");
        }
        assert!(silent > 40, "{frame:?}: {silent}");
    }
}
