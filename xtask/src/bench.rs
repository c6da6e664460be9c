//! Measuring, in a workspace of its own.

use crate::cmake;
use crate::run::{self, Failure};

/// Runs all benchmarks, or those whose name contains `filter`; the table is theirs.
pub(crate) fn run(filter: Option<&str>) -> Result<(), Failure> {
    cmake::ensure()?;
    let target = run::target()?;
    let table = target.join("bench.json");
    // Memory is counted by a program of its own, which `run` does not build.
    build()?;
    let mut bench = run::cargo(&["run", "--release", "--manifest-path", "bench/Cargo.toml", "--"]);
    bench.args(filter).arg("--out").arg(&table).env("CARGO_TARGET_DIR", &target);
    run::run(&mut bench)?;
    println!("\ntable: {}", table.display());
    Ok(())
}

/// Builds them only; nothing to do while there are none.
pub(crate) fn build() -> Result<(), Failure> {
    if !run::root().join("bench/Cargo.toml").exists() {
        println!("there is no bench/");
        return Ok(());
    }
    let mut build = run::cargo(&["build", "--release", "--manifest-path", "bench/Cargo.toml", "--bins", "--benches"]);
    run::run(build.env("CARGO_TARGET_DIR", run::target()?))
}
