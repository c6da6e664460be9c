use std::f64::consts::TAU;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ::opus::{Application, Channels, Decoder, Encoder};
use proptest::prelude::*;
use voice_model::{CHANNELS, FRAME_SAMPLES};

use super::{Ended, Mixer, Tick};
use crate::generate::{Silence, Tone};
use crate::opus::Packets;
use crate::pcm::{Encoding, Pcm};
use crate::prefetch::{self, Feed, Push, Reader, Step};
use crate::{Chunk, EncoderConfig, Format, Info, Source, SourceError, Track, TrackId};

const TICK: Duration = Duration::from_millis(20);

/// A mixer, and the readers that a client would run on threads.
struct Rig {
    mixer: Mixer,
    readers: Vec<Reader>,
    out: Vec<u8>,
}

impl Rig {
    fn new() -> Self {
        Self { mixer: Mixer::new(EncoderConfig::default()), readers: Vec::new(), out: vec![0; 1_400] }
    }

    fn pipe(&mut self, source: impl Source + 'static) -> Feed {
        let (reader, feed) = prefetch::pipe(Box::new(source), prefetch::Config::default());
        self.readers.push(reader);
        feed
    }

    fn add(&mut self, id: u64, source: impl Source + 'static) {
        let feed = self.pipe(source);
        self.mixer.add(TrackId(id), Track::new(feed));
    }

    fn read(&mut self) {
        for reader in &mut self.readers {
            while let Step::Progress = reader.step() {}
        }
    }

    fn tick(&mut self) -> Tick {
        self.read();
        self.mixer.tick(&mut self.out)
    }

    /// The packets of one tick.
    fn packets(&mut self) -> Vec<Vec<u8>> {
        let mut packets = Vec::new();
        let mut tick = self.tick();
        while let Tick::Frame { len, more, .. } = tick {
            packets.push(self.out[..len].to_vec());
            if !more {
                break;
            }
            tick = self.mixer.next_frame(&mut self.out);
        }
        packets
    }

    /// What was mixed last.
    fn sum(&self) -> &[f32] {
        self.mixer.buffers.as_ref().map_or(&[], |buffers| &buffers.sum[..])
    }

    fn ended(&mut self) -> Vec<(u64, Ended)> {
        std::iter::from_fn(|| self.mixer.pop_ended()).map(|(id, ended, _)| (id.0, ended)).collect()
    }
}

/// Opus packets of a tone, each of so many samples.
fn opus(durations: &[usize]) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(48_000, Channels::Stereo, Application::Audio).expect("an encoder");
    let mut at = 0;
    let mut packet = |samples: &usize| {
        let frames = (at..at + samples).map(|n| (TAU * 500.0 * n as f64 / 48_000.0).sin() as f32 * 0.5);
        let pcm: Vec<f32> = frames.flat_map(|sample| [sample, sample]).collect();
        at += samples;
        encoder.encode_vec_float(&pcm, 1_275).expect("a packet")
    };
    durations.iter().map(&mut packet).collect()
}

fn frame(len: usize, samples: u32, more: bool) -> Tick {
    Tick::Frame { len, samples, more }
}

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

/// What is heard of packets.
fn decode(packets: &[Vec<u8>]) -> Vec<f32> {
    let mut decoder = Decoder::new(48_000, Channels::Stereo).expect("a decoder");
    let mut heard = Vec::new();
    for packet in packets {
        let mut pcm = vec![0.0; 5_760 * 2];
        let frames = decoder.decode_float(packet, &mut pcm, false).expect("a packet");
        heard.extend(pcm[..frames * 2].chunks_exact(2).map(|frame| frame[0]));
    }
    heard
}

/// The largest error of `heard`, and its place.
fn largest_error(heard: &[f32], wanted: &[f32]) -> (f32, usize) {
    let errors = heard.iter().zip(wanted).map(|(heard, wanted)| (heard - wanted).abs());
    errors.enumerate().map(|(at, error)| (error, at)).fold((0.0, 0), |a, b| if b.0 > a.0 { b } else { a })
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
    rig.mixer.set_volume(TrackId(2), 0.0, Duration::ZERO);
    assert_ne!(rig.packets(), packets[..1], "the tone fades out");
    assert_ne!(rig.packets(), packets[1..2], "the encoder still holds the end of the tone");
    assert_eq!(rig.packets(), packets[1..2], "the tone is inaudible");
    rig.mixer.set_volume(TrackId(1), 0.5, Duration::ZERO);
    assert_ne!(rig.packets(), packets[2..3]);
    rig.mixer.set_volume(TrackId(1), 1.0, Duration::ZERO);
    assert_ne!(rig.packets(), packets[3..4], "the ramp is not over");
    assert_eq!(rig.packets(), packets[4..5]);
    assert_eq!(rig.mixer.position(TrackId(2)), Some(TICK * 6), "an inaudible track runs on");
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

#[test]
fn a_sink_is_idle_until_something_is_pushed() {
    let woken = Arc::new(AtomicU32::new(0));
    let waker = Arc::clone(&woken);
    let wake = Arc::new(move || _ = waker.fetch_add(1, Ordering::Relaxed));
    let (mut pusher, feed) = prefetch::sink(TICK, wake);
    let mut rig = Rig::new();
    rig.mixer.add(TrackId(1), Track::new(feed));
    assert_eq!(rig.tick(), Tick::Idle);
    assert!(rig.mixer.is_idle());
    let packets = opus(&[960; 12]);
    rig.add(2, Packets::new(packets[2..].to_vec()));
    assert_eq!(rig.packets(), packets[2..3], "an empty sink does not keep others from passing through");
    rig.mixer.remove(TrackId(2));
    for packet in &packets[..2] {
        assert_eq!(pusher.push(packet), Ok(Push::Done));
        assert_eq!(pusher.push(packet), Ok(Push::Full));
        assert!(!rig.mixer.is_idle());
        assert_eq!(rig.packets(), std::slice::from_ref(packet));
    }
    assert_eq!(woken.load(Ordering::Relaxed), 2);
    assert_eq!(rig.mixer.stats().underruns, 0);
    assert!(pusher.push(&[]).is_err());
    for packet in &opus(&[240; 4]) {
        assert_eq!(pusher.push(packet), Ok(Push::Done));
    }
    assert_eq!(rig.packets().len(), 4);
    drop(pusher);
    rig.tick();
    assert!(matches!(rig.ended()[..], [(1, Ended::Finished)]));
}

#[test]
fn a_sink_is_closed_when_its_track_is_dropped() {
    let woken = Arc::new(AtomicU32::new(0));
    let waker = Arc::clone(&woken);
    let (mut pusher, feed) = prefetch::sink(TICK, Arc::new(move || _ = waker.fetch_add(1, Ordering::Relaxed)));
    assert!(!pusher.is_closed());
    drop(feed);
    assert_eq!(woken.load(Ordering::Relaxed), 1, "who waits is woken");
    assert_eq!(pusher.push(&opus(&[960])[0]), Ok(Push::Closed));
}

#[test]
fn the_encoder_can_be_set_up_while_it_runs() {
    let mut rig = Rig::new();
    rig.add(1, Pcm::samples(&noise(48_000 * 4), 48_000, 1));
    let mean = |rig: &mut Rig| (0..50).map(|_| rig.packets()[0].len()).sum::<usize>() / 50;
    let normal = mean(&mut rig);
    rig.mixer.configure(EncoderConfig::default().bitrate(Some(16_000)).complexity(3).expected_loss(20));
    let small = mean(&mut rig);
    assert!((120..=200).contains(&normal) && (30..=50).contains(&small), "{normal} {small}");
}

#[test]
fn discontinuous_transmission_sends_no_silence() {
    let mut rig = Rig::new();
    rig.mixer.configure(EncoderConfig::default().dtx(true).signal(crate::Signal::Voice).bitrate(Some(24_000)));
    rig.add(1, Silence::new(None));
    let idle = (0..50).filter(|_| rig.tick() == Tick::Idle).count();
    assert!(idle > 20, "{idle}");
}

fn noise(samples: usize) -> Vec<f32> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..samples).map(|_| next()).collect()
}

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
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

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
