use serde_json::{Value, json};
use voice_loopback::Config;

use super::call::{CHANNEL, Call};
use crate::world::{channel, guild, identify, user};

fn naming(id: u64, channel: Option<u64>) -> Value {
    let mut message = identify(id);
    if let Some(channel) = channel {
        message["d"]["channel_id"] = json!(channel.to_string());
    }
    message
}

fn join(call: &mut Call, id: u64, channel: Option<u64>) {
    call.join_as(id, &naming(id, channel));
    call.run();
}

#[test]
fn who_names_no_channel_meets_those_who_do() {
    let mut call = Call::new(Config::default());
    join(&mut call, 1, Some(CHANNEL));
    join(&mut call, 2, None);
    call.agree();
    assert_eq!(call.member(2).channel, Some(channel(CHANNEL)));
}

#[test]
fn a_room_without_a_channel_waits_for_one() {
    let mut call = Call::new(Config::default());
    join(&mut call, 1, None);
    join(&mut call, 2, None);
    assert_eq!(call.ops(1), [4, 25, 11], "no group without an id");
    assert_eq!(call.member(1).channel, None);
    join(&mut call, 3, Some(CHANNEL));
    call.agree();
    assert_eq!(call.member(1).channel, Some(channel(CHANNEL)));
}

#[test]
fn it_may_be_told_one() {
    let mut call = Call::new(Config::default().channel(channel(CHANNEL)));
    join(&mut call, 1, None);
    join(&mut call, 2, None);
    call.agree();
    join(&mut call, 3, Some(CHANNEL));
    call.agree();
}

#[test]
fn channels_are_rooms_of_their_own_and_newcomers_go_to_the_latest() {
    let mut call = Call::new(Config::default());
    join(&mut call, 1, Some(7));
    join(&mut call, 2, Some(CHANNEL));
    assert_eq!(call.ops(1), [4, 25], "nobody came");
    join(&mut call, 3, None);
    assert_eq!((call.member(3).channel, call.ops(1)), (Some(channel(CHANNEL)), vec![4, 25]));
    call.leave(1);
    call.agree();
}

#[test]
fn a_token_says_more_than_what_is_named() {
    let mut call = Call::new(Config::default());
    let updates = call.world.server.updates(user(1), guild(crate::world::GUILD), channel(CHANNEL));
    let mut message = naming(1, Some(8));
    message["d"]["token"] = updates.server["token"].clone();
    message["d"]["session_id"] = updates.state["session_id"].clone();
    call.join_as(1, &message);
    call.run();
    assert_eq!(call.member(1).channel, Some(channel(CHANNEL)));
}
