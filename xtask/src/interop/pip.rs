//! Packages of PyPI, installed below the target directory.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run::{self, Failure};

/// What pip says, in any of its ways, when there is no way to the index.
const UNREACHABLE: [&str; 6] = [
    "Failed to establish a new connection",
    "NameResolutionError",
    "Connection to ",
    "connection broken by",
    "Network is unreachable",
    "ProxyError",
];

/// What a meeting needs of Python.
pub(super) struct Packages {
    /// Python itself.
    pub(super) python: PathBuf,
    /// The folder that the packages are in, for `PYTHONPATH`.
    pub(super) folder: PathBuf,
}

/// The packages that `interop/NAME/requirements.txt` names; `None`, and it was said, when the index cannot be reached.
pub(super) fn packages(name: &str) -> Result<Option<Packages>, Failure> {
    let folder = run::target()?.join("interop").join(name);
    let Some(python) = python() else {
        return Err("Python is missing, whose packages are needed: install Python 3.10 or newer".into());
    };
    let requirements = run::root().join("interop").join(name).join("requirements.txt");
    match install(&python, &requirements, &folder) {
        Ok(()) => Ok(Some(Packages { python, folder })),
        Err(why) if is_unreachable(&why) => {
            println!("SKIPPED interop with {name}: PyPI is unreachable");
            Ok(None)
        }
        Err(why) => Err(format!("pip cannot install what {} names:\n{why}", requirements.display()).into()),
    }
}

/// The first that runs.
fn python() -> Option<PathBuf> {
    let runs = |name: &&str| Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success());
    ["python3", "python"].into_iter().find(runs).map(PathBuf::from)
}

/// Nothing to do when it is there; else what pip said.
fn install(python: &Path, requirements: &Path, packages: &Path) -> Result<(), String> {
    let wanted = std::fs::read_to_string(requirements).map_err(|error| error.to_string())?;
    let mark = packages.join("installed.txt");
    if std::fs::read_to_string(&mark).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    // What an earlier version left would be mixed with this one's.
    let _ = std::fs::remove_dir_all(packages);
    let mut pip = Command::new(python);
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
        "--only-binary",
        ":all:",
    ]);
    pip.args(["--retries", "1", "--timeout", "10", "--requirement"]).arg(requirements).arg("--target").arg(packages);
    let output = pip.output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    std::fs::write(mark, wanted).map_err(|error| error.to_string())
}

fn is_unreachable(said: &str) -> bool {
    UNREACHABLE.iter().any(|words| said.contains(words))
}

#[cfg(test)]
mod tests {
    use super::is_unreachable;

    #[test]
    fn no_network_is_told_from_no_package() {
        assert!(is_unreachable(
            "WARNING: Retrying (Retry(total=0, connect=None)) after connection broken by 'NewConnectionError('<..>: \
             Failed to establish a new connection: [Errno 111] Connection refused')': /simple/dave-py/"
        ));
        assert!(!is_unreachable(
            "ERROR: Could not find a version that satisfies the requirement dave.py==1.1.0 (from versions: none)\n\
             ERROR: No matching distribution found for dave.py==1.1.0"
        ));
        assert!(!is_unreachable("No module named pip"));
    }
}
