use std::f64::consts::TAU;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::{Flushed, PcmPusher, PushConfig, PushError, pcm_sink};
use crate::pcm::Pcm;
use crate::prefetch::{Config, Feed, Kind, Step, pipe};
use crate::{EncoderConfig, Mixer, Tick, Track, TrackId};

const MS: fn(u64) -> Duration = Duration::from_millis;

/// Deterministic sizes of chunks.
struct Sizes(u64);

impl Sizes {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % below
    }
}

fn sink(config: PushConfig) -> (PcmPusher, Feed, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let ring = Arc::clone(&calls);
    let bell = move || {
        ring.fetch_add(1, Ordering::Relaxed);
    };
    let (pusher, feed) = pcm_sink(config, Arc::new(bell)).expect("a legal layout");
    (pusher, feed, calls)
}

/// Speech-like: three tones.
fn signal(rate: u32, frames: usize) -> Vec<f32> {
    let tone = |n: usize, hz: f64| (TAU * hz * n as f64 / f64::from(rate)).sin() * 0.2;
    (0..frames).map(|n| (tone(n, 220.0) + tone(n, 1_130.0) + tone(n, 2_710.0)) as f32).collect()
}

/// What a tick takes, as a track takes it.
fn tick(feed: &mut Feed) -> Vec<f32> {
    let mut heard = Vec::new();
    feed.attend(960, true);
    let frames = feed.frames();
    if frames > 0 {
        if frames < 960 {
            feed.fell_short();
        }
        feed.read(960, |piece| heard.extend_from_slice(piece));
        feed.attend(960, true);
    }
    feed.pass_tick();
    heard
}

/// What comes out of a source of the same samples.
fn whole(samples: &[f32], rate: u32, channels: u16) -> Vec<f32> {
    let (mut reader, mut feed) = pipe(Box::new(Pcm::samples(samples, rate, channels)), Config::default());
    let mut heard = Vec::new();
    loop {
        let step = reader.step();
        if feed.kind() == Some(Kind::Pcm) {
            feed.read(usize::MAX, |piece| heard.extend_from_slice(piece));
        }
        if !matches!(step, Step::Progress | Step::Full) {
            return heard;
        }
    }
}

#[test]
fn chunks_of_any_size_come_out_as_the_whole_does() {
    let mut sizes = Sizes(7);
    for (rate, channels) in [
        (24_000, 1),
        (24_000, 2),
        (16_000, 1),
        (8_000, 1),
        (22_050, 1),
        (44_100, 2),
        (48_000, 2),
        (96_000, 1),
        (88_200, 1),
        (12_345, 1),
    ] {
        let channels_len = usize::from(channels);
        let samples: Vec<f32> = signal(rate, rate as usize * 2 + 77)
            .into_iter()
            .flat_map(|sample| std::iter::repeat_n(sample, channels_len))
            .collect();
        let (mut pusher, mut feed, _) = sink(PushConfig::new(rate, channels).fade_in(Duration::ZERO));
        let (mut at, mut heard) = (0, Vec::new());
        while at < samples.len() {
            let end = (at + sizes.next(rate as usize / 5 * channels_len)).min(samples.len());
            let pushed = pusher.push(&samples[at..end]);
            assert!(!pushed.is_closed && pushed.taken % channels_len == 0);
            at += pushed.taken;
            if pusher.queued() > MS(600) || at == samples.len() {
                heard.extend(tick(&mut feed));
            }
        }
        pusher.finish();
        while feed.end().is_none() || !feed.is_empty() {
            heard.extend(tick(&mut feed));
        }
        let ideal = whole(&samples, rate, channels);
        assert_eq!(heard.len(), ideal.len(), "{rate} Hz, {channels} channels");
        let worst = heard.iter().zip(&ideal).skip(4_800).take(ideal.len() - 9_600).map(|(a, b)| (a - b).abs());
        let worst = worst.fold(0.0, f32::max);
        assert!(worst < 5e-3, "{rate} Hz, {channels} channels: {worst}");
        assert_eq!(pusher.played_samples() as usize, samples.len() / channels_len, "{rate} Hz");
        assert_eq!(pusher.queued(), Duration::ZERO);
    }
}

#[test]
fn resampling_takes_at_most_ten_milliseconds() {
    for rate in [1_000, 8_000, 11_025, 12_345, 16_000, 22_050, 24_000, 32_000, 44_100, 44_099, 88_200, 96_000, 768_000]
    {
        let (mut pusher, mut feed, _) = sink(PushConfig::new(rate, 1).prebuffer(Duration::ZERO));
        let pushed = pusher.push(&signal(rate, rate as usize / 2));
        assert_eq!(pushed.taken, rate as usize / 2);
        feed.attend(960, true);
        let due = (f64::from(rate / 2) * 48_000.0 / f64::from(rate)).round() as usize;
        let missing = due.checked_sub(feed.frames()).expect("not more than was pushed");
        assert!(missing <= 480, "{rate} Hz: {missing} frames are held back");
        pusher.complete();
        assert_eq!(feed.frames(), due, "{rate} Hz");
    }
}

#[test]
fn sixteen_bits_are_the_same() {
    let samples: Vec<i16> = (0..5_000_i32).map(|n| (n * 13 % 30_000) as i16).collect();
    let (mut pusher, mut feed, _) = sink(PushConfig::new(48_000, 3).fade_in(Duration::ZERO));
    assert_eq!(pusher.push_i16(&samples).taken, 4_998, "whole frames only");
    let floats: Vec<f32> = samples[..4_998].iter().map(|sample| f32::from(*sample) / 32_768.0).collect();
    pusher.finish();
    let mut heard = tick(&mut feed);
    heard.extend(tick(&mut feed));
    assert_eq!(heard, whole(&floats, 48_000, 3));
}

#[test]
fn the_queue_is_bounded_and_room_is_told_of_once_per_fall() {
    let config = PushConfig::new(24_000, 1).capacity(MS(500)).low_water(MS(100));
    let (mut pusher, mut feed, calls) = sink(config);
    let samples = signal(24_000, 48_000);
    let pushed = pusher.push(&samples);
    assert_eq!(pushed.taken, 12_000, "500 ms");
    assert_eq!((pusher.push(&samples).taken, pusher.queued()), (0, MS(500)));
    pusher.complete();
    let mut told = Vec::new();
    for n in 1..=30 {
        tick(&mut feed);
        if calls.swap(0, Ordering::Relaxed) > 0 {
            told.push(n);
        }
    }
    assert_eq!(told, [21, 25], "when less than 100 ms are left, and when nothing is");
    assert!(pusher.is_low() && feed.is_idle_sink());
    assert_eq!((pusher.queued(), pusher.played()), (Duration::ZERO, MS(500)));
    drop(feed);
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    assert!(pusher.is_closed() && pusher.push(&samples).is_closed);
}

#[test]
fn sound_begins_when_enough_is_there_or_no_more_comes() {
    let ones = [1.0; 4_800];
    let (mut pusher, mut feed, _) = sink(PushConfig::new(48_000, 1));
    assert!(feed.is_idle_sink() && tick(&mut feed).is_empty());
    let _ = pusher.push(&ones[..1_900]);
    assert!(tick(&mut feed).is_empty() && !feed.is_idle_sink(), "less than 40 ms");
    let _ = pusher.push(&ones[..20]);
    let heard = tick(&mut feed);
    assert_eq!(heard.len(), 1_920);
    for (n, frame) in heard.chunks_exact(2).enumerate() {
        let level = ((n + 1) as f32 / 240.0).min(1.0);
        assert!((frame[0] - level).abs() < 1e-3, "{n}: {frame:?}");
    }
    assert_eq!(tick(&mut feed).len(), 1_920);
    assert!(tick(&mut feed).is_empty());
    // A short syllable waits for 60 ms.
    let _ = pusher.push(&ones[..480]);
    assert!((0..3).all(|_| tick(&mut feed).is_empty()));
    assert_eq!(tick(&mut feed).len(), 960);
    // The last one does not wait.
    let _ = pusher.push(&ones[..480]);
    pusher.finish();
    assert_eq!(tick(&mut feed).len(), 960);
    assert!(feed.end().is_some() && feed.is_empty());
}

#[test]
fn a_gap_in_the_middle_of_a_tick_begins_anew() {
    let (mut pusher, mut feed, _) = sink(PushConfig::new(48_000, 1));
    let _ = pusher.push(&[1.0; 2_400]);
    assert_eq!([tick(&mut feed).len(), tick(&mut feed).len(), tick(&mut feed).len()], [1_920, 1_920, 960]);
    let _ = pusher.push(&[1.0; 2_400]);
    let heard = tick(&mut feed);
    assert!(heard[0] < 0.01 && heard[1_919] == 1.0, "it fades in again");
    // Without a gap it does not.
    assert_eq!(tick(&mut feed).len(), 1_920);
    let _ = pusher.push(&[1.0; 480]);
    let heard = tick(&mut feed);
    assert!(heard.iter().all(|sample| *sample == 1.0) && heard.len() == 1_920);
    let _ = pusher.push(&[1.0; 960]);
    let heard = tick(&mut feed);
    assert!(heard.iter().all(|sample| *sample == 1.0) && heard.len() == 1_920);
}

#[test]
fn a_flush_silences_at_once_and_says_what_was_played() {
    let (mut pusher, mut feed, calls) = sink(PushConfig::new(24_000, 1));
    let samples = signal(24_000, 24_000);
    assert_eq!(pusher.push(&samples).taken, 24_000);
    for _ in 0..7 {
        assert_eq!(tick(&mut feed).len(), 1_920);
    }
    assert_eq!(pusher.played_samples(), 7 * 480);
    pusher.flush();
    assert_eq!((pusher.poll_flushed(), pusher.queued()), (None, Duration::ZERO));
    // Pushed before the audio thread has seen the flush: kept.
    let next: Vec<f32> = signal(24_000, 2_400).iter().map(|sample| sample + 0.2).collect();
    assert_eq!(pusher.push(&next).taken, 2_400);
    pusher.complete();
    let heard = tick(&mut feed);
    assert_eq!(heard.len(), 480, "5 ms in which it falls silent");
    assert!(heard[478].abs() < 1e-6 && heard[0].abs() > 0.0);
    assert!(calls.load(Ordering::Relaxed) > 0);
    let played_samples = 7 * 480 + 120;
    let flushed = Flushed { played_samples, dropped_samples: 24_000 - played_samples, played: MS(145) };
    assert_eq!((pusher.poll_flushed(), pusher.poll_flushed()), (Some(flushed), None));
    assert_eq!(pusher.queued(), MS(100));
    let ideal = whole(&next, 24_000, 1);
    let mut heard = Vec::new();
    for _ in 0..6 {
        heard.extend(tick(&mut feed));
    }
    assert_eq!(heard.len(), ideal.len());
    for (n, (sample, ideal)) in heard.iter().zip(&ideal).enumerate() {
        let level = ((n / 2 + 1) as f32 / 240.0).min(1.0);
        // The abrupt beginning and end ring a little in one resampler, and a little differently in the other.
        let bound = if (480..9_120).contains(&n) { 5e-3 } else { 8e-2 };
        assert!((sample - ideal * level).abs() < bound, "{n}: {sample} {}", ideal * level);
    }
    assert_eq!((pusher.played_samples(), pusher.queued()), (played_samples + 2_400, Duration::ZERO));
}

#[test]
fn a_flush_needs_no_sound_and_no_tick() {
    let (mut pusher, mut feed, _) = sink(PushConfig::new(24_000, 1));
    let samples = signal(24_000, 12_000);
    // Before anything was heard.
    let _ = pusher.push(&samples);
    pusher.flush();
    assert!(tick(&mut feed).is_empty());
    let flushed = pusher.poll_flushed().expect("it is done");
    assert_eq!((flushed.played_samples, flushed.dropped_samples), (0, 12_000));
    // With nothing in it; the call is not to rest before.
    pusher.flush();
    assert!(!feed.is_idle_sink() && tick(&mut feed).is_empty() && feed.is_idle_sink());
    assert_eq!(pusher.poll_flushed().map(|flushed| flushed.dropped_samples), Some(0));
    // Twice, in the middle of a sound.
    let _ = pusher.push(&samples);
    tick(&mut feed);
    pusher.flush();
    let _ = pusher.push(&samples);
    pusher.flush();
    assert_eq!(tick(&mut feed).len(), 480);
    let flushed = pusher.poll_flushed().expect("it is done");
    assert_eq!((flushed.played_samples, flushed.dropped_samples), (600, 24_000 - 600));
    assert!(feed.is_idle_sink());
    // At a pause, and without ticks.
    let _ = pusher.push(&samples);
    tick(&mut feed);
    pusher.flush();
    feed.attend(960, false);
    assert_eq!(pusher.poll_flushed().map(|flushed| flushed.played_samples), Some(600 + 480));
    let _ = pusher.push(&samples);
    tick(&mut feed);
    pusher.flush();
    assert!(feed.flush() && !feed.flush());
    assert_eq!(pusher.poll_flushed().map(|flushed| flushed.played_samples), Some(600 + 960));
    // When nobody is there.
    let _ = pusher.push(&samples);
    pusher.flush();
    drop(feed);
    assert_eq!(pusher.poll_flushed().map(|flushed| flushed.dropped_samples), Some(12_000));
}

#[test]
fn what_is_finished_can_be_flushed() {
    let (mut pusher, mut feed, _) = sink(PushConfig::new(16_000, 1));
    let _ = pusher.push(&signal(16_000, 8_000));
    pusher.finish();
    tick(&mut feed);
    pusher.flush();
    assert_eq!(tick(&mut feed).len(), 480);
    assert!(feed.end().is_some() && feed.is_empty());
    let flushed = pusher.poll_flushed().expect("it is done");
    assert_eq!((flushed.played_samples, flushed.dropped_samples), (400, 7_600));
}

#[test]
fn a_mixer_plays_it_and_rests() {
    let (mut pusher, feed, _) = sink(PushConfig::new(24_000, 1));
    let mut mixer = Mixer::new(EncoderConfig::default());
    mixer.add(TrackId(1), Track::new(feed));
    let mut out = [0; 1_400];
    let mut run = |mixer: &mut Mixer, ticks: usize| {
        (0..ticks).filter(|_| matches!(mixer.tick(&mut out), Tick::Frame { .. })).count()
    };
    assert!(mixer.is_idle() && run(&mut mixer, 3) == 0);
    let samples = signal(24_000, 9_600);
    let _ = pusher.push(&samples);
    pusher.complete();
    assert!(!mixer.is_idle());
    // Twenty frames, and one for what is left in the encoder.
    assert_eq!(run(&mut mixer, 30), 21);
    assert!(mixer.is_idle());
    assert_eq!((mixer.stats().underruns, pusher.played_samples()), (0, 9_600));
    // A short syllable.
    let _ = pusher.push(&samples[..240]);
    pusher.complete();
    assert!(run(&mut mixer, 8) > 0 && mixer.is_idle());
    // Barge-in.
    let _ = pusher.push(&samples);
    run(&mut mixer, 5);
    pusher.flush();
    assert_eq!(run(&mut mixer, 10), 2, "the fade, and what is left in the encoder");
    let flushed = pusher.poll_flushed().expect("it is done");
    assert_eq!(flushed.played_samples, 9_600 + 240 + 5 * 480 + 120);
    // Held, and without ticks.
    let _ = pusher.push(&samples);
    run(&mut mixer, 5);
    pusher.flush();
    mixer.flush(TrackId(1));
    mixer.flush(TrackId(1));
    mixer.flush(TrackId(2));
    assert_eq!(pusher.poll_flushed().map(|it| it.played_samples), Some(flushed.played_samples + 5 * 480));
    // The end.
    let _ = pusher.push(&samples[..480]);
    drop(pusher);
    run(&mut mixer, 3);
    assert!(mixer.pop_ended().is_some());
    assert_eq!(mixer.stats().underruns, 0);
}

#[test]
fn two_threads_lose_nothing() {
    let config = PushConfig::new(48_000, 1).capacity(MS(120)).fade_in(Duration::ZERO);
    let (mut pusher, mut feed, _) = sink(config);
    const COUNT: usize = 480_000;
    let (heard, (flushed, left)) = thread::scope(|scope| {
        let audio = scope.spawn(move || {
            let mut heard = Vec::new();
            while feed.end().is_none() || !feed.is_empty() {
                heard.extend(tick(&mut feed).chunks_exact(2).map(|frame| frame[0]));
                thread::yield_now();
            }
            heard
        });
        let pushing = scope.spawn(move || {
            let mut sizes = Sizes(11);
            let samples: Vec<f32> = (0..COUNT).map(|n| n as f32 / COUNT as f32).collect();
            let (mut at, mut flushes) = (0, Vec::new());
            let mut asked = 0;
            while at < COUNT {
                let end = (at + 1 + sizes.next(3_000)).min(COUNT);
                let pushed = pusher.push(&samples[at..end]);
                at += pushed.taken;
                if pushed.taken == 0 {
                    thread::yield_now();
                } else if sizes.next(40) == 0 {
                    pusher.flush();
                    asked += 1;
                    let mut flushed = None;
                    while flushed.is_none() {
                        thread::yield_now();
                        flushed = pusher.poll_flushed();
                    }
                    flushes.extend(flushed);
                }
            }
            assert_eq!(flushes.len(), asked);
            pusher.finish();
            while !pusher.queued().is_zero() {
                thread::yield_now();
            }
            (flushes, pusher.played_samples())
        });
        (audio.join().expect("no panic"), pushing.join().expect("no panic"))
    });
    assert!(flushed.len() > 3, "{} flushes", flushed.len());
    let dropped: u64 = flushed.iter().map(|flushed| flushed.dropped_samples).sum();
    assert_eq!(heard.len() as u64, left);
    assert_eq!(heard.len() as u64 + dropped, COUNT as u64);
}

#[test]
fn layouts_that_cannot_be_pushed_are_errors() {
    let refused = |rate, channels| pcm_sink(PushConfig::new(rate, channels), Arc::new(|| {})).err();
    assert_eq!(refused(999, 1), Some(PushError::Rate(999)));
    assert_eq!(refused(24_000, 0), Some(PushError::Channels(0)));
    assert_eq!(refused(24_000, 9), Some(PushError::Channels(9)));
    assert_eq!(refused(24_000, 8), None);
}
