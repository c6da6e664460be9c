use std::time::Duration;

use dave::provider::Entropy;
use gateway::binary::{Message as Binary, write_client};
use proptest::prelude::{Strategy, any, prop, prop_oneof, proptest};
use voice_loopback::{Config, Cue, Trick};

use super::call::{Call, Drawn};
use super::mls::{Commit, Package};

/// Comes, goes and loses its connection; listens a while; agrees in the end.
fn shuffle(seed: u64, config: Config, steps: usize) {
    let drawn = Drawn::new(seed);
    let draw = |below: u64| {
        let mut bytes = [0; 8];
        drawn.fill(&mut bytes);
        u64::from_le_bytes(bytes) % below
    };
    let mut call = Call::of(config, &[1, 2]);
    let mut away = Vec::new();
    for _ in 0..steps {
        let id = 1 + draw(9);
        let is_away = away.contains(&id);
        match draw(10) {
            0..=3 if !call.peers.contains_key(&id) => call.join(id),
            4 | 5 if call.peers.contains_key(&id) && !is_away => call.leave(id),
            // Who has not heard op 4 does not resume.
            6 if call.peers.get(&id).is_some_and(|it| it.ops.iter().any(|(op, _)| *op == 4)) && !is_away => {
                call.sever(id);
                away.push(id);
            }
            7 if is_away => {
                call.resume(id);
                away.retain(|it| *it != id);
            }
            8 => call.pass(Duration::from_millis(draw(2_500))),
            _ => {}
        }
        // Everybody listens to as much as it likes.
        for _ in 0..draw(12) {
            let id = 1 + draw(9);
            call.listen(id);
        }
    }
    for id in away {
        call.resume(id);
    }
    for _ in 0..3 {
        call.run();
        call.pass(Duration::from_secs(3));
    }
    if call.peers.len() >= 2 {
        call.agree();
    }
    let stats = call.stats();
    assert_eq!(stats.commits_invalid, 0, "seed {seed}: {stats:?}");
    // A key package that crosses op 24 on its way is out of date, and nobody can tell.
    assert!(stats.recoveries <= 2, "seed {seed}: {stats:?}");
    assert_eq!(stats.key_packages_refused, 0, "seed {seed}: {stats:?}");
}

#[test]
fn coming_and_going_in_any_order_ends_in_one_group() {
    for seed in 0..12 {
        let grace = Duration::from_secs(if seed % 2 == 0 { 0 } else { 20 });
        let config = Config::default().heartbeat_interval(Duration::from_secs(3_600));
        let batch = Duration::from_millis(if seed % 3 == 0 { 100 } else { 0 });
        shuffle(seed, config.grace(grace).dave_batch(batch), 60);
    }
}

#[test]
fn thirty_members_make_one_group() {
    let mut call = Call::new(Config::default());
    for id in 1..=30 {
        call.join(id);
    }
    call.run();
    call.agree();
}

/// One thing that a hostile member may do.
#[derive(Clone, Debug)]
enum Operation {
    Join(u64),
    Leave(u64),
    Sever(u64),
    Frame(u64, Vec<u8>),
    KeyPackage(u64, u64),
    Commit(u64, u64, u32, usize),
    Text(u64, String),
    Trick(u64, Trick),
    Pass(u64),
}

fn operation() -> impl Strategy<Value = Operation> {
    let user = || 1_u64..5;
    let tricks = prop::sample::select(vec![
        Trick::CorruptCommit,
        Trick::ForeignWelcome,
        Trick::ForeignSender,
        Trick::ForeignProposals,
        Trick::LateConnect,
        Trick::DuplicateExecute,
    ]);
    prop_oneof![
        user().prop_map(Operation::Join),
        user().prop_map(Operation::Join),
        user().prop_map(Operation::Leave),
        user().prop_map(Operation::Sever),
        (user(), 26_u8..32, prop::collection::vec(any::<u8>(), 0..60))
            .prop_map(|(user, op, rest)| Operation::Frame(user, [vec![op], rest].concat())),
        (user(), user()).prop_map(|(user, of)| Operation::KeyPackage(user, of)),
        (user(), 0_u64..4, 0_u32..4, 0_usize..3)
            .prop_map(|(user, epoch, leaf, count)| Operation::Commit(user, epoch, leaf, count)),
        (user(), prop_oneof!["23", "31", "22", "24"], any::<u16>()).prop_map(|(user, op, transition)| {
            Operation::Text(user, format!(r#"{{"op":{op},"d":{{"transition_id":{transition}}}}}"#))
        }),
        (user(), tricks).prop_map(|(user, trick)| Operation::Trick(user, trick)),
        (0_u64..3_000).prop_map(Operation::Pass),
    ]
}

proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(40))]
    #[test]
    fn nothing_that_members_do_ends_the_server(operations in prop::collection::vec(operation(), 1..40)) {
        let mut call = Call::new(Config::default().dave_downgrade(true));
        for operation in operations {
            match operation {
                Operation::Join(user) if !call.peers.contains_key(&user) => call.join(user),
                Operation::Leave(user) if call.peers.contains_key(&user) => call.leave(user),
                Operation::Sever(user) if call.peers.contains_key(&user) => {
                    call.sever(user);
                    call.peers.remove(&user);
                }
                Operation::Frame(user, frame) => {
                    if let Some(conn) = call.peers.get(&user).map(|peer| peer.conn) {
                        call.world.say_binary(conn, &frame);
                    }
                }
                Operation::KeyPackage(user, of) => {
                    if let Some(conn) = call.peers.get(&user).map(|peer| peer.conn) {
                        let frame = write_client(&Binary::KeyPackage(Package::of(of).bytes()));
                        call.world.say_binary(conn, &frame);
                    }
                }
                Operation::Commit(user, epoch, leaf, count) => {
                    if let Some(conn) = call.peers.get(&user).map(|peer| peer.conn) {
                        let references = vec![vec![7; 32]; count];
                        let commit = Commit::new(epoch, leaf, &references).welcoming(&[]);
                        call.world.say_binary(conn, &write_client(&Binary::CommitWelcome(commit.payload())));
                    }
                }
                Operation::Text(user, text) => {
                    if let Some(conn) = call.peers.get(&user).map(|peer| peer.conn) {
                        call.world.say_raw(conn, &text);
                    }
                }
                Operation::Trick(user, trick) => call.trick(user, trick),
                Operation::Pass(millis) => call.pass(Duration::from_millis(millis)),
                _ => {}
            }
            for _ in 0..5 {
                call.step();
            }
        }
        call.cue(Cue::StaleCommit { user: None });
        call.world.pass(Duration::from_secs(100));
        assert!(call.world.server.poll_timeout().is_none(), "who is silent is forgotten in the end");
    }
}
