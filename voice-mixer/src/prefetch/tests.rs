use std::f64::consts::TAU;
use std::time::Duration;

use proptest::prelude::*;
use rtrb::RingBuffer;

use super::record::Record;
use super::{Config, Feed, Kind, Reader, Step, pipe};
use crate::generate::Tone;
use crate::opus::Packets;
use crate::pcm::{Converted, Encoding, Pcm};
use crate::{Chunk, Format, Info, Source, SourceError};

fn open(source: impl Source + 'static) -> (Reader, Feed) {
    pipe(Box::new(source), Config::default())
}

/// All that comes out of a pipe of PCM, and how it ends.
fn drain(reader: &mut Reader, feed: &mut Feed) -> (Vec<f32>, Step) {
    let mut samples = Vec::new();
    loop {
        let step = reader.step();
        if feed.kind() == Some(Kind::Pcm) {
            feed.read(usize::MAX, |piece| samples.extend_from_slice(piece));
        }
        if !matches!(step, Step::Progress | Step::Full) {
            return (samples, step);
        }
    }
}

fn sine(rate: u32, frequency: f64, frames: usize) -> Vec<f32> {
    (0..frames).map(|n| (TAU * frequency * n as f64 / f64::from(rate)).sin() as f32 * 0.5).collect()
}

#[test]
fn every_rate_comes_out_in_time_and_in_full() {
    for rate in [8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 44_099, 48_000, 88_200, 96_000, 192_000, 12_345] {
        for frames in [1, 100, rate as usize / 3, rate as usize + 7] {
            let (mut reader, mut feed) = open(Pcm::samples(&sine(rate, 440.0, frames), rate, 1));
            let (samples, step) = drain(&mut reader, &mut feed);
            assert!(matches!(step, Step::Ended), "{step:?}");
            let expected = (frames as f64 * 48_000.0 / f64::from(rate)).round() as usize;
            assert_eq!(samples.len(), expected * 2, "{frames} frames at {rate} Hz");
            // Away from the edges, where the signal begins and ends abruptly, each sample is where it belongs.
            let ideal = sine(48_000, 440.0, expected);
            let frames = samples.chunks_exact(2).zip(&ideal).skip(2_400).take(expected.saturating_sub(4_800));
            for (n, (frame, ideal)) in frames.enumerate() {
                assert!((frame[0] - ideal).abs() < 2e-3 && frame[0] == frame[1], "{rate} Hz, {n}: {frame:?} {ideal}");
            }
        }
    }
}

#[test]
fn channels_are_mixed_down_without_clipping() {
    for channels in 1..=8_u16 {
        let samples: Vec<f32> = (0..960).flat_map(|_| vec![1.0; usize::from(channels)]).collect();
        let (mut reader, mut feed) = open(Pcm::samples(&samples, 48_000, channels));
        let (samples, _) = drain(&mut reader, &mut feed);
        assert_eq!(samples.len(), 1_920, "{channels} channels");
        assert!(samples.iter().all(|sample| (0.99..=1.000_1).contains(sample)), "{channels} channels: {}", samples[0]);
    }
}

#[test]
fn centre_and_surround_channels_are_heard_on_their_side() {
    let mut frame = [0.0; 6];
    let mut heard = |channel: usize| {
        frame.fill(0.0);
        frame[channel] = 1.0;
        let (mut reader, mut feed) = open(Pcm::samples(&frame, 48_000, 6));
        let (samples, _) = drain(&mut reader, &mut feed);
        (samples[0], samples[1])
    };
    let (left, right) = heard(2);
    assert!(left == right && left > 0.2, "the centre");
    assert_eq!(heard(3), (0.0, 0.0), "LFE");
    let (left, right) = heard(4);
    assert!(left > 0.2 && right == 0.0, "left surround");
    let (left, right) = heard(5);
    assert!(left == 0.0 && right > 0.2, "right surround");
}

/// PCM that comes in pieces of different rates and channels.
struct Pieces(Vec<(Vec<f32>, u32, u16)>);

impl Source for Pieces {
    fn open(&mut self) -> Result<Info, SourceError> {
        Ok(Info::new(Format::Pcm { rate: self.0[0].1, channels: self.0[0].2 }))
    }

    fn read(&mut self, chunk: &mut Chunk) -> Result<bool, SourceError> {
        if self.0.is_empty() {
            return Ok(false);
        }
        let (samples, rate, channels) = self.0.remove(0);
        chunk.pcm(rate, channels).extend(samples);
        Ok(true)
    }

    fn seek(&mut self, _to: Duration) -> Result<Duration, SourceError> {
        Err(SourceError::Unseekable { name: "pieces".into() })
    }
}

#[test]
fn rate_and_channels_may_change_on_the_way() {
    let mut pieces = Vec::new();
    // The same tone goes on through all of them: half a second each.
    let mut seconds = 0.0;
    for (rate, channels) in [(48_000, 2), (44_100, 6), (44_100, 1), (8_000, 8), (96_000, 3), (48_000, 4), (22_050, 1)] {
        let frames = rate as usize / 2;
        let tone = |n: usize| ((seconds + n as f64 / f64::from(rate)) * TAU * 440.0).sin() as f32 * 0.5;
        let samples = (0..frames).flat_map(|n| vec![tone(n); usize::from(channels)]).collect();
        pieces.push((samples, rate, channels));
        seconds += 0.5;
    }
    let halves = pieces.len();
    let (mut reader, mut feed) = open(Pieces(pieces.clone()));
    let (samples, step) = drain(&mut reader, &mut feed);
    let (mut reader, mut feed) = open(Converted::new(Box::new(Pieces(pieces))));
    assert_eq!(drain(&mut reader, &mut feed).0, samples, "converted beforehand");
    assert!(matches!(step, Step::Ended), "{step:?}");
    assert_eq!(samples.len(), halves * 24_000 * 2);
    let ideal = sine(48_000, 440.0, halves * 24_000);
    for (n, (frame, ideal)) in samples.chunks_exact(2).zip(&ideal).enumerate() {
        // Resamplers begin and end at every change, and are exact some way from there.
        if (2_400..21_600).contains(&(n % 24_000)) {
            assert!((frame[0] - ideal).abs() < 3e-3 && (frame[1] - ideal).abs() < 3e-3, "{n}: {frame:?} {ideal}");
        }
    }
}

#[test]
fn more_than_two_channels_play_at_any_rate() {
    for channels in 3..=8_u16 {
        for rate in [8_000, 44_100, 48_000, 192_000] {
            let tone = sine(rate, 440.0, rate as usize / 2);
            let samples: Vec<f32> = tone.iter().flat_map(|sample| vec![*sample; usize::from(channels)]).collect();
            let (mut reader, mut feed) = open(Pcm::samples(&samples, rate, channels));
            let (samples, step) = drain(&mut reader, &mut feed);
            assert!(matches!(step, Step::Ended), "{step:?}");
            assert_eq!(samples.len(), 48_000, "{channels} channels at {rate} Hz");
            let ideal = sine(48_000, 440.0, 24_000);
            let inside = samples.chunks_exact(2).zip(&ideal).skip(2_400).take(19_200);
            let worst = inside.map(|(frame, ideal)| (frame[0] - ideal).abs()).fold(0.0, f32::max);
            assert!(worst < 3e-3, "{channels} channels at {rate} Hz: off by {worst}");
        }
    }
}

#[test]
fn layouts_that_cannot_be_played_are_errors() {
    for (rate, channels) in [(48_000, 0), (48_000, 9), (0, 2), (999, 2), (4_000_000, 1)] {
        let (mut reader, mut feed) = open(Pcm::bytes(vec![0; 100], Encoding::I16, rate, channels));
        let (samples, step) = drain(&mut reader, &mut feed);
        assert!(samples.is_empty());
        assert!(matches!(step, Step::Failed(SourceError::Unsupported { .. })), "{rate} Hz, {channels}: {step:?}");
        assert!(matches!(feed.end(), Some(Err(SourceError::Unsupported { .. }))));
    }
}

#[test]
fn what_is_not_a_number_is_silence() {
    let (mut reader, mut feed) = open(Pcm::samples(&[f32::NAN, f32::INFINITY, -f32::INFINITY, 0.5], 48_000, 2));
    let (samples, _) = drain(&mut reader, &mut feed);
    assert!(samples.iter().all(|sample| sample.is_finite()));
    assert_eq!((samples[0], samples[3]), (0.0, 0.5));
}

#[test]
fn the_ring_is_bounded() {
    let config = Config::default().length(Duration::from_millis(150));
    let (mut reader, mut feed) = pipe(Box::new(Tone::new(440.0, 0.5, None)), config);
    assert!(reader.info().is_none() && feed.kind().is_none(), "nothing is opened before the first step");
    while let Step::Progress = reader.step() {}
    assert!(matches!(reader.step(), Step::Full));
    assert_eq!((feed.kind(), feed.frames()), (Some(Kind::Pcm), 7_200));
    drop(feed);
    assert!(matches!(reader.step(), Step::Abandoned));
}

#[test]
fn a_seek_starts_a_fresh_ring() {
    let (mut reader, feed) = open(Tone::new(440.0, 0.5, Some(Duration::from_secs(2))));
    while let Step::Progress = reader.step() {}
    let (mut fresh, at) = reader.seek(Duration::from_millis(1_500)).expect("a tone can seek");
    assert_eq!(at, Duration::from_millis(1_500));
    drop(feed);
    let (samples, step) = drain(&mut reader, &mut fresh);
    assert_eq!(samples.len(), 48_000);
    assert!(matches!(step, Step::Ended));
    // From the end, again.
    let (mut fresh, _) = reader.seek(Duration::ZERO).expect("a tone can seek");
    assert_eq!(drain(&mut reader, &mut fresh).0.len(), 192_000);
}

#[test]
fn a_stream_that_cannot_seek_goes_on() {
    let stream = Pcm::stream(&[1, 2, 3, 4, 5][..], Encoding::I16, 48_000, 1);
    let (mut reader, mut feed) = open(stream);
    assert!(matches!(reader.seek(Duration::ZERO), Err(SourceError::Unseekable { .. })));
    let (samples, step) = drain(&mut reader, &mut feed);
    assert_eq!(samples.len(), 6, "an odd byte is half a sample");
    assert!(matches!(step, Step::Ended));
}

#[test]
fn an_illegal_packet_is_a_typed_error() {
    let (mut reader, mut feed) = open(Packets::new([vec![0xFC, 1, 2], vec![0xFF]]));
    while let Step::Progress = reader.step() {}
    assert!(matches!(feed.end(), Some(Err(SourceError::Opus { .. }))));
    assert_eq!(feed.peek().map(|record| record.len), Some(3), "the good one before it is there");
}

#[test]
fn a_panicked_source_can_be_declared_failed() {
    let (mut reader, feed) = open(Tone::new(440.0, 0.5, None));
    reader.fail(SourceError::other("decoder", "panicked"));
    assert!(matches!(reader.step(), Step::Failed(SourceError::Other { .. })));
    assert!(matches!(feed.end(), Some(Err(SourceError::Other { .. }))));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Packets come out of the byte ring as they went in, wherever it wraps.
    #[test]
    fn records_survive_the_ring(packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 1..60)) {
        let (mut producer, mut consumer) = RingBuffer::new(97);
        let mut out = [0; 60];
        for (n, packet) in packets.iter().enumerate() {
            let record = Record { len: packet.len() as u16, samples: n as u16, skip: 3, trim: 4 };
            prop_assert!(record.push(packet, &mut producer));
            prop_assert_eq!(Record::peek(&mut consumer), Some(record));
            if n % 5 == 4 {
                record.drop(&mut consumer);
            } else {
                record.pop(&mut consumer, &mut out);
                prop_assert_eq!(&out[..packet.len()], &packet[..]);
            }
            prop_assert_eq!(Record::peek(&mut consumer), None);
        }
    }
}

#[test]
fn a_ring_of_packets_grows_until_the_time_that_is_wanted_fits() {
    for len in [3, 160, 640, 1_276] {
        let packets: Vec<Vec<u8>> = (0..200_u8).map(|n| [&[0xFC][..], &vec![n; len - 1]].concat()).collect();
        let (mut reader, mut feed) = open(Packets::new(packets.clone()));
        while let Step::Progress = reader.step() {}
        feed.kind();
        let mut out = [0; 1_276];
        let mut taken = Vec::new();
        while taken.len() < 20 {
            // The first rings are small; larger ones follow as soon as the feed has taken them over.
            while let Step::Progress = reader.step() {}
            let record = feed.peek().expect("a packet");
            feed.pop(record, &mut out);
            taken.push(out[..len].to_vec());
        }
        while let Step::Progress = reader.step() {}
        let ahead = Config::default().length;
        assert!(reader.lasts() >= ahead.min(Duration::from_millis(250)), "{len} bytes: {:?}", reader.lasts());
        while let Some(record) = feed.peek() {
            feed.pop(record, &mut out);
            taken.push(out[..len].to_vec());
            while let Step::Progress = reader.step() {}
        }
        assert!(taken == packets, "{len} bytes: {} packets came out", taken.len());
    }
}

#[test]
fn a_ring_knows_that_packets_have_become_larger() {
    // Minutes of nothing, then 128 kbit/s.
    let small = (0..3_000).map(|_| vec![0xFC, 0xFF, 0xFE]);
    let large = (0..100_u8).map(|n| [&[0xFC][..], &[n; 319]].concat());
    let packets: Vec<Vec<u8>> = small.chain(large).collect();
    let ahead = Duration::from_millis(250);
    let (mut reader, mut feed) = pipe(Box::new(Packets::new(packets.clone())), Config::default().length(ahead));
    while let Step::Progress = reader.step() {}
    feed.kind();
    let (mut out, mut taken) = ([0; 400], 0);
    while let Some(record) = feed.peek() {
        feed.pop(record, &mut out);
        taken += 1;
        while let Step::Progress = reader.step() {}
        let left = (0..).zip(&packets[taken..]).take_while(|(n, _)| *n < 13).count() as u32;
        let lasts = reader.lasts();
        let large = taken > 3_020;
        assert!(!large || lasts <= Duration::from_millis(20) * left.max(13) * 2, "{taken}: {lasts:?}");
        assert!(!large || left < 13 || lasts >= ahead.mul_f64(0.9), "{taken}: {lasts:?} only");
    }
    assert_eq!(taken, packets.len());
}
