//! Builds, tests and demonstrates the voice stack: `cargo xtask JOB`.

#![forbid(unsafe_code)]
// A program for people: it prints, and it waits for other programs.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::disallowed_methods)]

mod bench;
mod child;
mod ci;
mod cmake;
mod demo;
mod fuzz;
mod interop;
mod layers;
mod run;
mod size;
mod source;
mod test;
mod vectors;
mod wav;

use std::process::ExitCode;

use run::Failure;

const USAGE: &str = "\
usage: cargo xtask JOB

  demo              play every file of assets/ from one bot to another and write target/demo/report.html
  test              run all tests, and every file of the fuzz corpora through its target
  ci                everything that a change must pass, with a table of times
  layers            check who may import whom, and that no layer reads a clock or holds a lock
  vectors           run the golden vectors through the crates' `vectors` examples
  interop [NAME] [--keep]
                    meet implementations that we did not write: davey (Rust), libdave (a Python package, needs pip),
                    sources (FFmpeg and yt-dlp, Python packages too),
                    discordjs (needs npm); --keep leaves the recordings behind
  fuzz NAME --secs N
                    feed a target of fuzz/ with whatever libFuzzer comes up with; 1 when it found something
  bench [FILTER]    measure, print a table and write target/bench.json

Output goes below CARGO_TARGET_DIR when that is set. With INTEROP_OFFLINE=1 `interop` may be skipped when npm or its
registry is out of reach; without, that is a failure. libdave and sources are skipped when PyPI is out of
reach.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&arguments.iter().map(String::as_str).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\nxtask: {}", failure.reason);
            ExitCode::from(failure.code)
        }
    }
}

fn dispatch(arguments: &[&str]) -> Result<(), Failure> {
    match arguments {
        ["demo"] => demo::run(),
        ["test"] => test::run(),
        ["ci"] => ci::run(),
        ["layers"] => layers::run(),
        ["vectors"] => vectors::run(),
        ["interop"] => interop::run("", false),
        ["interop", "--keep"] => interop::run("", true),
        ["interop", name] => interop::run(name, false),
        ["interop", name, "--keep"] => interop::run(name, true),
        ["fuzz", name, "--secs", seconds] => fuzz::run(name, seconds),
        ["bench"] => bench::run(None),
        ["bench", filter] => bench::run(Some(filter)),
        [] | ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            Ok(())
        }
        unknown => {
            print!("{USAGE}");
            Err(Failure { code: 2, reason: format!("there is no job `{}`", unknown.join(" ")) })
        }
    }
}
