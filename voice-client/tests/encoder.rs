//! What leaves while settings of the encoder change, and while we are muted: packets as a second client counts them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use loopback::Config as Behaviour;
use support::ears::{contiguous, is_silence, packets, steady, steps};
use support::{PATIENCE, config, pair, plain, sent, until, within};
use voice_client::source::generate::{Silence, Tone};
use voice_client::source::pcm::Pcm;
use voice_client::{
    Arrival, Bitrate, Call, Client, EncoderSettings, FrameLength, Loops, PlayOptions, Stream, Track, TrackEnd,
};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn tone(time: impl Into<Option<Duration>>) -> Tone {
    Tone::new(440.0, 0.5, time.into())
}

async fn beyond(track: &Track, position: Duration) {
    until("its going on", async || (track.position() > position).then_some(())).await;
}

async fn finished(track: &Track) {
    let end = within(PATIENCE, "its end", track.ended()).await;
    assert!(matches!(end, TrackEnd::Finished), "{end:?}");
}

/// Waits until so many ends of speech were sent.
async fn silent(call: &Call, times: u64) {
    until("the end of speech", async || (sent(call).await.1 == 5 * times).then_some(())).await;
}

/// All packets until this many in a row each last `samples`.
async fn lasting(arrivals: &mut Stream<Arrival>, samples: i32, row: usize) -> Vec<Arrival> {
    let mut all = packets(arrivals, "a packet", 1).await;
    loop {
        let steps = steps(&all);
        if steps.len() >= row && steps[steps.len() - row..].iter().all(|step| *step == samples) {
            return all;
        }
        assert!(all.len() < 1_000, "none of {samples} samples: {steps:?}");
        all.extend(packets(arrivals, "a packet", 1).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packets_change_their_duration_in_a_call() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let (talker, listener) = pair(&server, &client, 1).await;
    let (mut arrivals, mut audio) = (listener.arrivals(), listener.audio());
    let track = talker.play(tone(None));
    let mut all = lasting(&mut arrivals, 960, 10).await;
    for (length, samples) in [
        (FrameLength::Ms10, 480),
        (FrameLength::Ms40, 1_920),
        (FrameLength::Ms60, 2_880),
        (FrameLength::Ms10, 480),
        (FrameLength::Ms20, 960),
    ] {
        talker.player().set_encoder(EncoderSettings::default().frame(length));
        all.extend(lasting(&mut arrivals, samples, 10).await);
        steady(&mut audio, "the tone", 0.45..0.55).await;
    }
    contiguous(&all, "all of them");
    assert_eq!(sent(&talker).await.1, 0, "no end of speech in between");
    assert!(steps(&all).iter().all(|step| *step > 0 && step % 480 == 0), "{:?}", steps(&all));
    track.stop();
    silent(&talker, 1).await;
}

fn noise() -> Pcm {
    let mut state = 1_u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from((state >> 16) as i16) / 131_072.0
    };
    let samples: Vec<f32> = std::iter::repeat_with(next).take(96_000).collect();
    Pcm::samples(&samples, 48_000, 2)
}

/// Mean length of 60 packets, after some that may still be of the time before.
async fn mean(arrivals: &mut Stream<Arrival>) -> usize {
    packets(arrivals, "packets", 40).await;
    let measured = packets(arrivals, "packets", 60).await;
    measured.iter().map(|it| it.len).sum::<usize>() / measured.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bitrate_follows_the_channel_unless_told_otherwise() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let (talker, listener) = pair(&server, &client, 1).await;
    let mut arrivals = listener.arrivals();
    talker.player().play_with(noise(), PlayOptions::new().loops(Loops::Forever)).unwrap();
    // Bytes in 20 ms at so many bits per second, give or take what a variable rate does.
    let is_about = |bytes: usize, bits: usize| (bits / 400 * 6 / 10..=bits / 400 * 14 / 10).contains(&bytes);
    for bits in [64_000, 24_000, 128_000] {
        if bits != 64_000 {
            talker.set_channel_bitrate(bits as u32);
        }
        let bytes = mean(&mut arrivals).await;
        assert!(is_about(bytes, bits), "{bits} bit/s: {bytes} bytes");
    }
    let settings = EncoderSettings::default();
    talker.player().set_encoder(settings.bitrate(Bitrate::Bits(32_000)));
    let bytes = mean(&mut arrivals).await;
    assert!(is_about(bytes, 32_000), "as told: {bytes} bytes");
    talker.set_channel_bitrate(192_000);
    let bytes = mean(&mut arrivals).await;
    assert!(is_about(bytes, 32_000), "as told, whatever the channel: {bytes} bytes");
    talker.player().set_encoder(settings);
    let bytes = mean(&mut arrivals).await;
    assert!(is_about(bytes, 192_000), "as the channel has it: {bytes} bytes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn discontinuous_transmission_sends_next_to_nothing_of_silence() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config().encoder(EncoderSettings::default().dtx(true)));
    let (talker, listener) = pair(&server, &client, 1).await;
    let mut audio = listener.audio();
    let clock = talker.play(Silence::new(None));
    beyond(&clock, ms(1_000)).await;
    let (before, start) = (sent(&talker).await.0, clock.position());
    beyond(&clock, start + ms(3_000)).await;
    let ticks = (clock.position() - start).as_millis() as u64 / 20;
    let packets = sent(&talker).await.0 - before;
    assert!(packets < ticks / 2, "{packets} packets in {ticks} ticks");
    let track = talker.play(tone(None));
    steady(&mut audio, "the tone", 0.45..0.55).await;
    track.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tracks_that_stand_while_we_are_muted_lose_nothing() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config().mute_holds(true));
    let (talker, listener) = pair(&server, &client, 1).await;
    let mut arrivals = listener.arrivals();
    let (other, _third) = pair(&server, &client, 2).await;
    let clock = other.play(Silence::new(None));
    let track = talker.play(tone(ms(1_500)));
    beyond(&track, ms(200)).await;
    talker.set_mute(true);
    silent(&talker, 1).await;
    let stands = track.position();
    assert!(stands < ms(1_500));
    beyond(&clock, clock.position() + ms(500)).await;
    assert_eq!(track.position(), stands);
    talker.set_mute(false);
    finished(&track).await;
    silent(&talker, 2).await;
    // 75 frames, and one for what the encoder still held: each of them was sent, and each silence frame.
    assert_eq!(sent(&talker).await, (76 + 10, 10));
    let all = packets(&mut arrivals, "all", 76 + 10).await;
    let cut = all.iter().position(is_silence).unwrap();
    assert!(all[cut..cut + 5].iter().all(is_silence) && !is_silence(&all[cut + 5]));
    let steps = steps(&all);
    assert!(steps[cut + 4] >= 960 * 20, "RTP time ran on: {steps:?}");
    assert!(all[81..].iter().all(is_silence));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tracks_that_run_while_we_are_muted_are_heard_where_they_are_then() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let (talker, listener) = pair(&server, &client, 1).await;
    let (mut arrivals, mut audio) = (listener.arrivals(), listener.audio());
    let track = talker.play(tone(None));
    beyond(&track, ms(200)).await;
    talker.set_mute(true);
    silent(&talker, 1).await;
    let (packets_before, muted_at) = (sent(&talker).await.0, track.position());
    beyond(&track, muted_at + ms(600)).await;
    assert_eq!(sent(&talker).await.0, packets_before, "nothing leaves");
    track.set_volume(0.1);
    let start = track.position();
    beyond(&track, start + ms(200)).await;
    // What was louder is long over.
    talker.set_mute(false);
    let all = packets(&mut arrivals, "packets", packets_before as usize + 40).await;
    let cut = all.iter().position(is_silence).unwrap();
    assert!(all[cut..cut + 5].iter().all(is_silence), "each a packet of its own");
    assert!(!all[cut + 5..].iter().any(is_silence));
    let gap = steps(&all)[cut + 4];
    assert!(gap >= 960 * 30 && gap % 960 == 0, "RTP time ran on: {gap}");
    let mut loudest = 0.0_f32;
    // Frames of the time before the mute are there already; those after it are quiet.
    while let Some(frame) = audio.try_next() {
        if frame.time.since(all[cut + 5].time) >= 0 {
            loudest = loudest.max(support::ears::level(&frame)[0]);
        }
    }
    assert!(loudest < 0.15, "nothing stale: {loudest}");
    talker.mute_tracks(true);
    silent(&talker, 2).await;
    let stands = track.position();
    talker.mute_tracks(false);
    beyond(&track, stands + ms(100)).await;
    assert_eq!(sent(&talker).await.1, 10);
}
