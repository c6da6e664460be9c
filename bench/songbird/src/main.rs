//! songbird's mixer, timed as its own benchmarks do it, when voice-bench asks: both programs take turns, milliseconds
//! apart, and neither touches the other's libopus.
//!
//! ```text
//! -> run sine 16 200        signal (sine, tune, opus), tracks, ticks
//! <- 210345.2 1012.7        nanoseconds of a tick, and of one bare `send` of its packet
//! -> signal sine
//! <- 76a1f0c2d3e4b596       what its samples or packets hash to: both programs play the same
//! ```
//!
//! A tick is one `run_once` of a worker with one call, which sends its packet to a socket that nobody reads. After
//! the ticks the same packet is sent as often over another such socket, by itself: the difference is the tick without the socket.

mod endless;
mod mixing;
#[path = "../../src/signal.rs"]
mod signal;

use std::collections::HashMap;
use std::error::Error;
use std::io::{BufRead, Write, stdin, stdout};
use std::process::ExitCode;

use mixing::{Mixing, Tune};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("voice-bench-songbird: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Answers orders until there are no more.
fn run() -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build()?;
    let mut calls = HashMap::new();
    let mut out = stdout().lock();
    writeln!(out, "songbird 0.6.1, {}", opus2::version())?;
    for line in stdin().lock().lines() {
        let line = line?;
        match line.split_whitespace().collect::<Vec<_>>()[..] {
            ["signal", name] => writeln!(out, "{:016x}", signal::hash(Tune::named(name)?.bytes()?))?,
            ["run", name, tracks, ticks] => {
                let key = (name.to_owned(), tracks.parse::<usize>()?);
                if !calls.contains_key(&key) {
                    calls.insert(key.clone(), Mixing::start(runtime.handle(), Tune::named(name)?, key.1)?);
                }
                let call = calls.get_mut(&key).ok_or("invariant: it was just made")?;
                let (tick, send) = call.run(ticks.parse()?)?;
                writeln!(out, "{tick:.1} {send:.1}")?;
            }
            _ => return Err(format!("what is {line:?}?").into()),
        }
        out.flush()?;
    }
    Ok(())
}
