//! The main job: one bot plays, another one hears. Its work is `voice-client/examples/demo.rs`.

use crate::cmake;
use crate::run::{self, Failure};

/// Builds and runs the demo; its exit code is ours.
pub(crate) fn run() -> Result<(), Failure> {
    cmake::ensure()?;
    let target = run::target()?;
    let programs = run::release(&["--example", "demo"])?;
    let pages = ["report.html", "effects.html"].map(|page| target.join("demo").join(page));
    for page in &pages {
        // One of an earlier run would be taken for this one's.
        let _ = std::fs::remove_file(page);
    }
    let mut demo = std::process::Command::new(run::named(&programs, "demo")?);
    let outcome = run::run(demo.current_dir(run::root()).env("CARGO_TARGET_DIR", &target));
    println!();
    for (name, page) in ["report", "effects"].iter().zip(&pages) {
        if page.exists() {
            println!("{name}: {}", page.display());
        }
    }
    outcome
}
