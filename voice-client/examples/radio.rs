//! A radio: one mix, encoded once, heard in three calls. Each call pays for sealing and sending, and for nothing else.
//!
//! ```text
//! cargo run -p voice-client --example radio [FILE | URL OF A STATION | WORDS TO SEARCH FOR]
//! ```
//!
//! The listeners compare the sizes of the packets that they get: the same ones, whichever call they are in.
#![allow(clippy::print_stdout)]

#[path = "support/stage.rs"]
mod stage;

use stage::{Ears, Result, Sound, Stage, argument_or, asset, ms, promise};
use voice_client::source::file::File;
use voice_client::{Bitrate, Broadcast, Call, EncoderSettings, Event, Loops, PlayOptions};

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
    for (name, heard) in [("first call", &in_a), ("second call", &in_b), ("third call", &in_c)] {
        println!("{name:20} {heard}  packets of {}", sizes(heard));
        promise(!heard.is_silent(), "every call hears the station")?;
    }
    promise(same(&in_a, &in_b) && same(&in_a, &in_c), "all of them get the same packets")?;

    // What is changed in the studio is heard everywhere; a jingle for all.
    println!("\na jingle in the studio, and the music goes down");
    song.fade(0.2, ms(300));
    let jingle = station.play(File::new(asset("ding-48k-mono.wav")));
    jingle.ended().await;
    let (in_a, in_b) = tokio::join!(a.listen(ms(600)), b.listen(ms(600)));
    println!("{:20} {in_a}\n{:20} {in_b}", "first call", "second call");
    song.fade(1.0, ms(300));

    // A call can have something of its own beside it; only there it is mixed and encoded again.
    println!("\nthe second call plays something of its own, the third one switches off");
    let own = second.play(File::new(asset("march-48k-stereo-opus.ogg")));
    tuned.stop();
    tuned.ended().await;
    let (in_a, in_b, in_c) = tokio::join!(a.listen(ms(900)), b.listen(ms(900)), c.listen(ms(900)));
    for (name, heard) in [("first call", &in_a), ("second call", &in_b), ("third call", &in_c)] {
        println!("{name:20} {heard}  packets of {}", sizes(heard));
    }
    promise(!same(&in_a, &in_b) && !in_b.is_silent(), "the second call has a mix of its own")?;
    promise(broadcast.listeners() == 2, "the third call is tuned out")?;
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

/// Whether a tenth of a second and more of the one is in the other, packet by packet.
fn same(a: &Sound, b: &Sound) -> bool {
    let middle = a.packets.len() / 2;
    let Some(some) = a.packets.get(middle..middle + 8) else { return false };
    b.packets.windows(8).any(|others| others == some)
}

/// The sizes of some packets.
fn sizes(heard: &Sound) -> String {
    let some: Vec<String> = heard.packets.iter().take(6).map(usize::to_string).collect();
    if some.is_empty() { "no bytes".into() } else { format!("{}, .. bytes", some.join(", ")) }
}
