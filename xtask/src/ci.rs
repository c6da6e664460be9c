//! Everything that a change must pass, cheapest first.

use std::time::{Duration, Instant};

use crate::run::{self, Failure};
use crate::{bench, cmake, demo, interop, layers, size, test, vectors};

type Job = fn() -> Result<(), Failure>;

const STEPS: [(&str, Job); 10] = [
    ("format", format),
    ("layers", layers::run),
    ("file sizes", size::run),
    ("clippy", clippy),
    ("docs", || run::run(run::cargo(&["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))),
    ("tests", test::run),
    ("vectors", vectors::run),
    ("demo", demo::run),
    ("interop", || interop::run("", false)),
    ("bench builds", bench::build),
];

/// Workspaces of their own, which are checked as the main one is.
const BESIDE: [&str; 2] = ["fuzz", "interop"];

fn format() -> Result<(), Failure> {
    run::run(&mut run::cargo(&["fmt", "--all", "--check"]))?;
    // `--all` goes on to the crates that they depend on, which costs nothing.
    let folders = BESIDE.iter().chain(["bench", "bench/quality", bench::SONGBIRD].iter());
    folders.copied().try_for_each(|folder| run::run(&mut run::beside(folder, &["fmt", "--all", "--check"])?))
}

fn clippy() -> Result<(), Failure> {
    let all = ["clippy", "--workspace", "--features", "voice-client/metrics", "--all-targets", "--", "-D", "warnings"];
    run::run(&mut run::cargo(&all))?;
    // Whoever wants no sources from the web, or no streams.
    run::run(&mut run::cargo(&[
        "clippy",
        "-p",
        "voice-client",
        "--no-default-features",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))?;
    let deep = ["clippy", "-p", "voice-receive", "--features", "deep", "--all-targets", "--", "-D", "warnings"];
    run::run(&mut run::cargo(&deep))?;
    let http = ["clippy", "-p", "voice-client", "--no-default-features", "--features", "http", "--", "-D", "warnings"];
    run::run(&mut run::cargo(&http))?;
    let arguments = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
    BESIDE.iter().try_for_each(|folder| run::run(&mut run::beside(folder, &arguments)?))
}

/// Runs the steps up to the first that fails, and prints how long each took.
pub(crate) fn run() -> Result<(), Failure> {
    cmake::ensure()?;
    let begin = Instant::now();
    let mut table = Vec::new();
    let mut outcome = Ok(());
    for (name, job) in STEPS {
        println!("\n===== {name}");
        let start = Instant::now();
        outcome = job();
        table.push(row(name, start.elapsed(), outcome.is_ok()));
        if let Err(failure) = &mut outcome {
            failure.reason = format!("{name}: {}", failure.reason);
            break;
        }
    }
    println!("\n{}\n{}", table.join("\n"), row("all", begin.elapsed(), outcome.is_ok()));
    outcome
}

fn row(name: &str, took: Duration, passed: bool) -> String {
    format!("{name:<14} {:>8.1} s  {}", took.as_secs_f64(), if passed { "passed" } else { "FAILED" })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::row;

    #[test]
    fn rows_line_up() {
        let rows =
            [row("format", Duration::from_millis(1_500), true), row("bench builds", Duration::from_secs(610), false)];
        assert_eq!(rows[0], "format              1.5 s  passed");
        assert_eq!(rows[0].find(" s  "), rows[1].find(" s  "));
    }
}
