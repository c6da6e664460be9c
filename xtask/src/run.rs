//! Running other programs, and saying so.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use serde_json::Value;

/// Why a job ended early.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What xtask exits with.
    pub(crate) code: u8,
    /// For the person at the terminal.
    pub(crate) reason: String,
}

impl From<String> for Failure {
    fn from(reason: String) -> Self {
        Self { code: 1, reason }
    }
}

impl From<&str> for Failure {
    fn from(reason: &str) -> Self {
        reason.to_owned().into()
    }
}

/// The folder of the workspace.
pub(crate) fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package)
}

/// The cargo that runs us, in the folder of the workspace.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(arguments).current_dir(root());
    cargo
}

/// The same in a workspace beside ours, `fuzz` or `interop`: it builds where we build, so that what both need is built
/// once.
pub(crate) fn beside(folder: &str, arguments: &[&str]) -> Result<Command, Failure> {
    let mut cargo = cargo(&arguments[..1]);
    cargo.arg("--manifest-path").arg(format!("{folder}/Cargo.toml")).args(&arguments[1..]);
    cargo.env("CARGO_TARGET_DIR", target()?);
    Ok(cargo)
}

/// What cargo knows of the workspace's packages.
pub(crate) fn metadata() -> Result<Value, Failure> {
    let output = cargo(&["metadata", "--format-version", "1", "--no-deps"]).stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| format!("cannot run cargo: {error}"))?;
    Ok(serde_json::from_slice(&output.stdout).map_err(|error| format!("cargo metadata wrote no JSON: {error}"))?)
}

/// Where cargo builds, and where jobs put what they make.
pub(crate) fn target() -> Result<PathBuf, Failure> {
    let metadata = metadata()?;
    let folder = metadata["target_directory"].as_str().ok_or("cargo metadata names no target directory")?;
    Ok(PathBuf::from(folder))
}

/// Says what runs, runs it with our own input and output, and fails with its exit code.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    let text = announce(command);
    let status = command.status().map_err(|error| format!("cannot run `{text}`: {error}"))?;
    check(&text, status)
}

/// Like [`run`], and hands on every line that the program prints, after printing it.
pub(crate) fn run_lines(command: &mut Command, mut line: impl FnMut(&str)) -> Result<(), Failure> {
    let text = announce(command);
    let cannot = |error| format!("cannot run `{text}`: {error}");
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(cannot)?;
    for printed in child.stdout.take().map(BufReader::new).into_iter().flat_map(BufRead::lines).map_while(Result::ok) {
        println!("{printed}");
        line(&printed);
    }
    check(&text, child.wait().map_err(cannot)?)
}

/// Builds release programs of the two ends of the wire and returns name and path of each. Always the same packages are
/// selected, or their dependencies would get other features, and be built again.
pub(crate) fn release(targets: &[&str]) -> Result<Vec<(String, PathBuf)>, Failure> {
    let mut build = cargo(&["build", "--release", "--package", "voice-client", "--package", "voice-loopback"]);
    let text = announce(build.args(targets));
    let output = build.arg("--message-format=json-render-diagnostics").stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| format!("cannot run `{text}`: {error}"))?;
    check(&text, output.status)?;
    let messages = output.stdout.split(|&byte| byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    let program = |message: Value| {
        let name = message["target"]["name"].as_str()?.to_owned();
        Some((name, PathBuf::from(message["executable"].as_str()?)))
    };
    Ok(messages.filter_map(program).collect())
}

/// The path of one of them.
pub(crate) fn named<'a>(programs: &'a [(String, PathBuf)], name: &str) -> Result<&'a Path, Failure> {
    let found = programs.iter().find(|(program, _)| program == name);
    Ok(found.map(|(_, path)| path.as_path()).ok_or_else(|| format!("cargo built no program `{name}`"))?)
}

fn announce(command: &Command) -> String {
    let text = shown(command);
    println!("==> {text}");
    text
}

fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let set = command.get_envs().filter_map(|(key, value)| Some((key, value?)));
    let mut words: Vec<String> = set.map(|(key, value)| format!("{}={}", plain(key), plain(value))).collect();
    words.push(plain(program));
    words.extend(command.get_args().map(plain));
    words.join(" ")
}

fn plain(word: &std::ffi::OsStr) -> String {
    let text = word.to_string_lossy();
    if text.contains(' ') { format!("'{text}'") } else { text.into_owned() }
}

fn check(text: &str, status: ExitStatus) -> Result<(), Failure> {
    if status.success() {
        return Ok(());
    }
    let code = status.code().and_then(|code| u8::try_from(code).ok()).filter(|&code| code != 0).unwrap_or(1);
    Err(Failure { code, reason: format!("`{text}` failed ({status})") })
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::{cargo, run, run_lines, shown};

    #[test]
    fn a_command_is_shown_as_it_would_be_typed() {
        let mut command = Command::new("/usr/bin/cargo");
        command.args(["doc", "--workspace"]).env("RUSTDOCFLAGS", "-D warnings");
        assert_eq!(shown(&command), "RUSTDOCFLAGS='-D warnings' cargo doc --workspace");
    }

    #[test]
    fn the_exit_code_is_handed_on() {
        let failure = run(cargo(&["no-such-job-of-cargo"]).stderr(Stdio::null())).expect_err("cargo has no such job");
        assert_eq!(failure.code, 101);
        assert!(run(&mut Command::new("no-such-program-anywhere")).is_err());
    }

    #[test]
    fn lines_are_handed_on() {
        let mut lines = Vec::new();
        run_lines(&mut cargo(&["--version"]), |line| lines.push(line.to_owned())).expect("cargo knows its version");
        assert!(lines.len() == 1 && lines[0].starts_with("cargo "));
    }
}
