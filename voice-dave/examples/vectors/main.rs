//! Runs files of DAVE test vectors (their format: `tests/vectors/README.md`) through the crate.
//!
//! `cargo run -p voice-dave --example vectors -- FILE...`

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

mod check;

fn main() -> io::Result<ExitCode> {
    let files: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let all_passed = check::run(&files, &mut io::stdout().lock())?;
    Ok(if all_passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
