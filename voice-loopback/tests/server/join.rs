use serde_json::json;

use crate::world::{World, address, find, identify, plain, select, user};

#[test]
fn alone_the_order_is_8_2_4() {
    let mut world = World::new(plain().udp("127.0.0.1:9444".parse().expect("an address")));
    let conn = world.connect("v=8");
    assert_eq!(world.heard(conn), [json!({ "op": 8, "d": { "v": 8, "heartbeat_interval": 13_750 } })]);

    world.say(conn, &identify(1));
    let ready = world.heard(conn);
    assert_eq!(ready.len(), 1);
    assert!(ready[0].get("seq").is_none());
    let ready = find(&ready, 2);
    assert!(ready["ssrc"].as_u64().is_some_and(|ssrc| ssrc > 0));
    assert_eq!((&ready["ip"], &ready["port"]), (&json!("127.0.0.1"), &json!(9_444)));
    assert_eq!(ready["modes"], json!(["aead_aes256_gcm_rtpsize", "aead_xchacha20_poly1305_rtpsize"]));

    world.say(conn, &select(address(1), "aead_xchacha20_poly1305_rtpsize"));
    let described = world.heard(conn);
    assert_eq!(described.len(), 1, "no op 11 for somebody alone");
    assert!(described[0].get("seq").is_none());
    let description = find(&described, 4);
    assert_eq!(description["mode"], "aead_xchacha20_poly1305_rtpsize");
    assert_eq!(description["dave_protocol_version"], 0);
    assert_eq!(description["secret_key"].as_array().map(Vec::len), Some(32));
}

#[test]
fn media_may_be_elsewhere() {
    let own = "127.0.0.1:9444".parse().expect("an address");
    let other = "127.0.0.2:7000".parse().expect("an address");
    let mut world = World::new(plain().udp(own).media(Some(other)));
    let conn = world.connect("v=8");
    world.say(conn, &identify(1));
    let heard = world.heard(conn);
    let ready = find(&heard, 2);
    assert_eq!((&ready["ip"], &ready["port"]), (&json!("127.0.0.2"), &json!(7_000)));
    // What it never saw the discovery of can be selected all the same.
    world.say(conn, &select(address(1), "aead_aes256_gcm_rtpsize"));
    find(&world.heard(conn), 4);
}

#[test]
fn those_already_there_are_told_before_op_4() {
    let mut world = World::new(plain());
    let first = world.joined(1);
    world.say(first.conn, &json!({ "op": 5, "d": { "speaking": 5, "delay": 0, "ssrc": first.ssrc.0 } }));
    let second = world.joined(2);
    assert_eq!(world.ops(first.conn), [11, 18, 20], "a new member, who has not sent op 5 yet");

    let third = world.identified(3);
    world.say(third, &select(address(3), "aead_aes256_gcm_rtpsize"));
    let heard = world.heard(third);
    let ops: Vec<_> = heard.iter().map(|message| message["op"].as_u64()).collect();
    assert_eq!(ops, [8, 2, 11, 5, 18, 20, 18, 20, 4].map(Some));
    assert_eq!(find(&heard, 11), &json!({ "user_ids": ["1", "2"] }));
    assert_eq!(find(&heard, 5), &json!({ "speaking": 5, "ssrc": first.ssrc.0, "user_id": "1" }));
    assert_eq!(find(&heard, 18)["user_id"], "1");
    let numbers: Vec<_> = heard.iter().filter_map(|message| message["seq"].as_u64()).collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4, 5], "one counter from 0; 8, 2 and 4 carry none");
    assert_eq!(find(&world.heard(second.conn), 11), &json!({ "user_ids": ["3"] }));
}

#[test]
fn op_5_and_12_are_forwarded_with_their_user() {
    let mut world = World::new(plain());
    let (first, second) = (world.joined(1), world.joined(2));
    world.heard(first.conn);
    // Without an SSRC, and twice.
    world.say(first.conn, &json!({ "op": 5, "d": { "speaking": 1 } }));
    world.say(first.conn, &json!({ "op": 5, "d": { "speaking": 1 } }));
    world.say(
        first.conn,
        &json!({ "op": 12, "d": { "audio_ssrc": first.ssrc.0, "video_ssrc": 0, "streams": [{ "type": "video" }] } }),
    );
    let heard = world.heard(second.conn);
    assert_eq!(heard.len(), 3);
    assert_eq!(heard[0]["d"], json!({ "speaking": 1, "ssrc": first.ssrc.0, "user_id": "1" }));
    let video = find(&heard, 12);
    assert_eq!((&video["user_id"], &video["audio_ssrc"]), (&json!("1"), &json!(first.ssrc.0)));
    assert_eq!(video["streams"], json!([{ "type": "video" }]));
    assert!(world.heard(first.conn).is_empty(), "nobody hears of himself");
    let member = world.server.members().find(|member| member.user == user(1)).expect("there");
    assert_eq!(member.speaking, Some(1));
}

#[test]
fn op_5_before_op_1_is_told_when_the_room_is_joined() {
    let mut world = World::new(plain());
    let first = world.joined(1);
    let second = world.identified(2);
    world.say(second, &json!({ "op": 5, "d": { "speaking": 2, "delay": 0 } }));
    world.say(second, &json!({ "op": 12, "d": { "audio_ssrc": 5, "video_ssrc": 0 } }));
    assert!(world.heard(first.conn).is_empty());
    world.say(second, &select(address(2), "aead_aes256_gcm_rtpsize"));
    let heard = world.heard(first.conn);
    assert_eq!(find(&heard, 5)["speaking"], 2);
    assert_eq!(heard.iter().map(|it| it["op"].as_u64()).collect::<Vec<_>>(), [11, 5, 18, 20].map(Some));
}

#[test]
fn a_second_op_1_keeps_the_key_unless_the_mode_changes() {
    let mut world = World::new(plain());
    let (first, second) = (world.joined(1), world.joined(2));
    world.heard(second.conn);
    world.heard(first.conn);
    let mut keys = Vec::new();
    for mode in ["aead_aes256_gcm_rtpsize", "aead_aes256_gcm_rtpsize", "aead_xchacha20_poly1305_rtpsize"] {
        world.say(first.conn, &select(address(7), mode));
        let heard = world.heard(first.conn);
        assert_eq!(heard.len(), 1, "op 4 and nothing else");
        keys.push(find(&heard, 4)["secret_key"].clone());
    }
    assert_eq!(keys[0], keys[1]);
    assert_ne!(keys[1], keys[2]);
    assert!(world.heard(second.conn).is_empty(), "the others know already");
    assert_eq!(world.server.members().find(|it| it.user == user(1)).and_then(|it| it.address), Some(address(7)));
}

#[test]
fn leaving_is_told_to_the_others() {
    for code in [1000, 1001] {
        let mut world = World::new(plain());
        let (first, second) = (world.joined(1), world.joined(2));
        world.heard(second.conn);
        world.disconnect(first.conn, Some(code));
        assert_eq!(world.heard(second.conn).last(), Some(&json!({ "op": 13, "d": { "user_id": "1" }, "seq": 3 })));
        assert_eq!(world.server.members().count(), 1);
    }
}

#[test]
fn guilds_are_rooms_of_their_own() {
    let mut world = World::new(plain());
    let first = world.joined(1);
    let conn = world.connect("v=8");
    let mut elsewhere = identify(2);
    elsewhere["d"]["server_id"] = json!("101");
    world.say(conn, &elsewhere);
    world.say(conn, &select(address(2), "aead_aes256_gcm_rtpsize"));
    assert_eq!(world.ops(conn), [8, 2, 4]);
    assert!(world.heard(first.conn).is_empty());
}

#[test]
fn heartbeats_are_answered_before_and_after_identify() {
    let mut world = World::new(plain());
    let conn = world.connect("v=8");
    world.say_raw(conn, r#"{"op":3,"d":{"t":9007199254740991,"seq_ack":-1}}"#);
    world.say(conn, &identify(1));
    world.say_raw(conn, r#"{"op":3,"d":1501184119561}"#);
    world.say_raw(conn, r#"{"op":3,"d":{"t":7}}"#);
    let acks: Vec<_> = world.raw(conn).into_iter().filter(|text| text.contains("\"op\":6")).collect();
    let ack = |nonce: u64| format!("{{\"op\":6,\"d\":{{\"t\":{nonce}}}}}");
    assert_eq!(acks, [ack(9_007_199_254_740_991), ack(1_501_184_119_561), ack(7)]);
}

#[test]
fn the_version_is_told_when_asked() {
    let mut world = World::new(plain());
    let first = world.joined(1);
    world.say(first.conn, &json!({ "op": 16, "d": {} }));
    let heard = world.heard(first.conn);
    assert!(find(&heard, 16)["voice"].is_string() && find(&heard, 16)["rtc_worker"].is_string());
    assert_eq!(heard[0]["seq"], 0);
}
