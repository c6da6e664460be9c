//! Packets that are sent unmixed, and the ways to and from the mix.

use std::time::Duration;

use super::{Rig, TICK, decode, frame, largest_error, opus};
use crate::generate::{Silence, Tone};
use crate::mixer::{Ended, Tick};
use crate::opus::Packets;
use crate::prefetch::{self, Step};
use crate::track::Track;
use crate::{EncoderConfig, TrackId};

#[test]
fn a_lone_opus_track_passes_through_unmixed() {
    let packets = opus(&[960; 10]);
    let mut rig = Rig::new();
    rig.add(1, Packets::new(packets.clone()));
    for packet in &packets {
        assert_eq!(rig.packets(), std::slice::from_ref(packet));
    }
    assert!(matches!(rig.ended()[..], [(1, Ended::Finished)]));
    let stats = rig.mixer.stats();
    assert_eq!((stats.passthrough_frames, stats.encoded_frames, stats.underruns), (10, 0, 0));
}

#[test]
fn long_packets_are_held() {
    let packets = opus(&[2_880, 2_880]);
    let mut rig = Rig::new();
    rig.add(1, Packets::new(packets.clone()));
    let ticks: Vec<Tick> = (0..7).map(|_| rig.tick()).collect();
    let [first, second] = [0, 1].map(|n| frame(packets[n].len(), 2_880, false));
    assert_eq!(ticks, [first, Tick::Hold, Tick::Hold, second, Tick::Hold, Tick::Hold, Tick::Idle]);
}

#[test]
fn short_packets_share_a_tick() {
    for (samples, count) in [(120, 8), (240, 4), (480, 2)] {
        let packets = opus(&vec![samples; 2 * count]);
        let mut rig = Rig::new();
        rig.add(1, Packets::new(packets.clone()));
        assert_eq!(rig.packets(), packets[..count]);
        assert_eq!(rig.packets(), packets[count..]);
        assert!(rig.packets().is_empty());
        assert_eq!(rig.mixer.next_frame(&mut [0; 1_400]), Tick::Hold);
    }
}

#[test]
fn mixed_durations_keep_pace_with_the_clock() {
    let durations = [240, 960, 960, 480, 1_920, 120, 960, 960, 960, 960, 2_880, 240];
    let packets = opus(&durations);
    let mut rig = Rig::new();
    rig.add(1, Packets::new(packets.clone()));
    let mut sent = Vec::new();
    let mut ticks = 0;
    while rig.mixer.position(TrackId(1)).is_some() {
        sent.extend(rig.packets());
        ticks += 1;
    }
    assert_eq!(sent, packets);
    // The last packet begins at sample 11,400: in the twelfth tick.
    assert_eq!(ticks, 12);
}

#[test]
fn a_tick_that_the_last_short_packet_does_not_fill_is_counted_as_time() {
    let packets = opus(&[480]);
    let mut rig = Rig::new();
    rig.add(1, Packets::new(packets.clone()));
    assert_eq!(rig.tick(), frame(packets[0].len(), 960, false));
    assert_eq!(rig.mixer.stats().underruns, 0);
}

#[test]
fn switching_between_passing_and_mixing_is_heard_nowhere() {
    for duration in [960, 480, 2_880, 1_920] {
        let packets = opus(&vec![duration; 72 * 960 / duration]);
        let wanted = decode(&packets);
        let mut rig = Rig::new();
        rig.mixer.configure(EncoderConfig::default().bitrate(Some(256_000)));
        rig.add(1, Packets::new(packets.clone()));
        let mut sent = Vec::new();
        for tick in 0..72 {
            // Another sound, which is inaudible: any difference is the switch's.
            if tick == 12 || tick == 42 {
                rig.add(2, Silence::new(Some(TICK * 12)));
            }
            sent.extend(rig.packets());
        }
        let heard = decode(&sent);
        assert_eq!(heard.len(), wanted.len(), "{duration}");
        let (error, at) = largest_error(&heard[960..], &wanted[960..]);
        assert!(error < 0.03, "packets of {duration}: off by {error} at sample {}", at + 960);
        let passed = rig.mixer.stats().passthrough_frames as usize * duration / 960;
        assert!((40..=48).contains(&passed), "packets of {duration}: {passed} ticks passed");
        assert!(packets.ends_with(&sent[sent.len() - 3..]), "it ends passing");
    }
}

#[test]
fn a_track_that_was_mixed_from_its_beginning_passes_as_soon_as_it_is_alone() {
    let packets = opus(&[960; 60]);
    let wanted = decode(&packets);
    let mut rig = Rig::new();
    rig.mixer.configure(EncoderConfig::default().bitrate(Some(256_000)));
    rig.add(2, Silence::new(Some(TICK * 12)));
    rig.add(1, Packets::new(packets.clone()));
    let sent: Vec<_> = (0..50).flat_map(|_| rig.packets()).collect();
    let heard = decode(&sent);
    // One frame later than the packets alone would have been.
    let (error, at) = largest_error(&heard[960 + 1_920..], &wanted[1_920..]);
    assert!(error < 0.03, "off by {error} at sample {at}");
    assert_eq!(rig.mixer.stats().passthrough_frames, 37);
}

#[test]
fn a_mixed_opus_track_is_heard_in_full() {
    let packets = opus(&[960; 20]);
    let mut rig = Rig::new();
    rig.add(1, Packets::new(packets));
    rig.add(2, Silence::new(None));
    for n in 0..21 {
        assert!(matches!(rig.tick(), Tick::Frame { .. }));
        let peak = rig.sum().iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
        assert!(n == 0 || n == 20 || (0.45..0.55).contains(&peak), "tick {n}: {peak}");
    }
    assert!(matches!(rig.ended()[..], [(1, Ended::Finished)]));
}

#[test]
fn volume_decides_on_passing_through() {
    let packets = opus(&[960; 30]);
    let mut rig = Rig::new();
    rig.add(1, Packets::new(packets.clone()));
    rig.add(2, Tone::new(440.0, 0.5, None));
    assert_ne!(rig.packets(), packets[..1], "the tone is heard");
    rig.mixer.set_volume(TrackId(2), 0.0, Duration::ZERO);
    assert_ne!(rig.packets(), packets[1..2], "the tone fades out");
    let mut ticks = 2;
    let mut passes = |rig: &mut Rig| {
        ticks += 1;
        rig.packets().iter().all(|sent| packets.contains(sent))
    };
    assert!((0..6).any(|_| passes(&mut rig)), "the tone is inaudible");
    rig.mixer.set_volume(TrackId(1), 0.5, Duration::ZERO);
    assert!(!passes(&mut rig), "half as loud is mixed");
    rig.mixer.set_volume(TrackId(1), 1.0, Duration::ZERO);
    assert!(!passes(&mut rig), "the ramp is not over");
    assert!((0..6).any(|_| passes(&mut rig)), "alone at unit gain");
    assert_eq!(rig.mixer.position(TrackId(2)), Some(TICK * ticks), "an inaudible track runs on");
}

#[test]
fn a_volume_set_before_the_first_sound_is_there_at_once() {
    let packets = opus(&[960; 30]);
    let mut rig = Rig::new();
    rig.add(1, Packets::new(packets.clone()));
    rig.add(2, Tone::new(440.0, 0.5, None));
    rig.mixer.set_volume(TrackId(2), 0.0, Duration::ZERO);
    assert_eq!(rig.packets(), packets[..1], "nothing of the tone was ever heard");
}

#[test]
fn an_underrun_of_packets_sends_nothing() {
    let mut rig = Rig::new();
    let (mut reader, feed) = prefetch::pipe(Box::new(Packets::new(opus(&[960; 4]))), prefetch::Config::default());
    rig.mixer.add(TrackId(1), Track::new(feed));
    while rig.mixer.stats().passthrough_frames == 0 {
        let _ = reader.step();
        rig.tick();
    }
    let before = rig.mixer.stats().underruns;
    assert_eq!(rig.tick(), Tick::Idle);
    assert!(!rig.mixer.is_idle());
    assert_eq!(rig.mixer.stats().underruns, before + 1);
    while let Step::Progress = reader.step() {}
    assert!(matches!(rig.tick(), Tick::Frame { .. }));
}

#[test]
fn packets_too_long_for_the_buffer_are_dropped_and_counted() {
    let mut packets = opus(&[960; 3]);
    packets.insert(1, vec![0xFC; 1_276]);
    // Code 3, 48 frames of 2.5 ms, 1,000 bytes each: legal, and far too long for the ring.
    packets.insert(3, [&[0xE3, 48][..], &vec![0; 48_000]].concat());
    let mut rig = Rig::new();
    rig.out.truncate(1_275);
    rig.add(1, Packets::new(packets.clone()));
    assert_eq!(rig.packets(), packets[..1]);
    assert_eq!(rig.packets(), packets[2..3]);
    assert_eq!(rig.packets(), packets[4..5]);
    assert!(matches!(rig.ended()[..], [(1, Ended::Finished)]));
    assert_eq!(rig.mixer.stats().oversized, 2);
}

#[test]
fn garbage_that_looks_like_a_packet_is_silence_and_counted() {
    let garbage: Vec<Vec<u8>> =
        (0..50_u8).map(|n| (0..60).map(|m| if m == 0 { 0xFC } else { n ^ m }).collect()).collect();
    let mut rig = Rig::new();
    rig.add(1, Packets::new(garbage));
    rig.add(2, Silence::new(None));
    for _ in 0..51 {
        assert!(matches!(rig.tick(), Tick::Frame { .. }));
        assert!(rig.sum().iter().all(|sample| sample.abs() <= 1.0));
    }
    assert!(matches!(rig.ended()[..], [(1, Ended::Finished)]));
}
