//! Programs beside this one, which are told and tell a line at a time.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::Value;

use crate::Outcome;

/// One that runs; ended when dropped.
pub struct Program {
    name: String,
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Program {
    /// # Errors
    ///
    /// It cannot be run.
    pub fn start(program: PathBuf, arguments: &[&str]) -> Outcome<Self> {
        let name = program.display().to_string();
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{name} ({error})"))?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let (input, output) = (input.ok_or("a child without input")?, output.ok_or("a child without output")?);
        Ok(Self { name, child, input, output: BufReader::new(output) })
    }

    /// # Errors
    ///
    /// It has ended.
    pub fn tell(&mut self, line: &str) -> Outcome {
        Ok(writeln!(self.input, "{line}")?)
    }

    /// The next line that it says.
    ///
    /// # Errors
    ///
    /// It has ended.
    pub fn hear(&mut self) -> Outcome<String> {
        let mut line = String::new();
        match self.output.read_line(&mut line)? {
            0 => Err(format!("{} has ended", self.name).into()),
            _ => Ok(line.trim().to_owned()),
        }
    }

    /// Passes over what it says before a line that begins so.
    ///
    /// # Errors
    ///
    /// It has ended.
    pub fn wait_for(&mut self, beginning: &str) -> Outcome {
        while !self.hear()?.starts_with(beginning) {}
        Ok(())
    }

    /// Everything that it still says.
    ///
    /// # Errors
    ///
    /// It fails.
    pub fn hear_out(mut self) -> Outcome<String> {
        let mut text = String::new();
        self.output.read_to_string(&mut text)?;
        if self.child.wait()?.success() { Ok(text) } else { Err(format!("{} failed", self.name).into()) }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where a program of this package is: it was built with this one, by `--bins`.
///
/// # Errors
///
/// It is not known where this one is.
pub fn beside(name: &str) -> Outcome<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    if path.exists() { Ok(path) } else { Err(format!("{} is missing: build --bins", path.display()).into()) }
}

/// Builds a program of the workspace with this manifest, relative to ours, as its users do; returns where it is.
///
/// # Errors
///
/// It does not build.
pub fn build(manifest: &str, package: &str) -> Outcome<PathBuf> {
    let manifest = format!("{}/{manifest}", env!("CARGO_MANIFEST_DIR"));
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--release", "--package", package, "--bin", package]);
    cargo.args(["--message-format", "json-render-diagnostics", "--manifest-path", &manifest]);
    let mut cargo = cargo.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut messages = String::new();
    cargo.stdout.take().ok_or("cargo has no output")?.read_to_string(&mut messages)?;
    let built = cargo.wait()?.success();
    let program = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut program = program.filter_map(|message| Some(PathBuf::from(message["executable"].as_str()?)));
    program.next().filter(|_| built).ok_or_else(|| format!("{package} does not build").into())
}

/// Lets this process, and those it starts, open so many files.
///
/// # Errors
///
/// The system does not allow that.
pub fn allow_files(count: u64) -> Outcome {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= count) {
        return Ok(());
    }
    limit.current = Some(count);
    setrlimit(Resource::Nofile, limit)
        .map_err(|error| format!("{count} open files are needed ({error}): raise the hard limit, `ulimit -Hn`").into())
}
