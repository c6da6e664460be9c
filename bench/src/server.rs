//! The voice server, in a process of its own.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::Outcome;

/// `voice-loopback`; ended when dropped.
pub struct Server {
    child: Child,
    /// `host:port` of its WebSockets.
    pub endpoint: String,
}

impl Server {
    /// Builds and starts it; returns when it listens.
    pub fn start() -> Outcome<Self> {
        let flags = "--ws 127.0.0.1:0 --udp 127.0.0.1:0 --plain-ws --dave 0 --exit-after 120";
        let mut child =
            Command::new(build()?).args(flags.split(' ')).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take();
        let mut server = Self { child, endpoint: String::new() };
        let mut line = String::new();
        BufReader::new(stdout.ok_or("the server has no output")?).read_line(&mut line)?;
        let words = line.split_whitespace().find_map(|word| word.strip_prefix("ws="));
        server.endpoint = words.ok_or_else(|| format!("the server does not listen, it says {line:?}"))?.to_owned();
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Builds the program as its users do; returns where it is.
fn build() -> Outcome<PathBuf> {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--release", "--package", "voice-loopback", "--bin", "voice-loopback"]);
    cargo.args(["--message-format", "json-render-diagnostics", "--manifest-path", manifest]);
    let mut cargo = cargo.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut messages = String::new();
    cargo.stdout.take().ok_or("cargo has no output")?.read_to_string(&mut messages)?;
    let built = cargo.wait()?.success();
    let program = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut program = program.filter_map(|message| Some(PathBuf::from(message["executable"].as_str()?)));
    program.next().filter(|_| built).ok_or_else(|| "voice-loopback does not build".into())
}
