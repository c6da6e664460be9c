//! What is mixed: levels, volumes, pauses, ends, failures.

use std::f64::consts::TAU;
use std::time::Duration;

use ::opus::{Channels, Decoder};
use voice_model::{CHANNELS, FRAME_SAMPLES};

use super::{Rig, TICK};
use crate::generate::Tone;
use crate::mixer::{Ended, Tick};
use crate::pcm::{Encoding, Pcm};
use crate::prefetch::{self, Step};
use crate::{Chunk, Format, Info, Source, SourceError, Track, TrackId};

#[test]
fn case_1_pcm_of_any_length_is_played_to_the_last_sample() {
    for bytes in [2 * 11_520 + 4, 2 * 11_520, 1, 3, 5, 3_840] {
        let data: Vec<u8> = (0..bytes).map(|n| [0x10, 0x20][n % 2]).collect();
        let mut rig = Rig::new();
        rig.add(1, Pcm::bytes(data, Encoding::I16, 48_000, 2));
        let mut sum = Vec::new();
        while rig.mixer.position(TrackId(1)).is_some() {
            assert!(matches!(rig.tick(), Tick::Frame { .. }));
            sum.extend_from_slice(rig.sum());
        }
        let frames = bytes.div_ceil(4);
        assert_eq!(sum.len(), frames.div_ceil(FRAME_SAMPLES) * FRAME_SAMPLES * CHANNELS, "{bytes} bytes");
        let whole = f32::from(0x2010_i16) / 32_768.0;
        assert!(sum[..bytes / 2].iter().all(|sample| *sample == whole), "{bytes} bytes");
        let odd = if bytes % 2 == 1 { f32::from(0x10_i16) / 32_768.0 } else { 0.0 };
        assert_eq!(sum.get(bytes / 2).copied().unwrap_or(odd), odd, "{bytes} bytes");
        let rest = sum.iter().skip(bytes / 2 + 1);
        assert!(rest.copied().all(|sample| sample == 0.0), "{bytes} bytes");
        assert!(matches!(rig.ended()[..], [(1, Ended::Finished)]));
    }
}

#[test]
fn a_tone_keeps_its_pitch_and_level() {
    let mut rig = Rig::new();
    rig.add(1, Tone::new(1_000.0, 0.5, Some(Duration::from_secs(1))));
    let mut decoder = Decoder::new(48_000, Channels::Stereo).expect("a decoder");
    let mut heard = Vec::new();
    for _ in 0..50 {
        let packets = rig.packets();
        let mut pcm = vec![0.0; 5_760 * 2];
        let frames = decoder.decode_float(&packets[0], &mut pcm, false).expect("a packet");
        heard.extend(pcm[..frames * 2].chunks_exact(2).map(|frame| f64::from(frame[0])));
    }
    let middle = &heard[4_800..43_200];
    let part = |f: fn(f64) -> f64| {
        let phase = |n: usize| f(TAU * n as f64 / 48.0);
        middle.iter().enumerate().map(|(n, sample)| sample * phase(n)).sum::<f64>() * 2.0 / middle.len() as f64
    };
    let level = part(f64::sin).hypot(part(f64::cos));
    assert!((level - 0.5).abs() < 0.01, "{level}");
}

#[test]
fn tracks_are_summed_at_their_volumes() {
    let mut rig = Rig::new();
    for (id, level, volume) in [(1, 0.25, 1.0), (2, 0.5, 0.5), (3, 0.125, 2.0)] {
        let feed = rig.pipe(Pcm::samples(&[level; 9_600], 48_000, 1));
        rig.mixer.add(TrackId(id), Track::new(feed).volume(volume));
    }
    rig.tick();
    assert!(rig.sum().iter().all(|sample| *sample == 0.75));
    assert_eq!(rig.mixer.stats().encoded_frames, 1);
}

#[test]
fn the_sum_never_exceeds_full_scale() {
    let mut rig = Rig::new();
    for id in 0..4 {
        rig.add(id, Tone::new(300.0 + 70.0 * id as f64, 0.9, None));
    }
    for _ in 0..50 {
        rig.tick();
        assert!(rig.sum().iter().all(|sample| sample.abs() <= 1.0));
    }
}

#[test]
fn volume_moves_in_a_line() {
    let mut rig = Rig::new();
    rig.add(1, Pcm::samples(&[1.0; 96_000], 48_000, 1));
    rig.tick();
    rig.mixer.set_volume(TrackId(1), 0.0, Duration::from_millis(30));
    let mut levels = Vec::new();
    for _ in 0..2 {
        rig.tick();
        levels.extend(rig.sum().chunks_exact(2).map(|frame| frame[0]));
    }
    assert!(levels.windows(2).all(|pair| (-1e-6..0.001).contains(&(pair[0] - pair[1]))));
    assert!((levels[719] - 0.5).abs() < 1e-3 && levels[1_440] == 0.0);
    // Now it is inaudible: nothing is sent after the encoder's tail, but it runs on.
    let before = rig.mixer.position(TrackId(1)).expect("it plays");
    assert!(matches!(rig.tick(), Tick::Frame { .. }));
    assert_eq!(rig.tick(), Tick::Idle);
    assert_eq!(rig.mixer.position(TrackId(1)), Some(before + 2 * TICK));
}

#[test]
fn two_tracks_that_end_in_one_tick_are_both_reported() {
    let mut rig = Rig::new();
    for id in 1..=3 {
        rig.add(id, Tone::new(440.0, 0.1, Some(TICK * (1 + id as u32 / 3))));
    }
    rig.tick();
    let ended: Vec<u64> = rig.ended().into_iter().map(|(id, _)| id).collect();
    assert_eq!(ended, [1, 2]);
    rig.tick();
    assert!(matches!(rig.ended()[..], [(3, Ended::Finished)]));
    // The encoder's look-ahead is flushed, then there is silence.
    assert!(matches!(rig.tick(), Tick::Frame { .. }));
    assert!(rig.mixer.is_idle());
    assert_eq!(rig.tick(), Tick::Idle);
}

#[test]
fn a_pause_keeps_the_position() {
    let mut rig = Rig::new();
    rig.add(1, Pcm::samples(&[0.5; 48_000], 48_000, 1));
    rig.tick();
    rig.mixer.set_paused(TrackId(1), true);
    rig.tick();
    let fade: Vec<f32> = rig.sum().chunks_exact(2).map(|frame| frame[0]).collect();
    assert!(fade[..240].windows(2).all(|pair| pair[0] > pair[1]) && fade[239].abs() < 1e-6, "it fades out over 5 ms");
    let at = rig.mixer.position(TrackId(1));
    assert_eq!(at, Some(Duration::from_millis(25)));
    rig.tick();
    assert_eq!(rig.tick(), Tick::Idle);
    assert!(rig.mixer.is_idle());
    assert_eq!(rig.mixer.position(TrackId(1)), at);
    rig.mixer.set_paused(TrackId(1), false);
    rig.tick();
    assert!(rig.sum()[0] < 0.01 && rig.sum()[1_000] == 0.5, "it fades in");
    assert_eq!(rig.mixer.position(TrackId(1)), Some(Duration::from_millis(45)));
    assert_eq!(rig.mixer.stats().underruns, 0);
}

#[test]
fn an_underrun_is_silence_and_counted_and_no_stall() {
    let mut rig = Rig::new();
    let (mut reader, feed) = prefetch::pipe(Box::new(Tone::new(440.0, 0.5, None)), prefetch::Config::default());
    rig.mixer.add(TrackId(1), Track::new(feed));
    assert_eq!(rig.tick(), Tick::Idle, "it has not begun: that is no underrun");
    while let Step::Progress = reader.step() {}
    for _ in 0..50 {
        rig.tick();
    }
    assert_eq!(rig.mixer.stats().underruns, 0);
    for _ in 0..3 {
        assert!(matches!(rig.tick(), Tick::Frame { .. }));
        assert!(rig.sum().iter().all(|sample| *sample == 0.0));
    }
    assert_eq!(rig.mixer.track_stats(TrackId(1)).map(|stats| stats.underruns), Some(3));
    assert_eq!(rig.mixer.position(TrackId(1)), Some(Duration::from_secs(1)));
    while let Step::Progress = reader.step() {}
    rig.tick();
    assert_eq!(rig.mixer.position(TrackId(1)), Some(Duration::from_millis(1_020)));
}

/// Yields some audio, then fails.
struct Failing(u32);

impl Source for Failing {
    fn open(&mut self) -> Result<Info, SourceError> {
        Ok(Info::new(Format::Pcm { rate: 48_000, channels: 2 }))
    }

    fn read(&mut self, chunk: &mut Chunk) -> Result<bool, SourceError> {
        self.0 = self.0.checked_sub(1).ok_or_else(|| SourceError::other("radio", "the station closed"))?;
        chunk.pcm(48_000, 2).extend([0.5; 1_920]);
        Ok(true)
    }

    fn seek(&mut self, _: Duration) -> Result<Duration, SourceError> {
        Err(SourceError::Unseekable { name: "radio".into() })
    }
}

#[test]
fn a_failure_is_reported_after_what_had_arrived() {
    let mut rig = Rig::new();
    rig.add(1, Failing(3));
    for _ in 0..3 {
        assert!(rig.ended().is_empty());
        rig.tick();
        assert!(rig.sum().iter().all(|sample| *sample == 0.5));
    }
    let ended = rig.ended();
    let [(1, Ended::Failed(error))] = &ended[..] else { panic!("{ended:?}") };
    assert_eq!(error.to_string(), "radio: the station closed");
}

#[test]
fn a_reader_that_goes_away_ends_its_track() {
    let mut rig = Rig::new();
    rig.add(1, Failing(3));
    rig.readers.clear();
    rig.tick();
    assert!(matches!(rig.ended()[..], [(1, Ended::Failed(SourceError::Deserted))]));
}

#[test]
fn a_seek_replaces_the_feed() {
    let ramp: Vec<f32> = (0..48_000).map(|n| n as f32 / 48_000.0).collect();
    let mut rig = Rig::new();
    rig.add(1, Pcm::samples(&ramp, 48_000, 1));
    rig.tick();
    let (feed, at) = rig.readers[0].seek(Duration::from_micros(500_013)).expect("memory can seek");
    assert_eq!(at, Duration::from_nanos(500_020_833), "the nearest sample is number 24,001");
    drop(rig.mixer.replace(TrackId(1), feed, at).expect("it plays"));
    assert_eq!(rig.mixer.position(TrackId(1)), Some(at));
    rig.tick();
    assert_eq!(rig.sum()[0], ramp[24_001]);
    assert_eq!(rig.mixer.position(TrackId(1)), Some(at + TICK));
    let (feed, at) = rig.readers[0].seek(Duration::ZERO).expect("memory can seek");
    assert!(rig.mixer.replace(TrackId(7), feed, at).is_err(), "there is no such track");
}
