//! ffprobe, opusinfo and ffmpeg read what our recorder writes.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{npm, pip};
use crate::run::{self, Failure};

/// What stands for a program that is not to be had.
const NOBODY: &str = "-";
const FFPROBE: &str = "@ffprobe-installer/ffprobe@2.1.2";
/// Debian's package of opusinfo, and what it links.
const DEBIAN: [&str; 2] = ["opus-tools", "libogg0"];

/// Records and asks; `keep` leaves the recordings.
pub(super) fn run(keep: bool) -> Result<(), Failure> {
    let folder = run::target()?.join("interop");
    let (ffprobe, opusinfo, ffmpeg) = (ffprobe(&folder), opusinfo(&folder), ffmpeg()?);
    if ffprobe.is_none() && opusinfo.is_none() && ffmpeg.is_none() {
        println!("SKIPPED interop with recordings: nobody is there to read them");
        return Ok(());
    }
    let recordings = folder.join("written");
    // Those of an earlier run would be read again.
    let _ = std::fs::remove_dir_all(&recordings);
    let mut read = program()?;
    read.arg("files").arg(&recordings);
    read.args([ffprobe, opusinfo, ffmpeg].map(|program| program.unwrap_or_else(|| NOBODY.into())));
    let outcome = run::run(&mut read);
    if keep {
        println!("recordings: {}", recordings.display());
    } else {
        let _ = std::fs::remove_dir_all(&recordings);
    }
    outcome
}

/// The program of `interop/recordings/`, without its arguments.
pub(super) fn program() -> Result<Command, Failure> {
    run::beside("interop", &["run", "--package", "interop-recordings", "--"])
}

fn ffprobe(folder: &Path) -> Option<PathBuf> {
    if runs(Command::new("ffprobe").arg("-version")) {
        return Some("ffprobe".into());
    }
    let folder = folder.join("ffprobe");
    match npm::package(&folder, FFPROBE) {
        Ok(()) => {
            let mut ask = Command::new("node");
            ask.current_dir(&folder).args(["-p", "require('@ffprobe-installer/ffprobe').path"]);
            let said = ask.output().map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
            let found = said.ok().map(PathBuf::from).filter(|path| runs(Command::new(path).arg("-version")));
            if found.is_none() {
                println!("SKIPPED ffprobe: npm's does not run here");
            }
            found
        }
        Err(failure) => {
            println!("SKIPPED ffprobe: none is installed, npm brings none: {}", failure.reason);
            None
        }
    }
}

fn opusinfo(folder: &Path) -> Option<PathBuf> {
    if runs(Command::new("opusinfo").arg("-V")) {
        return Some("opusinfo".into());
    }
    let folder = folder.join("opus-tools");
    let found = debian(&folder).ok();
    if found.is_none() {
        println!("SKIPPED opusinfo: none is installed, and this machine has no packages of Debian (opus-tools)");
    }
    found
}

/// Unpacks Debian's packages there, which takes no rights; a script that finds their libraries.
fn debian(folder: &Path) -> Result<PathBuf, Failure> {
    let script = folder.join("run");
    if runs(Command::new(&script).arg("-V")) {
        return Ok(script);
    }
    std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    run::run(Command::new("apt-get").current_dir(folder).arg("download").args(DEBIAN))?;
    let packages = std::fs::read_dir(folder).map_err(|error| error.to_string())?.filter_map(Result::ok);
    for package in packages.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|it| it == "deb")) {
        run::run(Command::new("dpkg-deb").arg("-x").arg(package).arg(folder))?;
    }
    let text = "#!/bin/sh\nhere=$(dirname \"$0\")\n\
        LD_LIBRARY_PATH=$(echo \"$here\"/usr/lib/*-linux-*) exec \"$here/usr/bin/opusinfo\" \"$@\"\n";
    std::fs::write(&script, text).map_err(|error| error.to_string())?;
    run::run(Command::new("chmod").arg("+x").arg(&script))?;
    if runs(Command::new(&script).arg("-V")) { Ok(script) } else { Err("Debian's opusinfo does not run".into()) }
}

/// That of the machine, or the one that `sources` has.
fn ffmpeg() -> Result<Option<PathBuf>, Failure> {
    if runs(Command::new("ffmpeg").arg("-version")) {
        return Ok(Some("ffmpeg".into()));
    }
    let Some(packages) = pip::packages("sources")? else { return Ok(None) };
    let mut ask = Command::new(&packages.python);
    ask.args(["-c", "import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())"]);
    let said = ask.env("PYTHONPATH", &packages.folder).output().map_err(|error| error.to_string())?;
    Ok(Some(PathBuf::from(String::from_utf8_lossy(&said.stdout).trim())).filter(|path| path.is_file()))
}

fn runs(program: &mut Command) -> bool {
    program.output().is_ok_and(|output| output.status.success())
}
