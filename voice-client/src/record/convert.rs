use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::Duration;

/// Most of what ffmpeg says that is handed on, in bytes.
const MAX_TEXT: u64 = 2_000;
/// How often it is looked whether a program has ended.
const POLL: Duration = Duration::from_millis(20);
/// How long a program may take to say which version it is.
const VERSION: Duration = Duration::from_secs(30);

/// Whether the program can be started.
pub(crate) fn find(ffmpeg: &Path) -> io::Result<()> {
    let mut command = quiet(ffmpeg);
    let status = ended(command.arg("-version").stderr(Stdio::null()), VERSION)?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("it ended with {status}"))) }
}

/// Makes MP3 of a file, beside it, in no more than this time; returns its path, or what ffmpeg says. The file itself stays,
/// whatever happens.
pub(crate) fn to_mp3(ffmpeg: &Path, file: &Path, limit: Duration) -> Result<PathBuf, String> {
    let mp3 = file.with_extension("mp3");
    convert(ffmpeg, file, &mp3, limit).map_err(|error| {
        // Half a file is worse than none.
        let _ = std::fs::remove_file(&mp3);
        error.to_string()
    })?;
    Ok(mp3)
}

fn convert(ffmpeg: &Path, file: &Path, mp3: &Path, limit: Duration) -> io::Result<()> {
    // A file takes whatever it says, where a pipe that nobody reads would stop it.
    let mut said = tempfile::tempfile()?;
    let mut command = quiet(ffmpeg);
    command.args(["-nostdin", "-v", "error", "-y", "-i"]).arg(file);
    command.args(["-codec:a", "libmp3lame", "-q:a", "2"]).arg(mp3);
    let status = ended(command.stderr(said.try_clone()?), limit)?;
    if status.success() {
        return Ok(());
    }
    let text = beginning(&mut said)?;
    Err(io::Error::other(if text.is_empty() { format!("it ended with {status}") } else { text }))
}

/// Runs a program to its end, or for as long as it may take.
#[expect(
    clippy::disallowed_methods,
    reason = "the writer's thread has nothing else to do, and std has no wait with an end"
)]
fn ended(command: &mut Command, limit: Duration) -> io::Result<ExitStatus> {
    let mut child = command.spawn()?;
    let mut waited = Duration::ZERO;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if waited >= limit {
            child.kill()?;
            child.wait()?;
            let text = format!("it took longer than {} s and was ended", limit.as_secs_f64());
            return Err(io::Error::new(io::ErrorKind::TimedOut, text));
        }
        sleep(POLL);
        waited += POLL;
    }
}

fn beginning(said: &mut File) -> io::Result<String> {
    said.rewind()?;
    let mut bytes = Vec::new();
    said.take(MAX_TEXT).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
}

fn quiet(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    use super::to_mp3;

    #[test]
    fn who_does_not_end_is_ended_and_the_file_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let (ffmpeg, file) = (folder.path().join("ffmpeg"), folder.path().join("1.ogg"));
        std::fs::write(&file, b"audio").expect("a file");
        std::fs::write(&ffmpeg, "#!/bin/sh\nexec sleep 1000000\n").expect("a script");
        std::fs::set_permissions(&ffmpeg, std::fs::Permissions::from_mode(0o755)).expect("a script");
        let text = to_mp3(&ffmpeg, &file, Duration::from_millis(100)).expect_err("it never ends");
        assert!(text.contains("longer than 0.1 s"), "{text}");
        assert_eq!(std::fs::read(&file).expect("a file"), b"audio");
    }
}
