//! What a call tells: every opcode, how its connection fares, and how it ends.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use loopback::{Config as Behaviour, Cue};
use serde_json::json;
use support::{
    PATIENCE, channel, config, drain, event, guild, info, linked, member, pair, plain, sent, until, user, within,
};
use voice_client::layer::gateway::text::{BackendVersion, Message, Speaking};
use voice_client::source::generate::Tone;
use voice_client::{Cause, Client, Closed, Event, Phase, Recovery, Retry, TrackEnd, VoiceServerUpdate};

/// What tells one event from another here.
fn op(event: &Event) -> Option<u64> {
    Some(match event {
        Event::Speaking(_) => 5,
        Event::ClientsConnect(_) => 11,
        Event::Video(_) => 12,
        Event::ClientDisconnect(_) => 13,
        Event::SessionUpdate(_) => 14,
        Event::MediaSinkWants(_) => 15,
        Event::BackendVersion(_) => 16,
        Event::ClientFlags(_) => 18,
        Event::ClientPlatform(_) => 20,
        Event::Other(message) => message.op(),
        _ => return None,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_speaks_and_goes_is_told() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let (first, second) = pair(&server, &client, 1).await;
    let mut events = first.events();
    let other = user(2);
    event(&mut events, "op 11", |event| match event {
        Event::ClientsConnect(it) => (it.users == [other]).then_some(()),
        _ => None,
    })
    .await;
    let (mut flags, mut platform, mut speaking) = (false, false, None);
    event(&mut events, "op 18, 20 and 5", |event| {
        match event {
            Event::ClientFlags(it) => flags |= it.user == other && it.flags == Some(0),
            Event::ClientPlatform(it) => platform |= it.user == other && it.platform == Some(0),
            Event::Speaking(it) if it.user == Some(other) => speaking = it.ssrc,
            _ => {}
        }
        (flags && platform && speaking.is_some()).then_some(())
    })
    .await;
    assert_eq!(speaking, member(&server, other).await.map(|it| it.ssrc));

    second.set_speaking(Speaking::SOUNDSHARE | Speaking::PRIORITY);
    let told = event(&mut events, "op 5 again", |event| match event {
        Event::Speaking(it) if it.user == Some(other) => Some(it.flags).filter(|flags| *flags != Speaking::MICROPHONE),
        _ => None,
    })
    .await;
    assert_eq!(told, Speaking::SOUNDSHARE | Speaking::PRIORITY);
    assert_eq!(member(&server, other).await.and_then(|it| it.speaking), Some(told));

    first.send(Message::BackendVersion(BackendVersion { voice: None, rtc_worker: None }));
    let version = event(&mut events, "op 16", |event| match event {
        Event::BackendVersion(it) => Some(it),
        _ => None,
    })
    .await;
    assert!(version.voice.is_some() && version.rtc_worker.is_some());

    within(PATIENCE, "leaving", second.leave()).await;
    event(&mut events, "op 13", |event| match event {
        Event::ClientDisconnect(it) => (it.user == other).then_some(()),
        _ => None,
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_opcode_is_an_event_with_its_fields_and_unknown_ones_come_raw() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let joining = client.join(info(&server, user(1), guild(1), channel(1)).await);
    let call = within(PATIENCE, "a join", joining).await.unwrap();
    let mut events = call.events();
    let messages = [
        json!({"op": 5, "d": {"user_id": "7", "ssrc": 70, "speaking": 4}}),
        json!({"op": 11, "d": {"user_ids": ["7", "8"]}}),
        json!({"op": 12, "d": {"user_id": "7", "audio_ssrc": 70, "video_ssrc": 71, "rtx_ssrc": 72, "streams": [{"rid": "100"}]}}),
        json!({"op": 13, "d": {"user_id": "8"}}),
        json!({"op": 14, "d": {"audio_codec": "opus", "video_codec": "AV1", "media_session_id": "m"}}),
        json!({"op": 15, "d": {"any": 100, "pixelCounts": {"71": 1.5}}}),
        json!({"op": 16, "d": {"voice": "0.1.2", "rtc_worker": "3.4.5"}}),
        json!({"op": 18, "d": {"user_id": "7", "flags": null}}),
        json!({"op": 20, "d": {"user_id": "7", "platform": 1}}),
        json!({"op": 99, "d": {"any": ["thing"]}}),
    ];
    let ops: Vec<u64> = messages.iter().map(|message| message["op"].as_u64().unwrap()).collect();
    // Noise between them is nobody's event.
    for noise in ["", "{", "[]", r#"{"op": 5, "d": 7}"#, r#"{"d": {}}"#, r#"{"op": "x", "d": {}}"#] {
        server.cue(Cue::Text { user: None, text: noise.to_owned() }).await;
    }
    server.cue(Cue::Binary { user: None, frame: vec![0xFF; 3] }).await;
    for (seq, mut message) in messages.into_iter().enumerate() {
        message["seq"] = json!(seq + 100);
        for _replayed in 0..2 {
            server.cue(Cue::Text { user: None, text: message.to_string() }).await;
        }
    }
    let mut got = Vec::new();
    event(&mut events, "op 99", |event| {
        got.extend(op(&event).map(|op| (op, event)));
        got.last().is_some_and(|(op, _)| *op == 99).then_some(())
    })
    .await;
    assert_eq!(got.iter().map(|(op, _)| *op).collect::<Vec<_>>(), ops, "each once, in order: {got:?}");
    for (_, event) in got {
        match event {
            Event::Speaking(it) => {
                assert_eq!((it.user, it.ssrc.map(|it| it.0), it.flags), (Some(user(7)), Some(70), 4));
            }
            Event::ClientsConnect(it) => assert_eq!(it.users, [user(7), user(8)]),
            Event::Video(it) => {
                let ssrcs = [it.audio_ssrc, it.video_ssrc, it.rtx_ssrc].map(|ssrc| ssrc.map(|it| it.0));
                assert_eq!((it.user, ssrcs), (Some(user(7)), [Some(70), Some(71), Some(72)]));
                assert_eq!(it.streams, [json!({"rid": "100"})]);
            }
            Event::ClientDisconnect(it) => assert_eq!(it.user, user(8)),
            Event::SessionUpdate(it) => {
                assert_eq!((it.audio_codec.as_deref(), it.video_codec.as_deref()), (Some("opus"), Some("AV1")));
                assert_eq!(it.media_session_id.as_deref(), Some("m"));
            }
            Event::MediaSinkWants(it) => assert_eq!(it["pixelCounts"]["71"], json!(1.5)),
            Event::BackendVersion(it) => assert_eq!(it.rtc_worker.as_deref(), Some("3.4.5")),
            Event::ClientFlags(it) => assert_eq!((it.user, it.flags), (user(7), None)),
            Event::ClientPlatform(it) => assert_eq!((it.user, it.platform), (user(7), Some(1))),
            Event::Other(it) => {
                let Message::Unknown { op: 99, data } = *it else { panic!("{it:?}") };
                assert_eq!(data, json!({"any": ["thing"]}));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(call.is_closed(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_to_ask_gets_all_events_and_the_last_one_is_the_end() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let joining = client.join(info(&server, user(1), guild(1), channel(1)).await);
    let call = within(PATIENCE, "a join", joining).await.unwrap();
    let track = call.play(Tone::new(440.0, 0.5, Some(Duration::from_millis(100))));
    assert!(matches!(within(PATIENCE, "its end", track.ended()).await, TrackEnd::Finished));
    let mut all = call.events();
    let mut from_now_on = call.events();
    call.stats().await.unwrap();
    within(PATIENCE, "leaving", call.leave()).await;

    let ssrc = match all.try_next() {
        Some(Event::Connected { ssrc, mode, dave_version: 0 }) if mode == "aead_aes256_gcm_rtpsize" => ssrc,
        other => panic!("{other:?}"),
    };
    assert_ne!(ssrc.0, 0);
    let rest = drain(&mut all);
    assert!(
        rest.iter().any(
            |event| matches!(event, Event::TrackEnded { track: id, end: TrackEnd::Finished } if *id == track.id())
        )
    );
    assert!(matches!(rest.last(), Some(Event::Closed(Closed::Left))), "{rest:?}");
    assert!(within(PATIENCE, "the end of events", all.next()).await.is_none());
    let late = drain(&mut from_now_on);
    assert!(matches!(late[..], [Event::Closed(Closed::Left)]), "{late:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_connection_is_told_and_resumed_and_audio_goes_on() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let (call, listener) = pair(&server, &client, 1).await;
    let mut events = call.events();
    let track = call.play(Tone::new(440.0, 0.5, None));
    until("packets", || async { (sent(&call).await.0 > 10).then_some(()) }).await;
    let ssrc = member(&server, user(1)).await.unwrap().ssrc;
    for attempt in 1..=2 {
        server.cue(Cue::Sever { user: Some(user(1)) }).await;
        let (cause, by) = event(&mut events, "reconnecting", |event| match event {
            Event::Reconnecting { cause, by } => Some((cause, by)),
            _ => None,
        })
        .await;
        assert!(matches!(cause, Cause::Cut(_)), "{cause:?}");
        // Losses so close to each other count as one trouble.
        assert_eq!(by, Recovery::Resume { attempt });
        event(&mut events, "resumed", |event| matches!(event, Event::Resumed).then_some(())).await;
    }
    let member = member(&server, user(1)).await.unwrap();
    assert_eq!((member.ssrc, member.connected), (ssrc, true), "the same session");
    let heard = async || listener.stats().await.unwrap().received.packets;
    let before = heard().await;
    until("more audio", || async { (heard().await > before + 10).then_some(()) }).await;
    assert_eq!(server.stats().await.not_authentic, 0);
    assert_ne!(track.phase(), Phase::Ended);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn being_moved_and_losing_the_server_are_told_and_tracks_are_kept() {
    let server = plain(Behaviour::default().issued_only(true)).await;
    let (client, _) = linked(&server, user(1), config());
    let call = within(PATIENCE, "a join", client.join_channel(guild(1), channel(1))).await.unwrap();
    let mut events = call.events();
    let connected = |event| matches!(event, Event::Connected { .. }).then_some(());
    event(&mut events, "connected", connected).await;
    let track = call.play(Tone::new(440.0, 0.5, None));
    let plays_on = async || {
        let before = track.position();
        until("the track going on", || async { Some(track.position()).filter(|it| *it > before) }).await;
    };

    server.cue(Cue::Move { user: user(1), channel: channel(2) }).await;
    event(&mut events, "moved", |event| {
        matches!(event, Event::Moved { channel: to } if to == channel(2)).then_some(())
    })
    .await;
    event(&mut events, "connected", connected).await;
    assert_eq!(member(&server, user(1)).await.and_then(|it| it.channel), Some(channel(2)));
    plays_on().await;

    server.cue(Cue::NullEndpoint { guild: guild(1) }).await;
    let cause = event(&mut events, "reconnecting", |event| match event {
        Event::Reconnecting { cause, by: Recovery::AwaitUpdate } => Some(cause),
        _ => None,
    })
    .await;
    assert_eq!(cause, Cause::ServerGone);
    until("its leaving", || async { server.members().await.is_empty().then_some(()) }).await;
    let updates = server.updates(user(1), guild(1), channel(2)).await;
    client.voice_server_update(&VoiceServerUpdate::from_json(&updates.server).unwrap());
    event(&mut events, "connected", connected).await;
    plays_on().await;

    server.cue(Cue::Kick { user: user(1) }).await;
    event(&mut events, "closed", |event| matches!(event, Event::Closed(Closed::Removed)).then_some(())).await;
    assert!(matches!(within(PATIENCE, "the track's end", track.ended()).await, TrackEnd::CallClosed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_cannot_be_won_back_ends_with_its_cause() {
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config().retry(Retry::default().first(Duration::from_millis(10))));
    let joining = client.join(info(&server, user(1), guild(1), channel(1)).await);
    let call = within(PATIENCE, "a join", joining).await.unwrap();
    let mut events = call.events();
    server.cue(Cue::Close { user: Some(user(1)), code: 4004, reason: "no".to_owned() }).await;
    let closed = within(PATIENCE, "the end", call.closed()).await;
    assert_eq!(closed.code(), Some(4004), "{closed:?}");
    assert_eq!(call.is_closed(), Some(closed.clone()));
    event(&mut events, "closed", |event| matches!(event, Event::Closed(it) if it == closed).then_some(())).await;
    assert!(client.calls().is_empty());
    assert!(call.stats().await.is_some_and(|stats| !stats.connected), "the figures outlive the call");
    assert!(
        within(PATIENCE, "a join of a new call", client.join(info(&server, user(1), guild(1), channel(1)).await))
            .await
            .is_ok()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn muting_and_deafening_reach_both_gateways_and_the_media() {
    let server = plain(Behaviour::default()).await;
    let (client, commands) = linked(&server, user(1), config());
    let call = within(PATIENCE, "a join", client.join_channel(guild(1), channel(1))).await.unwrap();
    let other = Client::new(config());
    let other =
        within(PATIENCE, "a join", other.join(info(&server, user(2), guild(1), channel(1)).await)).await.unwrap();
    until("op 5", || async { member(&server, user(1)).await?.speaking.filter(|it| *it == Speaking::MICROPHONE) }).await;
    let _tones = (call.play(Tone::new(440.0, 0.5, None)), other.play(Tone::new(440.0, 0.5, None)));
    let flags = || commands.last().map(|it| (it.channel, it.self_mute, it.self_deaf));
    assert_eq!(flags(), Some((Some(channel(1)), false, false)));
    until("packets", || async { (sent(&call).await.0 > 5).then_some(()) }).await;

    call.set_mute(true);
    until("mute", || async { (flags() == Some((Some(channel(1)), true, false))).then_some(()) }).await;
    let muted = async || {
        let sent = call.stats().await.unwrap().sent;
        (sent.dropped >= 10).then_some(sent)
    };
    let before = until("dropped frames", muted).await;
    assert_eq!(before.silence, 5, "speech was ended");
    let after = call.stats().await.unwrap().sent;
    assert_eq!(after.packets, before.packets, "nothing leaves any more");
    call.set_mute(false);
    until("packets again", || async { (sent(&call).await.0 > before.packets).then_some(()) }).await;

    call.set_deaf(true);
    until("deaf", || async { (flags() == Some((Some(channel(1)), false, true))).then_some(()) }).await;
    let received = async || call.stats().await.unwrap().received;
    until("dropped packets", || async { (received().await.deafened > 10).then_some(()) }).await;
    call.set_deaf(false);
    let before = received().await.packets;
    until("audio again", || async { (received().await.packets > before).then_some(()) }).await;

    // No microphone, no sound share: the server takes that as not speaking.
    call.set_speaking(Speaking::SOUNDSHARE);
    until("op 5", || async { member(&server, user(1)).await?.speaking.filter(|it| *it == Speaking::SOUNDSHARE) }).await;
    assert_eq!(server.members().await.len(), 2, "nobody was moved or reconnected by any of this");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropping_the_last_handle_leaves() {
    let server = plain(Behaviour::default()).await;
    let (client, commands) = linked(&server, user(1), config());
    let call = within(PATIENCE, "a join", client.join_channel(guild(1), channel(1))).await.unwrap();
    let track = call.play(Tone::new(440.0, 0.5, None));
    let another = call.clone();
    drop(call);
    until("packets", || async { (sent(&another).await.0 > 5).then_some(()) }).await;
    assert_eq!(server.members().await.len(), 1, "there is a handle still");
    let mut events = another.events();
    drop(another);
    event(&mut events, "closed", |event| matches!(event, Event::Closed(Closed::Left)).then_some(())).await;
    until("an empty server", || async { server.members().await.is_empty().then_some(()) }).await;
    assert_eq!(commands.last().map(|it| (it.guild, it.channel)), Some((guild(1), None)));
    assert!(matches!(within(PATIENCE, "the track's end", track.ended()).await, TrackEnd::CallClosed));
    assert!(client.calls().is_empty() && client.call(guild(1)).is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaving_drops_nothing_half_done() {
    let server = plain(Behaviour::default()).await;
    let (client, commands) = linked(&server, user(1), config());
    let call = within(PATIENCE, "a join", client.join_channel(guild(1), channel(1))).await.unwrap();
    let other = Client::new(config());
    let other =
        within(PATIENCE, "a join", other.join(info(&server, user(2), guild(1), channel(1)).await)).await.unwrap();
    let (mut events, mut arrivals) = (other.events(), other.arrivals());
    let track = call.play(Tone::new(440.0, 0.5, None));
    until("packets", || async { (sent(&call).await.0 > 10).then_some(()) }).await;

    let both = async { tokio::join!(call.leave(), call.leave()) };
    assert_eq!(within(PATIENCE, "leaving, twice", both).await, (Closed::Left, Closed::Left));
    assert_eq!(within(PATIENCE, "leaving again", call.leave()).await, Closed::Left);
    assert_eq!(within(PATIENCE, "the end", call.closed()).await, Closed::Left);
    assert!(matches!(within(PATIENCE, "the track's end", track.ended()).await, TrackEnd::CallClosed));
    assert!(client.calls().is_empty());
    assert_eq!(call.stats().await.map(|stats| stats.sent.silence), Some(5), "the figures outlive the call");
    assert_eq!(commands.last().map(|it| it.channel), Some(None));

    event(&mut events, "op 13", |event| match event {
        Event::ClientDisconnect(it) => (it.user == user(1)).then_some(()),
        _ => None,
    })
    .await;
    assert_eq!(server.members().await.len(), 1, "closed, not waiting to be resumed");
    // Packets that the end of the session has overtaken are nobody's, at the server or at the listener; none is lost.
    let all = client.clock_stats().packets;
    let come = async || Some(other.stats().await?.received.packets + server.stats().await.unknown_ssrc);
    until("all packets", async || come().await.filter(|packets| *packets >= all)).await;
    let lens: Vec<usize> = std::iter::from_fn(|| arrivals.try_next()).map(|arrival| arrival.len).collect();
    let speech = lens.iter().take_while(|len| **len != 3).count();
    assert_eq!(all - speech as u64, 5, "five silence frames: {lens:?}");
    assert!(lens[speech..].iter().all(|len| *len == 3), "and nothing else after them: {lens:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_tell_what_happened() {
    let interval = Duration::from_millis(200);
    let server = plain(Behaviour::default().heartbeat_interval(interval)).await;
    let client = Client::new(config());
    let (call, listener) = pair(&server, &client, 1).await;
    let track = call.play(Tone::new(440.0, 0.5, Some(Duration::from_millis(500))));
    assert!(matches!(within(PATIENCE, "its end", track.ended()).await, TrackEnd::Finished));
    until("the end of speech", || async { (sent(&call).await.1 == 5).then_some(()) }).await;
    let received = async || Some(listener.stats().await?.received.packets).filter(|packets| *packets >= 31);
    until("its packets", received).await;

    let round_trips = async || {
        let stats = call.stats().await.unwrap();
        (stats.ws_round_trip.is_some() && stats.udp_round_trip.is_some()).then_some(stats)
    };
    let talked = until("both round trips", round_trips).await;
    let figures = talked.sent;
    // 25 of the tone, one with what the encoder is behind, and the end of speech.
    assert_eq!((figures.packets, figures.silence, figures.dropped, figures.no_key), (31, 5, 0, 0), "{figures:?}");
    assert!(figures.bytes > figures.packets * (12 + 3 + 16 + 4), "{figures:?}");
    assert_eq!((talked.mode.map(|it| it.name()), talked.dave_version), (Some("aead_aes256_gcm_rtpsize"), 0));
    assert!(talked.heard.is_empty(), "{talked:?}");

    let listened = listener.stats().await.unwrap();
    let heard = listened.heard[&user(1)];
    assert_eq!((listened.received.packets, listened.received.bytes), (figures.packets, figures.bytes));
    assert_eq!((heard.received, heard.lost, heard.late, heard.duplicate), (31, 0, 0, 0), "{heard:?}");
    let noise = listened.received;
    assert_eq!(
        (noise.unauthentic, noise.malformed, noise.unattributed, noise.consumer_lost),
        (0, 0, 0, 0),
        "{noise:?}"
    );
    let clock = client.clock_stats();
    assert_eq!(clock.packets, 31);
    assert!(clock.late <= clock.packets);
}
