//! FFmpeg, yt-dlp and Python's web server: our sources play what they make, find and serve.

use std::path::PathBuf;
use std::process::Command;

use super::pip;
use crate::run::{self, Failure};

pub(super) fn run() -> Result<(), Failure> {
    let Some(packages) = pip::packages("sources")? else { return Ok(()) };
    let mut ask = Command::new(&packages.python);
    ask.args(["-c", "import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())"]);
    let said = ask.env("PYTHONPATH", &packages.folder).output().map_err(|error| error.to_string())?;
    let ffmpeg = PathBuf::from(String::from_utf8_lossy(&said.stdout).trim());
    if !ffmpeg.is_file() {
        return Err(format!("its package has no FFmpeg: {}", String::from_utf8_lossy(&said.stderr)).into());
    }
    let ytdlp = packages.folder.join("bin").join("yt-dlp");
    let mut play = run::beside("interop", &["run", "--package", "interop-sources", "--"])?;
    play.arg(ffmpeg).arg(ytdlp).arg(packages.python).arg(run::root().join("interop").join("tones"));
    run::run(play.env("PYTHONPATH", packages.folder))
}
