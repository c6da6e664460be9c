//! libopus is built by cmake: it is there, or it is installed, or the person is told how.

use std::process::{Command, Stdio};

use crate::run::{self, Failure};

/// A package manager and what installs cmake with it.
struct Manager {
    program: &'static str,
    needs_root: bool,
    commands: &'static [&'static [&'static str]],
}

/// In the order tried; the system's own before those that people add.
const MANAGERS: [Manager; 9] = [
    Manager {
        program: "apt-get",
        needs_root: true,
        commands: &[&["apt-get", "update"], &["apt-get", "install", "--yes", "cmake"]],
    },
    Manager { program: "dnf", needs_root: true, commands: &[&["dnf", "install", "--assumeyes", "cmake"]] },
    Manager { program: "yum", needs_root: true, commands: &[&["yum", "install", "--assumeyes", "cmake"]] },
    Manager { program: "apk", needs_root: true, commands: &[&["apk", "add", "cmake"]] },
    Manager { program: "pacman", needs_root: true, commands: &[&["pacman", "-Sy", "--noconfirm", "cmake"]] },
    Manager { program: "zypper", needs_root: true, commands: &[&["zypper", "--non-interactive", "install", "cmake"]] },
    Manager { program: "xbps-install", needs_root: true, commands: &[&["xbps-install", "--sync", "--yes", "cmake"]] },
    Manager { program: "brew", needs_root: false, commands: &[&["brew", "install", "cmake"]] },
    Manager {
        program: "winget",
        needs_root: false,
        commands: &[&["winget", "install", "--exact", "--id", "Kitware.CMake", "--disable-interactivity"]],
    },
];

/// What may be done about a missing cmake.
#[derive(Debug, PartialEq)]
enum Plan {
    /// Run these.
    Install(Vec<Vec<&'static str>>),
    /// Only the person may: show these.
    Tell(Vec<Vec<&'static str>>),
}

/// Makes sure that there is a cmake; never asks for a password.
pub(crate) fn ensure() -> Result<(), Failure> {
    if succeeds("cmake", &["--version"]) {
        return Ok(());
    }
    println!("cmake is missing; libopus is built by it.");
    let Some(manager) = MANAGERS.iter().find(|manager| succeeds(manager.program, &["--version"])) else {
        return Err(
            "cmake is missing and there is no package manager known here: see https://cmake.org/download/".into()
        );
    };
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0");
    match plan(manager, is_root, succeeds("sudo", &["-n", "true"])) {
        Plan::Install(commands) => {
            for words in commands {
                let mut command = Command::new(words[0]);
                // debconf and its like would wait for an answer.
                run::run(command.args(&words[1..]).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null()))?;
            }
        }
        Plan::Tell(commands) => {
            let lines: Vec<String> = commands.iter().map(|words| words.join(" ")).collect();
            return Err(format!("cmake is missing; install it and run this again:\n    {}", lines.join(" && ")).into());
        }
    }
    if succeeds("cmake", &["--version"]) { Ok(()) } else { Err("cmake was installed, but is not on the PATH".into()) }
}

fn plan(manager: &Manager, is_root: bool, has_sudo: bool) -> Plan {
    let with = |prefix: &[&'static str]| manager.commands.iter().map(|words| [prefix, words].concat()).collect();
    match (manager.needs_root && !is_root, has_sudo) {
        (false, _) => Plan::Install(with(&[])),
        (true, true) => Plan::Install(with(&["sudo", "-n", "env", "DEBIAN_FRONTEND=noninteractive"])),
        (true, false) => Plan::Tell(with(&["sudo"])),
    }
}

fn succeeds(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    let status = command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::{MANAGERS, Plan, plan};

    #[test]
    fn root_installs_without_sudo() {
        let commands = vec![vec!["apt-get", "update"], vec!["apt-get", "install", "--yes", "cmake"]];
        assert_eq!(plan(&MANAGERS[0], true, true), Plan::Install(commands));
    }

    #[test]
    fn sudo_is_used_only_where_it_asks_nothing() {
        let dnf = &MANAGERS[1];
        assert_eq!(
            plan(dnf, false, true),
            Plan::Install(vec![vec![
                "sudo",
                "-n",
                "env",
                "DEBIAN_FRONTEND=noninteractive",
                "dnf",
                "install",
                "--assumeyes",
                "cmake"
            ]])
        );
        assert_eq!(plan(dnf, false, false), Plan::Tell(vec![vec!["sudo", "dnf", "install", "--assumeyes", "cmake"]]));
    }

    #[test]
    fn a_persons_own_manager_needs_no_root() {
        let brew = MANAGERS.iter().find(|manager| manager.program == "brew").expect("brew is in the list");
        assert_eq!(plan(brew, false, false), Plan::Install(vec![vec!["brew", "install", "cmake"]]));
    }
}
