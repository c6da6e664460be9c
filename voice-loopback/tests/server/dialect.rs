use serde_json::json;

use crate::world::{World, address, identify, plain, resume, select};

#[test]
fn version_4_gets_op_and_d_only() {
    let mut world = World::new(plain());
    let old = world.connect("?v=4");
    assert_eq!(world.raw(old), [r#"{"op":8,"d":{"v":4,"heartbeat_interval":13750}}"#]);
    world.say_raw(old, r#"{"op":3,"d":1501184119561}"#);
    assert_eq!(world.raw(old), [r#"{"op":6,"d":1501184119561}"#]);
    world.say(old, &identify(1));
    world.say(old, &select(address(1), "aead_aes256_gcm_rtpsize"));
    let modern = world.joined(2);
    world.say(modern.conn, &json!({ "op": 5, "d": { "speaking": 1 } }));
    world.disconnect(modern.conn, Some(1000));
    let heard = world.heard(old);
    let ops: Vec<_> = heard.iter().map(|message| message["op"].as_u64()).collect();
    assert_eq!(ops, [2, 4, 11, 18, 20, 5, 13].map(Some));
    for message in heard {
        let fields: Vec<_> = message.as_object().expect("an object").keys().collect();
        assert_eq!(fields, ["d", "op"]);
    }
}

#[test]
fn version_4_resumes_without_replay() {
    let mut world = World::new(plain());
    let old = world.connect("v=4");
    world.say(old, &identify(1));
    world.say(old, &select(address(1), "aead_aes256_gcm_rtpsize"));
    world.disconnect(old, None);
    world.joined(2);
    let conn = world.connect("v=4");
    world.say(conn, &resume(1, None));
    assert_eq!(world.raw(conn)[1..], [r#"{"op":9,"d":null}"#]);
}

#[test]
fn other_versions_get_the_nearest() {
    let mut world = World::new(plain());
    for (query, version) in
        [("", 4), ("v=3", 4), ("v=7", 4), ("v=8", 8), ("?v=9", 8), ("/?v=8", 8), ("encoding=json&v=8", 8), ("v=x", 4)]
    {
        let conn = world.connect(query);
        assert_eq!(world.heard(conn)[0]["d"]["v"], version, "{query}");
    }
}
