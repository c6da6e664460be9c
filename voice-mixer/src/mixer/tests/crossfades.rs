//! Tracks that fade into each other.

use std::time::Duration;

use super::{Rig, TICK, assert_same, decode, largest_error, mono, opus, rows};
use crate::effects::{Stretch, Timescale};
use crate::mixer::Ended;
use crate::opus::Packets;
use crate::{Chunk, EncoderConfig, Format, Info, Source, SourceError, Track, TrackId};

const MS: fn(u64) -> Duration = Duration::from_millis;

/// Two levels that add up to a power of one when the fades do: one is only heard at the left, the other at the right.
fn sides(rig: &mut Rig, ticks: usize) -> Vec<(f32, f32)> {
    let mut heard = Vec::new();
    for _ in 0..ticks {
        rig.tick();
        heard.extend(rig.sum().chunks_exact(2).map(|frame| (frame[0], frame[1])));
    }
    heard
}

fn side(left: bool, frames: usize) -> crate::pcm::Pcm {
    let frame = if left { [0.5, 0.0] } else { [0.0, 0.5] };
    crate::pcm::Pcm::samples(&frame.repeat(frames), 48_000, 2)
}

#[test]
fn power_stays_and_the_fade_ends_with_the_first_one() {
    // 300 ms before the end; the beat on which that is noticed may be 20 ms later.
    for length in [48_000, 47_123] {
        let mut rig = Rig::new();
        rig.add(1, side(true, length));
        rig.add_after(2, side(false, 48_000), 1, MS(300));
        let heard = sides(&mut rig, 60);
        let begin = heard.iter().position(|(_, right)| *right > 0.0).expect("it begins");
        assert!((length - 14_400..length - 14_400 + 961).contains(&begin), "{begin}");
        for (n, (left, right)) in heard.iter().enumerate().take(57_000) {
            let power = (left * left + right * right) * 4.0;
            assert!((power - 1.0).abs() < 0.02, "sample {n}: {left} and {right}");
            assert!(n >= begin || *right == 0.0);
            assert!(n < length || (*left == 0.0 && *right == 0.5), "sample {n}: {left} and {right}");
        }
        assert!(matches!(rig.ended()[..], [(1, Ended::Finished)]));
        assert_eq!(rig.mixer.stats().underruns, 0);
    }
}

#[test]
fn short_tracks_fade_over_half_of_themselves() {
    let mut rig = Rig::new();
    rig.add(1, side(true, 96_000));
    rig.add_after(2, side(false, 9_600), 1, Duration::from_secs(1));
    rig.add_after(3, side(true, 96_000), 2, Duration::from_secs(1));
    let heard = sides(&mut rig, 160);
    let begin = heard.iter().position(|(_, right)| *right > 0.0).expect("it begins");
    assert!((96_000 - 4_800..96_000 - 3_800).contains(&begin), "{begin}: the third does not begin before the second");
    for (n, (left, right)) in heard.iter().enumerate() {
        let power = (left * left + right * right) * 4.0;
        // At the corner of two fades a frame's straight line is a little under the curve.
        assert!((power - 1.0).abs() < 0.1, "sample {n}: {left} and {right}");
    }
    let ended: Vec<u64> = rig.ended().into_iter().map(|it| it.0).collect();
    assert_eq!(ended, [1, 2]);
}

/// Says nothing about its length.
struct Endless(Box<dyn Source>);

impl Source for Endless {
    fn open(&mut self) -> Result<Info, SourceError> {
        self.0.open().map(|info| Info::new(info.format))
    }

    fn read(&mut self, chunk: &mut Chunk) -> Result<bool, SourceError> {
        self.0.read(chunk)
    }

    fn seek(&mut self, to: Duration) -> Result<Duration, SourceError> {
        self.0.seek(to)
    }
}

#[test]
fn unknown_lengths_fade_as_soon_as_the_end_is_read() {
    let mut rig = Rig::new();
    rig.add(1, Endless(Box::new(side(true, 96_000))));
    rig.add_after(2, side(false, 48_000), 1, MS(300));
    let heard = sides(&mut rig, 130);
    let begin = heard.iter().position(|(_, right)| *right > 0.0).expect("it begins");
    assert!((96_000 - 14_400..96_000 - 13_400).contains(&begin), "{begin}");
    // Packets whose length nobody knows are followed without a fade.
    let packets = opus(&[960; 10]);
    let mut rig = Rig::new();
    rig.add(1, Endless(Box::new(Packets::new(packets.clone()))));
    rig.add_after(2, Packets::new(packets.clone()), 1, MS(300));
    let sent: Vec<Vec<u8>> = (0..20).flat_map(|_| rig.packets()).collect();
    assert_eq!(sent, rows(&packets, 2));
    assert!(matches!(Endless(Box::new(mono(&[0.0]))).open().map(|info| info.format), Ok(Format::Pcm { .. })));
}

#[test]
fn packets_are_mixed_while_they_fade_and_pass_afterwards() {
    let packets = opus(&[960; 60]);
    let tone = decode(&packets);
    let mut rig = Rig::new();
    rig.mixer.configure(EncoderConfig::default().bitrate(Some(256_000)));
    rig.add(1, Packets::new(packets.clone()));
    rig.add_after(2, Packets::new(packets.clone()), 1, MS(200));
    let sent: Vec<Vec<u8>> = (0..120).flat_map(|_| rig.packets()).collect();
    assert_eq!(sent[..50], packets[..50]);
    assert!(packets.ends_with(&sent[sent.len() - 40..]), "the second ends passing");
    let heard = decode(&sent);
    // Both are the same tone in the same phase: what is heard is that tone, a little louder while both sound.
    let (error, at) = largest_error(&heard[..50 * 960], &tone[..50 * 960]);
    assert!(error < 0.03, "off by {error} at {at} before the fade");
    let bend = heard.windows(3).map(|it| (it[0] - 2.0 * it[1] + it[2]).abs()).skip(960).fold(0.0, f32::max);
    // What switching to and from the encoder costs; a click would be tenths.
    assert!(bend < 0.03, "a click of {bend}");
    let peak = heard.iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
    assert!(peak < 0.5 * std::f32::consts::SQRT_2 + 0.03, "{peak}");
    assert_eq!(rig.mixer.stats().underruns, 0);
}

#[test]
fn speed_counts_when_the_fade_begins() {
    let mut rig = Rig::new();
    let feed = rig.pipe(side(true, 96_000));
    let stretch = Stretch::new(Timescale { speed: 2.0, ..Timescale::default() }).expect("a stretch");
    rig.mixer.add(TrackId(1), Track::new(feed).stretch(Some(Box::new(stretch))));
    rig.add_after(2, side(false, 48_000), 1, MS(300));
    let heard = sides(&mut rig, 75);
    let begin = heard.iter().position(|(_, right)| *right > 0.0).expect("it begins");
    assert!((48_000 - 14_400..48_000 - 13_400).contains(&begin), "{begin}");
    for (n, (left, right)) in heard.iter().enumerate().skip(2_000) {
        let power = (left * left + right * right) * 4.0;
        assert!((power - 1.0).abs() < 0.03, "sample {n}: {left} and {right}");
    }
    assert!(matches!(rig.ended()[..], [(1, Ended::Finished)]));
}

#[test]
fn no_fade_before_the_first_one_plays() {
    let mut rig = Rig::new();
    rig.add(1, mono(&[0.25; 4_800]));
    rig.mixer.set_paused(TrackId(1), true);
    rig.add_after(2, mono(&[0.5; 4_800]), 1, Duration::from_secs(5));
    rig.mix(3);
    assert_eq!(rig.position(2), Duration::ZERO);
    rig.mixer.set_paused(TrackId(1), false);
    let heard = rig.mix(10);
    assert!(heard[0] > 0.0 && heard[..2_400].iter().all(|sample| *sample == 0.25), "it has a first half of its own");
    assert_same(&heard[4_800..7_000], &[0.5; 2_200], "alone");
    assert!(TICK * 5 == MS(100));
}
