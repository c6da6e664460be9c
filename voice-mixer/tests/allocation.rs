//! The audio side allocates nothing once it is warm.

use std::sync::Arc;
use std::time::Duration;

use allocation_counter::measure;
use opus::{Application, Channels, Encoder};
use voice_mixer::broadcast::Station;
use voice_mixer::effects::{
    Chain, ChannelMix, Compressor, Distortion, Effect, Equalizer, HighPass, Karaoke, Limiter, LimiterSettings, LowPass,
    Reverb, Rotation, Stretch, Timescale, Tremolo, Vibrato, Volume,
};
use voice_mixer::generate::{Silence, Tone};
use voice_mixer::opus::Packets;
use voice_mixer::prefetch::{Config, Feed, Loops, PushConfig, Reader, Step, pcm_sink, pipe};
use voice_mixer::{
    Cue, Ducking, EncoderConfig, FrameLength, GroupId, Mixer, Source, Tick, TimerId, Track, TrackEvent, TrackId, When,
};

const TICKS: usize = 1_000;
const MS: fn(u64) -> Duration = Duration::from_millis;

fn looped(source: impl Source + 'static, loops: Loops) -> (Reader, Feed) {
    let config = Config::default().length(Duration::from_secs(45)).loops(loops);
    let (mut reader, feed) = pipe(Box::new(source), config);
    while let Step::Progress = reader.step() {}
    (reader, feed)
}

fn feed(source: impl Source + 'static) -> (Reader, Feed) {
    looped(source, Loops::default())
}

/// Ticks, and all that is asked for after each; returns how many packets there were, and how many events.
fn run(mixer: &mut Mixer, ticks: usize) -> (usize, usize) {
    let mut out = [0; 4_000];
    let (mut packets, mut events) = (0, 0);
    for _ in 0..ticks {
        let mut tick = mixer.tick(&mut out);
        while let Tick::Frame { more, .. } = tick {
            packets += 1;
            if !more {
                break;
            }
            tick = mixer.next_frame(&mut out);
        }
        while let Some((_, event)) = mixer.pop_event() {
            events += 1;
            std::mem::forget(event);
        }
    }
    (packets, events)
}

fn packets(count: usize) -> Packets {
    let mut encoder = Encoder::new(48_000, Channels::Stereo, Application::Audio).expect("an encoder");
    Packets::new((0..count).map(|_| encoder.encode_vec_float(&[0.1; 1_920], 1_275).expect("a packet")))
}

fn every_effect() -> Chain {
    Chain::new(&[
        Effect::Volume(Volume { level: 0.5 }),
        Effect::Equalizer(Equalizer { gains: [0.1; Equalizer::BANDS] }),
        Effect::Karaoke(Karaoke::default()),
        Effect::Tremolo(Tremolo::default()),
        Effect::Vibrato(Vibrato::default()),
        Effect::Rotation(Rotation { hz: 0.2 }),
        Effect::Distortion(Distortion { sin_scale: 2.0, ..Distortion::default() }),
        Effect::ChannelMix(ChannelMix { left_to_right: 0.5, ..ChannelMix::default() }),
        Effect::LowPass(LowPass::default()),
        Effect::HighPass(HighPass::default()),
        Effect::Compressor(Compressor::default()),
        Effect::Reverb(Reverb::default()),
    ])
    .expect("a chain")
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
        assert_eq!(run(&mut mixer, TICKS / 2).0, TICKS / 2);
        mixer.set_volume(TrackId(1), 0.3, Duration::from_secs(2));
        mixer.set_paused(TrackId(2), true);
        // Tracks end within this.
        assert_eq!(run(&mut mixer, TICKS / 2).0, TICKS / 2);
    });
    assert_eq!(counted.count_total, 0);
    assert_eq!(mixer.stats().underruns, 0);
    drop(readers);
}

#[test]
fn everything_at_once() {
    for frame in [FrameLength::Ms10, FrameLength::Ms20, FrameLength::Ms60] {
        let mut mixer = Mixer::new(EncoderConfig::default().complexity(0).frame(frame));
        let length = Duration::from_millis(2_777);
        let readers: Vec<Reader> = (0..4_u8)
            .map(|id| {
                let tone = Tone::new(300.0 + 50.0 * f64::from(id), 0.4, Some(length));
                let (reader, feed) = looped(tone, Loops::Forever);
                let timescale = Timescale { speed: 1.1, pitch: 0.9, rate: 1.0 };
                let stretch = Stretch::new(timescale).expect("a stretch");
                let track = Track::new(feed).loops(Loops::Forever).effects(every_effect()).group(GroupId(id % 3));
                mixer.add(TrackId(id.into()), track.stretch(Some(Box::new(stretch))));
                mixer.add_timer(TrackId(id.into()), TimerId(1), When::Every { period: MS(100), phase: MS(30) });
                mixer.add_timer(TrackId(id.into()), TimerId(2), When::At(MS(300)));
                reader
            })
            .collect();
        mixer.set_ducking(GroupId::MUSIC, Some(Ducking::under(GroupId::SPEECH)));
        mixer.set_ducking(GroupId::SPEECH, Some(Ducking::under(GroupId::EFFECTS).hold(MS(50)).release(MS(50))));
        mixer.set_group_effects(GroupId::MUSIC, Some(every_effect()));
        drop(mixer.set_master_effects(Some(every_effect())));
        drop(mixer.set_limiter(limiter()));
        run(&mut mixer, 10);
        let mut chains: Vec<Option<Chain>> = (0..20).map(|n| (n % 3 > 0).then(every_effect)).collect();
        let mut limiters: Vec<_> = (0..10).map(|_| limiter()).collect();
        let mut stretches: Vec<_> =
            (0..20).map(|_| Some(Box::new(Stretch::new(Timescale::default()).expect("a stretch")))).collect();
        let mut spare = Vec::with_capacity(100);
        let mut spent = Vec::with_capacity(100);
        let mut unused = Vec::with_capacity(100);
        let mut spare_limiters = Vec::with_capacity(100);
        let counted = measure(|| {
            for part in 0..20 {
                let (sent, events) = run(&mut mixer, TICKS / 20);
                assert!(sent > 0 && events > 0);
                let id = TrackId(part as u64 % 4);
                mixer.set_paused(id, part % 8 == 3);
                mixer.set_volume(id, 0.3 + part as f32 / 20.0, MS(35));
                mixer.set_group_volume(GroupId::SPEECH, 1.0 - part as f32 / 40.0, MS(100));
                spare.extend(mixer.set_effects(id, chains.pop().flatten()));
                let timescale = Timescale { speed: if part % 2 == 0 { 1.0 } else { 1.4 }, ..Timescale::default() };
                unused.push(mixer.set_timescale(id, timescale, stretches.pop().flatten()));
                if part % 2 == 0 {
                    spare_limiters.extend(mixer.set_limiter(limiters.pop().flatten()));
                }
                while let Some(it) = mixer.pop_spent() {
                    spent.push(it);
                }
            }
        });
        assert_eq!(counted.count_total, 0, "{frame:?}");
        assert!(!spent.is_empty());
        drop(readers);
    }
}

fn limiter() -> Option<Box<Limiter>> {
    Some(Box::new(Limiter::new(LimiterSettings::default()).expect("a limiter")))
}

#[test]
fn passing_packets_through() {
    for frame in [FrameLength::Ms20, FrameLength::Ms60] {
        let mut mixer = Mixer::new(EncoderConfig::default().frame(frame));
        let (_reader, feed) = feed(packets(TICKS + 5));
        mixer.add(TrackId(1), Track::new(feed));
        run(&mut mixer, 5);
        let counted = measure(|| assert_eq!(run(&mut mixer, TICKS).0, TICKS));
        assert_eq!(counted.count_total, 0);
        assert_eq!(mixer.stats().passthrough_frames as usize, TICKS + 5);
        assert!(mixer.pop_ended().is_some());
    }
}

#[test]
fn decoding_packets_into_the_mix() {
    let mut mixer = Mixer::new(EncoderConfig::default().complexity(0));
    let (_reader, feed) = feed(packets(TICKS + 10));
    mixer.add(TrackId(1), Track::new(feed).volume(0.9));
    run(&mut mixer, 5);
    let counted = measure(|| assert_eq!(run(&mut mixer, TICKS).0, TICKS));
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

#[test]
fn to_and_fro_between_passing_and_mixing() {
    let mut mixer = Mixer::new(EncoderConfig::default().complexity(0));
    let (_reader, opus) = looped(packets(100), Loops::Forever);
    mixer.add(TrackId(1), Track::new(opus).loops(Loops::Forever));
    let (_other, silence) = looped(Silence::new(Some(Duration::from_secs(30))), Loops::default());
    mixer.add(TrackId(2), Track::new(silence));
    drop(mixer.set_limiter(limiter()));
    run(&mut mixer, 10);
    mixer.set_paused(TrackId(2), true);
    run(&mut mixer, 20);
    let passed = mixer.stats().passthrough_frames;
    assert!(passed > 5, "{passed}");
    let counted = measure(|| {
        for part in 0..TICKS / 25 {
            mixer.set_paused(TrackId(2), part % 2 == 1);
            assert_eq!(run(&mut mixer, 25).0, 25);
        }
    });
    assert_eq!(counted.count_total, 0);
    let stats = mixer.stats();
    assert!(stats.passthrough_frames > passed + 300 && stats.encoded_frames > 400, "{stats:?}");
}

#[test]
fn ends_joins_and_fades() {
    let mut mixer = Mixer::new(EncoderConfig::default().complexity(0));
    let readers: Vec<Reader> = (0..40_u64)
        .map(|id| {
            let (reader, feed) = match id % 2 {
                0 => feed(Tone::new(300.0, 0.4, Some(MS(400 + id)))),
                _ => feed(packets(20)),
            };
            let crossfade = if id % 3 == 0 { MS(60) } else { Duration::ZERO };
            let track = Track::new(feed).cue(Cue::After { track: TrackId(id.wrapping_sub(1)), crossfade });
            mixer.add(TrackId(id), track);
            reader
        })
        .collect();
    run(&mut mixer, 60);
    let mut started = 0;
    let mut out = [0; 4_000];
    let mut ended = Vec::with_capacity(100);
    let counted = measure(|| {
        for _ in 0..100 {
            mixer.tick(&mut out);
            ended.extend(mixer.pop_ended());
            while let Some((_, event)) = mixer.pop_event() {
                started += usize::from(event == TrackEvent::Started);
            }
        }
    });
    assert!(started >= 3 && ended.len() >= 3, "{started}");
    // Each of the packets' tracks makes its decoder when it is first mixed: two boxes, and the history of its packets.
    assert!(counted.count_total <= 3 * 6, "{}", counted.count_total);
    drop(readers);
}
