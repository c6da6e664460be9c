//! Vector files against the crate. Nothing in a file is skipped: what is not understood fails.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use serde_json::{Map, Value};

mod codecs;
mod codes;
mod frames;
mod keys;
mod read;
mod wire;

/// Runs the files, prints a line for each failure and a closing one. `true` when there was something to run and all of
/// it passed.
pub(crate) fn run(files: &[PathBuf], out: &mut impl Write) -> io::Result<bool> {
    let (mut passed, mut failed) = (0, 0);
    for file in files {
        for (name, outcome) in check_file(file) {
            match outcome {
                Ok(()) => passed += 1,
                Err(reason) => {
                    failed += 1;
                    writeln!(out, "{}: {name}: {reason}", file.display())?;
                }
            }
        }
    }
    if files.is_empty() {
        writeln!(out, "usage: vectors FILE...")?;
    }
    writeln!(out, "{passed} passed, {failed} failed")?;
    Ok(passed > 0 && failed == 0)
}

type Outcome = (String, Result<(), String>);

type Check = fn(&Value) -> Result<(), String>;

/// How a section is made up.
enum Form {
    /// A list of entries.
    List(Check),
    /// An object of lists; what is an object itself is a list of one.
    Lists(&'static [(&'static str, Check)]),
    /// An object whose fields are entries.
    Fields(fn(&str, &Value) -> Result<(), String>),
}

/// What an object may have beside its entries.
const COMMENTS: [&str; 4] = ["note", "source", "kind", "expected"];

fn form(section: &str) -> Option<Form> {
    Some(match section {
        "displayable_code" => Form::Lists(&[("ok", codes::displayable), ("errors", codes::no_displayable)]),
        "key_fingerprint" => Form::Lists(&[("ok", codes::fingerprint), ("errors", codes::no_fingerprint)]),
        "pairwise_fingerprint" => Form::Lists(&[("ok", codes::pair), ("errors", codes::no_pair)]),
        "key_serialization_base64" => Form::List(codes::base64),
        "static_sender_key" => Form::List(keys::static_sender),
        "hash_ratchet" => Form::List(keys::ratchet),
        "labels" => Form::List(keys::label),
        "exporter_context" => Form::List(keys::exporter_context),
        "leb128" => Form::Lists(&[("encode", frames::encode), ("decode", frames::decode)]),
        "codec_split" => Form::List(codecs::split),
        "av1_split" => Form::List(codecs::split_or_fall_back),
        "robustness_inputs" => Form::Lists(&[("rows", codecs::robustness)]),
        "frame_parse" => Form::Lists(&[
            ("ok", frames::parse),
            ("not_protocol_frames", frames::no_parse),
            ("quirk_range_into_trailer", frames::parse_stricter),
        ]),
        "constants" => Form::Fields(keys::constant),
        "generation_wrap" => Form::List(keys::generation_wrap),
        "big_nonce" => Form::List(keys::big_nonce),
        "replay_window_scripts" => Form::List(keys::replay_script),
        "gcm_frames" => Form::List(frames::gcm),
        "gcm_zero1024" => Form::List(frames::gcm_zeros),
        "decryptor_fuzz_corpus" => Form::Lists(&[("files", frames::fuzz_input)]),
        "wire_samples" => Form::List(wire::sample),
        _ => return None,
    })
}

fn check_file(file: &PathBuf) -> Vec<Outcome> {
    let failure = |name: &str, reason: &dyn ToString| (name.to_owned(), Err(reason.to_string()));
    let json = match fs::read(file) {
        Ok(json) => json,
        Err(error) => return vec![failure("cannot be read", &error)],
    };
    let sections: Map<String, Value> = match serde_json::from_slice(&json) {
        Ok(sections) => sections,
        Err(error) => return vec![failure("is no vector file", &error)],
    };
    let mut outcomes = Vec::new();
    for (section, value) in &sections {
        match (section.as_str(), form(section), value) {
            // Scenarios are prose: the tests of the session play them.
            ("meta" | "mls_session_scenarios", ..) => {}
            (_, None, _) => outcomes.push(failure(section, &"unknown section")),
            (_, Some(Form::List(check)), Value::Array(entries)) => {
                outcomes.extend(check_list(section, check, entries));
            }
            (_, Some(Form::Lists(checks)), Value::Object(lists)) => {
                outcomes.extend(check_lists(section, checks, lists));
            }
            (_, Some(Form::Fields(check)), Value::Object(fields)) => {
                for (field, value) in fields.iter().filter(|(field, _)| !COMMENTS.contains(&field.as_str())) {
                    outcomes.push((format!("{section}.{field}"), check(field, value)));
                }
            }
            (_, Some(Form::List(_)), _) => outcomes.push(failure(section, &"is no list")),
            (_, Some(_), _) => outcomes.push(failure(section, &"is no object")),
        }
    }
    if outcomes.is_empty() {
        outcomes.push(failure("is no vector file", &"it has no entry"));
    }
    outcomes
}

fn check_lists(section: &str, checks: &[(&str, Check)], lists: &Map<String, Value>) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for (list, value) in lists {
        let name = format!("{section}.{list}");
        match (checks.iter().find(|(known, _)| known == list), value) {
            (None, _) if COMMENTS.contains(&list.as_str()) => {}
            (None, _) => outcomes.push((name, Err("unknown".to_owned()))),
            (Some((_, check)), Value::Array(entries)) => outcomes.extend(check_list(&name, *check, entries)),
            (Some((_, check)), Value::Object(_)) => outcomes.push((name, caught(*check, value))),
            (Some(_), _) => outcomes.push((name, Err("is no list".to_owned()))),
        }
    }
    outcomes
}

fn check_list(section: &str, check: Check, entries: &[Value]) -> Vec<Outcome> {
    let outcome = |(index, entry): (usize, &Value)| {
        let name = ["name", "what", "file"].iter().find_map(|field| entry[*field].as_str()).unwrap_or("without a name");
        (format!("{section}[{index}] {name}"), caught(check, entry))
    };
    entries.iter().enumerate().map(outcome).collect()
}

/// A panic is a failure of its entry; the others are checked nevertheless.
fn caught(check: Check, entry: &Value) -> Result<(), String> {
    std::panic::catch_unwind(|| check(entry)).unwrap_or_else(|_| Err("panicked".to_owned()))
}
