#![doc = include_str!("../README.md")]

mod calls;
mod dave;
mod hearing;
mod mls;
mod pair;
mod playing;
mod program;
mod receive;
mod room;
mod row;
mod signal;
mod songbird;
mod source;
mod suite;
mod tick;
mod transport;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use lexopt::{Arg, Parser, ValueExt};

use crate::suite::Suite;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome {
    let mut filter = String::new();
    let mut out = None;
    let mut plan = calls::Plan::default();
    let mut parser = Parser::from_env();
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("out") => out = Some(PathBuf::from(parser.value()?)),
            Arg::Long("calls") => plan.calls = parser.value()?.parse()?,
            Arg::Long("seconds") => plan.seconds = parser.value()?.parse()?,
            Arg::Long("under") => plan.under = Some(parser.value()?.into()),
            Arg::Value(value) => filter = value.string()?,
            arg => return Err(arg.unexpected().into()),
        }
    }
    let mut suite = Suite::new(filter);
    transport::run(&mut suite);
    dave::run(&mut suite)?;
    tick::run(&mut suite)?;
    songbird::run(&mut suite)?;
    room::run(&mut suite)?;
    receive::run(&mut suite)?;
    hearing::run(&mut suite)?;
    mls::run(&mut suite)?;
    calls::run(&mut suite, &plan)?;
    let rows = suite.into_rows();
    if rows.is_empty() {
        return Err("no benchmark has a name that contains the filter".into());
    }
    row::print(&rows);
    if let Some(out) = out {
        std::fs::write(&out, row::json(&rows)).map_err(|error| format!("cannot write {}: {error}", out.display()))?;
    }
    Ok(())
}
