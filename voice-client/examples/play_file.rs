//! Plays one thing: what it is called, how long it is, where it is; seeks, holds it, and fades it.
//!
//! ```text
//! cargo run -p voice-client --example play_file [FILE | URL | WORDS TO SEARCH FOR]
//! ```
//!
//! Runs against a voice server on this machine. Searches need yt-dlp.
#![allow(clippy::print_stdout)]

#[path = "support/stage.rs"]
mod stage;

use std::time::Duration;

use stage::{Ears, Result, Stage, argument_or, ms, promise, secs};
use voice_client::{Call, Phase, PlayOptions, Track, TrackEnd, TrackEvent};

#[tokio::main]
async fn main() -> Result<()> {
    let mut stage = Stage::open().await?;
    let (call, mut ears) = stage.join().await?;
    play(&call, &mut ears).await?;
    stage.close().await;
    Ok(())
}

async fn play(call: &Call, ears: &mut Ears) -> Result<()> {
    // Nothing is opened here, and nothing waited for: that happens on a thread of its own.
    let options = PlayOptions::new().fade_in(ms(50));
    let track = call.player().play_with(argument_or("waltz-44k-stereo.mp3"), options)?;

    let mut events = track.events();
    while let Some(event) = events.next().await {
        println!("event     {event:?}");
        if event == TrackEvent::Started {
            break;
        }
    }
    if track.phase() == Phase::Ended
        && let TrackEnd::Failed(error) = track.ended().await
    {
        return Err(error.to_string().into());
    }
    if let Some(info) = track.info() {
        let title = track.metadata().and_then(|metadata| metadata.title).unwrap_or_else(|| "no title".into());
        let length = info.duration.map_or("as long as it goes".into(), secs);
        println!("playing   {title}, {length}, {:?}", info.format);
    }

    for _ in 0..3 {
        let heard = ears.listen(ms(250)).await;
        println!("{}  {heard}", progress(&track));
    }

    match track.seek(track.duration().unwrap_or(ms(3_000)) / 2).await {
        Ok(landed) => println!("seek      it goes on at {}", secs(landed)),
        // Live streams, for example, cannot; the track plays on.
        Err(error) => println!("seek      {error}"),
    }
    let before = ears.until("music after the seek", |sound| !sound.is_silent()).await?;
    println!("{}  {before}", progress(&track));

    track.pause();
    ears.until("the pause", |sound| sound.level() < -90.0).await?;
    let at = track.position();
    let heard = ears.listen(ms(300)).await;
    println!("paused    {heard}, and still at {}", secs(track.position()));
    promise(track.position() == at && heard.is_silent(), "a paused track stands still and is not heard")?;

    track.fade(0.1, Duration::ZERO);
    track.resume();
    let quiet = ears.until("music after the pause", |sound| sound.level() > -90.0).await?;
    println!("at 10 %   {quiet}");
    promise(quiet.level() < before.level() - 6.0, "a tenth of the volume is quieter")?;
    track.fade(1.0, ms(300));
    println!("fading up {}", ears.listen(ms(400)).await);

    // Whatever is long has been heard enough.
    if tokio::time::timeout(ms(1_500), track.ended()).await.is_err() {
        track.fade_out(ms(500));
    }
    let end = track.ended().await;
    println!("ended     {end:?}, {} were played", secs(track.played()));
    promise(matches!(end, TrackEnd::Finished | TrackEnd::Stopped), "it ends without an error")
}

/// Where it is, as people like to see it.
fn progress(track: &Track) -> String {
    let (at, length) = (track.position(), track.duration().unwrap_or(track.position()));
    let done = (10.0 * at.as_secs_f64() / length.as_secs_f64().max(0.01)).min(10.0) as usize;
    format!("{:>8}  {}{}", secs(at), "━".repeat(done), "─".repeat(10 - done))
}
