//! Fuzzing on a stable toolchain: libFuzzer calls the targets of `fuzz/`, with the coverage instrumentation of LLVM.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run::{self, Failure};
use crate::source;

/// What `cargo fuzz` passes to a nightly compiler, as far as a stable one takes it.
const INSTRUMENTED: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
     -Cllvm-args=-sanitizer-coverage-trace-compares";
/// Seconds for one input, MiB for all: beyond that it counts as a crash.
const LIMITS: [&str; 2] = ["-timeout=20", "-rss_limit_mb=2048"];

/// Fuzzes a target for so long. What it finds goes to a scratch corpus, and stays there for the next time; the committed
/// one is read only.
pub(crate) fn run(name: &str, seconds: &str) -> Result<(), Failure> {
    let seconds: u64 = seconds.parse().map_err(|_| usage(format!("`{seconds}` is no number of seconds")))?;
    let folder = run::root().join("fuzz");
    let targets = targets(&folder)?;
    if !targets.iter().any(|target| target == name) {
        return Err(usage(format!("there is no fuzz target `{name}`: there are {}", targets.join(", "))));
    }
    let program = build(name)?;
    let found = run::target()?.join("fuzz").join("corpus").join(name);
    let artifacts = folder.join("artifacts").join(name);
    for folder in [&found, &artifacts] {
        fs::create_dir_all(folder).map_err(|error| format!("cannot write {}: {error}", folder.display()))?;
    }
    let before = source::entries(&artifacts)?;

    let mut fuzz = Command::new(program);
    // The separator at the end makes it a folder for libFuzzer.
    fuzz.arg(format!("-max_total_time={seconds}")).arg(format!("-artifact_prefix={}/", artifacts.display()));
    fuzz.args(LIMITS).arg(format!("-max_len={}", longest(name))).args(["-len_control=10", "-print_final_stats=1"]);
    let dictionary = folder.join("dictionaries").join(format!("{name}.txt"));
    if dictionary.exists() {
        fuzz.arg(format!("-dict={}", dictionary.display()));
    }
    // The first one is written to.
    fuzz.arg(&found).arg(folder.join("corpus").join(name));
    let outcome = run::run(&mut fuzz);

    let mut new = source::entries(&artifacts)?;
    new.retain(|file| !before.contains(file));
    match (outcome, new.as_slice()) {
        (Ok(()), []) => {
            println!("\n{name}: nothing found in {seconds} s; the corpus is in {}", found.display());
            Ok(())
        }
        (Err(failure), []) => Err(failure.reason.into()),
        (_, new) => Err(found_text(name, new).into()),
    }
}

fn usage(reason: String) -> Failure {
    Failure { code: 2, reason }
}

/// Names of the targets.
fn targets(folder: &Path) -> Result<Vec<String>, Failure> {
    let files = source::files(&folder.join("fuzz_targets"), "rs")?;
    Ok(files.iter().filter_map(|file| Some(file.file_stem()?.to_str()?.to_owned())).collect())
}

/// Bytes of the longest input worth trying: an operation on a session costs a thousand times what a frame does.
fn longest(name: &str) -> usize {
    if matches!(name, "dave_session" | "jitter_ops") { 400 } else { 2_048 }
}

/// Builds the instrumented program and returns where it is.
fn build(name: &str) -> Result<PathBuf, Failure> {
    let host = host()?;
    // With an explicit target the flags are not for build scripts and macros.
    let arguments = ["build", "--release", "--features", "libfuzzer", "--bin", name, "--target", &host];
    run::run(run::beside("fuzz", &arguments)?.env("RUSTFLAGS", INSTRUMENTED).env_remove("CARGO_ENCODED_RUSTFLAGS"))?;
    Ok(run::target()?.join(&host).join("release").join(format!("{name}{}", std::env::consts::EXE_SUFFIX)))
}

fn host() -> Result<String, Failure> {
    let output = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())).arg("-vV").output();
    let output = output.map_err(|error| format!("cannot run rustc: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.ok_or("rustc names no host")?.to_owned())
}

/// Where the inputs are that were found, and how to see what they do.
fn found_text(name: &str, files: &[PathBuf]) -> String {
    let mut lines = vec![format!("{name} failed on {} input{}:", files.len(), if files.len() == 1 { "" } else { "s" })];
    for file in files {
        let file = file.strip_prefix(run::root()).unwrap_or(file).display().to_string();
        lines.push(format!("  {file}"));
        lines.push(format!(
            "    again, without libFuzzer: cargo run --manifest-path fuzz/Cargo.toml --bin replay -- {name} {file}"
        ));
        lines.push(format!("    once it is repaired: mv {file} fuzz/corpus/{name}/"));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{found_text, host, run, targets};
    use crate::run::root;

    #[test]
    fn the_targets_are_known() {
        let targets = targets(&root().join("fuzz")).expect("there is a folder of targets");
        assert_eq!(
            targets,
            ["dave_frame", "dave_session", "gateway_binary", "gateway_text", "jitter_ops", "rtcp", "rtp"]
        );
        assert_eq!(run("no_such_target", "1").expect_err("no such target").code, 2);
        assert_eq!(run("dave_frame", "soon").expect_err("no number").code, 2);
    }

    #[test]
    fn rustc_names_its_host() {
        assert!(host().expect("rustc runs").contains('-'));
    }

    #[test]
    fn a_find_comes_with_the_way_to_it() {
        let text = found_text("dave_frame", &[root().join(Path::new("fuzz/artifacts/dave_frame/crash-1"))]);
        assert!(
            text.contains("  fuzz/artifacts/dave_frame/crash-1\n") && text.contains("--bin replay -- dave_frame fuzz/")
        );
    }
}
