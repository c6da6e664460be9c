//! One end-to-end encrypted call of three: discord.js stays from beginning to end, one of ours (`US`) nearly as long,
//! another (`GUEST`) joins while both talk, and leaves before they have finished.

use std::path::Path;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::stage::{HIGH, Heard, LOW, Stage, good_result, result};
use crate::run::Failure;

const THEM: &str = "200000000000000001";
const US: &str = "200000000000000002";
const GUEST: &str = "200000000000000003";

/// Probe and call have started and found each other by then, and talk.
const GUEST_COMES: Duration = Duration::from_secs(4);
/// Of about 305 in 6 s; the first may come before the other side is there.
const LEAST_PACKETS: u64 = 250;
/// In the 4 s that the guest is there.
const LEAST_OF_GUEST: u64 = 100;
const CODE: usize = 30;

/// What came of it.
pub(super) struct Meeting {
    heard: Vec<(&'static str, &'static str, Heard)>,
    codes: Vec<String>,
    epochs: [u64; 2],
    pub(super) wrong: Vec<String>,
}

/// Runs server, probe and both calls.
pub(super) fn meet(stage: &Stage, folder: &Path) -> Result<Meeting, Failure> {
    let server = stage.server(folder, &["--dave", "1", "--extension", "--padding"])?;
    let mut probe = stage.probe(&server, THEM, HIGH.0, &["--secs", "14"])?;
    let mut call = stage.call(&server, US, LOW.0, &["--delay", "2", "--secs", "12"])?;
    thread::sleep(GUEST_COMES);
    let mut guest = stage.call(&server, GUEST, HIGH.0, &["--secs", "4"])?;

    let guest = good_result(&mut guest)?;
    let we = good_result(&mut call)?;
    // Ours have gone by now, one after the other.
    let they = result(&mut probe)?;
    let codes = codes(probe.said());
    let pitch = |listener, speaker| server.recorded(listener, speaker);
    let heard = vec![
        ("we", "them", Heard::new(&we, THEM, pitch(US, THEM))),
        ("we", "the guest", Heard::new(&we, GUEST, pitch(US, GUEST))),
        ("the guest", "them", Heard::new(&guest, THEM, pitch(GUEST, THEM))),
        ("the guest", "us", Heard::new(&guest, US, pitch(GUEST, US))),
        ("they", "us", Heard::new(&they, US, None)),
        ("they", "the guest", Heard::new(&they, GUEST, None)),
    ];
    Ok(judge(heard, &we, &guest, codes))
}

/// The privacy codes that discord.js had at its transitions, each once, in order.
fn codes(said: &[String]) -> Vec<String> {
    let mut codes: Vec<String> = Vec::new();
    for line in said.iter().filter(|line| line.starts_with("[dave] transitioned ")) {
        if let Some(code) = line.split_whitespace().find(|word| is_code(word))
            && codes.last().is_none_or(|last| last != code)
        {
            codes.push(code.to_owned());
        }
    }
    codes
}

fn is_code(word: &str) -> bool {
    word.len() == CODE && word.bytes().all(|byte| byte.is_ascii_digit())
}

fn judge(heard: Vec<(&'static str, &'static str, Heard)>, we: &Value, guest: &Value, codes: Vec<String>) -> Meeting {
    let mut wrong = Vec::new();
    for &(listener, speaker, what) in &heard {
        let hz = if speaker == "us" { LOW.1 } else { HIGH.1 };
        let is_short = listener == "the guest" || speaker == "the guest";
        let least = if is_short { LEAST_OF_GUEST } else { LEAST_PACKETS };
        wrong.extend(what.wrong(&format!("{listener} of {speaker}"), least, hz));
    }
    for (who, result) in [("our", we), ("the guest's", guest)] {
        if result["dave_version"] != 1 {
            wrong.push(format!("{who} call had DAVE version {}", result["dave_version"]));
        }
        // Every key is always there: a missing one is not null.
        if result.get("closed") != Some(&Value::Null) {
            wrong.push(format!("{who} call was closed: {}", result["closed"]));
        }
        let code = result["privacy_code"].as_str().unwrap_or_default();
        if !codes.iter().any(|known| known == code) {
            wrong.push(format!("{who} privacy code {code:?} is none of discord.js's: {codes:?}"));
        }
    }
    let epochs = [guest, we].map(|result| result["epoch"].as_u64().unwrap_or(0));
    // Guests come and go with an epoch each.
    if epochs[0] == 0 || epochs[1] <= epochs[0] || we["privacy_code"] == guest["privacy_code"] {
        wrong.push(format!("epoch {} with the guest, {} without", epochs[0], epochs[1]));
    }
    Meeting { heard, codes, epochs, wrong }
}

impl Meeting {
    pub(super) fn table(&self) -> String {
        let state = if self.wrong.is_empty() { "ok" } else { "WRONG" };
        let [with, without] = self.epochs;
        let mut lines = vec![format!(
            "end-to-end encrypted: {} privacy codes, epoch {with} with the guest, {without} without  {state}",
            self.codes.len()
        )];
        for (listener, speaker, heard) in &self.heard {
            lines.push(format!("{listener:<10} heard {speaker:<10} {:>22}", heard.text()));
        }
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Heard, Meeting, codes, judge};

    const ONE: &str = "111111111111111111111111111111";
    const TWO: &str = "222222222222222222222222222222";

    fn result(code: &str, epoch: u64) -> Value {
        json!({"privacy_code": code, "epoch": epoch, "dave_version": 1, "closed": null})
    }

    fn meeting(of_us: Heard, we: &Value, guest: &Value) -> Meeting {
        let high = Heard { packets: 300, hz: Some(600.0) };
        let heard = vec![("we", "them", high), ("the guest", "them", high), ("they", "us", of_us)];
        judge(heard, we, guest, vec![ONE.to_owned(), TWO.to_owned()])
    }

    #[test]
    fn codes_are_found_in_what_the_probe_says() {
        let said = [
            "[state] signalling -> connecting".to_owned(),
            format!("[dave] transitioned 0 privacy code {ONE} users ["),
            format!("[dave] transitioned 1 privacy code {ONE} users [ '1' ]"),
            "[dave] transitioned 2 privacy code null users undefined".to_owned(),
            format!("[dave] transitioned 3 privacy code {TWO} users [ '1', '2' ]"),
            format!("RESULT {ONE}"),
        ];
        assert_eq!(codes(&said), [ONE, TWO]);
    }

    #[test]
    fn everybody_must_be_heard_and_know_the_code() {
        let low = Heard { packets: 300, hz: Some(455.0) };
        let good = meeting(low, &result(TWO, 3), &result(ONE, 2));
        assert!(good.wrong.is_empty(), "{:?}", good.wrong);
        assert!(good.table().contains("epoch 2 with the guest, 3 without  ok"));
        for (of_us, we, guest) in [
            (Heard { packets: 300, hz: Some(600.0) }, result(TWO, 3), result(ONE, 2)),
            (Heard { packets: 100, hz: Some(455.0) }, result(TWO, 3), result(ONE, 2)),
            (low, result("3", 3), result(ONE, 2)),
            (low, result(TWO, 2), result(ONE, 2)),
            (low, result(ONE, 3), result(ONE, 2)),
        ] {
            assert_eq!(meeting(of_us, &we, &guest).wrong.len(), 1);
        }
        assert!(!meeting(low, &json!({}), &result(ONE, 2)).wrong.is_empty());
    }
}
