//! Node, and the packages of a probe.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run::{self, Failure};

/// The oldest Node that the probe's packages take, and what npm brings instead of an older one.
const NODE: u32 = 20;
const NEWER_NODE: &str = "node@22";
/// Quiet, no lock file, and an answer within seconds when the registry is out of reach.
const NPM_OPTIONS: [&str; 7] = [
    "--no-audit",
    "--no-fund",
    "--no-package-lock",
    "--loglevel=error",
    "--fetch-retries=1",
    "--fetch-retry-mintimeout=1000",
    "--fetch-retry-maxtimeout=2000",
];

/// Puts the probe and its packages into `folder`; a Node that can run it, and where the probe is.
pub(super) fn install(folder: &Path) -> Result<(PathBuf, PathBuf), Failure> {
    let version = Command::new(npm()).arg("--version").output();
    if !version.is_ok_and(|output| output.status.success()) {
        return Err("npm is missing: install Node.js 20 or newer (it brings npm), see https://nodejs.org".into());
    }
    let probe = folder.join("discordjs");
    let cannot = |error| format!("cannot write {}: {error}", probe.display());
    fs::create_dir_all(&probe).map_err(cannot)?;
    for file in ["package.json", "probe.mjs"] {
        fs::copy(run::root().join("interop").join("discordjs").join(file), probe.join(file)).map_err(cannot)?;
    }
    add(&probe, None)?;

    let output = Command::new("node").arg("--version").output();
    let version = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
    if major(&version).is_some_and(|major| major >= NODE) {
        return Ok((PathBuf::from("node"), probe));
    }
    println!("Node {NODE} or newer is needed, `node --version` says `{version}`: npm brings {NEWER_NODE}");
    let own = folder.join("node");
    package(&own, NEWER_NODE)?;
    Ok((own.join("node_modules").join("node").join("bin").join("node"), probe))
}

/// Puts this package into a folder of its own.
pub(super) fn package(folder: &Path, name: &str) -> Result<(), Failure> {
    let cannot = |error| format!("cannot write {}: {error}", folder.display());
    fs::create_dir_all(folder).map_err(cannot)?;
    fs::write(folder.join("package.json"), "{\"private\": true}\n").map_err(cannot)?;
    add(folder, Some(name))
}

/// What the folder's `package.json` names, and this.
fn add(folder: &Path, package: Option<&str>) -> Result<(), Failure> {
    let mut npm = Command::new(npm());
    npm.arg("install").args(package).args(NPM_OPTIONS);
    run::run(npm.current_dir(folder))
}

fn npm() -> &'static str {
    if cfg!(windows) { "npm.cmd" } else { "npm" }
}

/// Of `v20.20.2`.
fn major(version: &str) -> Option<u32> {
    version.strip_prefix('v')?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::major;

    #[test]
    fn node_tells_its_version() {
        assert_eq!(major("v20.20.2"), Some(20));
        assert_eq!(major("v9"), Some(9));
        assert_eq!(major(""), None);
    }
}
