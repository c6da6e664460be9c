//! All tests.

use crate::cmake;
use crate::run::{self, Failure};

/// Test programs first (`--examples` brings the tests inside the examples), then those in the documentation.
const PASSES: [&[&str]; 3] = [
    &[
        "test",
        "--workspace",
        "--features",
        "voice-client/metrics",
        "--no-fail-fast",
        "--lib",
        "--bins",
        "--tests",
        "--examples",
    ],
    &["test", "--workspace", "--features", "voice-client/metrics", "--no-fail-fast", "--doc"],
    // Another libopus, with weights; with the others it would take the plain one's place.
    &["test", "--package", "voice-receive", "--features", "deep", "--no-fail-fast", "--lib", "--tests"],
];

/// Every file of the fuzz corpora through its target.
const CORPORA: &[&str] = &["test", "--tests"];

/// Runs every pass, the later ones also when an earlier one failed, and prints the sums.
pub(crate) fn run() -> Result<(), Failure> {
    cmake::ensure()?;
    let mut counts = Counts::default();
    let mut outcome = Ok(());
    let passes = PASSES.map(run::cargo);
    for mut pass in passes.into_iter().chain([run::beside("fuzz", CORPORA)?]) {
        let passed = run::run_lines(&mut pass, |line| counts.add(line));
        outcome = outcome.and(passed);
    }
    println!("\n{} passed, {} failed", counts.passed, counts.failed);
    outcome
}

#[derive(Debug, Default, PartialEq)]
struct Counts {
    passed: u64,
    failed: u64,
}

impl Counts {
    /// Takes the closing line of a test program: `test result: ok. 3 passed; 0 failed; ...`.
    fn add(&mut self, line: &str) {
        let Some((_, counts)) = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". ")) else {
            return;
        };
        for count in counts.split("; ") {
            match count.split_once(' ') {
                Some((number, "passed")) => self.passed += number.parse().unwrap_or(0),
                Some((number, "failed")) => self.failed += number.parse().unwrap_or(0),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Counts;

    #[test]
    fn the_lines_of_all_test_programs_are_summed() {
        let mut counts = Counts::default();
        counts.add("running 3 tests");
        counts.add("test a ... ok");
        counts.add("test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s");
        counts.add("test result: FAILED. 12 passed; 2 failed; 1 ignored; 0 measured; 5 filtered out; finished in 1s");
        assert_eq!(counts, Counts { passed: 15, failed: 2 });
    }
}
