use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use proptest::{prop_assert, prop_assert_eq};
use serde_json::{Value, json};
use voice_model::{ChannelId, GuildId, Ssrc, UserId};

use super::{Gateway, MAX_HELD, MAX_QUEUED};
use crate::text::{self, Dialect, Message, Ready, SecretKey, SessionDescription};
use crate::{Config, Event, Loss, Output, Token, binary};

const INTERVAL: Duration = Duration::from_millis(13_750);
const STEP: Duration = Duration::from_millis(1);
const SSRC: Ssrc = Ssrc(42);

/// A gateway, its clock, and a server that says what a test tells it to.
struct World {
    now: Instant,
    gateway: Gateway,
}

impl World {
    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn new() -> Self {
        let server = GuildId::new(1).expect("not zero");
        let user = UserId::new(2).expect("not zero");
        let mut config = Config::new(server, user, "session".to_owned(), Token::from("hunter2"));
        config.max_dave_protocol_version = 1;
        Self { now: Instant::now(), gateway: Gateway::new(config) }
    }

    /// With an open WebSocket, identify sent.
    fn identified() -> Self {
        let mut world = Self::new();
        world.gateway.handle_open(world.now);
        world.outputs();
        world
    }

    /// In a call.
    fn described() -> Self {
        let mut world = Self::identified();
        world.server(None, &hello());
        world.server(None, &Message::Ready(ready()));
        world.server(None, &Message::SessionDescription(description()));
        world.outputs();
        world
    }

    /// In the same call, on a second WebSocket, resumed.
    fn reopen(&mut self) {
        self.gateway.handle_closed(self.now);
        self.gateway.handle_open(self.now);
        self.server(None, &hello());
        self.server(None, &Message::Resumed);
    }

    fn server(&mut self, seq: Option<u16>, message: &Message) {
        self.gateway.handle_text(self.now, &text::write(Dialect::V8, seq, message));
    }

    fn server_json(&mut self, message: &Value) {
        self.gateway.handle_text(self.now, &message.to_string());
    }

    fn server_binary(&mut self, seq: u16, message: &binary::Message) {
        self.gateway.handle_binary(self.now, &binary::write_server(seq, message));
    }

    fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.gateway.poll_output()).collect()
    }

    fn events(&mut self) -> Vec<Event> {
        let event = |output| if let Output::Event(event) = output { Some(event) } else { None };
        self.outputs().into_iter().filter_map(event).collect()
    }

    /// The text messages sent since the last look.
    fn sent(&mut self) -> Vec<Value> {
        let text = |output| if let Output::Text(text) = output { Some(text) } else { None };
        let parse = |text: String| serde_json::from_str(&text).expect("JSON");
        self.outputs().into_iter().filter_map(text).map(parse).collect()
    }

    /// The one text message sent since the last look.
    fn sent_one(&mut self) -> Value {
        let mut sent = self.sent();
        assert_eq!(sent.len(), 1, "{sent:?}");
        sent.remove(0)
    }

    fn sleep(&mut self, time: Duration) {
        self.now += time;
        self.gateway.handle_timeout(self.now);
    }

    /// Sleeps until the gateway asks to be woken.
    fn wait(&mut self) {
        self.now = self.gateway.poll_timeout().expect("something to wait for");
        self.gateway.handle_timeout(self.now);
    }
}

fn hello() -> Message {
    Message::Hello(text::Hello { v: Some(8), heartbeat_interval: INTERVAL })
}

fn ready() -> Ready {
    Ready::new(SSRC, "127.0.0.1:50000".parse().expect("an address"), vec!["mode".to_owned()])
}

fn description() -> SessionDescription {
    SessionDescription::new("mode".to_owned(), SecretKey::new([7; 32]), 1)
}

fn speaking(flags: u32) -> Value {
    json!({"op": 5, "d": {"speaking": flags, "delay": 0, "ssrc": SSRC.0}})
}

#[test]
fn hello_identify_ready_select_description() {
    let mut world = World::new();
    assert!(world.gateway.can_open());
    world.gateway.handle_open(world.now);
    let identify = json!({"op": 0, "d": {"server_id": "1", "user_id": "2", "session_id": "session",
        "token": "hunter2", "max_dave_protocol_version": 1}});
    assert_eq!(world.sent_one(), identify);
    assert_eq!(world.gateway.poll_timeout(), None);

    let mut named = World::new();
    named.gateway.config.channel = ChannelId::new(3);
    named.gateway.handle_open(named.now);
    assert_eq!(named.sent_one()["d"]["channel_id"], "3");

    world.server(None, &hello());
    assert_eq!(world.events(), [Event::Hello { interval: INTERVAL }]);
    assert!(world.gateway.poll_timeout().is_some(), "heartbeats");

    assert_eq!(world.gateway.ssrc(), None);
    world.server(None, &Message::Ready(ready()));
    assert_eq!(world.events(), [Event::Ready(ready())]);
    assert_eq!(world.gateway.ssrc(), Some(SSRC));
    assert!(!world.gateway.is_described());

    world.gateway.select_protocol("192.0.2.1:6000".parse().expect("an address"), "mode");
    let data = json!({"address": "192.0.2.1", "port": 6000, "mode": "mode"});
    assert_eq!(world.sent_one(), json!({"op": 1, "d": {"protocol": "udp", "data": data}}));

    world.server(None, &Message::SessionDescription(description()));
    assert_eq!(world.events(), [Event::Described { description: description(), repeated: false }]);
    assert!(world.gateway.is_described());
    assert_eq!(world.gateway.stats(), crate::Stats::default());
}

#[test]
fn heartbeats_carry_the_sequence_and_are_timed() {
    let mut world = World::described();
    world.wait();
    let beat = world.sent_one();
    assert_eq!(beat["op"], 3);
    assert_eq!(beat["d"]["seq_ack"], -1, "nothing numbered was seen");

    world.server(Some(12), &Message::Unknown { op: 77, data: Value::Null });
    world.now += Duration::from_millis(25);
    world.server_json(&json!({"op": 6, "d": {"t": beat["d"]["t"]}}));
    assert_eq!(world.gateway.round_trip(), Some(Duration::from_millis(25)));
    world.outputs();

    world.wait();
    assert_eq!(world.sent_one()["d"]["seq_ack"], 12);
}

#[test]
fn missed_acks_lose_the_connection() {
    let mut world = World::described();
    world.wait();
    world.wait();
    assert_eq!(world.sent().len(), 2);
    world.wait();
    assert_eq!(world.events(), [Event::Lost(Loss::MissedAcks(2))]);
    assert_eq!(world.gateway.poll_timeout(), None);

    world.server(Some(0), &Message::Resumed);
    assert_eq!(world.outputs(), [], "a connection given up says nothing more");
    world.gateway.handle_closed(world.now);
    world.gateway.handle_open(world.now);
    assert_eq!(world.sent_one()["op"], 7);
}

#[test]
fn acks_keep_the_connection() {
    let mut world = World::described();
    for _ in 0..100 {
        world.wait();
        let nonce = world.sent_one()["d"]["t"].clone();
        world.server_json(&json!({"op": 6, "d": {"t": nonce}}));
    }
    world.wait();
    world.server_json(&json!({"op": 6, "d": {"t": 1}}));
    assert_eq!(world.gateway.stats().unexpected, 1, "an ack of nothing");
    world.wait();
    world.outputs();
    world.wait();
    assert_eq!(world.events(), [Event::Lost(Loss::MissedAcks(2))]);
}

#[test]
fn a_server_heartbeat_is_answered_at_once_in_either_form() {
    let mut world = World::described();
    for d in [json!(5), json!({"t": 5}), Value::Null] {
        world.server_json(&json!({"op": 3, "d": d}));
        let beat = world.sent_one();
        assert_eq!(beat["op"], 3);
        world.server_json(&json!({"op": 6, "d": beat["d"]["t"]}));
    }
    assert_eq!(world.gateway.stats(), crate::Stats::default());
}

#[test]
fn a_float_interval_is_accepted() {
    let mut world = World::identified();
    world.server_json(&json!({"op": 8, "d": {"v": 8, "heartbeat_interval": 13_750.25}}));
    assert_eq!(world.events(), [Event::Hello { interval: Duration::from_micros(13_750_250) }]);
}

#[test]
fn case_17_resume_carries_the_sequence_of_json_and_binary() {
    let mut world = World::described();
    world.server(Some(0x017F), &Message::Speaking(text::Speaking::server(1, Ssrc(9), UserId::new(3).expect("id"))));
    world.gateway.handle_closed(world.now);
    world.gateway.handle_open(world.now);
    let resume = |seq: i64| json!({"op": 7, "d": {"server_id": "1", "session_id": "session", "token": "hunter2", "seq_ack": seq}});
    assert_eq!(world.sent_one(), resume(0x017F));
    world.server(None, &hello());
    world.server(None, &Message::Resumed);
    assert_eq!(world.events(), [Event::Hello { interval: INTERVAL }, Event::Resumed]);

    world.server_binary(0x0180, &binary::Message::ExternalSender(vec![1]));
    assert_eq!(world.events(), [Event::Dave(binary::Message::ExternalSender(vec![1]))]);
    world.gateway.handle_closed(world.now);
    world.gateway.handle_open(world.now);
    assert_eq!(world.sent_one(), resume(0x0180));
}

#[test]
fn resuming_before_any_number_says_minus_one() {
    let mut world = World::described();
    world.gateway.handle_closed(world.now);
    world.gateway.handle_open(world.now);
    assert_eq!(world.sent_one()["d"]["seq_ack"], -1);
}

#[test]
fn a_stray_seq_on_an_unnumbered_message_silences_nothing() {
    let mut world = World::described();
    world.server(Some(500), &Message::ClientDisconnect(text::ClientDisconnect { user: UserId::new(3).expect("id") }));
    world.outputs();
    world.gateway.handle_closed(world.now);
    world.gateway.handle_open(world.now);
    world.outputs();
    world.server(Some(499), &Message::Resumed);
    assert_eq!(world.events(), [Event::Resumed]);
}

#[test]
fn replayed_messages_are_passed_on_once() {
    let mut world = World::described();
    let welcome = binary::Message::Welcome { transition: 1, welcome: vec![4] };
    let resumed_replay = |world: &mut World| {
        world.server(
            Some(65_535),
            &Message::PrepareTransition(text::PrepareTransition { transition: 1, protocol_version: 1 }),
        );
        world.server_binary(0, &welcome);
    };
    resumed_replay(&mut world);
    assert_eq!(world.events().len(), 2);
    world.reopen();
    world.outputs();
    resumed_replay(&mut world);
    assert_eq!(world.events(), []);
    assert_eq!(world.gateway.stats().duplicates, 2);
    world.server_binary(1, &welcome);
    assert_eq!(world.events(), [Event::Dave(welcome.clone())]);
}

#[test]
fn the_sequence_wraps() {
    let mut world = World::described();
    for seq in [65_534, 65_535, 0, 1_u16] {
        world.server_binary(seq, &binary::Message::Proposals(vec![0]));
        assert_eq!(world.events().len(), 1, "{seq}");
    }
    world.reopen();
    assert_eq!(world.sent()[0]["d"]["seq_ack"], 1);
}

#[test]
fn one_token_identifies_once() {
    for steps in 0..2 {
        let mut world = World::identified();
        if steps == 1 {
            world.server(None, &Message::Ready(ready()));
            world.outputs();
        }
        assert!(!world.gateway.can_open());
        world.gateway.handle_closed(world.now);
        world.gateway.handle_open(world.now);
        assert_eq!(world.outputs(), [Output::Event(Event::Lost(Loss::TokenSpent))]);
    }
}

#[test]
fn a_close_between_resume_and_resumed_ends_the_session() {
    let mut world = World::described();
    world.gateway.handle_closed(world.now);
    assert!(world.gateway.can_open() && world.gateway.is_described());
    world.gateway.handle_open(world.now);
    world.outputs();
    world.gateway.handle_closed(world.now);
    assert!(!world.gateway.can_open() && !world.gateway.is_described());
    world.gateway.handle_open(world.now);
    assert_eq!(world.events(), [Event::Lost(Loss::TokenSpent)]);
}

#[test]
fn a_closed_socket_gets_nothing_that_was_meant_for_it() {
    let mut world = World::described();
    world.wait();
    world.gateway.handle_closed(world.now);
    assert_eq!(world.outputs(), []);
    assert_eq!(world.gateway.poll_timeout(), None);
    world.server(None, &hello());
    assert_eq!((world.outputs(), world.gateway.stats().unexpected), (vec![], 1));
}

#[test]
fn a_repeated_description_says_so() {
    let mut world = World::described();
    let downgraded = SessionDescription { dave_protocol_version: 0, ..description() };
    world.server(None, &Message::SessionDescription(downgraded.clone()));
    assert_eq!(world.events(), [Event::Described { description: downgraded, repeated: true }]);
    let new_mode = SessionDescription { mode: "other".to_owned(), ..description() };
    let new_key = SessionDescription { secret_key: SecretKey::new([8; 32]), ..new_mode.clone() };
    for changed in [new_mode, new_key] {
        world.server(None, &Message::SessionDescription(changed.clone()));
        assert_eq!(world.events(), [Event::Described { description: changed, repeated: false }]);
    }
}

#[test]
fn a_second_ready_counts_only_with_news() {
    let mut world = World::described();
    world.server(None, &Message::Ready(ready()));
    assert_eq!(world.outputs(), []);
    assert_eq!(world.gateway.stats().duplicates, 1);
    let moved = Ready { ssrc: Ssrc(43), ..ready() };
    world.server(None, &Message::Ready(moved.clone()));
    assert_eq!(world.events(), [Event::Ready(moved)]);
    assert!(world.gateway.is_described());
    assert_eq!(world.gateway.ssrc(), Some(Ssrc(43)));
}

#[test]
fn speaking_waits_for_the_description() {
    let mut world = World::identified();
    world.gateway.set_speaking(world.now, 1);
    world.server(None, &Message::Ready(ready()));
    world.gateway.set_speaking(world.now, 5);
    assert_eq!(world.sent(), Vec::<Value>::new());
    world.server(None, &Message::SessionDescription(description()));
    assert_eq!(world.sent_one(), speaking(5));
}

#[test]
fn speaking_is_said_on_change_and_once_per_pause() {
    let mut world = World::described();
    world.gateway.set_speaking(world.now, 1);
    assert_eq!(world.sent_one(), speaking(1));
    world.gateway.set_speaking(world.now, 1);
    for flags in [0, 1, 0, 5] {
        world.sleep(STEP);
        world.gateway.set_speaking(world.now, flags);
    }
    assert_eq!(world.sent(), Vec::<Value>::new());
    let said = world.now - 4 * STEP;
    world.wait();
    assert_eq!(world.now, said + Duration::from_millis(250));
    assert_eq!(world.sent_one(), speaking(5), "the last one wins");

    world.gateway.set_speaking(world.now, 1);
    world.gateway.set_speaking(world.now, 5);
    world.sleep(Duration::from_millis(300));
    assert!(world.sent().iter().all(|message| message["op"] != 5), "nothing changed in the end");
}

#[test]
fn speaking_is_said_again_after_description_resume_and_new_ssrc() {
    let mut world = World::described();
    world.gateway.set_speaking(world.now, 1);
    assert_eq!(world.sent_one(), speaking(1));

    world.sleep(Duration::from_millis(250));
    world.outputs();
    world.server(None, &Message::SessionDescription(description()));
    assert_eq!(world.sent_one(), speaking(1));

    world.sleep(Duration::from_millis(250));
    world.gateway.handle_closed(world.now);
    world.gateway.handle_open(world.now);
    world.outputs();
    world.gateway.set_speaking(world.now, 4);
    assert_eq!(world.sent(), Vec::<Value>::new(), "not before it is resumed");
    assert_eq!(world.gateway.poll_timeout(), None);
    world.server(None, &Message::Resumed);
    assert_eq!(world.sent_one(), speaking(4));

    world.server(None, &Message::Ready(Ready { ssrc: Ssrc(43), ..ready() }));
    world.sleep(Duration::from_millis(250));
    assert_eq!(world.sent_one()["d"]["ssrc"], 43);
}

#[test]
fn messages_wait_for_a_resume_but_not_for_ever() {
    let ready = |transition| Message::ReadyForTransition(text::ReadyForTransition { transition });
    let mut world = World::described();
    world.gateway.handle_closed(world.now);
    for transition in 0..MAX_HELD as u16 + 3 {
        world.gateway.send(&ready(transition));
    }
    assert_eq!(world.outputs(), []);
    assert_eq!(world.gateway.stats().unsent, 3);
    world.reopen();
    let sent = world.sent();
    assert_eq!(sent.len(), 1 + MAX_HELD);
    assert_eq!(sent[1], json!({"op": 23, "d": {"transition_id": 0}}));

    let mut world = World::new();
    world.gateway.send(&ready(0));
    world.gateway.send_binary(&binary::Message::KeyPackage(vec![]));
    world.gateway.select_protocol("192.0.2.1:1".parse().expect("an address"), "mode");
    assert_eq!((world.outputs(), world.gateway.stats().unsent), (vec![], 3));
}

#[test]
fn binary_messages_are_sent_without_a_sequence() {
    let mut world = World::identified();
    world.gateway.send_binary(&binary::Message::KeyPackage(vec![1, 2]));
    assert_eq!(world.outputs(), [Output::Binary(vec![26, 1, 2])]);
}

#[test]
fn unknown_opcodes_are_counted_and_passed_on() {
    let mut world = World::described();
    world.server_json(&json!({"op": 32, "d": {"x": 1}, "seq": 3}));
    assert_eq!(world.events(), [Event::Message(Message::Unknown { op: 32, data: json!({"x": 1}) })]);
    world.server_binary(4, &binary::Message::Unknown { op: 99, payload: vec![1] });
    assert_eq!(world.events().len(), 1);
    world.server_json(&json!({"op": 13, "d": {"user_id": "5", "why": 1}, "seq": 5}));
    let stats = world.gateway.stats();
    assert_eq!((stats.unknown, stats.unknown_fields), (2, 1));
}

#[test]
fn json_in_a_binary_frame_spoils_nothing() {
    let mut world = World::described();
    let gone = text::ClientDisconnect { user: UserId::new(3).expect("id") };
    world.server(Some(5), &Message::ClientDisconnect(gone));
    world.gateway.handle_binary(world.now, br#"{"op":6,"d":{"t":1}}"#);
    world.reopen();
    assert_eq!(world.sent()[0]["d"]["seq_ack"], 5);
}

#[test]
fn malformed_messages_are_fatal_only_where_nothing_goes_on_without_them() {
    let mut world = World::described();
    for op in [5, 11, 13, 21, 22, 24] {
        world.server_json(&json!({"op": op, "d": []}));
    }
    world.gateway.handle_text(world.now, "{");
    world.gateway.handle_binary(world.now, &[0]);
    assert_eq!(world.outputs(), []);
    assert_eq!(world.gateway.stats().malformed, 8);
    for op in [2, 4, 8] {
        let mut world = World::identified();
        world.server_json(&json!({"op": op, "d": {}}));
        let events = world.events();
        assert!(matches!(events[..], [Event::Lost(Loss::Malformed { op: lost, .. })] if lost == op), "{events:?}");
        assert_eq!(world.gateway.poll_timeout(), None);
    }
}

#[test]
fn what_makes_no_sense_is_counted() {
    let mut world = World::identified();
    world.server(None, &Message::SessionDescription(description()));
    world.server(None, &Message::Resumed);
    world.server_json(&json!({"op": 0, "d": {"server_id": 1, "user_id": 2, "session_id": "", "token": ""}}));
    world.server_json(&json!({"op": 31, "d": {"transition_id": 2}}));
    world.server_binary(0, &binary::Message::KeyPackage(vec![]));
    assert_eq!(world.outputs(), []);
    assert_eq!(world.gateway.stats().unexpected, 5);
    assert!(!world.gateway.is_described());
}

#[test]
fn debug_shows_no_secret() {
    let mut world = World::described();
    world.gateway.handle_closed(world.now);
    world.gateway.handle_open(world.now);
    let debug = format!("{:?}", world.gateway);
    assert!(!debug.contains("hunter2") && !debug.contains("7, 7"), "{debug}");
}

#[test]
fn memory_is_bounded_when_nobody_polls() {
    let mut world = World::described();
    for count in 0..3 * MAX_QUEUED as u32 {
        world.server_json(&json!({"op": 3, "d": count}));
        world.server_json(&json!({"op": 500, "d": count}));
    }
    world.gateway.handle_text(world.now, r#"{"op":8}"#);
    let outputs = world.outputs();
    assert_eq!(outputs.len(), MAX_QUEUED);
    assert!(matches!(outputs.last(), Some(Output::Event(Event::Lost(_)))), "the loss is never lost");
    assert_eq!(world.gateway.stats().overflowed, 5 * MAX_QUEUED as u64 + 1);
}

/// What can happen to a gateway.
#[derive(Clone, Debug)]
enum Step {
    Open,
    Closed,
    Text(String),
    Binary(Vec<u8>),
    Sleep(u64),
    Speaking(u32),
    Send,
    Select,
}

fn step() -> impl Strategy<Value = Step> {
    let message = prop_oneof![
        Just(hello()),
        Just(Message::Ready(ready())),
        Just(Message::SessionDescription(description())),
        Just(Message::Resumed),
        (0..64_u64).prop_map(|nonce| Message::Heartbeat(text::Heartbeat { nonce, seq_ack: None })),
        (0..40_u64).prop_map(|op| Message::Unknown { op, data: Value::Null }),
    ];
    prop_oneof![
        2 => Just(Step::Open),
        1 => Just(Step::Closed),
        8 => (message, any::<Option<u16>>()).prop_map(|(message, seq)| Step::Text(text::write(Dialect::V8, seq, &message))),
        1 => any::<String>().prop_map(Step::Text),
        2 => vec(any::<u8>(), 0..8).prop_map(Step::Binary),
        4 => (0..30_000_u64).prop_map(Step::Sleep),
        2 => (0..8_u32).prop_map(Step::Speaking),
        1 => Just(Step::Send),
        1 => Just(Step::Select),
    ]
}

proptest! {
    #[test]
    fn invariants_hold_whatever_happens(steps in vec(step(), 0..200)) {
        let mut world = World::new();
        let mut identified = 0;
        let mut spoke_at: Option<Instant> = None;
        for step in steps {
            match step {
                Step::Open => world.gateway.handle_open(world.now),
                Step::Closed => world.gateway.handle_closed(world.now),
                Step::Text(text) => world.gateway.handle_text(world.now, &text),
                Step::Binary(frame) => world.gateway.handle_binary(world.now, &frame),
                Step::Sleep(milliseconds) => world.sleep(Duration::from_millis(milliseconds)),
                Step::Speaking(flags) => world.gateway.set_speaking(world.now, flags),
                Step::Send => world.gateway.send(&Message::BackendVersion(text::BackendVersion::default())),
                Step::Select => world.gateway.select_protocol("192.0.2.1:1".parse().expect("an address"), "mode"),
            }
            let sent = world.sent();
            prop_assert!(sent.len() <= 2 + MAX_HELD);
            identified += sent.iter().filter(|message| message["op"] == 0).count();
            prop_assert!(identified <= 1, "identified twice with one token");
            for message in sent.iter().filter(|message| message["op"] == 5) {
                prop_assert_eq!(&message["d"]["ssrc"], &json!(SSRC.0));
                prop_assert!(spoke_at.is_none_or(|at| world.now >= at + Duration::from_millis(250)));
                spoke_at = Some(world.now);
            }
            world.gateway.handle_timeout(world.now);
            world.outputs();
            prop_assert!(world.gateway.poll_timeout().is_none_or(|due| due > world.now), "a timeout that never passes");
        }
    }
}
