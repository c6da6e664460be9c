//! A voice agent speaks, is interrupted, and knows how much of what it said was heard.
//!
//! ```text
//! cargo run -p voice-client --example agent
//! ```
//!
//! The voice is a stand-in for a text-to-speech service: 24 kHz mono, in chunks, faster than it is spoken.
#![allow(clippy::print_stdout)]

#[path = "support/stage.rs"]
mod stage;

use std::f32::consts::TAU;

use stage::{Ears, Result, Stage, ms, promise, secs};
use voice_client::{Agent, AgentConfig, Call, TrackEnd};

const RATE: u32 = 24_000;

#[tokio::main]
async fn main() -> Result<()> {
    let mut stage = Stage::open().await?;
    let (call, mut ears) = stage.join().await?;
    play(&call, &mut ears).await?;
    stage.close().await;
    Ok(())
}

async fn play(call: &Call, ears: &mut Ears) -> Result<()> {
    // Whatever comes out of the service goes in as it is.
    let mut agent = call.player().agent(AgentConfig::new(RATE, 1))?;

    println!("a short answer, all of it heard");
    say(&mut agent, 1.0).await?;
    let ((), heard) = tokio::join!(agent.drain(), ears.listen(ms(700)));
    println!("  {heard}  {:.0} Hz, {} played", heard.pitch(), secs(agent.played()));
    promise(!heard.is_silent() && agent.played_samples() == u64::from(RATE), "all of it was played")?;

    println!("a long answer, and somebody cuts in");
    let before = agent.played();
    let interrupted = {
        let speech = say(&mut agent, 30.0);
        let barge_in = ears.listen(ms(1_500));
        tokio::pin!(speech, barge_in);
        tokio::select! {
            // Writing waits while a second is queued, so that it can be dropped at any time.
            done = &mut speech => Err(format!("thirty seconds were over at once: {done:?}")),
            heard = &mut barge_in => Ok(heard),
        }
    }?;
    let flushed = agent.flush().await;
    println!("  {interrupted}");
    println!(
        "  heard until then: {} of it, {} never were",
        secs(agent.played() - before),
        samples(flushed.dropped_samples)
    );
    // What is on the way to the listener arrives; then there is silence.
    ears.listen(ms(200)).await;
    let after = ears.listen(ms(300)).await;
    println!("  {after}  after the flush");
    promise(after.is_silent(), "after a flush there is silence")?;
    promise(agent.queued().is_zero() && flushed.dropped_samples > 0, "nothing is left of the old answer")?;

    println!("what the model should remember of its answer ends there; the next one follows at once");
    say(&mut agent, 0.8).await?;
    agent.low_water().await;
    println!("  low: {} queued, time for more", secs(agent.queued()));
    say(&mut agent, 0.4).await?;
    let (end, heard) = tokio::join!(agent.finish(), ears.listen(ms(500)));
    println!("  {heard}  ended: {end:?}");
    promise(!heard.is_silent() && matches!(end, TrackEnd::Finished), "it ends after its last sample")
}

/// Speaks for so long, in chunks of 80 ms as a service sends them. Waits when enough is queued.
async fn say(agent: &mut Agent, seconds: f32) -> Result<()> {
    let speech: Vec<f32> = (0..(seconds * RATE as f32) as usize).map(voice).collect();
    for chunk in speech.chunks(RATE as usize * 80 / 1_000) {
        agent.write(chunk).await?;
    }
    Ok(())
}

/// Syllables of a hum, four a second.
fn voice(index: usize) -> f32 {
    let time = index as f32 / RATE as f32;
    let syllable = (time * 4.0 * TAU / 2.0).sin().abs().sqrt();
    let hum: f32 = (1_u8..6).map(|n| (time * 140.0 * f32::from(n) * TAU).sin() / f32::from(n)).sum();
    0.15 * syllable * hum
}

fn samples(count: u64) -> String {
    format!("{:.2} s", count as f64 / f64::from(RATE))
}
