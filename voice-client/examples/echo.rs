//! Says back what it hears, half as loud.
//!
//! ```text
//! cargo run -p voice-client --example echo
//! ```
//!
//! One bot speaks. A second one is the echo: it listens to the call, and pushes what it hears into a source of its own.
#![allow(clippy::print_stdout)]

#[path = "support/stage.rs"]
mod stage;

use std::time::Duration;

use stage::{Result, Sound, Stage, promise};
use voice_client::listen::{ListenOptions, Outcome, Why};
use voice_client::source::generate::Tone;
use voice_client::{AgentConfig, Call};

const ECHO: u64 = 200_000_000_000_000_003;

#[tokio::main]
async fn main() -> Result<()> {
    let mut stage = Stage::open().await?;
    let (bot, _ears) = stage.join().await?;
    let echo = stage.join_as(ECHO).await?;

    let (said, heard) = tokio::join!(say_back(&echo, 0.5), speak(&bot, &echo));
    heard?;
    let said = said?;
    println!("{}: {} frames heard, {} lost", said.why, said.delivered, said.lost);
    promise(matches!(said.why, Why::CallClosed(_)) && said.lost == 0, "it listens until its call is over")?;
    stage.close().await;
    Ok(())
}

/// Listens to a call, and says back what it hears so loud, until the call is over.
async fn say_back(call: &Call, gain: f32) -> Result<Outcome> {
    // Everybody in one: the echo of several people is one voice. What we say ourselves is not among it.
    let listener = call.listen(ListenOptions::default().mix(true))?;
    let mut voice = call.player().agent(AgentConfig::new(48_000, 2))?;
    while let Some(sound) = listener.next().await {
        let quieter: Vec<f32> = sound.f32().iter().map(|sample| sample * gain).collect();
        // Nobody is there to be told any more when the call ends meanwhile.
        let _ = voice.write(&quieter).await;
    }
    Ok(listener.stopped().await)
}

/// Speaks, hears the echo, and has it leave.
async fn speak(call: &Call, echo: &Call) -> Result<()> {
    let listener = call.listen(ListenOptions::default())?;
    listener.ready().await?;
    println!("a voice of 440 Hz, for two seconds");
    call.play(Tone::new(440.0, 0.4, Some(Duration::from_secs(2))));
    let mut heard = Sound::default();
    while heard.pcm.len() < 2 * 48_000 {
        let sound = tokio::time::timeout(Duration::from_secs(10), listener.next()).await?;
        heard.pcm.extend_from_slice(sound.ok_or("the call ended before the echo came")?.f32());
    }
    // The first half: until it is there.
    heard.pcm.drain(..48_000);
    println!("  {heard}  {:.0} Hz came back", heard.pitch());
    promise((heard.pitch() - 440.0).abs() < 10.0, "an echo has the pitch of the voice")?;
    promise((heard.level() + 17.0).abs() < 1.5, "and is half as loud")?;
    echo.leave().await;
    Ok(())
}
