//! Playing over real sockets: files of every format, handles of a track, raw Opus.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use loopback::{Config as Behaviour, Cue};
use opus::{Application, Channels, Encoder};
use support::{
    PATIENCE, asset, assets, channel, config, event, guild, linked, member, pair, plain, sent, until, user, within,
};
use tokio::task::JoinSet;
use voice_client::layer::crypto::Mode;
use voice_client::layer::model::{FRAME, FRAME_SAMPLES};
use voice_client::source::file::File;
use voice_client::source::generate::{Silence, Tone};
use voice_client::{Audio, Call, Client, Closed, Event, OpusSink, Phase, SeekError, SinkError, TrackEnd};

/// The loudest sample of a frame that is worth `wanted`.
async fn loudness(audio: &mut Audio, what: &str, wanted: impl Fn(f32) -> bool) -> f32 {
    let listening = async {
        while let Some(frame) = audio.next().await {
            let peak = frame.pcm.iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
            if wanted(peak) {
                return peak;
            }
        }
        panic!("the call is over before: {what}");
    };
    within(PATIENCE, what, listening).await
}

async fn hears(listener: &Call, talker: &Call) -> u64 {
    listener.stats().await.unwrap().heard.get(&talker.user()).map_or(0, |heard| heard.received)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_asset_is_played_to_its_end_and_heard() {
    let server = plain(Behaviour::default().extension(true).padding(true)).await;
    let client = Client::new(config());
    let mut playing = JoinSet::new();
    for (index, file) in assets().into_iter().enumerate() {
        let (talker, listener) = pair(&server, &client, 1 + index as u64).await;
        playing.spawn(async move {
            let mut audio = listener.audio();
            let track = talker.play(File::new(&file));
            loudness(&mut audio, "sound", |peak| peak > 0.05).await;
            let end = within(PATIENCE, "its end", track.ended()).await;
            assert!(matches!(end, TrackEnd::Finished), "{}: {end:?}", file.display());
            until("the end of speech", || async { (sent(&talker).await.1 == 5).then_some(()) }).await;
            let (packets, _) = sent(&talker).await;
            let frames = track.info().and_then(|info| info.duration).map_or(0, |it| it.as_millis() / FRAME.as_millis());
            assert!(u128::from(packets) >= frames, "{}: {packets} packets, {frames} frames", file.display());
            let most = packets * 9 / 10;
            until("most of it", || async { (hears(&listener, &talker).await > most).then_some(()) }).await;
            [talker, listener]
        });
    }
    let mut calls = Vec::new();
    while let Some(played) = within(PATIENCE, "all files", playing.join_next()).await {
        calls.extend(played.unwrap());
    }
    assert_eq!(client.calls().len(), calls.len());
    assert!(calls.iter().all(|call| call.is_closed().is_none()));
    let stats = server.stats().await;
    assert_eq!((stats.not_authentic, stats.malformed, stats.unknown_ssrc), (0, 0, 0), "{stats:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_track_obeys_its_handle() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let (talker, listener) = pair(&server, &client, 1).await;
    let mut audio = listener.audio();
    // The one that tells time: it plays on whatever happens to the other.
    let clock = talker.play(Silence::new(None));
    let elapse = async || {
        let start = clock.position();
        let later = start + Duration::from_millis(200);
        until("time", || async { Some(clock.position()).filter(|it| *it >= later) }).await;
    };
    let track = talker.play(Tone::new(440.0, 0.5, None));
    loudness(&mut audio, "the tone", |peak| peak > 0.4).await;

    track.pause();
    // It fades out first.
    elapse().await;
    let paused = track.position();
    elapse().await;
    assert_eq!(track.position(), paused, "held where it was");
    loudness(&mut audio, "silence", |peak| peak < 0.01).await;
    track.resume();
    until("its going on", || async { Some(track.position()).filter(|it| *it > paused) }).await;

    let there = Duration::from_secs(100);
    assert_eq!(within(PATIENCE, "a seek", track.seek(there)).await.unwrap(), there);
    until("playing there", || async { Some(track.position()).filter(|it| *it > there) }).await;

    track.set_volume(0.1);
    loudness(&mut audio, "a lower volume", |peak| (0.02..0.1).contains(&peak)).await;
    track.fade(1.0, Duration::from_millis(100));
    loudness(&mut audio, "full volume", |peak| peak > 0.4).await;

    track.stop();
    assert!(matches!(within(PATIENCE, "its end", track.ended()).await, TrackEnd::Stopped));
    assert_eq!(track.phase(), Phase::Ended);
    assert!(matches!(track.seek(there).await, Err(SeekError::Ended)));
    loudness(&mut audio, "silence", |peak| peak < 0.01).await;
    assert_ne!(clock.phase(), Phase::Ended, "the other one plays on");
    within(PATIENCE, "leaving", talker.leave()).await;
    assert!(matches!(within(PATIENCE, "its end", clock.ended()).await, TrackEnd::CallClosed));
    let late = talker.play(Silence::new(None));
    assert!(matches!(within(PATIENCE, "its end", late.ended()).await, TrackEnd::CallClosed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_every_format_seek_while_they_play() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let (talker, _listener) = pair(&server, &client, 1).await;
    let to = Duration::from_millis(2_500);
    let mut seeking = JoinSet::new();
    for file in assets().into_iter().filter(|file| !file.ends_with("ding-48k-mono.wav")) {
        let track = talker.play(File::new(&file));
        seeking.spawn(async move {
            until("its start", || async { Some(track.position()).filter(|it| !it.is_zero()) }).await;
            let landed = within(PATIENCE, "a seek", track.seek(to)).await.unwrap();
            let packet = file.to_string_lossy().contains("opus");
            let exact = if packet { FRAME } else { Duration::from_micros(25) };
            assert!(landed.abs_diff(to) <= exact, "{}: {landed:?}", file.display());
            until("playing there", || async { Some(track.position()).filter(|it| *it > landed) }).await;
            let end = within(PATIENCE, "its end", track.ended()).await;
            assert!(matches!(end, TrackEnd::Finished), "{}: {end:?}", file.display());
        });
    }
    while let Some(sought) = within(PATIENCE, "all files", seeking.join_next()).await {
        sought.unwrap();
    }
    let track = talker.play(File::new(asset("waltz-44k-stereo.mp3")));
    within(PATIENCE, "a seek past the end", track.seek(Duration::from_secs(1_000))).await.unwrap();
    assert!(matches!(within(PATIENCE, "its end", track.ended()).await, TrackEnd::Finished));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_concurrent_seeks_the_last_one_counts_and_a_dropped_one_happens() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let (talker, _listener) = pair(&server, &client, 1).await;
    let track = talker.play(Tone::new(440.0, 0.5, None));
    let secs = Duration::from_secs;
    let both = async { tokio::join!(track.seek(secs(1_000)), track.seek(secs(100))) };
    let (earlier, later) = within(PATIENCE, "two seeks", both).await;
    assert!(matches!(earlier, Ok(_) | Err(SeekError::Superseded)), "{earlier:?}");
    assert_eq!(later.unwrap(), secs(100));
    let there = secs(100)..secs(999);
    until("playing there", || async { Some(track.position()).filter(|it| there.contains(it)) }).await;

    tokio::select! {
        biased;
        _ = track.seek(secs(2_000)) => {}
        () = std::future::ready(()) => {}
    }
    until("playing there", || async { Some(track.position()).filter(|it| *it >= secs(2_000)) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_transport_mode_carries_audio() {
    let modes = [
        Mode::Aes256GcmRtpsize,
        Mode::XChaCha20Poly1305Rtpsize,
        Mode::XSalsa20Poly1305,
        Mode::XSalsa20Poly1305Suffix,
        Mode::XSalsa20Poly1305Lite,
        Mode::XSalsa20Poly1305LiteRtpsize,
    ];
    for mode in modes {
        let server = plain(Behaviour::default().modes([mode])).await;
        let client = Client::new(config().modes(modes.to_vec()));
        let (talker, listener) = pair(&server, &client, 1).await;
        let mut audio = listener.audio();
        let track = talker.play(Tone::new(440.0, 0.5, None));
        loudness(&mut audio, mode.name(), |peak| peak > 0.4).await;
        assert_eq!(listener.stats().await.unwrap().received.unauthentic, 0);
        // Handles of the call are enough: the client may go.
        drop(client);
        let other = talker.play(Tone::new(880.0, 0.1, Some(Duration::from_millis(40))));
        assert!(matches!(within(PATIENCE, "its end", other.ended()).await, TrackEnd::Finished));
        assert_ne!(track.phase(), Phase::Ended);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_listener_loses_frames_of_its_own_only() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config().audio_queue(8));
    let (talker, listener) = pair(&server, &client, 1).await;
    let (mut slow, mut quick, gone) = (listener.audio(), listener.audio(), listener.audio());
    drop(gone);
    talker.play(Tone::new(440.0, 0.5, None));
    for _ in 0..40 {
        let frame = within(PATIENCE, "a frame", quick.next()).await.expect("the call is on");
        assert_eq!(frame.user, talker.user());
    }
    let lost = async || Some(listener.stats().await?.received.consumer_lost).filter(|lost| *lost >= 20);
    until("lost frames", lost).await;
    assert_eq!(std::iter::from_fn(|| slow.try_next()).count(), 8, "as many as it has room for");
    within(PATIENCE, "leaving", listener.leave()).await;
    let end = async { while quick.next().await.is_some() {} };
    within(PATIENCE, "the stream's end", end).await;
}

/// A melody of packets, each of `samples` at 48 kHz.
fn packets(samples: usize, count: usize) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(48_000, Channels::Stereo, Application::Audio).unwrap();
    let frame = |n: usize| {
        let pcm: Vec<f32> = (0..2 * samples).map(|i| ((n * samples + i / 2) as f32 * 0.06).sin() * 0.5).collect();
        pcm
    };
    (0..count).map(|n| encoder.encode_vec_float(&frame(n), 4_000).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_raw_sink_sends_packets_of_any_legal_duration_as_they_are() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    for (place, (samples, count)) in
        [(FRAME_SAMPLES / 2, 100), (FRAME_SAMPLES, 50), (3 * FRAME_SAMPLES, 17)].into_iter().enumerate()
    {
        let (talker, listener) = pair(&server, &client, 1 + place as u64).await;
        let mut arrivals = listener.arrivals();
        let written = packets(samples, count);
        let mut sink = talker.opus_sink();
        for packet in &written {
            within(PATIENCE, "a write", sink.write(packet)).await.unwrap();
        }
        let mut events = talker.events();
        drop(sink);
        let ended = |event| matches!(event, Event::TrackEnded { end: TrackEnd::Finished, .. }).then_some(());
        event(&mut events, "the sink's end", ended).await;
        let arriving = async {
            let mut lens = Vec::new();
            while lens.len() < count {
                lens.extend(arrivals.next().await.map(|arrival| arrival.len).filter(|len| *len != 3));
            }
            lens
        };
        let lens = within(PATIENCE, "all packets", arriving).await;
        assert_eq!(lens, written.iter().map(Vec::len).collect::<Vec<_>>(), "{samples} samples each");
        until("the end of speech", || async { (sent(&talker).await.1 >= 5).then_some(()) }).await;
        let (all, silence) = sent(&talker).await;
        assert_eq!(all - silence, count as u64);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_illegal_packet_is_refused_and_the_next_one_is_taken() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let (talker, _listener) = pair(&server, &client, 1).await;
    let mut sink = talker.opus_sink();
    for illegal in [&[][..], &[0xFF], &[0xFC; 3_000], &[0x03, 0x3F]] {
        let refused = within(PATIENCE, "a refusal", sink.write(illegal)).await;
        assert!(matches!(refused, Err(SinkError::Packet(_))), "{refused:?}");
        within(PATIENCE, "a write", sink.write(&packets(FRAME_SAMPLES, 1)[0])).await.unwrap();
    }
    until("the good ones", || async {
        let (all, silence) = sent(&talker).await;
        (all - silence == 4).then_some(())
    })
    .await;
}

/// Writes until the sink closes; says how often, as it goes.
fn write_for_ever(mut sink: OpusSink) -> (tokio::sync::watch::Receiver<u64>, tokio::task::JoinHandle<SinkError>) {
    let (written, count) = tokio::sync::watch::channel(0);
    let writer = tokio::spawn(async move {
        let packet = packets(FRAME_SAMPLES, 1).remove(0);
        loop {
            if let Err(error) = sink.write(&packet).await {
                return error;
            }
            written.send_modify(|count| *count += 1);
        }
    });
    (count, writer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_24_a_writer_waits_through_reconnects_and_is_told_when_the_call_ends() {
    let server = plain(Behaviour::default().issued_only(true)).await;
    for kicked in [false, true] {
        let (client, _) = linked(&server, user(1), config());
        let call = within(PATIENCE, "a join", client.join_channel(guild(1), channel(1))).await.unwrap();
        let mut events = call.events();
        let connected = |event| matches!(event, Event::Connected { .. }).then_some(());
        event(&mut events, "connected", connected).await;
        let (mut count, writer) = write_for_ever(call.opus_sink());
        let mut advance = async || {
            let more = *count.borrow() + 10;
            within(PATIENCE, "writes", count.wait_for(|count| *count >= more)).await.unwrap();
        };
        advance().await;

        server.cue(Cue::Sever { user: Some(user(1)) }).await;
        event(&mut events, "resumed", |event| matches!(event, Event::Resumed).then_some(())).await;
        advance().await;

        server.cue(Cue::ChangeEndpoint { guild: guild(1), endpoint: None }).await;
        event(&mut events, "connected again", connected).await;
        advance().await;
        until("packets there", || async { member(&server, user(1)).await.filter(|it| it.received >= 5) }).await;
        assert!(!writer.is_finished());

        let closed = if kicked {
            server.cue(Cue::Kick { user: user(1) }).await;
            within(PATIENCE, "the end", call.closed()).await
        } else {
            within(PATIENCE, "leaving", call.leave()).await
        };
        assert_eq!(closed, if kicked { Closed::Removed } else { Closed::Left });
        let error = within(PATIENCE, "the writer's end", writer).await.unwrap();
        assert!(matches!(&error, SinkError::Closed(told) if *told == closed), "{error:?}");
    }
}
