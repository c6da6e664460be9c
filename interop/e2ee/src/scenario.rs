//! Lives of a call.

use crate::{Call, Member};

const A: u64 = 200_000_000_000_000_001;
const B: u64 = 200_000_000_000_000_002;
const C: u64 = 200_000_000_000_000_003;
const D: u64 = 200_000_000_000_000_004;
const E: u64 = 200_000_000_000_000_005;

/// Members come, go and come back, in ten epochs. `seat` makes a member: seats 0, 2 and 4 commit and join as much as 1
/// and 3 do.
pub fn epochs(mut seat: impl FnMut(usize, u64) -> Box<dyn Member>) {
    let mut call = Call::default();
    call.join(seat(0, A), A);
    call.join(seat(1, B), A);
    call.verify_pairs();
    call.join(seat(2, C), B);
    call.join(seat(3, D), C);
    call.leave(B, A);
    // Back with another key.
    call.join(seat(1, B), D);
    call.leave(A, B);
    call.join_without(seat(0, A), seat(4, E), C);
    call.replace(C, seat(0, A), B);
    call.leave(E, D);
    call.verify_pairs();
}

/// The first commit is the second member's; the last member to stay starts over.
pub fn alone(mut seat: impl FnMut(usize, u64) -> Box<dyn Member>) {
    let mut call = Call::default();
    call.join(seat(0, A), A);
    call.join(seat(1, B), B);
    call.leave(A, B);
    call.join(seat(2, C), B);
    call.join(seat(3, D), B);
    call.leave(B, C);
    call.leave(D, C);
    call.join(seat(1, B), B);
}

/// Encryption ends and comes back, twice.
pub fn versions(mut seat: impl FnMut(usize, u64) -> Box<dyn Member>) {
    let mut call = Call::default();
    call.join(seat(0, A), A);
    call.join(seat(1, B), A);
    call.join(seat(2, C), A);
    call.downgrade();
    call.upgrade(B);
    call.leave(C, B);
    call.downgrade();
    call.upgrade(A);
}
