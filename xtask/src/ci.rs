//! Everything that a change must pass, cheapest first.

use std::time::{Duration, Instant};

use crate::run::{self, Failure};
use crate::{bench, cmake, demo, interop, layers, size, test, vectors};

type Job = fn() -> Result<(), Failure>;

const STEPS: [(&str, Job); 10] = [
    ("format", || run::run(&mut run::cargo(&["fmt", "--all", "--check"]))),
    ("layers", layers::run),
    ("file sizes", size::run),
    ("clippy", || run::run(&mut run::cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))),
    ("docs", || run::run(run::cargo(&["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))),
    ("tests", test::run),
    ("vectors", vectors::run),
    ("demo", demo::run),
    ("interop", || interop::run(false)),
    ("bench builds", bench::build),
];

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
