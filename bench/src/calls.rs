//! Thousands of calls of one client, each with an Opus source that passes through, sealed end to end for somebody
//! else in the call. Five programs: this one, the calls, their company, the voice server, and where media goes.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::Outcome;
use crate::program::{self, Program};
use crate::row::{Figure, Row, Wanted};
use crate::suite::Suite;

/// How many calls, and how they are run.
pub struct Plan {
    pub calls: u64,
    /// How long they play.
    pub seconds: u64,
    /// A program that runs the calls' program: a profiler.
    pub under: Option<PathBuf>,
}

impl Default for Plan {
    fn default() -> Self {
        Self { calls: 3_000, seconds: 60, under: None }
    }
}

/// KiB, TLS and end-to-end encryption included.
const MEMORY: f64 = 48.0;

/// What the calls' program says, of which the first few are about being in time.
const IN_TIME: usize = 3;
const FIGURES: [&str; 7] = [
    "late",
    "late-by-itself",
    "latest",
    "cpu-per-packet",
    "cpu-per-idle-second",
    "memory-per-call",
    "memory-per-idle-call",
];

pub fn run(suite: &mut Suite, plan: &Plan) -> Outcome {
    for realtime in [false, true] {
        let group = format!("calls-{}{}", plan.calls, if realtime { "/realtime" } else { "" });
        // Priority changes when packets leave, and nothing else.
        let figures = if realtime { &FIGURES[..IN_TIME] } else { &FIGURES };
        let rows: Vec<_> = figures.iter().map(|figure| (format!("{group}/{figure}"), *figure)).collect();
        if !rows.iter().any(|(row, _)| suite.wants(row)) {
            continue;
        }
        // A WebSocket and a media socket each; the server, which inherits the limit, has both members' WebSockets.
        program::allow_files(2 * plan.calls + 200)?;
        let figures = match measure(plan, realtime) {
            // Who may not ask for it measures without.
            Err(error) if realtime => {
                println!("{group}: {error}");
                continue;
            }
            figures => figures?,
        };
        for (row, figure) in rows {
            // There is no memory where the system does not tell.
            let Some(value) = figures.get(figure).copied().filter(|_| suite.wants(&row)) else { continue };
            suite.push(match figure {
                "late" => Row::new(row, Figure::Share(value)).wanted(Wanted::AtMost(0.001)),
                // What the machine does to a thread that only waits.
                "late-by-itself" => Row::new(row, Figure::Share(value)),
                "memory-per-call" => Row::new(row, Figure::Memory(value)).wanted(Wanted::AtMost(MEMORY * 1_024.0)),
                "memory-per-idle-call" => Row::new(row, Figure::Memory(value)),
                _ => Row::new(row, Figure::Time(value)),
            });
        }
    }
    Ok(())
}

fn measure(plan: &Plan, realtime: bool) -> Outcome<HashMap<String, f64>> {
    let mut sink = Program::start(program::beside("sink")?, &[])?;
    let media = sink.hear()?;
    let media = media.strip_prefix("media=").ok_or("a sink without an address")?;
    let ca = std::env::temp_dir().join(format!("voice-bench-{}.pem", std::process::id()));
    let authority = ca.to_str().ok_or("a folder for temporary files that is not text")?;
    let (count, connections) = (plan.calls.to_string(), (2 * plan.calls + 100).to_string());
    let flags = ["--ws", "127.0.0.1:0", "--udp", "127.0.0.1:0", "--media", media, "--ca-out", authority];
    let flags = [&flags[..], &["--connections", &connections, "--exit-after", "900"]].concat();
    let mut server = Program::start(program::build("../Cargo.toml", "voice-loopback")?, &flags)?;
    let listening = server.hear()?;
    let endpoint = listening.split_whitespace().find_map(|word| word.strip_prefix("ws="));
    let endpoint = endpoint.ok_or_else(|| format!("the server does not listen, it says {listening:?}"))?;

    println!("calls: {count} join");
    let (program, seconds) = (program::beside("calls")?, plan.seconds.to_string());
    let program_text = program.to_string_lossy();
    let arguments = [endpoint, authority, &count, &seconds, if realtime { "true" } else { "false" }];
    let mut calls = match &plan.under {
        None => Program::start(program.clone(), &arguments)?,
        Some(under) => Program::start(under.clone(), &[&[&*program_text], &arguments[..]].concat())?,
    };
    calls.wait_for("joined")?;
    println!("calls: as many join them");
    let mut company = Program::start(program::beside("company")?, &[endpoint, authority, &count])?;
    company.wait_for("joined")?;
    std::fs::remove_file(&ca)?;
    println!("calls: all are there; a rest, then {seconds} s of music");
    calls.tell("play")?;
    let figures = calls.hear_out()?;
    let figures = figures.lines().filter_map(|line| line.split_once('='));
    // A profiler may say things of its own.
    Ok(figures.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?))).collect())
}
