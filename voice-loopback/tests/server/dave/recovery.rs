use std::time::Duration;

use dave::Output;
use gateway::binary::Message as Binary;
use voice_loopback::Config;

use super::call::Call;

#[test]
fn who_cannot_follow_is_removed_and_added_again() {
    let mut call = Call::of(Config::default(), &[1, 2, 3]);
    let epoch = call.agree();
    call.forget();
    let now = call.world.now;
    call.peer(2).session.handle_commit(now, 77, b"no commit at all");
    for output in std::iter::from_fn(|| call.peer(2).session.poll_output()).collect::<Vec<_>>() {
        if matches!(output, Output::InvalidCommitWelcome(_) | Output::KeyPackage(_)) {
            call.say(2, output);
        }
    }
    assert_eq!(call.member(2).dave_epoch, None, "pending again");
    call.run();
    assert!(call.agree() > epoch);
    assert!(call.ops(2).contains(&30) && !call.ops(2).contains(&29));
    assert_eq!((call.stats().recoveries, call.stats().commits_invalid), (1, 0));
}

#[test]
fn when_nobody_can_follow_there_is_a_new_group() {
    let mut call = Call::of(Config::default(), &[1, 2, 3]);
    call.agree();
    let now = call.world.now;
    for id in 1..=3 {
        call.peer(id).session.handle_commit(now, 77, b"no commit at all");
    }
    for id in 1..=3 {
        for output in std::iter::from_fn(|| call.peer(id).session.poll_output()).collect::<Vec<_>>() {
            if matches!(output, Output::InvalidCommitWelcome(_) | Output::KeyPackage(_)) {
                call.say(id, output);
            }
        }
    }
    call.run();
    assert!(call.agree() <= 3, "from the start");
    assert_eq!((call.stats().recoveries, call.stats().resets), (3, 1));
}

#[test]
fn a_pending_member_that_flags_loses_its_key_package() {
    let mut call = Call::of(Config::default(), &[1, 2]);
    call.peer(1).is_silent = true;
    call.peer(2).is_silent = true;
    call.join(3);
    call.run();
    call.forget();
    call.say(3, Output::InvalidCommitWelcome(9));
    call.run();
    let [Binary::Proposals(revocation)] = &call.peer(1).heard[..] else { panic!("not one message") };
    assert_eq!(revocation[0], 1);
}

#[test]
fn a_severed_member_is_removed_at_once_and_comes_back_on_resume() {
    let mut call = Call::of(Config::default(), &[1, 2, 3]);
    call.forget();
    call.sever(3);
    call.run();
    assert_eq!(call.ops(1), [13, 27, 29, 22]);
    assert_eq!(call.member(3).dave_epoch, None);
    call.resume(3);
    call.run();
    assert!(call.ops(3).contains(&24), "its group is out of date: {:?}", call.ops(3));
    call.agree();
    assert_eq!(call.stats().commits_invalid, 0);
}

#[test]
fn of_two_the_one_that_stays_starts_anew() {
    let mut call = Call::of(Config::default(), &[1, 2]);
    call.forget();
    call.sever(2);
    call.run();
    assert_eq!(call.ops(1), [13, 24, 21]);
    call.resume(2);
    call.run();
    call.agree();
}

#[test]
fn within_the_grace_a_severed_member_stays_and_gets_what_it_missed() {
    let mut call = Call::of(Config::default().grace(Duration::from_secs(5)), &[1, 2, 3]);
    let epoch = call.agree();
    call.forget();
    call.sever(3);
    call.join(4);
    call.run();
    assert_eq!(call.peer(1).session.epoch(), Some(epoch + 1));
    assert!(call.ops(1).contains(&22), "nobody waits for who is away");
    call.pass(Duration::from_secs(2));
    call.resume(3);
    call.run();
    assert_eq!(call.agree(), epoch + 1);
    assert_eq!(call.ops(3), [11, 27, 29, 22], "binary messages are replayed in their order");
    assert_eq!(call.stats().recoveries, 0);
}

#[test]
fn after_the_grace_it_is_removed() {
    let mut call = Call::of(Config::default().grace(Duration::from_secs(5)), &[1, 2, 3]);
    call.forget();
    call.sever(3);
    call.pass(Duration::from_secs(4));
    assert!(call.ops(1).is_empty());
    call.pass(Duration::from_secs(2));
    assert_eq!(call.ops(1), [13, 27, 29, 22]);
    call.pass(Duration::from_secs(5));
    call.resume(3);
    call.run();
    call.agree();
}

#[test]
fn a_commit_that_was_lost_with_a_websocket_is_asked_for_again() {
    let mut call = Call::of(Config::default().grace(Duration::from_secs(60)), &[1, 2]);
    for id in 1..=2 {
        call.peer(id).is_silent = true;
    }
    call.join(3);
    call.run();
    for id in 1..=2 {
        call.peer(id).kept.clear();
        call.peer(id).is_silent = false;
        call.sever(id);
    }
    call.pass(Duration::from_secs(3));
    assert_eq!(call.peer(3).session.epoch(), None, "nobody has committed");
    call.resume(1);
    call.run();
    assert_eq!(call.peer(3).session.epoch(), call.peer(1).session.epoch());
    call.resume(2);
    call.run();
    call.agree();
    assert_eq!(call.stats().recoveries, 0);
}

#[test]
fn who_missed_more_than_is_kept_starts_afresh() {
    let hour = Duration::from_secs(3_600);
    let mut call = Call::of(Config::default().grace(hour).heartbeat_interval(hour), &[1, 2, 3]);
    call.sever(3);
    for flags in 0..600 {
        let conn = call.peer(1).conn;
        call.world.say(conn, &serde_json::json!({ "op": 5, "d": { "speaking": flags % 2 } }));
        if flags % 200 == 199 {
            call.pass(Duration::from_secs(10));
        }
    }
    call.forget();
    call.resume(3);
    call.run();
    assert!(call.ops(3).contains(&24), "{:?}", call.ops(3));
    call.agree();
}

#[test]
fn a_group_that_nobody_can_join_is_given_up() {
    let mut call = Call::new(Config::default());
    call.cue(voice_loopback::Cue::Trick {
        user: Some(crate::world::user(2)),
        trick: voice_loopback::Trick::ForeignWelcome,
        times: 2,
    });
    // 1 founds the group both times, for 2 does not commit.
    call.join(1);
    call.join(2);
    call.run();
    call.pass(Duration::from_secs(3));
    call.agree();
}
