//! Thousands of speakers in a hundred calls of one client, on one core, as Opus. Three programs: this one, the calls, and a
//! voice server that talks.

use std::collections::HashMap;
use std::time::Duration;

use crate::Outcome;
use crate::program::{self, Program};
use crate::row::{Figure, Row, Wanted};
use crate::suite::Suite;

const CALLS: u64 = 100;
const SPEAKERS: u64 = 40;
const SECONDS: u64 = 20;
/// For the last packets to be played out.
const SETTLE: Duration = Duration::from_secs(2);

pub fn run(suite: &mut Suite) -> Outcome {
    let name = |figure: &str| format!("hear-{}/{figure}", CALLS * SPEAKERS);
    let (dropped, cpu) = (name("dropped"), name("cpu-per-packet"));
    if !suite.wants(&dropped) && !suite.wants(&cpu) {
        return Ok(());
    }
    // A WebSocket and a media socket each.
    program::allow_files(3 * CALLS + 100)?;
    let figures = measure()?;
    let figure = |name: &str| figures.get(name).copied().ok_or_else(|| format!("nobody says what {name} was"));
    let (sent, delivered) = (figure("sent")?, figure("delivered")?);
    let [opened, late, skipped] = [figure("packets")?, figure("late")?, figure("skipped")?];
    let slow = figure("consumer-lost")?;
    println!(
        "hearing: {delivered} of {sent} packets; {opened} opened, {late} late, {skipped} skipped, {slow} not read in time"
    );
    if suite.wants(&dropped) {
        let share = ((sent - delivered) / sent).max(0.0);
        suite.push(Row::new(dropped, Figure::Share(share)).wanted(Wanted::AtMost(0.001)));
    }
    if suite.wants(&cpu) {
        suite.push(Row::new(cpu, Figure::Time(figure("cpu")? / sent)));
    }
    Ok(())
}

fn measure() -> Outcome<HashMap<String, f64>> {
    let (speakers, seconds, calls) = (SPEAKERS.to_string(), SECONDS.to_string(), CALLS.to_string());
    let mut talkers = Program::start(program::beside("talkers")?, &[&speakers, &seconds])?;
    let listening = talkers.hear()?;
    let endpoint = listening.strip_prefix("ws=").ok_or("a server without an address")?;
    let mut hearers = Program::start(program::beside("hearers")?, &[endpoint, &calls])?;
    hearers.wait_for("joined")?;
    println!("hearing: {calls} calls, {speakers} speakers in each, {seconds} s");
    talkers.tell("talk")?;
    let said = talkers.hear()?;
    std::thread::sleep(SETTLE);
    hearers.tell("report")?;
    let said = format!("{said}\n{}", hearers.hear_out()?);
    let figures = said.lines().filter_map(|line| line.split_once('='));
    Ok(figures.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?))).collect())
}
