//! The key exchange: its steps, and what it leaves in memory.

use std::time::Duration;

use davey::DaveSession;
use voice_client::layer::dave::Session;

use crate::Outcome;
use crate::pair::{Member, Pair, Times};
use crate::program::{self, Program};
use crate::row::{Figure, Row, Wanted};
use crate::suite::Suite;

const TIME: Duration = Duration::from_secs(4);
const MEMORY: &str = "mls/memory";
const KIB: f64 = 1_024.0;

/// One of [`Times`].
type Step = fn(&Times) -> Duration;

/// What is measured, and its bar.
const STEPS: [(&str, f64, Step); 4] = [
    ("mls/key-package", 0.2, |times| times.key_package),
    ("mls/add-commit", 0.25, |times| times.add_commit),
    ("mls/own-commit", 0.4, |times| times.own_commit),
    ("mls/welcome", 0.35, |times| times.welcome),
];

pub fn run(suite: &mut Suite) -> Outcome {
    for (name, most, step) in STEPS {
        if !suite.wants(name) {
            continue;
        }
        let (mut ours, mut peer) = (side::<Session>(step), side::<DaveSession>(step));
        let [ours, peer] = suite.compare(name, TIME, [&mut ours, &mut peer]);
        let row = Row::new(name, Figure::Time(ours.median())).peer("davey", peer.median());
        suite.push(row.wanted(Wanted::OfPeer(most)));
    }
    if suite.wants(MEMORY) { memory(suite) } else { Ok(()) }
}

/// The larger half of a group of two. Counted by another program, whose allocator counts.
fn memory(suite: &mut Suite) -> Outcome {
    let text = Program::start(program::beside("mls_memory")?, &[])?.hear_out()?;
    let bytes: Vec<f64> = text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    let [ours, peer] = *bytes else { return Err(format!("mls_memory says {text:?}").into()) };
    suite.push(Row::new(MEMORY, Figure::Memory(ours)).wanted(Wanted::AtMost(16.0 * KIB)));
    suite.push(Row::new(format!("{MEMORY}/davey"), Figure::Memory(peer)));
    Ok(())
}

/// Makes whole groups, and counts one step.
fn side<M: Member>(step: Step) -> impl FnMut(u64) -> Duration {
    move |times| (0..times).map(|_| step(&Pair::<M>::make().1)).sum()
}
