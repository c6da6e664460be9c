use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Bytes of a program's standard error that are kept for the error message: the last ones.
const TAIL: usize = 4 * 1024;

/// How long the last words of a program that has ended are waited for: its children may keep the pipe open.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Why a program's output is not, or not wholly, what it should be.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// It is not installed.
    #[error("cannot start {program}: there is no such program; {}", install(.program))]
    Missing {
        /// Its name or path.
        program: Arc<str>,
    },
    /// It is there, but does not start.
    #[error("cannot start {program}: {cause}; may it be executed?")]
    Start {
        /// Its name or path.
        program: Arc<str>,
        /// What the system said.
        #[source]
        cause: Arc<io::Error>,
    },
    /// Nobody could attend to it.
    #[error("cannot start {program}: no tokio runtime here; play it in a call, or enter a runtime first")]
    NoRuntime {
        /// Its name or path.
        program: Arc<str>,
    },
    /// It ended with a failure.
    #[error("{program} failed ({}){}", status(*.code), Words(.stderr))]
    Failed {
        /// Its name or path.
        program: Arc<str>,
        /// Its exit code; `None` when a signal ended it.
        code: Option<i32>,
        /// The last 4 KiB of what it wrote to its standard error.
        stderr: Arc<str>,
    },
    /// Its output could not be read.
    #[error("reading the output of {program} failed: {cause}")]
    Output {
        /// Its name or path.
        program: Arc<str>,
        /// What the system said.
        #[source]
        cause: Arc<io::Error>,
    },
}

/// How to come by a program.
fn install(program: &str) -> &'static str {
    let name = program.rsplit(['/', '\\']).next().unwrap_or(program);
    match name.trim_end_matches(".exe") {
        "ffmpeg" | "ffprobe" => "install FFmpeg (apt, dnf, brew or winget install ffmpeg) or give its full path",
        "yt-dlp" => "install yt-dlp (pipx install yt-dlp, or brew or winget install yt-dlp) or give its full path",
        _ => "install it, and see that it is on the PATH, or give its full path",
    }
}

fn status(code: Option<i32>) -> String {
    code.map_or_else(|| "ended by a signal".into(), |code| format!("exit code {code}"))
}

struct Words<'a>(&'a str);

impl std::fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() { f.write_str(" without a word") } else { write!(f, ": {}", self.0) }
    }
}

/// What to start, and how. Never through a shell.
#[derive(Clone, Debug)]
pub(in crate::source) struct Program {
    pub(in crate::source) name: OsString,
    pub(in crate::source) arguments: Vec<OsString>,
    pub(in crate::source) environment: Vec<(OsString, OsString)>,
    pub(in crate::source) folder: Option<PathBuf>,
}

/// A program that runs. Dropping it ends the program, on Unix with all that it has started.
pub(in crate::source) struct Running {
    pub(in crate::source) child: Child,
    program: Arc<str>,
    words: Arc<Mutex<VecDeque<u8>>>,
    listener: JoinHandle<()>,
}

impl Program {
    pub(in crate::source) fn new(name: impl Into<OsString>) -> Self {
        Self { name: name.into(), arguments: Vec::new(), environment: Vec::new(), folder: None }
    }

    pub(in crate::source) fn title(&self) -> Arc<str> {
        self.name.to_string_lossy().into()
    }

    /// Starts it with nothing to read and with pipes for what it prints.
    pub(in crate::source) fn start<'a>(
        &self,
        arguments: impl IntoIterator<Item = &'a OsStr>,
    ) -> Result<Running, ProcessError> {
        let program = self.title();
        let runtime = Handle::try_current().map_err(|_| ProcessError::NoRuntime { program: program.clone() })?;
        let mut command = Command::new(&self.name);
        command.args(arguments).envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        // Of its own, so that what it starts itself can be ended with it.
        #[cfg(unix)]
        command.process_group(0);
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        let mut child = command.spawn().map_err(|cause| match cause.kind() {
            io::ErrorKind::NotFound => ProcessError::Missing { program: program.clone() },
            _ => ProcessError::Start { program: program.clone(), cause: Arc::new(cause) },
        })?;
        let words = Arc::new(Mutex::new(VecDeque::new()));
        let stderr = child.stderr.take();
        let heard = words.clone();
        let listener = runtime.spawn(async move {
            if let Some(stderr) = stderr {
                listen(stderr, &heard).await;
            }
        });
        Ok(Running { child, program, words, listener })
    }
}

impl Running {
    /// Waits for its end, and judges it.
    pub(in crate::source) async fn finish(&mut self) -> Result<(), ProcessError> {
        let status = self.child.wait().await.map_err(|cause| self.unreadable(cause))?;
        if status.success() { Ok(()) } else { Err(self.failed(status).await) }
    }

    /// Ends it and what it has started, and leaves nothing behind.
    pub(in crate::source) async fn kill(&mut self) {
        self.kill_group();
        // It may have ended by itself meanwhile.
        let _ = self.child.kill().await;
    }

    /// Ends all processes of its group, as long as it is one of them itself: after that the number may be another's.
    #[cfg(unix)]
    fn kill_group(&self) {
        use rustix::process::{Pid, Signal, kill_process_group};

        let group = self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        // It may have ended by itself meanwhile.
        let _ = group.map(|group| kill_process_group(group, Signal::KILL));
    }

    #[cfg(not(unix))]
    fn kill_group(&self) {}

    pub(in crate::source) fn unreadable(&self, cause: io::Error) -> ProcessError {
        ProcessError::Output { program: self.program.clone(), cause: Arc::new(cause) }
    }

    /// The last of what it wrote to its standard error.
    pub(in crate::source) async fn last_words(&mut self) -> Arc<str> {
        let _ = timeout(LAST_WORDS, &mut self.listener).await;
        let words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes: Vec<u8> = words.iter().copied().collect();
        String::from_utf8_lossy(&bytes).trim().into()
    }

    async fn failed(&mut self, status: ExitStatus) -> ProcessError {
        let stderr = self.last_words().await;
        ProcessError::Failed { program: self.program.clone(), code: status.code(), stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill_group();
        self.listener.abort();
    }
}

/// Keeps the last bytes of a stream.
async fn listen(mut stream: impl AsyncRead + Unpin, words: &Mutex<VecDeque<u8>>) {
    let mut buffer = [0; 1024];
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        let mut words = words.lock().unwrap_or_else(PoisonError::into_inner);
        words.extend(&buffer[..read]);
        let excess = words.len().saturating_sub(TAIL);
        words.drain(..excess);
    }
}
