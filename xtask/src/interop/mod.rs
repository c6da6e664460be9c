//! Others' implementations meet ours: in one call, in one group, in one file.

mod davey;
mod discordjs;
mod encrypted;
mod libdave;
mod npm;
mod pip;
mod recordings;
mod sources;
mod stage;

use crate::cmake;
use crate::run::Failure;

/// Takes whether recordings are to stay.
type Meeting = fn(bool) -> Result<(), Failure>;

/// By name, cheapest first.
const MEETINGS: [(&str, Meeting); 5] = [
    ("davey", |_| davey::run()),
    ("libdave", |_| libdave::run()),
    ("sources", |_| sources::run()),
    ("recordings", recordings::run),
    ("discordjs", discordjs::run),
];

/// Runs the meetings whose names contain `filter`, the later ones also when an earlier one failed; `keep` leaves
/// recordings behind.
pub(crate) fn run(filter: &str, keep: bool) -> Result<(), Failure> {
    cmake::ensure()?;
    let chosen: Vec<_> = MEETINGS.into_iter().filter(|(name, _)| name.contains(filter)).collect();
    if chosen.is_empty() {
        let names = MEETINGS.map(|(name, _)| name).join(", ");
        return Err(Failure { code: 2, reason: format!("there is no interop `{filter}`: there are {names}") });
    }
    let mut wrong = Vec::new();
    for (name, meeting) in chosen {
        println!("\n== interop: {name}");
        if let Err(failure) = meeting(keep) {
            println!("{name}: {}", failure.reason);
            wrong.push(format!("{name}: {}", failure.reason));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n").into()) }
}
