use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use super::json::Answer;
use crate::source::process::{ProcessError, Program, Running};

/// More than this no answer has; a playlist of thousands has some megabytes.
const LIMIT: u64 = 16 << 20;

/// Why yt-dlp did not find or resolve what it was asked for.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum YtDlpError {
    /// It could not be started, as it is when it is not installed.
    #[error(transparent)]
    Process(ProcessError),
    /// It ended with a failure.
    #[error("yt-dlp failed (exit code {}): {stderr}; {}", code.map_or_else(|| "none".into(), |it| it.to_string()), advice(.stderr))]
    Failed {
        /// Its exit code; `None` when a signal ended it.
        code: Option<i32>,
        /// The last 4 KiB of what it wrote to its standard error.
        stderr: Arc<str>,
    },
    /// It took too long, and was ended.
    #[error("yt-dlp gave no answer within {after:?} ({stderr}); is the network up? YtDlp::timeout gives it longer")]
    TimedOut {
        /// How long it was given.
        after: Duration,
        /// The last of what it wrote to its standard error.
        stderr: Arc<str>,
    },
    /// It printed more than is read.
    #[error("yt-dlp's answer has more than {limit} bytes; ask for fewer entries")]
    TooMuch {
        /// Bytes that are read.
        limit: u64,
    },
    /// It printed something else than its JSON.
    #[error("yt-dlp's answer makes no sense: {reason}; is it yt-dlp, and up to date (yt-dlp -U)?")]
    Answer {
        /// What is wrong with it.
        reason: Arc<str>,
    },
    /// There is nothing like it.
    #[error("yt-dlp found nothing for {query:?}")]
    NothingFound {
        /// What it was asked for.
        query: Arc<str>,
    },
}

impl From<ProcessError> for YtDlpError {
    fn from(error: ProcessError) -> Self {
        match error {
            ProcessError::Failed { code, stderr, .. } => Self::Failed { code, stderr },
            error => Self::Process(error),
        }
    }
}

/// What to do about a failure.
fn advice(stderr: &str) -> &'static str {
    let says = |words: &str| stderr.contains(words);
    if says("no such option") || says("Invalid format") {
        "check the arguments given to YtDlp::arguments, and update yt-dlp (yt-dlp -U)"
    } else if says("Sign in") || says("429") || says("cookies") {
        "the site wants to know who asks: pass cookies with YtDlp::arguments, or ask less often"
    } else if says("Unsupported URL") {
        "yt-dlp does not know this site; is the URL right?"
    } else if says("unavailable") || says("Private video") || says("removed") {
        "it may be private, removed, or not available where this machine is"
    } else {
        "sites change often: update yt-dlp (yt-dlp -U)"
    }
}

/// Asks yt-dlp for JSON. Dropping the future ends the program.
pub(super) async fn ask(program: &Program, patience: Duration) -> Result<Answer, YtDlpError> {
    let mut running = program.start(program.arguments.iter().map(OsString::as_os_str))?;
    let Ok(output) = timeout(patience, output(&mut running)).await else {
        running.kill().await;
        return Err(YtDlpError::TimedOut { after: patience, stderr: running.last_words().await });
    };
    let output = match output {
        Ok(output) => output,
        Err(error) => {
            running.kill().await;
            return Err(error);
        }
    };
    let reason = |error: serde_json::Error| YtDlpError::Answer { reason: error.to_string().into() };
    serde_json::from_slice(&output).map_err(reason)
}

/// All that a program prints, if it then ends well.
async fn output(running: &mut Running) -> Result<Vec<u8>, YtDlpError> {
    let mut output = Vec::new();
    if let Some(stdout) = running.child.stdout.take() {
        let mut stdout = stdout.take(LIMIT + 1);
        stdout.read_to_end(&mut output).await.map_err(|error| running.unreadable(error))?;
    }
    if output.len() as u64 > LIMIT {
        return Err(YtDlpError::TooMuch { limit: LIMIT });
    }
    running.finish().await?;
    Ok(output)
}
