//! Measuring, in a workspace of its own.

use crate::cmake;
use crate::run::{self, Failure};

/// The peer that is linked into a program of its own.
pub(crate) const SONGBIRD: &str = "bench/songbird";

/// Runs all benchmarks, or those whose name contains `filter`; the table is theirs.
pub(crate) fn run(filter: Option<&str>) -> Result<(), Failure> {
    cmake::ensure()?;
    let target = run::target()?;
    let table = target.join("bench.json");
    // Some of what is measured are programs of their own, which `run` does not build.
    run::run(&mut run::beside("bench", &["build", "--release", "--bins"])?)?;
    let mut bench = run::cargo(&["run", "--release", "--manifest-path", "bench/Cargo.toml", "--"]);
    bench.args(filter).arg("--out").arg(&table).env("CARGO_TARGET_DIR", &target);
    run::run(&mut bench)?;
    println!("\ntable: {}", table.display());
    Ok(())
}

/// Builds them only; nothing to do while there are none. songbird's program, which has four hundred crates of its own, is checked:
/// that is a minute from nothing, where building it takes five.
pub(crate) fn build() -> Result<(), Failure> {
    if !run::root().join("bench/Cargo.toml").exists() {
        println!("there is no bench/");
        return Ok(());
    }
    run::run(&mut run::beside("bench", &["build", "--release", "--bins", "--benches"])?)?;
    run::run(&mut run::beside(SONGBIRD, &["check", "--release"])?)
}
