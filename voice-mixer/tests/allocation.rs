//! The audio side allocates nothing once it is warm.

use std::sync::Arc;
use std::time::Duration;

use allocation_counter::measure;
use opus::{Application, Channels, Encoder};
use voice_mixer::broadcast::Station;
use voice_mixer::generate::Tone;
use voice_mixer::opus::Packets;
use voice_mixer::prefetch::{Config, Feed, PushConfig, Reader, Step, pcm_sink, pipe};
use voice_mixer::{EncoderConfig, Mixer, Source, Tick, Track, TrackId};

const TICKS: usize = 1_000;

fn feed(source: impl Source + 'static) -> (Reader, Feed) {
    let (mut reader, feed) = pipe(Box::new(source), Config::default().length(Duration::from_secs(25)));
    while let Step::Progress = reader.step() {}
    (reader, feed)
}

fn run(mixer: &mut Mixer, ticks: usize) -> usize {
    let mut out = [0; 1_400];
    (0..ticks).filter(|_| matches!(mixer.tick(&mut out), Tick::Frame { .. })).count()
}

fn packets(count: usize) -> Packets {
    let mut encoder = Encoder::new(48_000, Channels::Stereo, Application::Audio).expect("an encoder");
    Packets::new((0..count).map(|_| encoder.encode_vec_float(&[0.1; 1_920], 1_275).expect("a packet")))
}

#[test]
fn mixing_four_tracks() {
    let mut mixer = Mixer::new(EncoderConfig::default());
    let readers: Vec<Reader> = (0..4_u32)
        .map(|id| {
            let (reader, feed) = feed(Tone::new(300.0 + 50.0 * f64::from(id), 0.4, Some(Duration::from_secs(21))));
            mixer.add(TrackId(id.into()), Track::new(feed).volume(0.5 + id as f32 / 4.0));
            reader
        })
        .collect();
    run(&mut mixer, 10);
    let counted = measure(|| {
        assert_eq!(run(&mut mixer, TICKS / 2), TICKS / 2);
        mixer.set_volume(TrackId(1), 0.3, Duration::from_secs(2));
        mixer.set_paused(TrackId(2), true);
        // Tracks end within this.
        assert_eq!(run(&mut mixer, TICKS / 2), TICKS / 2);
    });
    assert_eq!(counted.count_total, 0);
    assert_eq!(mixer.stats().underruns, 0);
    drop(readers);
}

#[test]
fn passing_packets_through() {
    let mut mixer = Mixer::new(EncoderConfig::default());
    let (_reader, feed) = feed(packets(TICKS + 5));
    mixer.add(TrackId(1), Track::new(feed));
    run(&mut mixer, 5);
    let counted = measure(|| assert_eq!(run(&mut mixer, TICKS), TICKS));
    assert_eq!(counted.count_total, 0);
    assert_eq!(mixer.stats().passthrough_frames as usize, TICKS + 5);
    assert!(mixer.pop_ended().is_some());
}

#[test]
fn decoding_packets_into_the_mix() {
    let mut mixer = Mixer::new(EncoderConfig::default().complexity(0));
    let (_reader, feed) = feed(packets(TICKS + 10));
    mixer.add(TrackId(1), Track::new(feed).volume(0.9));
    run(&mut mixer, 5);
    let counted = measure(|| assert_eq!(run(&mut mixer, TICKS), TICKS));
    assert_eq!(counted.count_total, 0);
}

#[test]
fn pushed_samples_and_a_tap() {
    let mut mixer = Mixer::new(EncoderConfig::default().complexity(0));
    let (mut pusher, feed) = pcm_sink(PushConfig::new(24_000, 1), Arc::new(|| {})).expect("a legal layout");
    let mut station = Station::new(Arc::new(|| {}));
    let mut encoder = Encoder::new(48_000, Channels::Stereo, Application::Audio).expect("an encoder");
    let packet = encoder.encode_vec_float(&[0.1; 1_920], 1_275).expect("a packet");
    mixer.add(TrackId(1), Track::new(feed));
    mixer.add(TrackId(2), Track::new(station.tuner().tap()));
    let speech = [0.1; 480];
    let mut allocated = 0;
    for tick in 0..TICKS + 10 {
        // Who pushes may allocate; the audio thread may not, whether there is sound, a flush or nothing.
        let spoken = tick % 100 < 80;
        if spoken {
            assert_eq!(pusher.push(&speech).taken, 480);
        }
        if tick % 100 == 70 {
            pusher.flush();
        }
        let counted = measure(|| {
            if tick % 50 < 40 {
                station.push(&packet).expect("a legal packet");
            }
            run(&mut mixer, 1);
        });
        allocated += if tick < 10 { 0 } else { counted.count_total };
        if tick % 100 == 72 {
            assert!(pusher.poll_flushed().is_some());
        }
    }
    assert_eq!(allocated, 0);
    assert_eq!(mixer.stats().underruns, 0);
    assert!(pusher.played_samples() > 300_000 && mixer.stats().encoded_frames > 700);
}
