//! Bytes that the larger half of a group of two holds: ours, then davey's. A program of its own, because every allocation
//! is counted.

#[path = "../pair.rs"]
mod pair;

use allocation_counter::measure;
use davey::DaveSession;
use voice_client::layer::dave::Session;

use pair::{Member, Pair};

fn main() {
    // What is made once per process is no state of a member.
    drop(Pair::<Session>::established());
    drop(Pair::<DaveSession>::established());
    println!("{} {}", bytes::<Session>(), bytes::<DaveSession>());
}

/// By what dropping gives back: MLS allocates on other threads too.
fn bytes<M: Member>() -> i64 {
    let Pair { founder, joiner } = Pair::<M>::established();
    [founder, joiner]
        .map(|member| size_of::<M>() as i64 - measure(|| drop(member)).bytes_current)
        .into_iter()
        .max()
        .unwrap_or(0)
}
