use std::time::Duration;

use serde_json::json;
use voice_loopback::Cue;

use crate::world::{Ended, World, find, identify, plain, resume, user};

#[test]
fn resumed_comes_before_the_replay_of_what_was_missed() {
    let mut world = World::new(plain());
    let (first, second) = (world.joined(1), world.joined(2));
    assert_eq!(world.ops(first.conn), [11, 18, 20], "seq 0 to 2");
    world.disconnect(first.conn, None);
    for flags in [1, 0, 5] {
        world.say(second.conn, &json!({ "op": 5, "d": { "speaking": flags } }));
    }
    let conn = world.connect("v=8");
    world.say(conn, &resume(1, Some(3)));
    let heard = world.heard(conn);
    assert_eq!(heard[0]["op"], 8);
    assert_eq!((&heard[1]["op"], heard[1].get("seq")), (&json!(9), None));
    let replay: Vec<_> = heard[2..].iter().map(|it| (it["seq"].as_u64(), it["d"]["speaking"].as_u64())).collect();
    assert_eq!(replay, [(Some(4), Some(0)), (Some(5), Some(5))]);
    world.say(second.conn, &json!({ "op": 5, "d": { "speaking": 2 } }));
    assert_eq!(world.heard(conn)[0]["seq"], 6, "the counter goes on");
}

#[test]
fn seq_ack_may_be_absent_stale_or_from_the_future() {
    for (seq_ack, replayed) in [(None, 3), (Some(-1), 3), (Some(0), 2), (Some(2), 0), (Some(900), 0)] {
        let mut world = World::new(plain());
        let first = world.joined(1);
        world.joined(2);
        world.heard(first.conn);
        world.disconnect(first.conn, Some(1006));
        let conn = world.connect("v=8");
        world.say(conn, &resume(1, seq_ack));
        assert_eq!(world.ops(conn).len(), 2 + replayed, "{seq_ack:?}");
    }
}

#[test]
fn without_grace_the_others_see_a_severed_client_leave_and_come_back() {
    let mut world = World::new(plain());
    let (first, second) = (world.joined(1), world.joined(2));
    world.say(first.conn, &json!({ "op": 5, "d": { "speaking": 1 } }));
    world.heard(second.conn);
    world.disconnect(first.conn, None);
    assert_eq!(world.ops(second.conn), [13]);
    world.pass(Duration::from_secs(10));
    let conn = world.connect("v=8");
    world.say(conn, &resume(1, Some(2)));
    assert_eq!(world.ops(second.conn), [11, 5, 18, 20]);
    assert_eq!(world.server.members().filter(|member| member.connected && member.visible).count(), 2);
}

#[test]
fn with_grace_the_others_see_nothing_until_it_is_over() {
    let mut world = World::new(plain().grace(Duration::from_secs(5)));
    let (first, second) = (world.joined(1), world.joined(2));
    world.heard(second.conn);
    world.disconnect(first.conn, None);
    world.pass(Duration::from_secs(4));
    let conn = world.connect("v=8");
    world.say(conn, &resume(1, None));
    assert!(world.heard(second.conn).is_empty());
    world.disconnect(conn, None);
    world.pass(Duration::from_secs(6));
    assert_eq!(world.ops(second.conn), [13]);
}

#[test]
fn media_flows_on_while_severed_and_when_resumed() {
    let mut world = World::new(plain());
    let (mut first, mut second) = (world.joined(1), world.joined(2));
    world.disconnect(first.conn, None);
    for (seq, resumed) in [(1, false), (2, true)] {
        if resumed {
            let conn = world.connect("v=8");
            world.say(conn, &resume(1, None));
            assert!(!world.ops(conn).contains(&4), "no new key");
        }
        let there = first.packet(seq, b"there", |_| {});
        world.datagram(first.address, &there);
        assert_eq!(second.open(&world.arrived(second.address)[0]).payload, b"there");
        let back = second.packet(seq, b"back", |_| {});
        world.datagram(second.address, &back);
        assert_eq!(first.open(&world.arrived(first.address)[0]).payload, b"back");
    }
}

#[test]
fn a_session_that_was_not_resumed_in_time_is_gone() {
    let mut world = World::new(plain());
    let first = world.joined(1);
    world.disconnect(first.conn, None);
    world.pass(Duration::from_secs(29));
    assert_eq!(world.server.members().count(), 1);
    world.pass(Duration::from_secs(2));
    assert_eq!(world.server.members().count(), 0);
    assert_eq!(world.server.poll_timeout(), None, "nothing left to wait for");
    let conn = world.connect("v=8");
    world.say(conn, &resume(1, None));
    assert_eq!(world.closed(conn), 4006);
}

#[test]
fn nothing_else_can_be_resumed() {
    let mut world = World::new(plain());
    let undescribed = world.identified(1);
    world.disconnect(undescribed, None);
    let left = world.joined(2);
    world.disconnect(left.conn, Some(1000));
    let severed = world.joined(3);
    world.disconnect(severed.conn, None);
    let mut wrong_token = resume(3, None);
    wrong_token["d"]["token"] = json!("another");
    let mut wrong_guild = resume(3, None);
    wrong_guild["d"]["server_id"] = json!("101");
    for attempt in [resume(1, None), resume(2, None), wrong_token, wrong_guild] {
        let conn = world.connect("v=8");
        world.say(conn, &attempt);
        assert_eq!(world.closed(conn), 4006, "{attempt}");
    }
}

#[test]
fn resuming_a_live_session_takes_it_over() {
    let mut world = World::new(plain());
    let (first, second) = (world.joined(1), world.joined(2));
    world.heard(second.conn);
    let conn = world.connect("v=8");
    world.say(conn, &resume(1, Some(2)));
    assert_eq!(world.ops(conn), [8, 9]);
    assert_eq!(world.ended(first.conn), Some(Ended::Closed(1000)));
    world.disconnect(first.conn, Some(1000));
    assert_eq!(world.server.members().filter(|member| member.connected).count(), 2);
    assert!(world.heard(second.conn).is_empty());
}

#[test]
fn the_close_code_decides_whether_a_session_lives_on() {
    for (code, lives) in [(4000, true), (4015, true), (4008, true), (4006, false), (4009, false), (4014, false)] {
        let mut world = World::new(plain());
        let first = world.joined(1);
        world.server.cue(world.now, Cue::Close { user: Some(user(1)), code, reason: String::new() });
        world.drain();
        assert_eq!(world.closed(first.conn), code);
        assert_eq!(world.server.members().count(), usize::from(lives), "{code}");
    }
}

#[test]
fn a_fresh_identify_replaces_a_severed_session() {
    let mut world = World::new(plain());
    let first = world.joined(1);
    world.disconnect(first.conn, None);
    let conn = world.connect("v=8");
    world.say(conn, &identify(1));
    let heard = world.heard(conn);
    assert_ne!(find(&heard, 2)["ssrc"], first.ssrc.0);
    assert_eq!(world.server.members().count(), 1);
}
