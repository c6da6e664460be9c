//! The vector runner, on the vectors and on spoilt copies of them.

#![allow(clippy::unwrap_used)] // As in the tests themselves, so in their helpers.

#[path = "../examples/vectors/check.rs"]
mod check;

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/transport.json");

/// Everything of `transport.json`: 15 RTP packets and one RTCP compound.
const ENTRIES: usize = 16;

fn run(files: &[PathBuf]) -> (bool, String) {
    let mut out = Vec::new();
    let all_passed = check::run(files, &mut out).unwrap();
    (all_passed, String::from_utf8(out).unwrap())
}

/// Runs `transport.json` after a change.
fn run_changed(name: &str, change: impl FnOnce(&mut Value)) -> (bool, String) {
    let mut vectors = serde_json::from_slice(&fs::read(VECTORS).unwrap()).unwrap();
    change(&mut vectors);
    run_text(name, &vectors.to_string())
}

fn run_text(name: &str, text: &str) -> (bool, String) {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("vectors-{name}.json"));
    fs::write(&file, text).unwrap();
    run(&[file])
}

#[test]
fn every_vector_passes() {
    assert_eq!(run(&[VECTORS.into()]), (true, format!("{ENTRIES} passed, 0 failed\n")));
}

#[test]
fn several_files_are_summed_up() {
    let (all_passed, out) = run(&[VECTORS.into(), "no/such/file".into(), VECTORS.into()]);
    assert!(!all_passed);
    assert!(out.starts_with("no/such/file: cannot be read: "), "{out}");
    assert!(out.ends_with("\n32 passed, 1 failed\n"), "{out}");
}

#[test]
fn a_spoilt_entry_fails_with_its_name_and_the_reason() {
    // Entry, field, what it becomes, reason.
    let cases = [
        (1, "mode", json!("aead_aes128_gcm_rtpsize"), "unknown mode `aead_aes128_gcm_rtpsize`"),
        (1, "mode", json!("aead_xchacha20_poly1305_rtpsize"), "AwsLc: does not open"),
        (1, "mode", Value::Null, "`mode` is missing or no text"),
        (1, "key", json!("ee10"), "`key` has 2 bytes, not 32"),
        (1, "key", Value::Null, "`key` is missing"),
        (1, "key", json!("00".repeat(32)), "AwsLc: does not open"),
        (1, "packet", json!("8078f"), "`packet` is no hexadecimal text"),
        (1, "packet", json!("é0"), "`packet` is no hexadecimal text"),
        (1, "packet", json!(""), "`packet` is no RTP"),
        (1, "packet", json!("80780000000000000000000000"), "does not open"),
        (1, "clear_header_len", json!(16), "clear_header_len: wanted 10, found 0c"),
        (1, "clear_header_len", json!(-1), "`clear_header_len` is no count"),
        (1, "plaintext", json!("00"), "plaintext: wanted [00]"),
        (1, "extension", json!("00"), "extension: wanted [00], found []"),
        (4, "extension", Value::Null, "extension: wanted [], found [10, ff, 90, 00]"),
        (5, "padding", json!(3), "padding: wanted 03, found 04"),
        (5, "padding", json!("4"), "`padding` is no count"),
        (5, "payload", Value::Null, "`payload` is null, but"),
        (7, "payload", json!(""), "padding of 200 bytes at the end of 10"),
        (7, "padding", json!(199), "padding: wanted c7, found c8"),
    ];
    for (case, (index, field, value, reason)) in cases.into_iter().enumerate() {
        let (all_passed, out) = run_changed(&format!("case-{case}"), |vectors| vectors["rtp"][index][field] = value);
        assert!(!all_passed);
        assert!(out.contains(&format!("rtp[{index}] ")) && out.contains(reason), "{field}: wanted {reason} in {out}");
        assert!(out.ends_with("\n15 passed, 1 failed\n"), "{out}");
    }
}

#[test]
fn each_changed_byte_of_a_packet_fails() {
    let (_, out) = run_changed("bytes", |vectors| {
        let entry = vectors["rtp"][2].clone();
        let packet = entry["packet"].as_str().unwrap();
        let changed = (0..packet.len() / 2).map(|index| {
            let mut packet = packet.to_owned();
            let byte = u8::from_str_radix(&packet[2 * index..2 * index + 2], 16).unwrap();
            packet.replace_range(2 * index..2 * index + 2, &format!("{:02x}", byte ^ 0x01));
            let mut entry = entry.clone();
            entry["packet"] = packet.into();
            entry
        });
        *vectors = json!({ "rtp": changed.collect::<Vec<_>>() });
    });
    assert!(out.ends_with("\n0 passed, 35 failed\n"), "{out}");
}

#[test]
fn what_is_no_vector_file_fails() {
    for (name, text, reason) in [
        ("empty", "", "is no vector file: EOF"),
        ("list", "[]", "is no vector file"),
        ("nothing", "{}", "is no vector file: it has no entry"),
        ("no-entries", r#"{"meta":{},"rtp":[]}"#, "it has no entry"),
        ("section", r#"{"rtpp":[]}"#, "rtpp: unknown section"),
        ("no-list", r#"{"rtp":{}}"#, "rtp: is no list"),
        ("entry", r#"{"rtcp":[7]}"#, "rtcp[0] without a name: `mode` is missing"),
    ] {
        let (all_passed, out) = run_text(name, text);
        assert!(!all_passed);
        assert!(out.contains(reason) && out.ends_with("\n0 passed, 1 failed\n"), "{out}");
    }
    assert_eq!(run(&[]), (false, "usage: vectors FILE...\n0 passed, 0 failed\n".to_owned()));
}
