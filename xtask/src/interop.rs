//! A client that we did not write, `@discordjs/voice`, and our `call` in one room of the loopback server: each plays a
//! tone, and must hear the other's. Once per transport mode, with and without header extension and padding.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::child::Running;
use crate::run::{self, Failure};
use crate::{cmake, wav};

const MODES: [&str; 2] = ["aead_aes256_gcm_rtpsize", "aead_xchacha20_poly1305_rtpsize"];
const GUILD: &str = "100000000000000001";
const CHANNEL: &str = "300000000000000001";
const THEM: &str = "200000000000000001";
const US: &str = "200000000000000002";
/// The tones of `interop/tones/`.
const OUR_HZ: f64 = 455.0;
const THEIR_HZ: f64 = 600.0;
/// The probe counts whole periods in 20 ms.
const TOLERANCE: f64 = 0.02;
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
const STARTS: Duration = Duration::from_secs(20);
const ENDS: Duration = Duration::from_secs(40);

/// Everything that is there before the first run.
struct Stage {
    node: PathBuf,
    /// Where the probe and its packages are.
    probe: PathBuf,
    server: PathBuf,
    call: PathBuf,
    tones: PathBuf,
}

/// What one run was about, and what came of it.
struct Row {
    mode: &'static str,
    /// With `--extension --padding`.
    dressed: bool,
    we: Heard,
    they: Heard,
    wrong: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Heard {
    packets: u64,
    hz: Option<f64>,
}

/// Does all four runs; `keep` leaves our recordings.
pub(crate) fn run(keep: bool) -> Result<(), Failure> {
    cmake::ensure()?;
    let folder = run::target()?.join("interop");
    let (node, probe) = match install(&folder) {
        Ok(installed) => installed,
        Err(failure) if std::env::var_os("INTEROP_OFFLINE").is_some_and(|value| value == "1") => {
            println!("SKIPPED interop (INTEROP_OFFLINE=1): {}", failure.reason);
            return Ok(());
        }
        Err(failure) => {
            return Err(
                format!("{}\n(INTEROP_OFFLINE=1 skips this on a machine without network)", failure.reason).into()
            );
        }
    };
    let programs = run::release(&["--bin", "voice-loopback", "--example", "call"])?;
    let program = |name| run::named(&programs, name).map(Path::to_owned);
    let tones = run::root().join("interop").join("tones");
    let stage = Stage { node, probe, server: program("voice-loopback")?, call: program("call")?, tones };

    let recordings = folder.join("recordings");
    let mut rows = Vec::new();
    for mode in MODES {
        for dressed in [false, true] {
            println!("==> {mode}{}", if dressed { ", with extension and padding" } else { "" });
            let name = format!("{mode}{}", if dressed { "-dressed" } else { "" });
            rows.push(meet(&stage, mode, dressed, &recordings.join(name))?);
        }
    }
    if keep {
        println!("recordings: {}", recordings.display());
    } else {
        // What cannot be removed is overwritten next time.
        let _ = fs::remove_dir_all(&recordings);
    }
    println!("\n{}", table(&rows));
    let wrong: Vec<String> =
        rows.iter().flat_map(|row| row.wrong.iter().map(|why| format!("{}: {why}", row.mode))).collect();
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n").into()) }
}

/// Puts the probe and its packages into `folder`; a Node that can run it, and where the probe is.
fn install(folder: &Path) -> Result<(PathBuf, PathBuf), Failure> {
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
    let install = |folder: &Path, package: Option<&str>| {
        let mut npm = Command::new(npm());
        npm.arg("install").args(package).args(NPM_OPTIONS);
        run::run(npm.current_dir(folder))
    };
    install(&probe, None)?;

    let output = Command::new("node").arg("--version").output();
    let version = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
    if major(&version).is_some_and(|major| major >= NODE) {
        return Ok((PathBuf::from("node"), probe));
    }
    println!("Node {NODE} or newer is needed, `node --version` says `{version}`: npm brings {NEWER_NODE}");
    let own = folder.join("node");
    fs::create_dir_all(&own).map_err(cannot)?;
    fs::write(own.join("package.json"), "{\"private\": true}\n").map_err(cannot)?;
    install(&own, Some(NEWER_NODE))?;
    Ok((own.join("node_modules").join("node").join("bin").join("node"), probe))
}

fn npm() -> &'static str {
    if cfg!(windows) { "npm.cmd" } else { "npm" }
}

/// Of `v20.20.2`.
fn major(version: &str) -> Option<u32> {
    version.strip_prefix('v')?.split('.').next()?.parse().ok()
}

/// One run: server, probe and call.
fn meet(stage: &Stage, mode: &'static str, dressed: bool, recordings: &Path) -> Result<Row, Failure> {
    fs::create_dir_all(recordings).map_err(|error| format!("cannot write {}: {error}", recordings.display()))?;
    let ca = recordings.join("ca.pem");
    let mut server = Command::new(&stage.server);
    server.args(["--ws", "127.0.0.1:0", "--udp", "127.0.0.1:0", "--dave", "0", "--modes", mode, "--exit-after", "60"]);
    server.arg("--ca-out").arg(&ca).args(dressed.then_some(["--extension", "--padding"]).into_iter().flatten());
    let mut server = Running::start("voice-loopback", &mut server)?;
    let listening = server.line("LISTENING ", STARTS)?;
    let endpoint = listening.split_whitespace().find_map(|word| word.strip_prefix("ws="));
    let endpoint = endpoint.ok_or_else(|| server.failure("its LISTENING line names no ws="))?;

    let mut probe = Command::new(&stage.node);
    probe.current_dir(&stage.probe).env("NODE_EXTRA_CA_CERTS", &ca).env("GUILD_ID", GUILD).env("CHANNEL_ID", CHANNEL);
    probe.args(["probe.mjs", "--endpoint", endpoint, "--user", THEM, "--no-dave", "--quiet", "--secs", "8"]);
    probe.arg("--play").arg(stage.tones.join("tone-600hz.opus.ogg"));
    let mut probe = Running::start("the discord.js probe", &mut probe)?;

    let mut call = Command::new(&stage.call);
    call.args(["--endpoint", endpoint, "--guild", GUILD, "--channel", CHANNEL, "--user", US, "--session", "session"]);
    // Longer than the probe, which starts slowly where Node is not in the cache yet.
    call.args(["--token", "token", "--delay", "2", "--secs", "14", "--json", "--ca"]).arg(&ca);
    call.arg("--play").arg(stage.tones.join("tone-455hz.wav")).arg("--record").arg(recordings);
    let mut call = Running::start("call", &mut call)?;

    let they = result(&mut probe)?;
    let we = result(&mut call)?;
    let status = call.end(ENDS)?;
    if !status.success() {
        return Err(call.failure(&format!("ended with {status}")));
    }
    let recording = recordings.join(format!("{THEM}.wav"));
    // A recording that is not there has no pitch, and the row says so.
    let hz = fs::read(&recording).ok().and_then(|file| wav::pitch(&file));
    Ok(judge(mode, dressed, &we, hz, &they))
}

fn result(program: &mut Running) -> Result<Value, Failure> {
    let text = program.line("RESULT ", ENDS)?;
    serde_json::from_str(&text).map_err(|error| program.failure(&format!("its RESULT is no JSON: {error}")))
}

/// Of about 305 that either side sends in 6 s; the first may come before the other side is there.
const LEAST_PACKETS: u64 = 250;

/// `we` and `they` are the RESULT lines, `recorded` the pitch of what we recorded of them.
fn judge(mode: &'static str, dressed: bool, we: &Value, recorded: Option<f64>, they: &Value) -> Row {
    let packets = |result: &Value, user: &str| result["heard"][user]["packets"].as_u64().unwrap_or(0);
    let ours = Heard { packets: packets(we, THEM), hz: recorded };
    let theirs = Heard { packets: packets(they, US), hz: they["heard"][US]["medianHz"].as_f64() };
    let mut wrong = Vec::new();
    for (who, heard, wanted) in [("we", ours, THEIR_HZ), ("they", theirs, OUR_HZ)] {
        if heard.packets < LEAST_PACKETS {
            wrong.push(format!("{who} heard {} packets, wanted {LEAST_PACKETS}", heard.packets));
        }
        if !heard.hz.is_some_and(|hz| (hz / wanted - 1.0).abs() <= TOLERANCE) {
            wrong.push(format!("{who} heard {}, wanted {wanted} Hz", shown(heard.hz)));
        }
    }
    if we["mode"] != mode {
        wrong.push(format!("we used mode {}", we["mode"]));
    }
    // Every key is always there: a missing one is not null.
    if we.get("closed") != Some(&Value::Null) {
        wrong.push(format!("our call was closed: {}", we["closed"]));
    }
    Row { mode, dressed, we: ours, they: theirs, wrong }
}

fn table(rows: &[Row]) -> String {
    let mut lines = vec![format!(
        "{:<32} {:<19} {:>22} {:>22}",
        "mode",
        "extension, padding",
        format!("we heard ({THEIR_HZ} Hz)"),
        format!("they heard ({OUR_HZ} Hz)")
    )];
    for row in rows {
        let heard = |heard: Heard| format!("{} packets, {}", heard.packets, shown(heard.hz));
        let (dressed, state) =
            (if row.dressed { "yes" } else { "no" }, if row.wrong.is_empty() { "ok" } else { "WRONG" });
        lines.push(format!("{:<32} {dressed:<19} {:>22} {:>22}  {state}", row.mode, heard(row.we), heard(row.they)));
    }
    lines.join("\n")
}

fn shown(hz: Option<f64>) -> String {
    hz.map_or("no tone".to_owned(), |hz| format!("{hz:.0} Hz"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{MODES, THEM, US, judge, major, table};

    fn we(packets: u64, closed: &Value) -> Value {
        json!({"mode": MODES[0], "heard": {THEM: {"packets": packets}}, "closed": closed})
    }

    fn they(packets: u64, hz: f64) -> Value {
        json!({"heard": {US: {"packets": packets, "medianHz": hz}}})
    }

    #[test]
    fn both_tones_must_be_heard() {
        let good = judge(MODES[0], true, &we(300, &Value::Null), Some(600.3), &they(290, 450.0));
        assert!(good.wrong.is_empty(), "{:?}", good.wrong);
        assert!(table(&[good]).contains("300 packets, 600 Hz"));
        for (ours, pitch, theirs) in [
            (we(0, &Value::Null), Some(600.0), they(290, 450.0)),
            (we(300, &Value::Null), Some(620.0), they(290, 450.0)),
            (we(300, &Value::Null), None, they(290, 450.0)),
            (we(300, &json!({"code": 4006})), Some(600.0), they(290, 450.0)),
            (we(300, &Value::Null), Some(600.0), they(290, 400.0)),
        ] {
            assert_eq!(judge(MODES[0], false, &ours, pitch, &theirs).wrong.len(), 1);
        }
    }

    #[test]
    fn another_mode_or_an_empty_result_is_wrong() {
        assert_eq!(judge(MODES[1], false, &we(300, &Value::Null), Some(600.0), &they(290, 450.0)).wrong.len(), 1);
        assert_eq!(judge(MODES[0], false, &json!({}), None, &json!({})).wrong.len(), 6);
    }

    #[test]
    fn node_tells_its_version() {
        assert_eq!(major("v20.20.2"), Some(20));
        assert_eq!(major("v9"), Some(9));
        assert_eq!(major(""), None);
    }
}
