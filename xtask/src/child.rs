//! A program that runs beside us: its lines are read as they come, and it never outlives its owner.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::run::Failure;

/// Killed when dropped.
pub(crate) struct Running {
    name: &'static str,
    child: Child,
    incoming: Receiver<String>,
    lines: Vec<String>,
}

impl Running {
    /// Starts it without input; both its outputs are kept.
    pub(crate) fn start(name: &'static str, command: &mut Command) -> Result<Self, Failure> {
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("cannot run {name}: {error}"))?;
        let (sender, incoming) = channel();
        if let Some(stdout) = child.stdout.take() {
            forward(stdout, sender.clone());
        }
        if let Some(stderr) = child.stderr.take() {
            forward(stderr, sender);
        }
        Ok(Self { name, child, incoming, lines: Vec::new() })
    }

    /// The rest of the first line that begins with `prefix`.
    pub(crate) fn line(&mut self, prefix: &str, within: Duration) -> Result<String, Failure> {
        let deadline = Instant::now() + within;
        loop {
            match self.incoming.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    let rest = line.strip_prefix(prefix).map(str::to_owned);
                    self.lines.push(line);
                    if let Some(rest) = rest {
                        return Ok(rest);
                    }
                }
                Err(RecvTimeoutError::Timeout) => return Err(self.failure(&format!("no `{prefix}` within {within:?}"))),
                Err(RecvTimeoutError::Disconnected) => return Err(self.failure(&format!("ended without `{prefix}`"))),
            }
        }
    }

    /// What it has said so far, as far as that was waited for.
    pub(crate) fn said(&self) -> &[String] {
        &self.lines
    }

    /// Waits for its end.
    pub(crate) fn end(&mut self, within: Duration) -> Result<ExitStatus, Failure> {
        let deadline = Instant::now() + within;
        loop {
            self.lines.extend(self.incoming.try_iter());
            match self.child.try_wait() {
                Ok(Some(status)) => return Ok(status),
                Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(20)),
                Ok(None) => return Err(self.failure(&format!("did not end within {within:?}"))),
                Err(error) => return Err(self.failure(&error.to_string())),
            }
        }
    }

    /// A failure with everything that the program said.
    pub(crate) fn failure(&self, what: &str) -> Failure {
        let said: String = self.lines.iter().map(|line| format!("\n  | {line}")).collect();
        format!("{}: {what}{said}", self.name).into()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already; there is nothing to do about anything else.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn forward(output: impl Read + Send + 'static, lines: Sender<String>) {
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if lines.send(line).is_err() {
                break;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Running;
    use crate::run::cargo;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_line_is_found_and_the_end_waited_for() {
        let mut running = Running::start("cargo", &mut cargo(&["--version"])).expect("cargo runs");
        assert!(running.line("cargo ", LONG).expect("it says its version").contains('.'));
        assert!(running.end(LONG).expect("it ends").success());
    }

    #[test]
    fn a_missing_line_is_a_failure_that_shows_the_others() {
        let mut running = Running::start("cargo", &mut cargo(&["--version"])).expect("cargo runs");
        let failure = running.line("LISTENING ", LONG).expect_err("cargo does not listen");
        assert!(failure.reason.contains("ended without `LISTENING `") && failure.reason.contains("| cargo "));
    }
}
