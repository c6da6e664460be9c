use std::time::Duration;

use gateway::binary::Message as Binary;
use voice_loopback::Config;

use super::call::Call;
use super::mls::{Proposals, proposals};

fn payloads(heard: &[Binary]) -> Vec<Proposals> {
    let payload = |message: &Binary| match message {
        Binary::Proposals(payload) => Some(proposals(payload)),
        _ => None,
    };
    heard.iter().filter_map(payload).collect()
}

/// Users added and leaves removed by everything appended.
fn changes(heard: &[Binary]) -> (Vec<u64>, Vec<u32>) {
    let appended = payloads(heard).into_iter().filter_map(|it| match it {
        Proposals::Append(proposals) => Some(proposals),
        Proposals::Revoke(_) => None,
    });
    let appended: Vec<_> = appended.flatten().collect();
    (appended.iter().filter_map(|it| it.adds).collect(), appended.iter().filter_map(|it| it.removes).collect())
}

#[test]
fn alone_there_is_a_version_and_a_sender_but_no_group() {
    let mut call = Call::of(Config::default(), &[1]);
    assert_eq!(call.ops(1), [4, 25]);
    assert_eq!(call.peer(1).said.len(), 1, "a key package");
    assert_eq!((call.member(1).dave_version, call.member(1).dave_epoch), (Some(1), None));
    call.pass(Duration::from_secs(5));
    assert_eq!(call.ops(1), [4, 25], "nothing to do");
}

#[test]
fn two_make_a_group() {
    let mut call = Call::of(Config::default(), &[1, 2]);
    assert_eq!(call.agree(), 1);
    let (first, second) = (call.ops(1), call.ops(2));
    // One of them commits first; either way 11 is before 27, 25 right after 4, and one transition is executed.
    assert!(first.starts_with(&[4, 25, 11, 27]), "{first:?}");
    assert!(second.starts_with(&[11, 4, 25]), "{second:?}");
    let announced: Vec<u64> = first.iter().chain(&second).copied().filter(|op| matches!(op, 29 | 30)).collect();
    assert_eq!(announced.iter().filter(|op| **op == 29).count(), 1, "{announced:?}");
    assert_eq!(announced.iter().filter(|op| **op == 30).count(), 1, "{announced:?}");
    let executed = call.peer(1).ops.iter().filter(|(op, _)| *op == 22).copied().collect::<Vec<_>>();
    assert_eq!(executed, [(22, Some(1))]);
    let stats = call.stats();
    assert_eq!((stats.key_packages, stats.key_packages_refused, stats.commits_accepted), (2, 0, 1));
    assert_eq!((stats.welcomes, stats.transitions_executed, stats.transitions_timed_out), (1, 1, 0));
    assert_eq!(stats.commits_invalid, 0);
}

#[test]
fn before_there_is_a_group_everybody_gets_the_others() {
    let mut call = Call::new(Config::default());
    for id in 1..=3 {
        call.join(id);
    }
    for id in 1..=3 {
        call.peer(id).is_silent = true;
    }
    call.run();
    // Now their key packages, one after the other, and nothing else.
    for id in 1..=3 {
        let package = call.peer(id).kept.remove(0);
        call.say(id, package);
    }
    call.run();
    for (id, others) in [(1, [2, 3]), (2, [1, 3]), (3, [1, 2])] {
        assert_eq!(changes(&call.peer(id).heard), (others.to_vec(), vec![]), "{id}");
    }
    call.join(4);
    call.peer(4).is_silent = true;
    call.run();
    assert_eq!(changes(&call.peer(4).heard).0, [1, 2, 3], "who comes later gets what is under way");
    let messages = |call: &mut Call, id: u64, user: u64| {
        let found = payloads(&call.peer(id).heard).into_iter().find_map(|it| match it {
            Proposals::Append(proposals) => proposals.into_iter().find(|it| it.adds == Some(user)),
            Proposals::Revoke(_) => None,
        });
        found.expect("proposed").message
    };
    let signed = messages(&mut call, 1, 3);
    assert_eq!((messages(&mut call, 2, 3), messages(&mut call, 4, 3)), (signed.clone(), signed), "signed once");
}

#[test]
fn the_first_valid_commit_wins_and_the_others_are_dropped() {
    let mut call = Call::new(Config::default());
    for id in 1..=4 {
        call.join(id);
    }
    call.run();
    assert_eq!(call.agree(), 1);
    let stats = call.stats();
    assert_eq!((stats.commits_accepted, stats.commits_invalid, stats.welcomes), (1, 0, 3));
    assert!(stats.commits_late > 0, "{stats:?}");
    for id in 1..=4 {
        let announced: Vec<_> = call.ops(id).into_iter().filter(|op| matches!(op, 29 | 30)).collect();
        assert_eq!(announced.len(), 1, "{id}: its own commit, or its welcome");
    }
}

#[test]
fn each_is_welcomed_with_their_own_secrets_only() {
    let mut call = Call::new(Config::default());
    for id in 1..=5 {
        call.join(id);
    }
    call.run();
    assert_eq!(call.agree(), 1);
    let welcomes: Vec<Vec<u8>> = (1..=5)
        .filter_map(|id| {
            call.peer(id).heard.iter().find_map(|message| match message {
                Binary::Welcome { welcome, .. } => Some(welcome.clone()),
                _ => None,
            })
        })
        .collect();
    assert_eq!(welcomes.len(), 4);
    for welcome in &welcomes {
        let (secrets, _) = super::mls::split_vector(&welcome[2..]);
        // One reference, one KEM output, one ciphertext.
        let mut rest = secrets;
        for _ in 0..3 {
            rest = super::mls::split_vector(rest).1;
        }
        assert!(rest.is_empty());
    }
}

#[test]
fn members_come_and_go() {
    let mut call = Call::of(Config::default(), &[1, 2]);
    call.forget();
    call.join(3);
    call.run();
    assert_eq!(call.agree(), 2);
    assert_eq!(changes(&call.peer(1).heard), (vec![3], vec![]));
    assert_eq!(changes(&call.peer(3).heard), (vec![], vec![]), "who is pending needs no proposals");
    assert_eq!(call.ops(3), [11, 4, 25, 30, 22]);

    call.forget();
    call.leave(1);
    call.run();
    assert_eq!(call.agree(), 3);
    assert_eq!(call.ops(2), [13, 27, 29, 22]);
    assert_eq!(call.ops(3), [13, 27, 29, 22]);
    assert_eq!(changes(&call.peer(2).heard).1.len(), 1);
    assert_eq!(call.stats().commits_invalid, 0);
}

#[test]
fn additions_fill_blank_leaves_as_mls_has_it() {
    let mut call = Call::of(Config::default(), &[1, 2, 3, 4, 5]);
    call.leave(2);
    call.run();
    call.leave(4);
    call.run();
    for id in [6, 7, 8] {
        call.join(id);
        call.run();
    }
    // Every later removal is of the right leaf, or these would not agree.
    for id in [6, 3, 8] {
        call.leave(id);
        call.run();
    }
    call.agree();
    assert_eq!(call.stats().commits_invalid, 0);
}

#[test]
fn several_changes_go_into_one_commit() {
    let mut call = Call::of(Config::default(), &[1, 2, 3, 4]);
    let epoch = call.agree();
    call.forget();
    call.leave(2);
    call.leave(3);
    call.run();
    assert_eq!(call.agree(), epoch + 1);
    assert_eq!(call.stats().commits_invalid, 0);
}

#[test]
fn additions_wait_for_one_another_when_told_so() {
    let config = Config::default().dave_batch(Duration::from_millis(100));
    let mut call = Call::of(config, &[1, 2, 3]);
    call.pass(Duration::from_secs(1));
    call.agree();
    for id in 1..=3 {
        call.peer(id).is_silent = true;
    }
    call.forget();
    for id in 4..=6 {
        call.join(id);
        call.run();
    }
    assert_eq!(changes(&call.peer(1).heard).0, [4], "the first goes out at once");
    call.pass(Duration::from_millis(100));
    assert_eq!(changes(&call.peer(1).heard).0, [4, 5, 6]);
    assert_eq!(payloads(&call.peer(1).heard).len(), 2);
    call.leave(3);
    call.run();
    assert_eq!(changes(&call.peer(1).heard).1.len(), 1, "a removal does not wait");
    for id in 1..=2 {
        call.peer(id).is_silent = false;
        let last = call.peer(id).kept.pop().expect("a commit");
        call.say(id, last);
    }
    call.run();
    call.pass(Duration::from_secs(1));
    call.agree();
}

#[test]
fn an_addition_is_revoked_when_its_user_leaves_first() {
    let mut call = Call::of(Config::default(), &[1, 2]);
    let epoch = call.agree();
    for id in 1..=2 {
        call.peer(id).is_silent = true;
    }
    call.join(3);
    call.run();
    call.forget();
    call.leave(3);
    call.run();
    let [Proposals::Revoke(references)] = &payloads(&call.peer(1).heard)[..] else { panic!("not one revocation") };
    assert_eq!(references.len(), 1);
    for id in 1..=2 {
        let peer = call.peer(id);
        peer.is_silent = false;
        let kept = std::mem::take(&mut peer.kept);
        for output in kept {
            call.say(id, output);
        }
    }
    call.run();
    assert_eq!(call.agree(), epoch, "nothing to commit to");
    assert_eq!(call.stats().commits_invalid, 0);
    assert_eq!(call.stats().revoked, 1);
}

#[test]
fn what_stands_beside_a_revoked_proposal_is_signed_anew() {
    let mut call = Call::of(Config::default(), &[1, 2]);
    for id in 1..=2 {
        call.peer(id).is_silent = true;
    }
    call.join(3);
    call.run();
    let early = call.peer(1).kept.remove(0);
    call.join(4);
    call.run();
    call.forget();
    call.leave(4);
    call.run();
    let heard = payloads(&call.peer(1).heard);
    let [Proposals::Revoke(revoked), Proposals::Append(again)] = &heard[..] else { panic!("{heard:?}") };
    assert_eq!((revoked.len(), again.len()), (2, 1));
    assert!(again[0].adds == Some(3) && !revoked.contains(&again[0].reference));
    // The commit to what stood before 4 came, which its sender has replaced since, must not win now.
    let late = call.stats().commits_late;
    call.say(1, early);
    assert_eq!((call.stats().commits_late, call.stats().commits_invalid), (late + 1, 0));
    call.peer(1).is_silent = false;
    call.peer(2).is_silent = false;
    let latest = call.peer(1).kept.pop().expect("a commit");
    call.say(1, latest);
    call.run();
    call.agree();
}

#[test]
fn the_last_one_left_starts_anew() {
    let mut call = Call::of(Config::default(), &[1, 2, 3]);
    call.leave(2);
    call.run();
    call.forget();
    call.leave(3);
    call.run();
    assert_eq!(call.ops(1), [13, 24, 21], "as from Discord");
    assert!(call.peer(1).ops.contains(&(21, Some(0))));
    assert!(matches!(call.peer(1).said[..], [Binary::KeyPackage(_)]), "a fresh key package");
    assert_eq!(call.peer(1).session.epoch(), None);
    assert_eq!((call.stats().resets, call.member(1).dave_epoch), (1, None));
    call.join(4);
    call.run();
    assert_eq!(call.agree(), 1);
    assert_eq!(call.stats().commits_invalid, 0);
}

#[test]
fn an_empty_room_starts_anew() {
    let mut call = Call::of(Config::default(), &[1, 2]);
    call.leave(1);
    call.leave(2);
    assert_eq!(call.world.server.poll_timeout(), None);
    for id in [3, 4] {
        call.join(id);
        call.run();
    }
    assert_eq!(call.agree(), 1);
}

#[test]
fn a_transition_waits_for_everybody_or_two_seconds() {
    let mut call = Call::of(Config::default(), &[1, 2, 3]);
    call.forget();
    call.peer(3).is_silent = true;
    call.join(4);
    call.run();
    assert!(!call.ops(1).contains(&22), "3 is not ready");
    call.pass(Duration::from_millis(1_999));
    assert!(!call.ops(1).contains(&22));
    call.pass(Duration::from_millis(1));
    for id in 1..=4 {
        assert!(call.ops(id).contains(&22), "{id}");
    }
    assert_eq!(call.stats().transitions_timed_out, 1);
    call.agree();
}

#[test]
fn the_next_epoch_does_not_wait_for_the_execution_of_the_last() {
    let mut call = Call::of(Config::default(), &[1, 2, 3]);
    let epoch = call.agree();
    call.forget();
    call.peer(3).is_silent = true;
    for id in 4..=6 {
        call.join(id);
        call.run();
    }
    assert_eq!(call.peer(1).session.epoch(), Some(epoch + 3));
    assert!(!call.ops(1).contains(&22));
    call.pass(Duration::from_secs(2));
    let executed: Vec<_> = call.peer(1).ops.iter().filter(|(op, _)| *op == 22).filter_map(|(_, id)| *id).collect();
    assert!(executed.len() == 3 && executed.is_sorted(), "in their order: {executed:?}");
    call.agree();
}

#[test]
fn a_user_who_comes_back_is_removed_and_added_in_one_commit() {
    let mut call = Call::of(Config::default(), &[1, 2, 3]);
    let epoch = call.agree();
    for id in 1..=2 {
        call.peer(id).is_silent = true;
    }
    call.forget();
    call.leave(3);
    call.join(3);
    call.run();
    let (adds, removes) = changes(&call.peer(1).heard);
    assert_eq!((adds, removes.len()), (vec![3], 1));
    for id in 1..=2 {
        call.peer(id).is_silent = false;
        let last = call.peer(id).kept.pop().expect("a commit");
        call.say(id, last);
    }
    call.run();
    assert_eq!(call.agree(), epoch + 1);
}

#[test]
fn a_new_key_package_of_a_pending_member_replaces_the_old_one() {
    let mut call = Call::of(Config::default(), &[1, 2]);
    call.peer(1).is_silent = true;
    call.peer(2).is_silent = true;
    call.join(3);
    call.run();
    call.forget();
    let another = super::mls::Package::of(3).bytes();
    let conn = call.peer(3).conn;
    let frame = gateway::binary::write_client(&Binary::KeyPackage(another));
    call.world.say_binary(conn, &frame);
    call.run();
    let heard = payloads(&call.peer(1).heard);
    let [Proposals::Revoke(revoked), Proposals::Append(added)] = &heard[..] else { panic!("{heard:?}") };
    assert_eq!((revoked.len(), added[0].adds), (1, Some(3)));
    call.world.say_binary(conn, &frame);
    call.forget();
    call.run();
    assert!(call.peer(1).heard.is_empty(), "the same one again changes nothing");
}

#[test]
fn version_4_clients_take_part_without_numbers() {
    let mut call = Call::of(Config::default(), &[1]);
    let conn = call.world.connect("v=4");
    call.world.say(conn, &crate::world::identify(2));
    call.world.say(conn, &crate::world::select(crate::world::address(2), "aead_aes256_gcm_rtpsize"));
    let frame = call.world.frames.iter().find(|(to, _)| *to == conn).map(|(_, frame)| frame.clone());
    let message = gateway::binary::read_client(&frame.expect("op 25")).expect("well formed");
    assert!(matches!(message, Binary::ExternalSender(_)));
}
