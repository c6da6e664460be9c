//! `libdave PYTHON PACKAGES`: the scenarios with Discord's own libdave, whose Python package `dave.py` is installed in
//! the folder `PACKAGES`.

use std::process::ExitCode;

use interop_e2ee::{Libdave, Member, Ours, scenario};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [python, packages] = arguments.as_slice() else {
        eprintln!("usage: libdave PYTHON PACKAGES");
        return ExitCode::from(2);
    };
    // Seats of ours, by parity: both commit, and both join.
    for first in [0, 1] {
        let seat = |seat: usize, user: u64| -> Box<dyn Member> {
            if (seat + first).is_multiple_of(2) {
                Box::new(Ours::new(user))
            } else {
                Box::new(Libdave::new(user, python, packages))
            }
        };
        println!("== epochs, {} first", ["we are", "libdave is"][first]);
        scenario::epochs(seat);
        println!("== alone, {} first", ["we are", "libdave is"][first]);
        scenario::alone(seat);
        println!("== versions, {} first", ["we are", "libdave is"][first]);
        scenario::versions(seat);
    }
    println!("libdave: all scenarios passed");
    ExitCode::SUCCESS
}
