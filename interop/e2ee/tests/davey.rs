//! In one process with the `davey` crate.

use interop_e2ee::{Davey, Member, Ours, scenario};
use voice_dave::verify;
use voice_model::UserId;

fn ours_first(seat: usize, user: u64) -> Box<dyn Member> {
    if seat.is_multiple_of(2) { Box::new(Ours::new(user)) } else { Box::new(Davey::new(user)) }
}

fn davey_first(seat: usize, user: u64) -> Box<dyn Member> {
    ours_first(seat + 1, user)
}

#[test]
fn epochs_with_our_member_first() {
    scenario::epochs(ours_first);
}

#[test]
fn epochs_with_davey_first() {
    scenario::epochs(davey_first);
}

#[test]
fn alone_and_in_company_with_our_member_first() {
    scenario::alone(ours_first);
}

#[test]
fn alone_and_in_company_with_davey_first() {
    scenario::alone(davey_first);
}

#[test]
fn versions_with_our_member_first() {
    scenario::versions(ours_first);
}

#[test]
fn versions_with_davey_first() {
    scenario::versions(davey_first);
}

#[test]
fn key_fingerprints_are_daveys() {
    for user in [1_u64, 1_234, u64::MAX] {
        let key: Vec<u8> = (0..65).map(|at| at * 3).collect();
        let theirs = davey::generate_key_fingerprint(0, &key, user).expect("a key");
        let ours = verify::key_fingerprint(0, &key, UserId::new(user).expect("not 0"));
        assert_eq!(ours, Ok(theirs));
    }
}
