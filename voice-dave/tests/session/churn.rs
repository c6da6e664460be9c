//! Many joins and leaves: everybody who is in the group agrees about it, and nobody needs a recovery.

use crate::support::{Call, Seeded, user};
use voice_dave::provider::Entropy as _;

#[test]
#[expect(clippy::print_stdout, reason = "a failing run shows its seed")]
fn a_hundred_changes_without_a_recovery() {
    const SEED: u64 = 0xC0FFEE;
    println!("seed {SEED:#x}");
    let dice = Seeded::new(SEED);
    let roll = |sides: usize| {
        let mut bytes = [0; 8];
        dice.fill(&mut bytes);
        (u64::from_le_bytes(bytes) % sides as u64) as usize
    };
    let mut call = Call::established(&[1, 2]);
    let mut next = 3;
    for _ in 0..100 {
        let members = call.members();
        let leaves = members.len() > 2 && (members.len() == 8 || roll(2) == 0);
        let mut removals = Vec::new();
        if leaves {
            removals.push(members[roll(members.len())]);
        }
        let mut additions = Vec::new();
        if !leaves || roll(3) == 0 {
            call.enter(next);
            additions.push(next);
            next += 1;
        }
        let now = call.now;
        call.propose(&additions, &removals);
        let committers: Vec<_> = members.into_iter().filter(|id| !removals.contains(id)).collect();
        call.announce(committers[roll(committers.len())], &additions, &removals);
        for id in removals {
            let gone = call.peers.remove(&id).expect("was there");
            assert_eq!(gone.session.stats().recoveries, 1, "removed");
            call.peers.values_mut().for_each(|peer| peer.act(|session| session.handle_disconnect(now, user(id))));
        }
        call.agree();
        call.execute();
        for peer in call.peers.values_mut() {
            assert_eq!(peer.session.stats().recoveries, 0);
            assert_eq!(peer.sealed().len(), 1, "one new secret each");
            peer.outputs.clear();
        }
    }
}
