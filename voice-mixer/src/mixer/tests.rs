//! Tracks in a mixer, stepped by hand.

use std::f64::consts::TAU;
use std::time::Duration;

use ::opus::{Application, Channels, Decoder, Encoder};
use voice_model::CHANNELS;

use super::{Ended, Mixer, Tick, TrackEvent};
use crate::pcm::Pcm;
use crate::prefetch::{self, Feed, Loops, Reader, Step};
use crate::{Cue, EncoderConfig, Source, Track, TrackId};

mod crossfades;
mod effects;
mod encoder;
mod events;
mod groups;
mod joins;
mod lengths;
mod loops;
mod mixing;
mod operations;
mod pace;
mod passing;
mod pauses;
mod sinks;
mod timers;

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

    fn pipe_with(&mut self, source: impl Source + 'static, config: prefetch::Config) -> Feed {
        let (reader, feed) = prefetch::pipe(Box::new(source), config);
        self.readers.push(reader);
        feed
    }

    /// Adds a track that repeats.
    fn add_loop(&mut self, id: u64, source: impl Source + 'static, loops: Loops) {
        let feed = self.pipe_with(source, prefetch::Config::default().loops(loops));
        self.mixer.add(TrackId(id), Track::new(feed).loops(loops));
    }

    /// Adds a track that begins when another one ends.
    fn add_after(&mut self, id: u64, source: impl Source + 'static, before: u64, crossfade: Duration) {
        let feed = self.pipe(source);
        self.mixer.add(TrackId(id), Track::new(feed).cue(Cue::After { track: TrackId(before), crossfade }));
    }

    /// The left channel of what was mixed in one tick; silence when nothing was sent, nothing while a longer frame plays.
    fn mixed(&mut self) -> Vec<f32> {
        let before = self.mixer.stats().encoded_frames;
        match self.tick() {
            Tick::Hold => Vec::new(),
            Tick::Idle => vec![0.0; self.mixer.period()],
            Tick::Frame { samples, .. } => {
                assert_eq!(self.mixer.stats().encoded_frames, before + 1, "it passed");
                let frame = &self.mixer.buffers.as_ref().expect("something was mixed").frame;
                frame[..samples as usize * CHANNELS].chunks_exact(CHANNELS).map(|frame| frame[0]).collect()
            }
        }
    }

    /// The same for some ticks.
    fn mix(&mut self, ticks: usize) -> Vec<f32> {
        (0..ticks).flat_map(|_| self.mixed()).collect()
    }

    fn events(&mut self) -> Vec<(u64, TrackEvent)> {
        std::iter::from_fn(|| self.mixer.pop_event()).map(|(id, event)| (id.0, event)).collect()
    }

    fn position(&self, id: u64) -> Duration {
        self.mixer.position(TrackId(id)).expect("the track is there")
    }

    fn gone(&self, id: u64) -> bool {
        self.mixer.position(TrackId(id)).is_none()
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

fn noise(samples: usize) -> Vec<f32> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..samples).map(|_| next()).collect()
}

/// Samples at 48 kHz as time.
fn at(samples: u64) -> Duration {
    crate::opus::time(samples)
}

fn mono(samples: &[f32]) -> Pcm {
    Pcm::samples(samples, 48_000, 1)
}

fn sine(frequency: f64, amplitude: f64, frames: usize) -> Vec<f32> {
    (0..frames).map(|n| ((TAU * frequency * n as f64 / 48_000.0).sin() * amplitude) as f32).collect()
}

/// The largest second difference: what a click has and a low tone has not.
fn roughness(samples: &[f32]) -> (f32, usize) {
    let bends = samples.windows(3).map(|three| (three[0] - 2.0 * three[1] + three[2]).abs());
    bends.enumerate().map(|(at, bend)| (bend, at)).fold((0.0, 0), |a, b| if b.0 > a.0 { b } else { a })
}

/// Compares sample by sample, and says where the first difference is.
fn assert_same(heard: &[f32], wanted: &[f32], what: &str) {
    let differs = heard.iter().zip(wanted).position(|(heard, wanted)| heard != wanted);
    assert_eq!(
        differs,
        None,
        "{what}: differs there, {:?} instead of {:?}",
        differs.map(|at| &heard[at..(at + 4).min(heard.len())]),
        differs.map(|at| &wanted[at..(at + 4).min(wanted.len())])
    );
    assert!(heard.len() >= wanted.len(), "{what}: {} of {}", heard.len(), wanted.len());
    assert!(heard[wanted.len()..].iter().all(|sample| *sample == 0.0), "{what}: there is something behind it");
}

/// Packets, so many times over.
fn rows(packets: &[Vec<u8>], times: usize) -> Vec<Vec<u8>> {
    std::iter::repeat_n(packets, times).flatten().cloned().collect()
}
