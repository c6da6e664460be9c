//! The vector runner, on the vectors and on spoilt copies of them.

#![allow(clippy::unwrap_used)] // As in the tests themselves, so in their helpers.

#[path = "../examples/vectors/check/mod.rs"]
mod check;

use std::fs;
use std::path::PathBuf;

use serde_json::{Map, Value, json};

const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/dave.json");

/// The sections of `dave.json` with entries, and how many.
const SECTIONS: [(&str, usize); 21] = [
    ("displayable_code", 5),
    ("key_fingerprint", 5),
    ("pairwise_fingerprint", 4),
    ("key_serialization_base64", 2),
    ("static_sender_key", 5),
    ("hash_ratchet", 2),
    ("labels", 2),
    ("exporter_context", 4),
    ("leb128", 30),
    ("codec_split", 10),
    ("frame_parse", 10),
    ("constants", 14),
    ("generation_wrap", 6),
    ("big_nonce", 9),
    ("replay_window_scripts", 5),
    ("av1_split", 8),
    ("gcm_frames", 24),
    ("gcm_zero1024", 3),
    ("decryptor_fuzz_corpus", 37),
    ("wire_samples", 4),
    ("robustness_inputs", 8),
];

/// Fields that tell people something and the program nothing.
const PROSE: [&str; 10] =
    ["source", "kind", "note", "name", "what", "file", "reason", "used_in", "recommended", "expected"];

/// More of those, in entries that record what other implementations do.
const PEERS: [&str; 2] = ["libdave", "davey"];

fn vectors() -> Map<String, Value> {
    serde_json::from_slice(&fs::read(VECTORS).unwrap()).unwrap()
}

fn run(files: &[PathBuf]) -> (bool, String) {
    let mut out = Vec::new();
    let all_passed = check::run(files, &mut out).unwrap();
    (all_passed, String::from_utf8(out).unwrap())
}

fn run_text(name: &str, text: &str) -> (bool, String) {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("dave-vectors-{name}.json"));
    fs::write(&file, text).unwrap();
    run(&[file])
}

#[test]
fn every_vector_passes() {
    let entries: usize = SECTIONS.iter().map(|(_, entries)| entries).sum();
    assert_eq!(run(&[VECTORS.into()]), (true, format!("{entries} passed, 0 failed\n")));
}

#[test]
fn every_section_alone_has_the_entries_that_it_should() {
    let vectors = vectors();
    let comment = ["meta", "mls_session_scenarios"];
    assert_eq!(vectors.len(), SECTIONS.len() + comment.len());
    for (section, entries) in SECTIONS {
        let alone = json!({ section: vectors[section] });
        assert_eq!(run_text(section, &alone.to_string()), (true, format!("{entries} passed, 0 failed\n")), "{section}");
    }
}

#[test]
fn several_files_are_summed_up() {
    let file = json!({ "big_nonce": vectors()["big_nonce"] }).to_string();
    let (all_passed, _) = run_text("several", &file);
    assert!(all_passed);
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("dave-vectors-several.json");
    let (all_passed, out) = run(&[file.clone(), "no/such/file".into(), file]);
    assert!(!all_passed);
    assert!(out.starts_with("no/such/file: cannot be read: "), "{out}");
    assert!(out.ends_with("\n18 passed, 1 failed\n"), "{out}");
}

/// Paths of everything in an entry that says something.
fn leaves(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                if !PROSE.contains(&field.as_str()) && !PEERS.contains(&field.as_str()) {
                    leaves(value, &format!("{path}/{field}"), found);
                }
            }
        }
        Value::Array(values) => {
            values.iter().enumerate().for_each(|(index, value)| leaves(value, &format!("{path}/{index}"), found));
        }
        _ => found.push(path.to_owned()),
    }
}

/// Something else of the same kind.
fn changed(value: &Value) -> Value {
    match value {
        Value::Null => json!(1),
        Value::Bool(value) => json!(!value),
        Value::Number(number) => json!(number.as_u64().unwrap() + 1),
        Value::String(text) => {
            let mut text = text.clone();
            // A first digit that stays one, in any notation.
            match text.pop() {
                None => json!("00"),
                Some('1') => json!(text + "2"),
                Some('=') => json!(text + "A"),
                Some(_) => json!(text + "1"),
            }
        }
        Value::Array(_) | Value::Object(_) => unreachable!("leaves only"),
    }
}

/// Where a change makes no difference, because the entry is about something that other values have in common: the section,
/// how the path begins, how it ends.
const INDIFFERENT: [(&str, &str, &str); 20] = [
    // Other data, keys and users are wrong in the same way.
    ("displayable_code", "/errors/", ""),
    ("key_fingerprint", "/errors/", ""),
    ("pairwise_fingerprint", "/errors/", ""),
    // The second takes two derivations of 16 MiB each time, like the first.
    ("pairwise_fingerprint", "/ok/1", ""),
    // What does not end, or does not fit, goes on like that.
    ("leb128", "/decode/0/", ""),
    ("leb128", "/decode/6/consumed", ""),
    ("leb128", "/decode/7/", ""),
    ("leb128", "/decode/9/", ""),
    // Bytes that are no sealed frame stay none.
    ("frame_parse", "/not_protocol_frames/", ""),
    // Any frame is encrypted as a whole, or dropped in part, like this one.
    ("codec_split", "/9/frame", ""),
    ("av1_split", "", "/frame"),
    ("robustness_inputs", "", "/frame"),
    ("robustness_inputs", "/rows/1/nals", "/clear_end"),
    ("constants", "/opus_frame_short_capi", ""),
    // A generation later may be the oldest as well.
    ("generation_wrap", "", "/oldest"),
    // Many nonces may come or may not; scripts have a test of their own.
    ("replay_window_scripts", "", ""),
    // Words beside the bytes, and an identity that may be any.
    ("wire_samples", "/0/fields/identity", ""),
    ("wire_samples", "/1/hex", ""),
    ("wire_samples", "/2/fields/then", ""),
    ("wire_samples", "/3/fields/leaf_node_source", ""),
];

#[test]
fn each_changed_value_fails() {
    let vectors = vectors();
    let (mut changes, mut unnoticed) = (0, Vec::new());
    for (section, _) in SECTIONS {
        let mut paths = Vec::new();
        leaves(&vectors[section], "", &mut paths);
        for path in paths {
            let indifferent = |(of, start, end): &(&str, &str, &str)| {
                *of == section && path.starts_with(start) && path.ends_with(end)
            };
            if INDIFFERENT.iter().any(indifferent) {
                continue;
            }
            let mut value = vectors[section].clone();
            let leaf = value.pointer_mut(&path).unwrap();
            *leaf = changed(leaf);
            let leaf = leaf.to_string();
            // Its entry alone, where entries can be told apart.
            let entry = match (&value, path.split('/').nth(1).and_then(|index| index.parse::<usize>().ok())) {
                (Value::Array(entries), Some(index)) => json!([entries[index]]),
                _ => value,
            };
            let (all_passed, out) = run_text("changed", &json!({ section: entry }).to_string());
            if all_passed || !out.contains(section) {
                unnoticed.push(format!("{section}{path}: {leaf}"));
            }
            changes += 1;
        }
    }
    assert!(unnoticed.is_empty(), "{unnoticed:#?}");
    assert!(changes > 500, "{changes}");
}

#[test]
fn a_missing_value_fails() {
    let vectors = vectors();
    for (section, field) in [
        ("static_sender_key", "key"),
        ("hash_ratchet", "base_secret"),
        ("labels", "value"),
        ("exporter_context", "context_le"),
        ("codec_split", "unencrypted_ranges"),
        ("av1_split", "falls_back_to_full_encrypt"),
        ("gcm_frames", "frame"),
        ("gcm_zero1024", "tag16"),
        ("replay_window_scripts", "steps"),
        ("wire_samples", "hex"),
    ] {
        let mut entry = vectors[section][0].clone();
        entry.as_object_mut().unwrap().remove(field).unwrap();
        let (all_passed, out) = run_text("missing", &json!({ section: [entry] }).to_string());
        assert!(!all_passed && out.ends_with("\n0 passed, 1 failed\n"), "{section}: {out}");
    }
}

#[test]
fn replay_scripts_are_played_step_by_step() {
    let script = |steps: Value| json!({ "replay_window_scripts": [{ "name": "changed", "steps": steps }] }).to_string();
    for steps in [
        json!([["ok", 0, 3], ["can", 0, 3, true]]),
        json!([["can", 0, 3, false]]),
        json!([["ok", 0, 3], ["ok", 0, 3]]),
        json!([["may", 0, 3, true]]),
        json!([["can", 0, 3]]),
        json!([]),
    ] {
        let (all_passed, out) = run_text("script", &script(steps.clone()));
        assert!(!all_passed && out.contains("replay_window_scripts[0] changed: "), "{steps}: {out}");
    }
    assert!(run_text("script", &script(json!([["ok", 0, 3], ["can", 0, 3, false]]))).0);
}

#[test]
fn what_is_no_vector_file_fails() {
    for (name, text, reason) in [
        ("empty", "", "is no vector file: EOF"),
        ("list", "[]", "is no vector file"),
        ("nothing", "{}", "is no vector file: it has no entry"),
        ("no-entries", r#"{"meta":{},"gcm_frames":[]}"#, "it has no entry"),
        ("comment", r#"{"meta":{},"mls_session_scenarios":{"expect":["all is well"]}}"#, "it has no entry"),
        ("section", r#"{"gcm_frame":[]}"#, "gcm_frame: unknown section"),
        ("no-list", r#"{"gcm_frames":{}}"#, "gcm_frames: is no list"),
        ("no-object", r#"{"leb128":[]}"#, "leb128: is no object"),
        ("no-inner-list", r#"{"leb128":{"encode":7}}"#, "leb128.encode: is no list"),
        ("inner", r#"{"leb128":{"encodes":[]}}"#, "leb128.encodes: unknown"),
        ("constant", r#"{"constants":{"tag_length":8}}"#, "constants.tag_length: unknown"),
        ("sample", r#"{"wire_samples":[{"what":"something","hex":"00"}]}"#, "unknown sample `something`"),
        ("entry", r#"{"gcm_frames":[7]}"#, "gcm_frames[0] without a name: `truncated_nonce` is missing"),
        ("codec", r#"{"codec_split":[{"name":"x","codec":"H266","frame":""}]}"#, "unknown codec `H266`"),
        ("hex", r#"{"codec_split":[{"name":"x","codec":"H264","frame":"0"}]}"#, "`frame` is no hexadecimal text"),
    ] {
        let (all_passed, out) = run_text(name, text);
        assert!(!all_passed);
        assert!(out.contains(reason) && out.ends_with("\n0 passed, 1 failed\n"), "{name}: {out}");
    }
    assert_eq!(run(&[]), (false, "usage: vectors FILE...\n0 passed, 0 failed\n".to_owned()));
}
