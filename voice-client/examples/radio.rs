//! A radio: one mix, encoded once, heard in three calls. Each call pays for sealing and sending, and for nothing else.
//!
//! ```text
//! cargo run -p voice-client --example radio [FILE | URL OF A STATION | WORDS TO SEARCH FOR]
//! ```
//!
//! The listeners compare what they hear: it is the same to the sample, whichever call they are in.
#![allow(clippy::print_stdout)]

#[path = "support/stage.rs"]
mod stage;

use stage::{Ears, Result, Sound, Stage, argument_or, asset, ms, promise};
use voice_client::layer::model::{CHANNELS, FRAME_SAMPLES};
use voice_client::source::file::File;
use voice_client::{Bitrate, Broadcast, Call, EncoderSettings, Event, Loops, PlayOptions};

/// Samples of 20 ms, both sides.
const FRAME: usize = FRAME_SAMPLES * CHANNELS;

#[tokio::main]
async fn main() -> Result<()> {
    let mut stage = Stage::open().await?;
    let broadcast = stage.client().broadcast()?;
    let (first, second, third) = (stage.join().await?, stage.join().await?, stage.join().await?);
    play(&broadcast, first, second, third).await?;
    drop(broadcast);
    stage.close().await;
    Ok(())
}

async fn play(
    broadcast: &Broadcast,
    (first, mut a): (Call, Ears),
    (second, mut b): (Call, Ears),
    (third, mut c): (Call, Ears),
) -> Result<()> {
    let mut events = broadcast.events();
    let station = broadcast.player();
    station.set_encoder(EncoderSettings::default().bitrate(Bitrate::Bits(96_000)));
    let songs = PlayOptions::new().loops(Loops::Forever);
    let song = station.play_with(argument_or("arpeggio-48k-stereo.flac"), songs)?;

    // It is on the air whether or not somebody listens; who tunes in later hears what is on then.
    first.tune_in(broadcast);
    second.tune_in(broadcast);
    a.until("the station in the first call", |sound| !sound.is_silent()).await?;
    let tuned = third.tune_in(broadcast);
    c.until("the station in the third call", |sound| !sound.is_silent()).await?;
    println!("{} calls are tuned in\n", broadcast.listeners());

    let (in_a, in_b, in_c) = tokio::join!(a.listen(ms(1_000)), b.listen(ms(1_000)), c.listen(ms(1_000)));
    show(&in_a, &in_b, &in_c);
    promise(same(&in_a, &in_b) && same(&in_a, &in_c), "all of them hear the same, to the sample")?;

    // What is changed in the studio is heard everywhere.
    println!("\nthe studio turns the music down, and plays a jingle");
    song.fade(0.1, ms(200));
    settle().await;
    let quiet = a.listen(ms(300)).await;
    let jingle = station.play(File::new(asset("ding-48k-mono.wav")));
    let (in_a, in_b, in_c) = tokio::join!(a.listen(ms(500)), b.listen(ms(500)), c.listen(ms(500)));
    show(&in_a, &in_b, &in_c);
    promise([&in_a, &in_b, &in_c].iter().all(|heard| heard.level() > quiet.level()), "all of them hear the jingle")?;
    jingle.ended().await;
    song.fade(1.0, ms(200));

    // A call can have something of its own beside it; only there it is mixed and encoded again.
    println!("\nthe second call plays something of its own, the third one switches off");
    let own = second.play(File::new(asset("march-48k-stereo-opus.ogg")));
    tuned.stop();
    tuned.ended().await;
    settle().await;
    let (in_a, in_b, in_c) = tokio::join!(a.listen(ms(900)), b.listen(ms(900)), c.listen(ms(900)));
    show(&in_a, &in_b, &in_c);
    promise(!same(&in_a, &in_b) && !in_b.is_silent(), "the second call has a mix of its own")?;
    promise(in_c.is_silent() && broadcast.listeners() == 2, "the third call is tuned out")?;
    own.stop();

    song.stop();
    while let Some(event) = events.next().await {
        let Event::TrackEnded { track, end } = event else { continue };
        println!("\nended: {end:?}");
        if track == song.id() {
            break;
        }
    }
    Ok(())
}

/// What was changed is on its way for a moment.
async fn settle() {
    tokio::time::sleep(ms(300)).await;
}

fn show(first: &Sound, second: &Sound, third: &Sound) {
    for (name, heard) in [("first call", first), ("second call", second), ("third call", third)] {
        let same = if same(first, heard) { "as in the first" } else { "" };
        println!("{name:12} {heard} {same}");
    }
}

/// Whether 20 ms of the one are in the other, to the sample: two encoders never agree so far.
fn same(a: &Sound, b: &Sound) -> bool {
    let mut frames = a.pcm.chunks_exact(FRAME);
    let Some(some) = frames.nth(frames.len() / 2) else { return false };
    let differs = |other: &[f32]| some.iter().zip(other).any(|(a, b)| (a - b).abs() > 0.000_5);
    b.pcm.chunks_exact(FRAME).any(|other| !differs(other))
}
