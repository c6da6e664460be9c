use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Most of what ffmpeg says that is handed on, in bytes.
const MAX_TEXT: usize = 2_000;

/// Whether the program can be started.
pub(crate) fn find(ffmpeg: &Path) -> io::Result<()> {
    let mut command = quiet(ffmpeg);
    let status = command.arg("-version").stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("it ended with {status}"))) }
}

/// Makes MP3 of a file, beside it; returns its path, or what ffmpeg says. The file itself stays, whatever happens.
pub(crate) fn to_mp3(ffmpeg: &Path, file: &Path) -> Result<PathBuf, String> {
    let mp3 = file.with_extension("mp3");
    let mut command = quiet(ffmpeg);
    command.args(["-nostdin", "-v", "error", "-y", "-i"]).arg(file);
    command.args(["-codec:a", "libmp3lame", "-q:a", "2"]).arg(&mp3);
    let output = command.stdout(Stdio::null()).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(mp3);
    }
    // Half a file is worse than none.
    let _ = std::fs::remove_file(&mp3);
    let text = String::from_utf8_lossy(&output.stderr[..output.stderr.len().min(MAX_TEXT)]).trim().to_owned();
    Err(if text.is_empty() { format!("it ended with {}", output.status) } else { text })
}

fn quiet(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null());
    command
}
