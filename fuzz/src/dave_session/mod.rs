//! Operations on a few sessions of one call, and on the gateway between them.

mod invariants;
mod world;

use crate::input::Input;
use world::{USERS, World};

/// Bytes as operations: a gateway that is right, late, confused or hostile, and members who must bear it.
///
/// # Panics
///
/// When an invariant does not hold.
pub fn dave_session(data: &[u8]) {
    let mut input = Input::new(data);
    let mut world = World::new();
    // Every operation may cost a millisecond: a run is bounded by its input, which libFuzzer bounds.
    while !input.is_empty() {
        operate(&mut world, &mut input);
    }
}

fn operate(world: &mut World, input: &mut Input) {
    let (operation, user) = (input.byte(), input.below(USERS));
    match operation % 24 {
        // What a gateway does that keeps its word.
        0 | 1 => world.enter(user),
        2 | 3 => world.admit(user, input.below(USERS)),
        4 => world.dismiss(user, input.below(USERS)),
        5 => world.execute_all(),
        6 => world.start_over(),
        7 => world.downgrade(),
        // Single messages, of any content, in any order, to anybody.
        8 => world.version(user, u16::from(input.byte() % 4)),
        9 => world.connect(user, input.byte()),
        10 => world.disconnect(user, input.below(USERS + 1)),
        11 => world.prepare_transition(user, input.short() % 8, u16::from(input.byte() % 3)),
        12 => world.execute_transition(user, input.short() % 8),
        13 => {
            let transition = input.bit().then(|| input.short() % 8);
            world.prepare_epoch(user, u64::from(input.byte() % 4), u16::from(input.byte() % 3), transition);
        }
        14 => world.external_sender(user, input),
        15 => world.propose_add(input.below(USERS), input.byte()),
        16 => world.propose_remove(input.byte()),
        17 => world.deliver_proposals(user, input),
        18 => world.deliver_commit(user, input),
        19 => world.deliver_welcome(user, input),
        20 => world.deliver_garbage(user, input),
        21 => world.wait(input.byte()),
        22 => world.undecryptable(user),
        _ => {
            world.speak(user);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::world::World;

    /// The gateway that keeps its word gets groups made: without them, fuzzing would be about nothing.
    #[test]
    fn an_orderly_gateway_makes_groups() {
        let mut world = World::new();
        for user in 0..4 {
            world.enter(user);
        }
        for user in 1..4 {
            world.admit(user, user - 1);
            world.execute_all();
        }
        assert_eq!(world.epochs(), [Some(3); 4]);
        assert_eq!(world.speak(0), 3);
        world.dismiss(2, 3);
        world.execute_all();
        assert_eq!(world.epochs(), [Some(4), Some(4), Some(3), Some(4)]);
        assert_eq!(world.speak(3), 2);
        world.start_over();
        assert_eq!(world.epochs(), [None; 4]);
        world.admit(0, 3);
        world.execute_all();
        assert_eq!(world.epochs(), [Some(1), None, None, Some(1)]);
    }
}
