//! Every file of the committed corpora, through its target, without libFuzzer.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use voice_fuzz::TARGETS;

fn replay(name: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let (_, target) = TARGETS.iter().find(|(known, _)| *known == name).expect("a target of that name");
    let listed = fs::read_dir(&folder).unwrap_or_else(|error| panic!("cannot read {}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = listed.map(|entry| entry.expect("a file of the corpus").path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    let fails = |file: &&PathBuf| {
        let data = fs::read(file).expect("a file of the corpus");
        catch_unwind(AssertUnwindSafe(|| target(&data))).is_err()
    };
    let failed: Vec<&PathBuf> = files.iter().filter(fails).collect();
    assert!(failed.is_empty(), "{} of {} files: {failed:#?}", failed.len(), files.len());
    println!("{name}: {} files", files.len());
}

#[test]
fn dave_frame() {
    replay("dave_frame");
}

#[test]
fn dave_session() {
    replay("dave_session");
}

#[test]
fn gateway_binary() {
    replay("gateway_binary");
}

#[test]
fn gateway_text() {
    replay("gateway_text");
}

#[test]
fn jitter_ops() {
    replay("jitter_ops");
}

#[test]
fn rtcp() {
    replay("rtcp");
}

#[test]
fn rtp() {
    replay("rtp");
}

#[test]
fn every_corpus_has_a_target() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for entry in fs::read_dir(folder).expect("there is a corpus") {
        let name = entry.expect("a folder of the corpus").file_name();
        assert!(TARGETS.iter().any(|(known, _)| name == *known), "{name:?} is no target");
    }
}
