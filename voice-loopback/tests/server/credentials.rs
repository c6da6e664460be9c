use serde_json::{Value, json};
use voice_loopback::{ConnId, Cue, Options, Updates};

use crate::world::{World, address, channel, find, guild, plain, resume, select, user};

fn identify(updates: &Updates) -> Value {
    json!({ "op": 0, "d": {
        "server_id": updates.server["guild_id"], "user_id": updates.state["user_id"],
        "session_id": updates.state["session_id"], "token": updates.server["token"],
    }})
}

fn strict() -> World {
    World::new(plain().issued_only(true).endpoint("127.0.0.1:9443"))
}

fn outcome(world: &mut World, identify: &Value) -> Result<u64, u16> {
    let conn = world.connect("v=8");
    world.say(conn, identify);
    if world.ended(conn).is_none() { Ok(conn) } else { Err(world.closed(conn)) }
}

#[test]
fn updates_look_like_the_main_gateway_s() {
    let mut world = strict();
    let updates = world.server.updates(user(1), guild(2), channel(3));
    assert_eq!(updates.state["user_id"], "1");
    assert_eq!((&updates.state["guild_id"], &updates.state["channel_id"]), (&json!("2"), &json!("3")));
    assert_eq!((&updates.server["guild_id"], &updates.server["endpoint"]), (&json!("2"), &json!("127.0.0.1:9443")));
    let again = world.server.updates(user(1), guild(2), channel(3));
    assert_eq!(updates.state["session_id"], again.state["session_id"], "the main gateway's own");
    assert_ne!(updates.server["token"], again.server["token"]);
}

#[test]
fn a_token_is_good_once() {
    let mut world = strict();
    let updates = world.server.updates(user(1), guild(2), channel(3));
    assert!(outcome(&mut world, &identify(&updates)).is_ok());
    assert_eq!(outcome(&mut world, &identify(&updates)), Err(4006));
}

#[test]
fn a_newer_token_outdates_an_older_one() {
    let mut world = strict();
    let stale = world.server.updates(user(1), guild(2), channel(3));
    let other_guild = world.server.updates(user(1), guild(9), channel(3));
    let fresh = world.server.updates(user(1), guild(2), channel(3));
    assert_eq!(outcome(&mut world, &identify(&stale)), Err(4006));
    assert!(outcome(&mut world, &identify(&fresh)).is_ok());
    assert!(outcome(&mut world, &identify(&other_guild)).is_ok());
}

#[test]
fn wrong_credentials_are_told_apart() {
    let mut world = strict();
    let updates = world.server.updates(user(1), guild(2), channel(3));
    for (field, value, code) in
        [("token", "guessed", 4004), ("session_id", "guessed", 4006), ("user_id", "5", 4006), ("server_id", "5", 4006)]
    {
        let mut wrong = identify(&updates);
        wrong["d"][field] = json!(value);
        assert_eq!(outcome(&mut world, &wrong), Err(code), "{field}");
    }
    assert!(outcome(&mut world, &identify(&updates)).is_ok(), "and none of that used it up");
}

#[test]
fn unissued_tokens_are_welcome_unless_told_otherwise() {
    let mut world = World::new(plain());
    let made_up = crate::world::identify(1);
    let conn = outcome(&mut world, &made_up).expect("welcome");
    world.disconnect(conn, Some(1000));
    assert!(outcome(&mut world, &made_up).is_ok(), "again");
    assert_eq!(outcome(&mut strict(), &made_up), Err(4004));
}

#[test]
fn channels_of_a_guild_are_rooms_of_their_own() {
    let mut world = strict();
    let mut join = |id: u64, in_channel: u64| {
        let updates = world.server.updates(user(id), guild(2), channel(in_channel));
        let conn = outcome(&mut world, &identify(&updates)).expect("welcome");
        world.say(conn, &select(address(id), "aead_aes256_gcm_rtpsize"));
        world.ops(conn)
    };
    assert_eq!(join(1, 10), [8, 2, 4]);
    assert_eq!(join(2, 11), [8, 2, 4]);
    assert_eq!(join(3, 11), [8, 2, 11, 18, 20, 4]);
    let rooms: Vec<_> = world.server.members().filter(|it| it.channel == Some(channel(11))).collect();
    assert_eq!(rooms.len(), 2);
}

#[test]
fn a_resume_does_not_use_up_a_token() {
    let mut world = strict();
    let updates = world.server.updates(user(1), guild(2), channel(3));
    let mut conn = outcome(&mut world, &identify(&updates)).expect("welcome");
    world.say(conn, &select(address(1), "aead_aes256_gcm_rtpsize"));
    for _ in 0..3 {
        world.disconnect(conn, None);
        conn = world.connect("v=8");
        let mut message = resume(1, None);
        for (field, value) in [("server_id", "2"), ("session_id", ""), ("token", "")] {
            message["d"][field] = json!(value);
        }
        message["d"]["session_id"] = updates.state["session_id"].clone();
        message["d"]["token"] = updates.server["token"].clone();
        world.say(conn, &message);
        assert_eq!(world.ops(conn), [8, 9]);
    }
}

#[test]
fn debug_shows_no_secrets() {
    let mut world = World::new(plain().seed(0x00AB_CDEF));
    let updates = world.server.updates(user(1), guild(2), channel(3));
    let conn = outcome(&mut world, &identify(&updates)).expect("welcome");
    let select = select(address(1), "aead_aes256_gcm_rtpsize").to_string();
    world.server.handle_text(world.now, ConnId(conn), &select);
    world.server.cue(world.now, Cue::Binary { user: None, frame: vec![123; 5] });
    world.server.cue(world.now, Cue::Move { user: user(1), channel: channel(4) });
    let debug = format!("{:?} {updates:?}", world.server);

    world.drain();
    let heard = world.heard(conn);
    let secret: Vec<u8> = serde_json::from_value(find(&heard, 4)["secret_key"].clone()).expect("bytes");
    let [_, moved] = &world.dispatches[..] else { panic!("{:?}", world.dispatches) };
    let tokens = [&updates.server["token"], &moved.data["token"]].map(|token| token.as_str().expect("text"));
    for secret in
        [&format!("{},{}", secret[0], secret[1]), &format!("{}, {}", secret[0], secret[1]), tokens[0], tokens[1]]
    {
        assert!(!debug.contains(secret), "{secret} in {debug}");
    }
    assert!(!debug.contains("11259375"), "the seed: {debug}");
    for shown in ["bytes), Binary(ConnId(1), 5 bytes)", "Rng(..)", "VOICE_SERVER_UPDATE", "Updates { .. }"] {
        assert!(debug.contains(shown), "no {shown} in {debug}");
    }
    let options = Options::default().seed(0x00AB_CDEF).server(plain().seed(0x00AB_CDEF));
    assert!(!format!("{options:?}").contains("11259375"));
}
