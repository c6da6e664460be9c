//! The main job: one bot plays, another one hears. Its work is `voice-client/examples/demo.rs`.

use crate::cmake;
use crate::run::{self, Failure};

/// Builds and runs the demo; its exit code is ours.
pub(crate) fn run() -> Result<(), Failure> {
    cmake::ensure()?;
    let target = run::target()?;
    let programs = run::release(&["--example", "demo"])?;
    let report = target.join("demo").join("report.html");
    // One of an earlier run would be taken for this one's.
    let _ = std::fs::remove_file(&report);
    let mut demo = std::process::Command::new(run::named(&programs, "demo")?);
    let outcome = run::run(demo.current_dir(run::root()).env("CARGO_TARGET_DIR", &target));
    if report.exists() {
        println!("\nreport: {}", report.display());
    }
    outcome
}
