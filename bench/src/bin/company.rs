//! Somebody for each call to talk to: `company ENDPOINT CA COUNT` joins so many calls as their second member, says so, and
//! stays until its input ends.

#![forbid(unsafe_code)]

#[path = "../joining.rs"]
mod joining;

use std::error::Error;
use std::io::{Write, read_to_string, stdin, stdout};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [endpoint, ca, count] = &arguments[..] else { return Err("company ENDPOINT CA COUNT".into()) };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let client = joining::client(ca.as_ref(), false)?;
    let calls = runtime.block_on(joining::join(&client, endpoint, 1..=count.parse()?, 2))?;
    println!("joined {}", calls.len());
    stdout().flush()?;
    read_to_string(stdin()).map(drop)?;
    Ok(())
}
