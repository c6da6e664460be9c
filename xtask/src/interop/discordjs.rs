//! A client that we did not write, `@discordjs/voice`, and our `call` in one room of the loopback server: each plays a
//! tone, and must hear the other's. Once per transport mode, with and without header extension and padding, without
//! end-to-end encryption; then, encrypted, with two of ours. At last both record one speaker: the same packets.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::stage::{HIGH, Heard, LOW, Stage, good_result, result};
use super::{encrypted, recordings};
use crate::run::{self, Failure};

const MODES: [&str; 2] = ["aead_aes256_gcm_rtpsize", "aead_xchacha20_poly1305_rtpsize"];
const THEM: &str = "200000000000000001";
const US: &str = "200000000000000002";
/// Of about 305 that either side sends in 6 s; the first may come before the other side is there.
const LEAST_PACKETS: u64 = 250;

/// What one run was about, and what came of it.
struct Row {
    mode: &'static str,
    /// With `--extension --padding`.
    dressed: bool,
    we: Heard,
    they: Heard,
    wrong: Vec<String>,
}

/// Does all runs; `keep` leaves our recordings.
pub(super) fn run(keep: bool) -> Result<(), Failure> {
    let folder = run::target()?.join("interop");
    let stage = match Stage::set(&folder) {
        Ok(stage) => stage,
        Err(failure) if std::env::var_os("INTEROP_OFFLINE").is_some_and(|value| value == "1") => {
            println!("SKIPPED interop with discord.js (INTEROP_OFFLINE=1): {}", failure.reason);
            return Ok(());
        }
        Err(failure) => {
            return Err(
                format!("{}\n(INTEROP_OFFLINE=1 skips this on a machine without network)", failure.reason).into()
            );
        }
    };
    let written = folder.join("recordings");
    // Those of an earlier run would be taken for this one's.
    let _ = fs::remove_dir_all(&written);
    let mut rows = Vec::new();
    for mode in MODES {
        for dressed in [false, true] {
            println!("==> {mode}{}", if dressed { ", with extension and padding" } else { "" });
            let name = format!("{mode}{}", if dressed { "-dressed" } else { "" });
            rows.push(meet(&stage, mode, dressed, &written.join(name))?);
        }
    }
    println!("==> end-to-end encrypted, three members");
    let encrypted = encrypted::meet(&stage, &written.join("encrypted"))?;
    println!("==> one speaker, recorded by both");
    let mut same = recordings::program()?;
    let same = run::run(same.arg("same").arg(written.join("same")).args([&stage.node, &stage.probe]));
    if keep {
        println!("recordings: {}", written.display());
    } else {
        // What cannot be removed is overwritten next time.
        let _ = fs::remove_dir_all(&written);
    }
    println!("\n{}\n\n{}", table(&rows), encrypted.table());
    let wrong = rows.iter().flat_map(|row| row.wrong.iter().map(|why| format!("{}: {why}", row.mode)));
    let wrong = wrong.chain(encrypted.wrong.iter().map(|why| format!("encrypted: {why}")));
    let wrong: Vec<String> =
        wrong.chain(same.err().map(|failure| format!("one speaker: {}", failure.reason))).collect();
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n").into()) }
}

/// One run: server, probe and call.
fn meet(stage: &Stage, mode: &'static str, dressed: bool, folder: &Path) -> Result<Row, Failure> {
    let clothes: &[&str] = if dressed { &["--extension", "--padding"] } else { &[] };
    let server = stage.server(folder, &[&["--dave", "0", "--modes", mode], clothes].concat())?;
    let mut probe = stage.probe(&server, THEM, HIGH.0, &["--no-dave", "--secs", "8"])?;
    // Longer than the probe, which starts slowly where Node is not in the cache yet.
    let mut call = stage.call(&server, US, LOW.0, &["--delay", "2", "--secs", "14"])?;
    let they = result(&mut probe)?;
    let we = good_result(&mut call)?;
    Ok(judge(mode, dressed, &we, server.recorded(US, THEM), &they))
}

/// `we` and `they` are the RESULT lines, `recorded` the pitch of what we recorded of them.
fn judge(mode: &'static str, dressed: bool, we: &Value, recorded: Option<f64>, they: &Value) -> Row {
    let (ours, theirs) = (Heard::new(we, THEM, recorded), Heard::new(they, US, None));
    let mut wrong = ours.wrong("we", LEAST_PACKETS, HIGH.1);
    wrong.extend(theirs.wrong("they", LEAST_PACKETS, LOW.1));
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
    let (we, they) = (format!("we heard ({} Hz)", HIGH.1), format!("they heard ({} Hz)", LOW.1));
    let mut lines = vec![format!("{:<32} {:<19} {we:>22} {they:>22}", "mode", "extension, padding")];
    for row in rows {
        let (dressed, state) =
            (if row.dressed { "yes" } else { "no" }, if row.wrong.is_empty() { "ok" } else { "WRONG" });
        lines.push(format!("{:<32} {dressed:<19} {:>22} {:>22}  {state}", row.mode, row.we.text(), row.they.text()));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{MODES, THEM, US, judge, table};

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
}
