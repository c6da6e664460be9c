//! Tells who speaks, from when to when, and how well they are heard.
//!
//! ```text
//! cargo run -p voice-client --example who_speaks
//! ```
#![allow(clippy::print_stdout)]

#[path = "support/stage.rs"]
mod stage;

use std::collections::BTreeMap;
use std::time::Duration;

use stage::{Result, Stage, asset, ms, promise, secs};
use voice_client::speech::Change;
use voice_client::{Call, Event, Speech, UserId, source::file::File};

/// The first of them.
const GUEST: u64 = 200_000_000_000_000_003;
/// Both pieces last about three seconds.
const LONG: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> Result<()> {
    let mut stage = Stage::open().await?;
    let (call, _ears) = stage.join().await?;
    let guests = [stage.join_as(GUEST).await?, stage.join_as(GUEST + 1).await?];
    let mut events = call.events();
    let talking = talk(&guests);
    let watching = async {
        let mut turns = Turns::default();
        while turns.over.len() < 2 {
            match events.next().await {
                Some(Event::Speech(speech)) => turns.note(speech),
                Some(_) => {}
                None => break,
            }
        }
        turns
    };
    let (turns, talked) = tokio::time::timeout(LONG, async { tokio::join!(watching, talking) }).await?;
    talked?;
    for (user, length) in &turns.over {
        promise(length.abs_diff(ms(3_100)) < ms(400), &format!("{user} spoke for about three seconds"))?;
    }
    let stats = call.stats().await.ok_or("the call is over")?;
    for (user, heard) in &stats.heard {
        println!(
            "{user}: {} packets, {} lost, {} concealed, jitter {:.1} ms, buffered {:.0} ms",
            heard.received,
            heard.lost,
            heard.concealed_samples,
            1e3 * heard.jitter.as_secs_f64(),
            1e3 * heard.depth.as_secs_f64(),
        );
    }
    stage.close().await;
    Ok(())
}

/// One after the other, a little over each other.
async fn talk(guests: &[Call; 2]) -> Result<()> {
    let first = guests[0].play(File::new(asset("waltz-44k-stereo.mp3")));
    tokio::time::sleep(ms(2_500)).await;
    let second = guests[1].play(File::new(asset("arpeggio-48k-stereo.flac")));
    first.ended().await;
    second.ended().await;
    Ok(())
}

/// Who speaks now, and who has spoken for how long.
#[derive(Default)]
struct Turns {
    since: BTreeMap<UserId, u32>,
    over: Vec<(UserId, Duration)>,
}

impl Turns {
    fn note(&mut self, speech: Speech) {
        let user = speech.user;
        match speech.change {
            Change::Started(time) => {
                println!("{user} starts");
                self.since.insert(user, time.0);
            }
            Change::Stopped(time) => {
                // On the clock of the stream, 48,000 samples a second: exact whatever the network does.
                let samples = self.since.remove(&user).map_or(0, |since| time.0.wrapping_sub(since));
                let length = Duration::from_secs_f64(f64::from(samples) / 48_000.0);
                println!("{user} stops, after {}", secs(length));
                self.over.push((user, length));
            }
        }
    }
}
