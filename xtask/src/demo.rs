//! The main job: one bot plays, another one hears. Its work is `voice-client/examples/demo.rs`.

use crate::cmake;
use crate::run::{self, Failure};

/// Builds and runs the demo; its exit code is ours.
pub(crate) fn run() -> Result<(), Failure> {
    cmake::ensure()?;
    let target = run::target()?;
    let programs = run::release(&["--example", "demo"])?;
    let mut demo = std::process::Command::new(run::named(&programs, "demo")?);
    let outcome = run::run(demo.current_dir(run::root()).env("CARGO_TARGET_DIR", &target));
    let report = target.join("demo").join("report.html");
    if report.exists() {
        println!("\nreport: {}", report.display());
    }
    outcome
}
