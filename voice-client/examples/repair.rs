//! Finishes the files of a recording whose program was killed: what was written is kept, torn ends go, headers are set
//! right, `session.json` is written from what is there.
//!
//! ```text
//! repair [FOLDER]
//! ```
//!
//! Without a folder it records a short call on this machine, and repairs a copy made in the middle of it, which is what
//! killing the program leaves. Fails when there was nothing to repair, or a file could not be.
#![allow(clippy::print_stdout, clippy::print_stderr)]

#[path = "support/company.rs"]
mod company;

use std::path::Path;

use company::{Company, Result};
use voice_client::{MixFormat, Recorder, RecorderConfig, repair_recording};

#[tokio::main]
async fn main() -> Result<()> {
    let (folder, is_given) = company::folder("repair")?;
    if is_given {
        return repair(&folder);
    }
    let (alive, killed) = (folder.join("alive"), folder.join("killed"));
    let company = Company::meet().await?;
    let config = RecorderConfig::new(&alive).mix(Some(MixFormat::Flac));
    let recorder = Recorder::start(&company.listener, config).await?;
    company.talk().await;
    copy(&alive, &killed)?;
    recorder.stop().await?;
    company.part().await;
    repair(&killed)
}

fn repair(folder: &Path) -> Result<()> {
    let files = repair_recording(folder)?;
    if files.is_empty() {
        return Err(format!("nothing to repair: {} is finished already, or without audio", folder.display()).into());
    }
    let mut failed = 0;
    for file in &files {
        match &file.result {
            Ok(it) => {
                let seconds = it.samples as f64 / 48_000.0;
                println!("{}: {seconds:.2} s, {} bytes were torn", file.path.display(), it.torn);
            }
            Err(error) => {
                failed += 1;
                println!("{}: {error}", file.path.display());
            }
        }
    }
    if failed == 0 { Ok(()) } else { Err(format!("{failed} files could not be repaired").into()) }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        std::fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}
