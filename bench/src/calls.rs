//! Thousands of calls on one clock thread, each with an Opus source that passes through, sealed end to end for somebody
//! else in the call. Five programs: this one, the calls, their company, the voice server, and where media goes.

use std::collections::HashMap;

use crate::Outcome;
use crate::program::{self, Program};
use crate::row::{Figure, Row, Wanted};
use crate::suite::Suite;

const CALLS: u64 = 3_000;
const SECONDS: u64 = 60;
/// A WebSocket and a media socket each; the server, which inherits the limit, has both members' WebSockets.
const FILES: u64 = 2 * CALLS + 200;
/// KiB, TLS and end-to-end encryption included.
const MEMORY: f64 = 48.0;

/// Rows, and by which names the calls' program gives their figures.
const ROWS: [(&str, &str); 6] = [
    ("calls-3000/late", "late"),
    ("calls-3000/latest", "latest"),
    ("calls-3000/cpu-per-packet", "cpu-per-packet"),
    ("calls-3000/cpu-per-idle-second", "cpu-per-idle-second"),
    ("calls-3000/memory-per-call", "memory-per-call"),
    ("calls-3000/memory-per-idle-call", "memory-per-idle-call"),
];

pub fn run(suite: &mut Suite) -> Outcome {
    if !ROWS.iter().any(|(row, _)| suite.wants(row)) {
        return Ok(());
    }
    program::allow_files(FILES)?;
    let figures = measure()?;
    for (row, name) in ROWS {
        // There is no memory where the system does not tell.
        let Some(value) = figures.get(name).copied().filter(|_| suite.wants(row)) else { continue };
        suite.push(match name {
            "late" => Row::new(row, Figure::Share(value)).wanted(Wanted::AtMost(0.001)),
            "memory-per-call" => Row::new(row, Figure::Memory(value)).wanted(Wanted::AtMost(MEMORY * 1_024.0)),
            "memory-per-idle-call" => Row::new(row, Figure::Memory(value)),
            _ => Row::new(row, Figure::Time(value)),
        });
    }
    Ok(())
}

fn measure() -> Outcome<HashMap<String, f64>> {
    let mut sink = Program::start(program::beside("sink")?, &[])?;
    let media = sink.hear()?;
    let media = media.strip_prefix("media=").ok_or("a sink without an address")?;
    let ca = std::env::temp_dir().join(format!("voice-bench-{}.pem", std::process::id()));
    let authority = ca.to_str().ok_or("a folder for temporary files that is not text")?;
    let (count, connections) = (CALLS.to_string(), (2 * CALLS + 100).to_string());
    let flags = ["--ws", "127.0.0.1:0", "--udp", "127.0.0.1:0", "--media", media, "--ca-out", authority];
    let flags = [&flags[..], &["--connections", &connections, "--exit-after", "900"]].concat();
    let mut server = Program::start(program::build("../Cargo.toml", "voice-loopback")?, &flags)?;
    let listening = server.hear()?;
    let endpoint = listening.split_whitespace().find_map(|word| word.strip_prefix("ws="));
    let endpoint = endpoint.ok_or_else(|| format!("the server does not listen, it says {listening:?}"))?;

    println!("calls: {CALLS} join");
    let mut calls = Program::start(program::beside("calls")?, &[endpoint, authority, &count, &SECONDS.to_string()])?;
    calls.hear()?;
    println!("calls: as many join them");
    let mut company = Program::start(program::beside("company")?, &[endpoint, authority, &count])?;
    company.hear()?;
    std::fs::remove_file(&ca)?;
    println!("calls: all are there; a rest, then {SECONDS} s of music");
    calls.tell("play")?;
    let figures = calls.hear_out()?;
    let figures = figures.lines().filter_map(|line| line.split_once('='));
    figures.map(|(name, value)| Ok((name.to_owned(), value.parse()?))).collect()
}
