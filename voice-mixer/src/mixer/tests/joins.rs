//! Tracks that begin where others end.

use std::time::Duration;

use super::{Rig, assert_same, decode, mono, noise, opus};
use crate::effects::{Chain, Effect, Reverb};
use crate::generate::Silence;
use crate::mixer::{Ended, Tick, TrackEvent};
use crate::opus::Packets;
use crate::prefetch;
use crate::{Cue, EncoderConfig, FrameLength, Phase, SourceError, Track, TrackId};

fn after(track: u64) -> Cue {
    Cue::After { track: TrackId(track), crossfade: Duration::ZERO }
}

#[test]
fn pcm_goes_on_in_the_middle_of_a_frame_whatever_the_ids() {
    // In the order in which they are added; who waits for whom.
    for order in [[1, 2], [2, 1]] {
        for (first, second) in [(3_333, 2_000), (1_920, 1_920), (100, 2_500), (960, 1), (959, 961)] {
            for frame in [FrameLength::Ms10, FrameLength::Ms20, FrameLength::Ms60] {
                let (a, b) = (noise(first), noise(second + 7)[7..].to_vec());
                let mut rig = Rig::new();
                rig.mixer.configure(EncoderConfig::default().complexity(0).frame(frame));
                for id in order {
                    match id {
                        1 => rig.add(1, mono(&a)),
                        _ => rig.add_after(2, mono(&b), 1, Duration::ZERO),
                    }
                }
                let what = format!("{order:?} {first} {second} {frame:?}");
                assert_same(&rig.mix(24), &[a, b].concat(), &what);
                let ended = rig.ended();
                assert!(matches!(ended[..], [(1, Ended::Finished), (2, Ended::Finished)]), "{what}: {ended:?}");
                let order: Vec<u64> =
                    rig.events().into_iter().filter(|(_, it)| *it == TrackEvent::Started).map(|it| it.0).collect();
                assert_eq!(order, [1, 2]);
            }
        }
    }
}

#[test]
fn several_short_ones_fit_into_one_frame() {
    for order in [[1, 2, 3, 4, 5], [5, 4, 3, 2, 1], [3, 1, 5, 2, 4]] {
        let pieces: Vec<Vec<f32>> = [130, 70, 1, 200, 2_000].map(noise).to_vec();
        let mut rig = Rig::new();
        for id in order {
            let source = mono(&pieces[id as usize - 1]);
            match id {
                1 => rig.add(1, source),
                id => rig.add_after(id, source, id - 1, Duration::ZERO),
            }
        }
        assert_same(&rig.mix(5), &pieces.concat(), &format!("{order:?}"));
        let ended: Vec<u64> = rig.ended().into_iter().map(|it| it.0).collect();
        assert_eq!(ended, [1, 2, 3, 4, 5]);
    }
}

#[test]
fn two_can_wait_for_the_same_one() {
    for order in [[1, 2, 3], [2, 3, 1], [2, 1, 3]] {
        let mut rig = Rig::new();
        for id in order {
            match id {
                1 => rig.add(1, mono(&noise(1_500))),
                id => rig.add_after(id, mono(&[0.25; 1_000]), 1, Duration::ZERO),
            }
        }
        assert_same(&rig.mix(4), &[noise(1_500), vec![0.5; 1_000]].concat(), &format!("{order:?}"));
    }
}

#[test]
fn packets_follow_packets_unmixed_without_a_tick_between() {
    let (a, b) = (opus(&[960; 4]), opus(&[960, 480, 480, 960]));
    let mut rig = Rig::new();
    rig.add_after(2, Packets::new(b.clone()), 1, Duration::ZERO);
    rig.add(1, Packets::new(a.clone()));
    let ticks: Vec<Vec<Vec<u8>>> = (0..7).map(|_| rig.packets()).collect();
    assert!(ticks.iter().all(|tick| !tick.is_empty()), "no tick without a packet");
    assert_eq!(ticks.concat(), [a, b].concat());
    assert_eq!(rig.mixer.stats().encoded_frames, 0);
    assert!(matches!(rig.ended()[..], [(1, Ended::Finished), (2, Ended::Finished)]));
}

#[test]
fn packets_follow_pcm_where_it_ends_and_pass_soon() {
    for length in [1_500, 1_920] {
        let packets = opus(&[960; 40]);
        let wanted = decode(&packets);
        let mut rig = Rig::new();
        rig.mixer.configure(EncoderConfig::default().bitrate(Some(256_000)));
        rig.add(1, mono(&vec![0.25; length]));
        rig.add_after(2, Packets::new(packets.clone()), 1, Duration::ZERO);
        let heard = rig.mix(2 + usize::from(length == 1_920));
        assert!(heard[..length].iter().all(|sample| *sample == 0.25));
        assert_same(&heard[length..], &wanted[..heard.len() - length], &format!("behind {length}"));
        let sent: Vec<Vec<u8>> = (0..45).flat_map(|_| rig.packets()).collect();
        assert!(packets.ends_with(&sent[sent.len() - 30..]), "it ends passing");
    }
}

#[test]
fn who_goes_or_never_was_lets_the_next_one_begin() {
    // Never there: it is no reason to be idle.
    let mut rig = Rig::new();
    rig.add_after(2, mono(&noise(960)), 1, Duration::ZERO);
    assert!(!rig.mixer.is_idle());
    assert_same(&rig.mix(2), &noise(960), "alone");
    for how in ["stop", "ramp", "remove", "fail", "stop while paused"] {
        let mut rig = Rig::new();
        rig.add(1, mono(&[0.5; 9_600]));
        rig.add_after(2, mono(&[0.25; 2_000]), 1, Duration::ZERO);
        rig.mix(2);
        match how {
            "stop" => rig.mixer.stop(TrackId(1), Duration::ZERO),
            "ramp" => rig.mixer.stop(TrackId(1), Duration::from_millis(30)),
            "remove" => drop(rig.mixer.remove(TrackId(1))),
            "fail" => rig.readers[0].fail(SourceError::other("radio", "closed")),
            _ => {
                rig.mixer.set_paused(TrackId(1), true);
                rig.mix(3);
                assert!(rig.mixer.is_idle(), "the next one waits for one that is paused");
                rig.mixer.stop(TrackId(1), Duration::from_secs(1));
            }
        }
        let heard = rig.mix(13);
        assert_eq!(heard.iter().filter(|sample| **sample == 0.25).count(), 2_000, "{how}");
        let last = heard.iter().rposition(|sample| *sample == 0.25).expect("it was played");
        assert!(heard[last - 1_999..=last].iter().all(|sample| *sample == 0.25), "{how}: in one piece");
        let begin = last - 1_999;
        let expected = match how {
            "stop" => 960,
            "ramp" => 1_440,
            "fail" => 9_600 - 1_920,
            _ => 0,
        };
        assert_eq!(begin, expected, "{how}");
    }
}

#[test]
fn a_pause_of_the_one_before_holds_the_next_one_up() {
    let mut rig = Rig::new();
    rig.add(1, mono(&noise(2_000)));
    rig.add_after(2, mono(&[0.25; 960]), 1, Duration::from_secs(1));
    rig.mixer.set_paused(TrackId(1), true);
    assert!(rig.mix(5).iter().all(|sample| *sample == 0.0));
    assert!(rig.mixer.is_idle());
    assert_eq!(rig.position(2), Duration::ZERO);
}

#[test]
fn a_next_one_that_is_late_begins_when_it_is_ready() {
    let mut rig = Rig::new();
    rig.add(1, mono(&noise(1_500)));
    let (mut reader, feed) = prefetch::pipe(Box::new(mono(&noise(1_000))), prefetch::Config::default());
    rig.mixer.add(TrackId(2), Track::new(feed).cue(after(1)));
    assert_same(&rig.mix(4), &noise(1_500), "the first");
    assert!(!rig.mixer.is_idle());
    while let prefetch::Step::Progress = reader.step() {}
    assert_same(&rig.mix(2), &noise(1_000), "the second");
    assert_eq!(rig.mixer.stats().underruns, 0);
}

#[test]
fn held_tracks_wait_for_another_cue() {
    let mut rig = Rig::new();
    let feed = rig.pipe(mono(&noise(5_000)));
    let track = Track::new(feed).cue(Cue::Held);
    let gauge = track.gauge();
    rig.mixer.add(TrackId(1), track);
    assert_eq!((rig.tick(), rig.mixer.is_idle(), gauge.phase()), (Tick::Idle, true, Phase::Waiting));
    assert_eq!(rig.events(), [(1, TrackEvent::Playable)], "it is read ahead, and says so");
    rig.mixer.set_cue(TrackId(1), Cue::Now);
    assert!(!rig.mixer.is_idle());
    let mut heard = rig.mix(2);
    rig.mixer.set_cue(TrackId(1), Cue::Held);
    assert_eq!(gauge.phase(), Phase::Waiting);
    rig.mix(1);
    assert_eq!(rig.position(1), Duration::from_millis(40));
    rig.mixer.set_cue(TrackId(1), after(99));
    heard.extend(rig.mix(5));
    assert_same(&heard, &noise(5_000), "in two halves");
    // A cue that is taken back before its time.
    let mut rig = Rig::new();
    rig.add(1, Silence::new(Some(Duration::from_millis(30))));
    rig.add_after(2, mono(&noise(960)), 1, Duration::ZERO);
    rig.mixer.set_cue(TrackId(2), Cue::Held);
    assert!(rig.mix(5).iter().all(|sample| *sample == 0.0));
    assert!(rig.ended().len() == 1 && rig.mixer.is_idle());
}

#[test]
fn a_reverb_that_sounds_on_keeps_nobody_waiting() {
    let reverb = || Chain::new(&[Effect::Reverb(Reverb::default())]).expect("a chain");
    let mut heard = [0, 1].map(|with| {
        let mut rig = Rig::new();
        let feed = rig.pipe(mono(&noise(3_000)));
        rig.mixer.add(TrackId(1), Track::new(feed).effects(reverb()));
        if with == 1 {
            rig.add_after(2, mono(&[0.125; 2_000]), 1, Duration::ZERO);
        }
        let heard = rig.mix(12);
        assert!(!rig.gone(1), "it sounds on");
        heard
    });
    let [alone, both] = &mut heard;
    for (n, (both, alone)) in both.iter().zip(alone).enumerate() {
        let wanted = if (3_000..5_000).contains(&n) { 0.125 } else { 0.0 };
        assert!((*both - *alone - wanted).abs() < 1e-5, "{n}: {both} {alone}");
    }
}
