use std::time::Duration;

use serde_json::json;
use voice_loopback::ConnId;

use crate::world::{World, address, channel, find, guild, identify, plain, resume, select, user};

#[test]
fn close_codes_of_wrong_messages() {
    let mut world = World::new(plain());
    let unauthenticated =
        [json!({ "op": 5, "d": { "speaking": 1 } }), select(address(1), "x"), json!({ "op": 12, "d": {} })];
    for message in unauthenticated {
        let conn = world.connect("v=8");
        world.say(conn, &message);
        assert_eq!(world.closed(conn), 4003, "{message}");
    }
    for text in [
        "",
        "{",
        "[]",
        "null",
        "{}",
        r#"{"op":"x"}"#,
        r#"{"op":0,"d":{}}"#,
        r#"{"op":0,"d":[1]}"#,
        r#"{"op":3,"d":{"t":-1}}"#,
    ] {
        let conn = world.connect("v=8");
        world.say_raw(conn, text);
        assert_eq!(world.closed(conn), 4002, "{text}");
    }
    let conn = world.identified(1);
    world.say(conn, &identify(1));
    assert_eq!(world.closed(conn), 4005);
}

#[test]
fn close_codes_of_select_protocol() {
    let mut world = World::new(plain());
    let mut webrtc = select(address(1), "aead_aes256_gcm_rtpsize");
    webrtc["d"]["protocol"] = json!("webrtc");
    let mut nowhere = select(address(1), "aead_aes256_gcm_rtpsize");
    nowhere["d"]["data"]["address"] = json!("example.org");
    for (message, code) in [
        (webrtc, 4012),
        (nowhere, 4002),
        (select(address(1), "xsalsa20_poly1305"), 4016),
        (select(address(1), "plain"), 4016),
    ] {
        let conn = world.identified(1);
        world.say(conn, &message);
        assert_eq!(world.closed(conn), code, "{message}");
    }
}

#[test]
fn silence_ends_the_session() {
    let mut world = World::new(plain().heartbeat_interval(Duration::from_secs(1)));
    let (silent, alive) = (world.joined(1), world.joined(2));
    for nonce in 0..6 {
        world.pass(Duration::from_millis(500));
        world.say(alive.conn, &json!({ "op": 3, "d": { "t": nonce } }));
    }
    assert_eq!(world.closed(silent.conn), 4009);
    assert_eq!(world.ended(alive.conn), None);
    assert_eq!(find(&world.heard(alive.conn), 13)["user_id"], "1");
    assert_eq!(world.server.members().count(), 1, "and cannot be resumed");
}

#[test]
fn a_slow_handshake_is_waited_for() {
    let mut world = World::new(plain().heartbeat_interval(Duration::from_secs(1)));
    let conn = world.connect("v=8");
    world.pass(Duration::from_secs(10));
    world.say(conn, &json!({ "op": 3, "d": { "t": 1 } }));
    assert_eq!(world.ended(conn), None);
    world.pass(Duration::from_secs(6));
    assert_eq!(world.closed(conn), 4009, "heartbeats alone are no handshake");
}

#[test]
fn what_clients_of_tomorrow_send_is_tolerated() {
    let mut world = World::new(plain());
    let (first, second) = (world.joined(1), world.joined(2));
    world.heard(first.conn);
    world.heard(second.conn);
    for message in [
        json!({ "op": 32, "d": { "anything": [null] } }),
        json!({ "op": 99_999, "d": null, "s": 4 }),
        json!({ "op": 14, "d": { "codecs": "of a new kind" } }),
        json!({ "op": 15, "d": { "any": 100, "pixelCounts": { "1": 2 } } }),
        json!({ "op": 15, "d": "not even an object" }),
        json!({ "op": 23, "d": { "transition_id": 0 } }),
        json!({ "op": 2, "d": {} }),
        json!({ "op": 9, "d": null }),
    ] {
        world.say(first.conn, &message);
        assert_eq!(world.ended(first.conn), None, "{message}");
    }
    assert!(world.heard(first.conn).is_empty() && world.heard(second.conn).is_empty());
    assert_eq!(world.server.stats().messages_ignored, 8);
}

#[test]
fn who_says_too_much_is_closed_and_may_resume() {
    let mut world = World::new(plain());
    let client = world.joined(1);
    let beat = json!({ "op": 3, "d": { "t": 1 } });
    world.pass(Duration::from_secs(10));
    for _ in 0..3 {
        for _ in 0..250 {
            world.say(client.conn, &beat);
        }
        assert_eq!(world.ended(client.conn), None);
        world.pass(Duration::from_secs(10));
    }
    for _ in 0..125 {
        world.say(client.conn, &beat);
        world.server.handle_binary(world.now, ConnId(client.conn), &[]);
    }
    assert_eq!(world.ended(client.conn), None);
    world.say(client.conn, &beat);
    assert_eq!(world.closed(client.conn), 4008);
    let conn = world.connect("v=8");
    world.say(conn, &resume(1, None));
    assert_eq!(world.ops(conn), [8, 9]);
}

#[test]
fn more_connections_than_allowed_are_told_to_come_back() {
    let mut world = World::new(plain().max_connections(2));
    let conns = [world.connect("v=8"), world.connect("v=8"), world.connect("v=8")];
    assert_eq!(world.ended(conns[1]), None);
    assert_eq!(world.closed(conns[2]), 1013);
    world.disconnect(conns[0], None);
    let again = world.connect("v=8");
    assert_eq!(world.ended(again), None);
}

#[test]
fn the_same_user_from_elsewhere_replaces_the_session() {
    let mut world = World::new(plain());
    let (first, second) = (world.joined(1), world.joined(2));
    world.heard(second.conn);
    let same = world.identified(1);
    assert_eq!(world.closed(same), 4006, "one session, one WebSocket");
    assert_eq!(world.ended(first.conn), None);

    let conn = world.connect("v=8");
    let mut elsewhere = identify(1);
    elsewhere["d"]["token"] = json!("a fresh one");
    world.say(conn, &elsewhere);
    assert_eq!(world.closed(first.conn), 4014);
    assert_eq!(world.ended(conn), None);
    assert_eq!(world.ops(second.conn), [13]);
}

#[test]
fn sessions_that_wait_to_be_resumed_are_bounded() {
    let mut world = World::new(plain().max_connections(2));
    for user in 1..=4 {
        let client = world.joined(user);
        world.disconnect(client.conn, None);
    }
    let updates = world.server.updates(user(5), guild(100), channel(3));
    let fifth = json!({ "op": 0, "d": {
        "server_id": "100", "user_id": "5", "session_id": updates.state["session_id"], "token": updates.server["token"],
    }});
    let conn = world.connect("v=8");
    world.say(conn, &fifth);
    assert_eq!(world.closed(conn), 1013);
    let twin = world.identified(1);
    assert_eq!(world.ended(twin), None, "its session from before makes room");

    world.disconnect(twin, Some(1000));
    let conn = world.connect("v=8");
    world.say(conn, &fifth);
    assert_eq!(world.ops(conn), [8, 2], "the token is as good as before");
}

#[test]
fn long_messages_are_refused_with_a_short_reason() {
    let mut world = World::new(plain());
    let conn = world.connect("v=8");
    world.say(conn, &json!({ "op": 0, "d": { "server_id": "\u{e4}".repeat(1_000) } }));
    assert_eq!(world.closed(conn), 4002);
    let conn = world.connect("v=8");
    let mut long = identify(1);
    long["d"]["token"] = json!("t".repeat(1_025));
    world.say(conn, &long);
    assert_eq!(world.closed(conn), 4004);
}
