use serde_json::json;
use udp::discovery;
use voice_loopback::Cue;

use crate::world::{Ended, World, address, channel, find, guild, plain, resume, user};

fn cue(world: &mut World, cue: Cue) {
    world.server.cue(world.now, cue);
    world.drain();
}

#[test]
fn connections_are_closed_and_severed() {
    let mut world = World::new(plain());
    let (first, second) = (world.joined(1), world.joined(2));
    cue(&mut world, Cue::Sever { user: Some(user(1)) });
    assert_eq!((world.ended(first.conn), world.ended(second.conn)), (Some(Ended::Severed), None));
    cue(&mut world, Cue::Close { user: None, code: 4015, reason: "crashed".to_owned() });
    assert_eq!(world.ended(second.conn), Some(Ended::Closed(4015)));
    for id in [1, 2] {
        let conn = world.connect("v=8");
        world.say(conn, &resume(id, None));
        assert!(world.ops(conn).contains(&9));
    }
}

#[test]
fn messages_are_withheld() {
    let mut world = World::new(plain());
    cue(&mut world, Cue::Withhold { user: None, op: 8, times: 1 });
    let conn = world.connect("v=8");
    assert!(world.heard(conn).is_empty());
    let conn = world.connect("v=8");
    assert_eq!(world.ops(conn), [8]);

    cue(&mut world, Cue::Withhold { user: Some(user(1)), op: 2, times: 1 });
    let conn = world.identified(1);
    assert_eq!(world.ops(conn), [8]);
    let other = world.identified(2);
    assert_eq!(world.ops(other), [8, 2]);
}

#[test]
fn acknowledgements_stop_and_go_on() {
    let mut world = World::new(plain());
    let first = world.joined(1);
    let beat = json!({ "op": 3, "d": { "t": 5 } });
    cue(&mut world, Cue::Withhold { user: Some(user(1)), op: 6, times: u32::MAX });
    for _ in 0..3 {
        world.say(first.conn, &beat);
    }
    assert!(world.heard(first.conn).is_empty());
    cue(&mut world, Cue::Withhold { user: Some(user(1)), op: 6, times: 0 });
    world.say(first.conn, &beat);
    assert_eq!(world.ops(first.conn), [6]);
}

#[test]
fn without_a_description_no_media_arrives() {
    let mut world = World::new(plain());
    let mut first = world.joined(1);
    cue(&mut world, Cue::Withhold { user: Some(user(2)), op: 4, times: 1 });
    let second = world.joined(2);
    let packet = first.packet(1, b"opus", |_| {});
    world.datagram(first.address, &packet);
    assert!(world.arrived(second.address).is_empty());
    cue(&mut world, Cue::Describe { user: Some(user(2)), fresh_key: false });
    let heard = world.heard(second.conn);
    let mut second = second.with_key(find(&heard, 4));
    world.datagram(first.address, &packet);
    assert_eq!(second.open(&world.arrived(second.address)[0]).payload, b"opus");
}

#[test]
fn a_description_is_repeated_or_renewed() {
    let mut world = World::new(plain());
    let (mut first, mut second) = (world.joined(1), world.joined(2));
    cue(&mut world, Cue::Describe { user: Some(user(2)), fresh_key: false });
    let repeated = find(&world.heard(second.conn), 4)["secret_key"].clone();
    let packet = first.packet(1, b"old", |_| {});
    world.datagram(first.address, &packet);
    assert_eq!(second.open(&world.arrived(second.address)[0]).payload, b"old", "the nonces went on");

    cue(&mut world, Cue::Describe { user: Some(user(2)), fresh_key: true });
    let heard = world.heard(second.conn);
    assert_ne!(find(&heard, 4)["secret_key"], repeated);
    let mut second = second.with_key(find(&heard, 4));
    let packet = first.packet(2, b"new", |_| {});
    world.datagram(first.address, &packet);
    assert_eq!(second.open(&world.arrived(second.address)[0]).payload, b"new");
    let packet = second.packet(1, b"back", |_| {});
    world.datagram(second.address, &packet);
    assert_eq!(first.open(&world.arrived(first.address)[0]).payload, b"back");
}

#[test]
fn the_key_of_somebody_who_is_away_stays() {
    let mut world = World::new(plain());
    let (mut first, mut second) = (world.joined(1), world.joined(2));
    world.disconnect(second.conn, None);
    cue(&mut world, Cue::Describe { user: Some(user(2)), fresh_key: true });
    let conn = world.connect("v=8");
    world.say(conn, &resume(2, None));
    assert!(world.ops(conn).contains(&9));
    let packet = first.packet(1, b"opus", |_| {});
    world.datagram(first.address, &packet);
    assert_eq!(second.open(&world.arrived(second.address)[0]).payload, b"opus");
}

#[test]
fn discovery_answers_are_lost() {
    let mut world = World::new(plain());
    let first = world.joined(1);
    cue(&mut world, Cue::IgnoreDiscovery { times: 2 });
    for _ in 0..3 {
        world.datagram(first.address, &discovery::request(first.ssrc));
    }
    assert_eq!(world.arrived(first.address).len(), 1);
    assert_eq!((world.server.stats().discoveries, world.server.stats().discoveries_ignored), (1, 2));
}

#[test]
fn garbage_frames_and_datagrams_are_sent() {
    let mut world = World::new(plain());
    let first = world.joined(1);
    for len in [0, 1, 65_507, usize::MAX] {
        cue(&mut world, Cue::Garbage { user: None, len });
        assert_eq!(world.arrived(address(1))[0].len(), len.min(65_507));
    }
    cue(&mut world, Cue::Text { user: Some(user(1)), text: "{\"op\"".to_owned() });
    assert_eq!(world.raw(first.conn), ["{\"op\""]);
    cue(&mut world, Cue::Binary { user: Some(user(1)), frame: vec![0, 1, 2] });
    assert_eq!(world.frames, [(first.conn, vec![0, 1, 2])]);
    cue(&mut world, Cue::AskHeartbeat { user: Some(user(1)) });
    assert_eq!(world.ops(first.conn), [3]);
}

#[test]
fn resumes_are_refused() {
    let mut world = World::new(plain());
    let first = world.joined(1);
    world.disconnect(first.conn, None);
    cue(&mut world, Cue::RefuseResume { times: 1 });
    let refused = world.connect("v=8");
    world.say(refused, &resume(1, None));
    assert_eq!(world.closed(refused), 4006);
    let conn = world.connect("v=8");
    world.say(conn, &resume(1, None));
    assert_eq!(world.ops(conn), [8, 9]);
}

#[test]
fn a_kick_is_told_by_the_main_gateway_too() {
    let mut world = World::new(plain());
    let (first, second) = (world.joined(1), world.joined(2));
    world.heard(second.conn);
    cue(&mut world, Cue::Kick { user: user(1) });
    assert_eq!(world.closed(first.conn), 4014);
    assert_eq!(world.dispatches.len(), 1);
    assert_eq!((world.dispatches[0].user, world.dispatches[0].event), (user(1), "VOICE_STATE_UPDATE"));
    assert_eq!(world.dispatches[0].data["channel_id"], json!(null));
    assert_eq!(world.dispatches[0].data["session_id"], "session-1");
    assert_eq!(world.ops(second.conn), [13]);
    assert_eq!(world.server.members().count(), 1);
}

#[test]
fn a_move_leads_to_another_channel() {
    let mut world = World::new(plain());
    let first = world.joined(1);
    cue(&mut world, Cue::Move { user: user(1), channel: channel(7) });
    assert_eq!(world.closed(first.conn), 4014);
    let [state, server] = &world.dispatches[..] else { panic!("{:?}", world.dispatches) };
    assert_eq!((state.event, server.event), ("VOICE_STATE_UPDATE", "VOICE_SERVER_UPDATE"));
    assert_eq!(state.data["channel_id"], "7");
    let identify = json!({ "op": 0, "d": {
        "server_id": server.data["guild_id"], "user_id": "1",
        "session_id": state.data["session_id"], "token": server.data["token"],
    }});
    let conn = world.connect("v=8");
    world.say(conn, &identify);
    assert_eq!(world.ops(conn), [8, 2]);
    assert_eq!(world.server.members().next().and_then(|member| member.channel), Some(channel(7)));
}

#[test]
fn the_endpoint_changes_and_goes_away() {
    let mut world = World::new(plain());
    let (first, second) = (world.joined(1), world.joined(2));
    cue(&mut world, Cue::NullEndpoint { guild: guild(100) });
    cue(&mut world, Cue::ChangeEndpoint { guild: guild(100), endpoint: Some("127.0.0.1:2048".to_owned()) });
    cue(&mut world, Cue::ChangeEndpoint { guild: guild(100), endpoint: None });
    cue(&mut world, Cue::NullEndpoint { guild: guild(101) });
    let endpoints: Vec<_> = world.dispatches.iter().map(|dispatch| &dispatch.data["endpoint"]).collect();
    let new = json!("127.0.0.1:2048");
    assert_eq!(endpoints, [&json!(null), &json!(null), &new, &new, &new, &new]);
    assert!(world.dispatches.iter().all(|dispatch| dispatch.event == "VOICE_SERVER_UPDATE"));
    assert_eq!((world.ended(first.conn), world.ended(second.conn)), (None, None), "that is for the clients to do");
    let outdated = &world.dispatches[2].data["token"];
    let fresh = &world.dispatches[4].data["token"];
    for (token, ops) in [(outdated.clone(), vec![8]), (fresh.clone(), vec![8, 2])] {
        let user_id = world.dispatches[2].user.to_string();
        let conn = world.connect("v=8");
        world.say(
            conn,
            &json!({ "op": 0, "d": {
                "server_id": "100", "user_id": user_id, "session_id": format!("session-{user_id}"), "token": token,
            }}),
        );
        assert_eq!(world.ops(conn), ops);
    }
}

#[test]
fn an_address_is_forgotten_and_another_works() {
    let mut world = World::new(plain());
    let first = world.joined(1);
    let (old, new) = (first.address, address(77));
    let ping = |from, world: &mut World| {
        world.server.handle_datagram(world.now, from, &mut udp::keepalive::ping(9));
        world.drain();
        world.arrived(from).len()
    };
    assert_eq!(ping(old, &mut world), 1);
    cue(&mut world, Cue::Rebind { user: Some(user(1)) });
    assert_eq!((ping(old, &mut world), ping(new, &mut world)), (0, 1));
    cue(&mut world, Cue::IgnorePings { times: 2 });
    assert_eq!((ping(new, &mut world), ping(new, &mut world), ping(new, &mut world)), (0, 0, 1));
    assert_eq!(world.server.stats().pings_ignored, 2);
}
