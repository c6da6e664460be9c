#![doc = include_str!("../README.md")]

mod calls;
mod dave;
mod mls;
mod pair;
mod process;
mod receive;
mod row;
mod server;
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
    let mut parser = Parser::from_env();
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("out") => out = Some(PathBuf::from(parser.value()?)),
            Arg::Value(value) => filter = value.string()?,
            arg => return Err(arg.unexpected().into()),
        }
    }
    let mut suite = Suite::new(filter);
    // First, because it measures memory: nothing that others have freed may be reused.
    let calls = calls::run(&suite)?;
    transport::run(&mut suite);
    dave::run(&mut suite)?;
    tick::run(&mut suite)?;
    receive::run(&mut suite)?;
    mls::run(&mut suite)?;
    let rows = [suite.into_rows(), calls].concat();
    if rows.is_empty() {
        return Err("no benchmark has a name that contains the filter".into());
    }
    row::print(&rows);
    if let Some(out) = out {
        std::fs::write(&out, row::json(&rows)).map_err(|error| format!("cannot write {}: {error}", out.display()))?;
    }
    Ok(())
}
