use std::time::Duration;

use dave::State;
use serde_json::json;
use voice_loopback::Config;

use super::call::Call;
use crate::world::{address, identify, select};

const ON: Option<State> = Some(State::On { version: 1 });

fn plain(call: &mut Call, id: u64) -> u64 {
    let mut message = identify(id);
    message["d"]["max_dave_protocol_version"] = json!(0);
    let conn = call.world.connect("v=8");
    call.world.say(conn, &message);
    call.world.say(conn, &select(address(id), "aead_aes256_gcm_rtpsize"));
    conn
}

#[test]
fn without_encryption_nobody_is_admitted() {
    let mut call = Call::of(Config::default(), &[1, 2]);
    let mut silent_about_it = identify(3);
    silent_about_it["d"].as_object_mut().expect("an object").remove("max_dave_protocol_version");
    let conn = plain(&mut call, 3);
    assert_eq!(call.world.closed(conn), 4017);
    let conn = call.world.connect("v=8");
    call.world.say(conn, &silent_about_it);
    assert_eq!(call.world.closed(conn), 4017);
    call.agree();
}

#[test]
fn a_stage_and_version_0_have_none() {
    for config in [Config::default().stage(true), Config::default().dave_version(0)] {
        let mut call = Call::of(config, &[1, 2]);
        let conn = plain(&mut call, 3);
        assert_eq!(call.world.ended(conn), None);
        for id in 1..=2 {
            assert!(call.ops(id).iter().all(|op| matches!(op, 4 | 11)), "{:?}", call.ops(id));
            assert_eq!(call.peer(id).state, Some(State::Off));
            assert_eq!(call.member(id).dave_version, Some(0));
        }
        assert_eq!((call.stats().downgrades, call.stats().key_packages), (0, 0));
    }
}

#[test]
fn a_client_of_tomorrow_speaks_what_is_spoken_here() {
    let mut call = Call::new(Config::default());
    for id in 1..=2 {
        let mut message = identify(id);
        message["d"]["max_dave_protocol_version"] = json!(3);
        message["d"]["channel_id"] = json!(super::call::CHANNEL.to_string());
        call.join_as(id, &message);
        call.run();
    }
    call.agree();
    assert_eq!(call.member(1).max_dave_version, 3);
}

#[test]
fn a_client_without_encryption_downgrades_the_call_and_it_comes_back() {
    let mut call = Call::of(Config::default().dave_downgrade(true), &[1, 2]);
    call.agree();
    call.forget();
    let conn = plain(&mut call, 3);
    let heard = call.world.heard(conn);
    assert_eq!(crate::world::find(&heard, 4)["dave_protocol_version"], 0);
    call.run();
    for id in 1..=2 {
        assert_eq!(call.ops(id), [11, 21, 22], "{id}");
        assert_eq!(call.peer(id).state, Some(State::Off));
        let ids: Vec<_> = call.peer(id).ops.iter().filter_map(|(_, transition)| *transition).collect();
        assert!(ids[0] > 0 && ids[0] == ids[1], "{ids:?}");
    }
    assert!(call.world.frames.iter().all(|(to, _)| *to != conn), "nothing of encryption for who has none");
    assert_eq!((call.stats().downgrades, call.member(1).dave_version, call.member(1).dave_epoch), (1, Some(0), None));

    // Who joins meanwhile has version 0, too.
    call.join(4);
    call.run();
    assert_eq!((call.ops(4), call.peer(4).state), (vec![11, 4], Some(State::Off)));

    call.forget();
    call.world.disconnect(conn, Some(1000));
    call.run();
    assert!(call.agree() <= 2, "a new group");
    assert!(call.ops(1).starts_with(&[13, 24, 27]), "{:?}", call.ops(1));
    assert!(call.ops(4).starts_with(&[13, 25, 24, 27]), "{:?}", call.ops(4));
    assert_eq!((call.stats().upgrades, call.stats().commits_invalid), (1, 0));
}

#[test]
fn the_last_of_several_leads_back() {
    let mut call = Call::of(Config::default().dave_downgrade(true), &[1, 2]);
    let conns = [3, 4].map(|id| plain(&mut call, id));
    call.run();
    assert_eq!(call.stats().downgrades, 1, "once");
    call.world.disconnect(conns[0], Some(1000));
    call.run();
    assert_eq!(call.peer(1).state, Some(State::Off));
    call.world.disconnect(conns[1], Some(1000));
    call.run();
    call.agree();
}

#[test]
fn a_downgrade_waits_two_seconds_at_most() {
    let mut call = Call::of(Config::default().dave_downgrade(true), &[1, 2]);
    call.peer(2).is_silent = true;
    call.forget();
    plain(&mut call, 3);
    call.run();
    assert_eq!((call.ops(1), call.peer(1).state), (vec![11, 21], ON));
    call.pass(Duration::from_secs(2));
    assert_eq!((call.peer(1).state, call.peer(2).state), (Some(State::Off), Some(State::Off)));
}

#[test]
fn alone_after_a_downgrade_there_is_a_new_beginning() {
    let mut call = Call::of(Config::default().dave_downgrade(true), &[1]);
    let conn = plain(&mut call, 2);
    call.run();
    assert_eq!(call.peer(1).state, Some(State::Off));
    call.forget();
    call.world.disconnect(conn, Some(1000));
    call.run();
    assert_eq!((call.ops(1), call.peer(1).state), (vec![13, 24, 21], Some(State::Pending)));
    call.join(3);
    call.run();
    call.agree();
}

#[test]
fn going_to_and_fro_faster_than_transitions_ends_well() {
    let mut call = Call::of(Config::default().dave_downgrade(true), &[1, 2, 3]);
    for _ in 0..3 {
        let conn = plain(&mut call, 9);
        call.step();
        call.world.disconnect(conn, Some(1000));
        call.step();
    }
    call.run();
    call.pass(Duration::from_secs(3));
    call.agree();
}

#[test]
fn a_call_without_encryption_from_the_start_is_upgraded() {
    let mut call = Call::new(Config::default().dave_downgrade(true));
    let conn = plain(&mut call, 9);
    for id in 1..=2 {
        call.join(id);
        call.run();
    }
    assert_eq!(call.peer(1).state, Some(State::Off));
    call.world.disconnect(conn, Some(1000));
    call.run();
    call.agree();
    assert_eq!((call.stats().upgrades, call.stats().downgrades), (1, 0));
}
