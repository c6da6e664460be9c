use std::time::Duration;

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::{Just, Strategy, any, prop, prop_oneof, proptest};
use proptest::{prop_assert, prop_assert_eq};
use serde_json::{Map, Value, json};
use voice_model::{ChannelId, GuildId, Ssrc, UserId};

use super::{
    BackendVersion, ClientDisconnect, ClientFlags, ClientPlatform, ClientsConnect, Dialect, ExecuteTransition, Frame,
    Heartbeat, HeartbeatAck, Hello, Identify, InvalidCommitWelcome, Message, ParseError, PrepareEpoch,
    PrepareTransition, Ready, ReadyForTransition, Resume, SecretKey, SelectProtocol, SessionDescription, SessionUpdate,
    Speaking, Video, read, read_counting, write,
};
use crate::Token;

fn guild() -> GuildId {
    GuildId::new(41_771_983_423_143_937).expect("not zero")
}

fn user() -> UserId {
    UserId::new(u64::MAX).expect("not zero")
}

fn ready() -> Ready {
    let media = "127.0.0.1:50004".parse().expect("an address");
    Ready::new(Ssrc(u32::MAX), media, vec!["aead_aes256_gcm_rtpsize".to_owned()])
}

fn key() -> SecretKey {
    SecretKey::new(std::array::from_fn(|index| 8 * index as u8))
}

/// One of each, as v8 puts it on the wire.
fn samples() -> Vec<(Message, Value)> {
    let key_numbers: Vec<u8> = key().expose().to_vec();
    let object = |value: Value| value.as_object().cloned().expect("an object");
    vec![
        (
            Message::Identify(Identify {
                max_dave_protocol_version: 1,
                video: Some(true),
                ..Identify::new(guild(), user(), "session".to_owned(), Token::from("token"))
            }),
            json!({"op": 0, "d": {"server_id": "41771983423143937", "user_id": "18446744073709551615",
                "session_id": "session", "token": "token", "max_dave_protocol_version": 1, "video": true}}),
        ),
        (
            Message::SelectProtocol(SelectProtocol::udp("[2001:db8::1]:1337".parse().expect("an address"), "mode")),
            json!({"op": 1, "d": {"protocol": "udp", "data": {"address": "2001:db8::1", "port": 1337, "mode": "mode"}}}),
        ),
        (
            Message::Ready(ready()),
            json!({"op": 2, "d": {"ssrc": 4_294_967_295_u32, "ip": "127.0.0.1", "port": 50004,
                "modes": ["aead_aes256_gcm_rtpsize"], "experiments": []}}),
        ),
        (
            Message::Heartbeat(Heartbeat { nonce: 9_007_199_254_740_991, seq_ack: Some(-1) }),
            json!({"op": 3, "d": {"t": 9_007_199_254_740_991_u64, "seq_ack": -1}}),
        ),
        (
            Message::SessionDescription(SessionDescription {
                audio_codec: Some("opus".to_owned()),
                ..SessionDescription::new("mode".to_owned(), key(), 1)
            }),
            json!({"op": 4, "d": {"mode": "mode", "secret_key": key_numbers, "dave_protocol_version": 1,
                "audio_codec": "opus"}}),
        ),
        (
            Message::Speaking(Speaking::client(Speaking::MICROPHONE | Speaking::PRIORITY, Ssrc(7))),
            json!({"op": 5, "d": {"speaking": 5, "delay": 0, "ssrc": 7}}),
        ),
        (
            Message::Speaking(Speaking::server(1, Ssrc(7), user())),
            json!({"op": 5, "d": {"speaking": 1, "ssrc": 7, "user_id": "18446744073709551615"}}),
        ),
        (Message::HeartbeatAck(HeartbeatAck { nonce: 5 }), json!({"op": 6, "d": {"t": 5}})),
        (
            Message::Resume(Resume {
                server: guild(),
                session: "session".to_owned(),
                token: Token::from("token"),
                seq_ack: Some(65_535),
            }),
            json!({"op": 7, "d": {"server_id": "41771983423143937", "session_id": "session", "token": "token",
                "seq_ack": 65_535}}),
        ),
        (
            Message::Hello(Hello { v: Some(8), heartbeat_interval: Duration::from_millis(13_750) }),
            json!({"op": 8, "d": {"v": 8, "heartbeat_interval": 13_750}}),
        ),
        (Message::Resumed, json!({"op": 9, "d": null})),
        (
            Message::ClientsConnect(ClientsConnect { users: vec![user()] }),
            json!({"op": 11, "d": {"user_ids": ["18446744073709551615"]}}),
        ),
        (
            Message::Video(Video {
                user: Some(user()),
                audio_ssrc: Some(Ssrc(1)),
                video_ssrc: Some(Ssrc(0)),
                ..Video::default()
            }),
            json!({"op": 12, "d": {"user_id": "18446744073709551615", "audio_ssrc": 1, "video_ssrc": 0, "streams": []}}),
        ),
        (
            Message::Video(Video {
                user: None,
                audio_ssrc: Some(Ssrc(1)),
                video_ssrc: Some(Ssrc(2)),
                rtx_ssrc: Some(Ssrc(3)),
                streams: vec![json!({"type": "video", "rid": "100"})],
            }),
            json!({"op": 12, "d": {"audio_ssrc": 1, "video_ssrc": 2, "rtx_ssrc": 3,
                "streams": [{"type": "video", "rid": "100"}]}}),
        ),
        (
            Message::ClientDisconnect(ClientDisconnect { user: user() }),
            json!({"op": 13, "d": {"user_id": "18446744073709551615"}}),
        ),
        (
            Message::SessionUpdate(SessionUpdate { video_codec: Some("H264".to_owned()), ..SessionUpdate::default() }),
            json!({"op": 14, "d": {"video_codec": "H264"}}),
        ),
        (
            Message::MediaSinkWants(object(json!({"any": 100, "7": 0, "pixelCounts": {"7": 921_600.5}}))),
            json!({"op": 15, "d": {"any": 100, "7": 0, "pixelCounts": {"7": 921_600.5}}}),
        ),
        (Message::BackendVersion(BackendVersion::default()), json!({"op": 16, "d": {}})),
        (
            Message::BackendVersion(BackendVersion {
                voice: Some("0.9".to_owned()),
                rtc_worker: Some("0.3".to_owned()),
            }),
            json!({"op": 16, "d": {"voice": "0.9", "rtc_worker": "0.3"}}),
        ),
        (
            Message::ClientFlags(ClientFlags { user: user(), flags: None }),
            json!({"op": 18, "d": {"user_id": "18446744073709551615", "flags": null}}),
        ),
        (
            Message::ClientPlatform(ClientPlatform { user: user(), platform: Some(1) }),
            json!({"op": 20, "d": {"user_id": "18446744073709551615", "platform": 1}}),
        ),
        (
            Message::PrepareTransition(PrepareTransition { transition: 65_535, protocol_version: 0 }),
            json!({"op": 21, "d": {"transition_id": 65_535, "protocol_version": 0}}),
        ),
        (
            Message::ExecuteTransition(ExecuteTransition { transition: 10 }),
            json!({"op": 22, "d": {"transition_id": 10}}),
        ),
        (
            Message::ReadyForTransition(ReadyForTransition { transition: 10 }),
            json!({"op": 23, "d": {"transition_id": 10}}),
        ),
        (
            Message::PrepareEpoch(PrepareEpoch { protocol_version: 1, epoch: 1, transition: None }),
            json!({"op": 24, "d": {"protocol_version": 1, "epoch": 1}}),
        ),
        (
            Message::InvalidCommitWelcome(InvalidCommitWelcome { transition: 0x0080 }),
            json!({"op": 31, "d": {"transition_id": 128}}),
        ),
        (Message::Unknown { op: 32, data: json!([1, "x"]) }, json!({"op": 32, "d": [1, "x"]})),
    ]
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

fn message(text: &str) -> Message {
    read(text).expect(text).message
}

fn malformed(text: &str) -> ParseError {
    read(text).expect_err(text)
}

#[test]
fn every_opcode_is_written_exactly_and_read_back() {
    for (message, wire) in samples() {
        let text = write(Dialect::V8, None, &message);
        assert_eq!(parse(&text), wire);
        assert_eq!(read(&text), Ok(Frame { seq: None, message: message.clone() }), "{text}");
        assert_eq!(wire["op"], message.op());
    }
}

#[test]
fn case_12_op_31_is_the_transition_id() {
    let message = Message::InvalidCommitWelcome(InvalidCommitWelcome { transition: 7 });
    assert_eq!(write(Dialect::V8, None, &message), r#"{"op":31,"d":{"transition_id":7}}"#);
}

#[test]
fn sequence_numbers_are_top_level_unsigned_and_modulo_2_16() {
    let text = write(Dialect::V8, Some(0x0180), &Message::Resumed);
    assert_eq!(text, r#"{"op":9,"d":null,"seq":384}"#);
    for (seq, expected) in [("384", Some(384)), ("65535", Some(65_535)), ("65536", Some(0)), ("65920", Some(384))] {
        assert_eq!(read(&format!(r#"{{"seq":{seq},"op":9}}"#)).expect("valid").seq, expected);
    }
    for nonsense in ["-1", "null", "1.5", "\"1\"", "{}"] {
        assert_eq!(read(&format!(r#"{{"seq":{nonsense},"op":9}}"#)).expect("valid").seq, None);
    }
}

#[test]
fn v4_frames_are_op_and_d_only() {
    for (message, _) in samples() {
        let frame = parse(&write(Dialect::V4, Some(3), &message));
        let keys: Vec<&String> = frame.as_object().expect("an object").keys().collect();
        assert_eq!(keys, ["d", "op"]);
    }
    let heartbeat = Message::Heartbeat(Heartbeat { nonce: 12, seq_ack: Some(4) });
    assert_eq!(write(Dialect::V4, None, &heartbeat), r#"{"op":3,"d":12}"#);
    let ack = Message::HeartbeatAck(HeartbeatAck { nonce: 12 });
    assert_eq!(write(Dialect::V4, Some(9), &ack), r#"{"op":6,"d":12}"#);
    let resume = Resume { server: guild(), session: "s".to_owned(), token: Token::from("t"), seq_ack: Some(4) };
    let text = write(Dialect::V4, None, &Message::Resume(resume));
    assert_eq!(text, r#"{"op":7,"d":{"server_id":"41771983423143937","session_id":"s","token":"t"}}"#);
}

#[test]
fn heartbeats_are_read_in_every_form() {
    let beat = |nonce, seq_ack| Message::Heartbeat(Heartbeat { nonce, seq_ack });
    assert_eq!(message(r#"{"op":3,"d":1501184119561}"#), beat(1_501_184_119_561, None));
    assert_eq!(message(r#"{"op":3,"d":1501184119561.0}"#), beat(1_501_184_119_561, None));
    assert_eq!(message(r#"{"op":3,"d":{"t":5}}"#), beat(5, None));
    assert_eq!(message(r#"{"op":3,"d":{"t":5,"seq_ack":-1}}"#), beat(5, Some(-1)));
    assert_eq!(message(r#"{"op":3,"d":{"t":5,"seq_ack":null}}"#), beat(5, None));
    assert_eq!(message(r#"{"op":3,"d":null}"#), beat(0, None));
    assert_eq!(message(r#"{"op":3}"#), beat(0, None));
    assert_eq!(message(r#"{"op":6,"d":8}"#), Message::HeartbeatAck(HeartbeatAck { nonce: 8 }));
    for d in ["-1", "1.5", "\"x\"", "[]", "true", r#"{"t":-1}"#, r#"{"t":{}}"#] {
        assert_eq!(malformed(&format!(r#"{{"op":3,"d":{d}}}"#)).op, Some(3), "{d}");
    }
}

#[test]
fn numbers_are_read_leniently() {
    let users = |text: &str| message(&format!(r#"{{"op":11,"d":{{"user_ids":[{text}]}}}}"#));
    assert_eq!(users("18446744073709551615"), users(r#""18446744073709551615""#));
    for bad in ["0", "\"0\"", "-1", "18446744073709551616", "\"x\"", "1e30", "null", "[]"] {
        let text = format!(r#"{{"op":11,"d":{{"user_ids":[{bad}]}}}}"#);
        assert_eq!(malformed(&text).op, Some(11), "{bad}");
    }
    let epoch = |text: &str| message(&format!(r#"{{"op":24,"d":{{"protocol_version":1,"epoch":{text}}}}}"#));
    assert_eq!(epoch("\"1\""), epoch("1"));
    assert_eq!(epoch("1.0"), epoch("1"));
    assert!(matches!(epoch("18446744073709551615"), Message::PrepareEpoch(PrepareEpoch { epoch: u64::MAX, .. })));

    let hello = |text: &str| message(&format!(r#"{{"op":8,"d":{{"heartbeat_interval":{text}}}}}"#));
    let expected = |interval| Message::Hello(Hello { v: None, heartbeat_interval: interval });
    assert_eq!(hello("41250.0"), expected(Duration::from_millis(41_250)));
    assert_eq!(hello("13750.5"), expected(Duration::from_micros(13_750_500)));
    for bad in ["-1", "1e300", "\"x\"", "null"] {
        let text = format!(r#"{{"op":8,"d":{{"heartbeat_interval":{bad}}}}}"#);
        assert_eq!(malformed(&text).op, Some(8), "{bad}");
    }
}

#[test]
fn speaking_without_an_ssrc_is_fine() {
    let expected = Speaking { flags: 1, delay: None, ssrc: None, user: Some(user()) };
    let text = r#"{"op":5,"d":{"speaking":1,"user_id":"18446744073709551615"}}"#;
    assert_eq!(message(text), Message::Speaking(expected));
}

#[test]
fn a_ready_with_stray_fields_is_fine() {
    let text = r#"{"op":2,"d":{"ssrc":4294967295,"ip":"127.0.0.1","port":50004,"heartbeat_interval":1,"streams":null,
        "modes":["aead_aes256_gcm_rtpsize"],"experiments":{"not":"a list"}}}"#;
    assert_eq!(message(text), Message::Ready(ready()));
}

#[test]
fn missing_dave_version_is_none_and_a_wrong_one_is_malformed() {
    let key = "0,".repeat(31) + "0";
    let d = |extra: &str| format!(r#"{{"op":4,"d":{{"mode":"m","secret_key":[{key}]{extra}}}}}"#);
    let Message::SessionDescription(description) = message(&d(r#","audio_codec":5,"sdp":{"x":[]}"#)) else {
        panic!("op 4 is a session description")
    };
    assert_eq!(description, SessionDescription::new("m".to_owned(), SecretKey::new([0; 32]), 0));
    assert_eq!(malformed(&d(r#","dave_protocol_version":{}"#)).op, Some(4));
}

#[test]
fn unknown_fields_are_counted_and_passed_over() {
    let mut unknown = 0;
    let deep = "[".repeat(10_000) + &"]".repeat(10_000);
    let text = format!(r#"{{"op":22,"extra":1,"d":{{"transition_id":3,"new":{deep},"other":{{"a":[1]}}}}}}"#);
    let frame = read_counting(&text, &mut unknown).expect("valid");
    assert_eq!(frame.message, Message::ExecuteTransition(ExecuteTransition { transition: 3 }));
    assert_eq!(unknown, 2);
    read_counting(r#"{"op":3,"d":{"t":1,"seq_ack":0,"x":0}}"#, &mut unknown).expect("valid");
    assert_eq!(unknown, 3);
}

#[test]
fn broken_json_is_an_error_without_an_opcode() {
    let deep = format!(r#"{{"op":{}"#, "[".repeat(1_000_000));
    for text in
        ["", "{", "null", "[]", " [9]", "5", "{}", r#"{"op":"x"}"#, r#"{"op":-1}"#, r#"{"op":1.5}"#, "\u{0}", &deep]
    {
        assert_eq!(malformed(text).op, None);
    }
    assert_eq!(malformed(r#"{"op":8,"op":9}"#).op, None);
}

#[test]
fn deep_nesting_is_an_error() {
    let nested = "[".repeat(400_000) + &"]".repeat(400_000);
    assert_eq!(malformed(&format!(r#"{{"op":99,"d":{nested}}}"#)).op, Some(99));
    assert_eq!(malformed(&format!(r#"{{"op":15,"d":{{"any":{nested}}}}}"#)).op, Some(15));
}

#[test]
fn wrong_types_name_the_opcode() {
    for op in [0, 1, 2, 4, 5, 7, 8, 11, 12, 13, 14, 15, 16, 18, 20, 21, 22, 23, 24, 31] {
        for d in ["7", "[]", r#"["1"]"#, "\"x\"", "true", "[[]]"] {
            assert_eq!(malformed(&format!(r#"{{"op":{op},"d":{d}}}"#)).op, Some(op), "{d}");
        }
    }
    for op in [0, 1, 2, 4, 7, 8, 11, 13, 18, 20, 21, 22, 23, 24, 31] {
        assert_eq!(malformed(&format!(r#"{{"op":{op},"d":{{}}}}"#)).op, Some(op));
        assert_eq!(malformed(&format!(r#"{{"op":{op}}}"#)).op, Some(op));
    }
}

#[test]
fn errors_are_short_and_quote_no_secret() {
    let huge = "x".repeat(1 << 20);
    let error = malformed(&format!(r#"{{"op":2,"d":"{huge}"}}"#));
    assert!(error.reason.len() <= super::MAX_REASON);
    for d in [r#""secret""#, r#"["secret"]"#, r#"{"secret":1}"#] {
        let error = malformed(&format!(r#"{{"op":4,"d":{{"mode":"m","secret_key":{d}}}}}"#));
        assert!(!error.to_string().contains("secret\"") && error.reason.contains("32 bytes"), "{error}");
    }
    let error = malformed(r#"{"op":7,"d":{"server_id":"1","session_id":"s","token":987654}}"#);
    assert!(!error.to_string().contains("987654"), "{error}");
}

#[test]
fn an_identify_may_name_its_channel() {
    for (channel, expected) in [
        (json!("940403663430647849"), ChannelId::new(940_403_663_430_647_849)),
        (json!(7), ChannelId::new(7)),
        (json!("general"), None),
        (json!(0), None),
        (json!({ "id": 7 }), None),
        (json!(null), None),
    ] {
        let text = json!({ "op": 0, "d": { "server_id": "1", "channel_id": channel, "user_id": "2", "session_id": "s",
            "token": "t" } });
        let Message::Identify(identify) = read(&text.to_string()).expect("an identify").message else {
            panic!("no identify: {text}");
        };
        assert_eq!(identify.channel, expected, "{text}");
    }
    let named =
        Identify { channel: ChannelId::new(7), ..Identify::new(guild(), user(), "s".to_owned(), Token::from("t")) };
    assert!(write(Dialect::V8, None, &Message::Identify(named)).contains(r#""channel_id":"7""#));
}

#[test]
fn debug_shows_no_secret() {
    let identify = Identify::new(guild(), user(), "s".to_owned(), Token::from("hunter2"));
    assert!(!format!("{:?}", Message::Identify(identify)).contains("hunter2"));
    let description = SessionDescription::new("m".to_owned(), SecretKey::new([213; 32]), 0);
    assert!(!format!("{:?}", Message::SessionDescription(description)).contains("213"));
}

fn text() -> impl Strategy<Value = String> {
    proptest::string::string_regex("\\PC{0,12}").expect("a valid pattern")
}

fn user_id() -> impl Strategy<Value = UserId> {
    (1..=u64::MAX).prop_filter_map("zero", UserId::new)
}

fn channel_id() -> impl Strategy<Value = ChannelId> {
    (1..=u64::MAX).prop_filter_map("zero", ChannelId::new)
}

fn guild_id() -> impl Strategy<Value = GuildId> {
    (1..=u64::MAX).prop_filter_map("zero", GuildId::new)
}

fn ssrc() -> impl Strategy<Value = Ssrc> {
    any::<u32>().prop_map(Ssrc)
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![Just(Value::Null), any::<i64>().prop_map(Value::from), text().prop_map(Value::from)];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((text(), inner), 0..4).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn any_message() -> impl Strategy<Value = Message> {
    let session = prop_oneof![
        (guild_id(), of(channel_id()), user_id(), text(), text(), any::<u16>(), of(any::<bool>()), vec(value(), 0..3))
            .prop_map(|(server, channel, user, session, token, max_dave_protocol_version, video, streams)| {
                let identify = Identify::new(server, user, session, Token::from(token));
                Message::Identify(Identify { channel, max_dave_protocol_version, video, streams, ..identify })
            }),
        (text(), text(), any::<u16>(), text(), vec(value(), 0..3), of(text())).prop_map(
            |(protocol, address, port, mode, codecs, rtc_connection_id)| {
                Message::SelectProtocol(SelectProtocol { protocol, address, port, mode, codecs, rtc_connection_id })
            }
        ),
        (ssrc(), any::<std::net::IpAddr>(), any::<u16>(), vec(text(), 0..3), vec(text(), 0..3)).prop_map(
            |(ssrc, ip, port, modes, experiments)| {
                Message::Ready(Ready { experiments, ..Ready::new(ssrc, (ip, port).into(), modes) })
            }
        ),
        (any::<u64>(), of(any::<i64>())).prop_map(|(nonce, seq_ack)| Message::Heartbeat(Heartbeat { nonce, seq_ack })),
        any::<u64>().prop_map(|nonce| Message::HeartbeatAck(HeartbeatAck { nonce })),
        (text(), any::<[u8; 32]>(), any::<u16>(), of(text()), of(any::<u64>())).prop_map(
            |(mode, key, dave, media_session_id, keyframe_interval)| {
                let description = SessionDescription::new(mode, SecretKey::new(key), dave);
                Message::SessionDescription(SessionDescription { media_session_id, keyframe_interval, ..description })
            }
        ),
        (guild_id(), text(), text(), of(any::<i64>())).prop_map(|(server, session, token, seq_ack)| {
            Message::Resume(Resume { server, session, token: Token::from(token), seq_ack })
        }),
        (of(any::<u8>()), any::<u32>()).prop_map(|(v, interval)| {
            Message::Hello(Hello { v, heartbeat_interval: Duration::from_millis(interval.into()) })
        }),
        Just(Message::Resumed),
    ];
    let others = prop_oneof![
        vec(user_id(), 0..4).prop_map(|users| Message::ClientsConnect(ClientsConnect { users })),
        user_id().prop_map(|user| Message::ClientDisconnect(ClientDisconnect { user })),
        (user_id(), of(any::<u64>())).prop_map(|(user, flags)| Message::ClientFlags(ClientFlags { user, flags })),
        (user_id(), of(any::<u64>()))
            .prop_map(|(user, platform)| Message::ClientPlatform(ClientPlatform { user, platform })),
        (any::<u32>(), of(any::<u32>()), of(ssrc()), of(user_id()))
            .prop_map(|(flags, delay, ssrc, user)| { Message::Speaking(Speaking { flags, delay, ssrc, user }) }),
        (of(user_id()), of(ssrc()), of(ssrc()), of(ssrc()), vec(value(), 0..3)).prop_map(
            |(user, audio_ssrc, video_ssrc, rtx_ssrc, streams)| {
                Message::Video(Video { user, audio_ssrc, video_ssrc, rtx_ssrc, streams })
            }
        ),
        (of(text()), of(text()), of(text()), of(any::<u64>()), vec(value(), 0..3)).prop_map(
            |(audio_codec, video_codec, media_session_id, keyframe_interval, codecs)| {
                let update = SessionUpdate { audio_codec, video_codec, media_session_id, keyframe_interval, codecs };
                Message::SessionUpdate(update)
            }
        ),
        vec((text(), value()), 0..4).prop_map(|wants| Message::MediaSinkWants(Map::from_iter(wants))),
        (of(text()), of(text()))
            .prop_map(|(voice, rtc_worker)| Message::BackendVersion(BackendVersion { voice, rtc_worker })),
        (any::<u16>(), any::<u16>()).prop_map(|(transition, protocol_version)| {
            Message::PrepareTransition(PrepareTransition { transition, protocol_version })
        }),
        any::<u16>().prop_map(|transition| Message::ExecuteTransition(ExecuteTransition { transition })),
        any::<u16>().prop_map(|transition| Message::ReadyForTransition(ReadyForTransition { transition })),
        any::<u16>().prop_map(|transition| Message::InvalidCommitWelcome(InvalidCommitWelcome { transition })),
        (any::<u16>(), any::<u64>(), of(any::<u16>())).prop_map(|(protocol_version, epoch, transition)| {
            Message::PrepareEpoch(PrepareEpoch { protocol_version, epoch, transition })
        }),
        (32..=u64::MAX, value()).prop_map(|(op, data)| Message::Unknown { op, data }),
    ];
    prop_oneof![session, others]
}

/// What the wire keeps of a message in the old dialect.
fn without_seq_ack(message: Message) -> Message {
    match message {
        Message::Heartbeat(heartbeat) => Message::Heartbeat(Heartbeat { seq_ack: None, ..heartbeat }),
        Message::Resume(resume) => Message::Resume(Resume { seq_ack: None, ..resume }),
        message => message,
    }
}

proptest! {
    #[test]
    fn messages_survive_the_wire(seq in of(any::<u16>()), message in any_message()) {
        let text = write(Dialect::V8, seq, &message);
        prop_assert_eq!(read(&text), Ok(Frame { seq, message: message.clone() }));
        let text = write(Dialect::V4, seq, &message);
        prop_assert_eq!(read(&text), Ok(Frame { seq: None, message: without_seq_ack(message) }));
    }

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        if let Ok(frame) = read(&text) {
            prop_assert!(text.contains("op"), "{:?}", frame);
        }
    }

    #[test]
    fn any_payload_of_any_opcode_is_read_or_refused(op in 0..40_u64, d in value()) {
        match read(&json!({"op": op, "d": d}).to_string()) {
            Ok(frame) => prop_assert_eq!(frame.message.op(), op),
            Err(error) => prop_assert_eq!(error.op, Some(op)),
        }
    }

    #[test]
    fn damaged_messages_are_read_or_refused(message in any_message(), at in any::<prop::sample::Index>(), with: char) {
        let mut text: Vec<char> = write(Dialect::V8, Some(1), &message).chars().collect();
        let at = at.index(text.len());
        text[at] = with;
        let text: String = text.into_iter().collect();
        if let Ok(Frame { message, .. }) = read(&text) {
            prop_assert!(read(&write(Dialect::V8, None, &message)).is_ok());
        }
        let cut: String = text.chars().take(at).collect();
        prop_assert!(read(&cut).is_err());
    }
}
