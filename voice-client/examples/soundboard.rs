//! Sounds over music: the music's own packets pass untouched while it is alone, are mixed while sounds are played over it,
//! and pass again afterwards. Music makes room for speech.
//!
//! ```text
//! cargo run -p voice-client --example soundboard
//! ```
//!
//! The listener sees every packet's size: while music passes they are those of the file.
#![allow(clippy::print_stdout)]

#[path = "support/stage.rs"]
mod stage;

use std::collections::HashSet;
use std::time::Duration;

use stage::{Ears, Result, Sound, Stage, asset, ms, promise};
use voice_client::source::cache::{Cache, Form, Storage};
use voice_client::source::file::File;
use voice_client::source::{Chunk, Source};
use voice_client::{Bitrate, Call, Ducking, EncoderSettings, GroupId, Loops, PlayOptions, Player, Track};

const MUSIC: &str = "march-48k-stereo-opus.ogg";

/// Sounds that are decoded once and played as often as somebody presses a button.
struct Board {
    player: Player,
    ding: Cache,
}

impl Board {
    fn ding(&self) -> Result<Track> {
        let options = PlayOptions::new().group(GroupId::EFFECTS).volume(0.8);
        Ok(self.player.play_with(self.ding.source(), options)?)
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut stage = Stage::open().await?;
    let (call, mut ears) = stage.join().await?;
    play(&call, &mut ears).await?;
    stage.close().await;
    Ok(())
}

async fn play(call: &Call, ears: &mut Ears) -> Result<()> {
    let player = call.player().clone();
    // Far less than the file has, so that one sees which is which. The default is the bitrate of the channel.
    player.set_encoder(EncoderSettings::default().bitrate(Bitrate::Bits(32_000)));
    // Half a second without speech, and the music comes back.
    player.set_ducking(GroupId::MUSIC, Some(Ducking::under(GroupId::SPEECH).to(0.1).hold(ms(300)).release(ms(300))));
    let board = Board {
        ding: Cache::new(File::new(asset("ding-48k-mono.wav")), Form::Pcm, Storage::Memory),
        player: player.clone(),
    };
    let own = sizes(File::new(asset(MUSIC)))?;

    let music = player.play_with(File::new(asset(MUSIC)), PlayOptions::new().loops(Loops::Forever))?;
    ears.until("music", |sound| !sound.is_silent()).await?;
    let alone = ears.listen(ms(800)).await;
    promise(show("music alone", &alone, &own) > 0.9, "a lone Opus track passes")?;

    let over = async {
        for _ in 0..4 {
            board.ding()?;
            tokio::time::sleep(ms(200)).await;
        }
        board.ding()
    };
    let (last, mixed) = tokio::join!(over, ears.listen(ms(800)));
    promise(show("four dings over it", &mixed, &own) < 0.5, "two tracks are mixed")?;
    last?.ended().await;

    ears.until("passing again", |sound| share(sound, &own) > 0.9).await?;
    show("alone again", &ears.listen(ms(800)).await, &own);

    // A voice: here another instrument. While it sounds the music is a tenth as loud.
    let low = music_level(ears, &music, &player).await?;
    println!("\nmusic under speech is {low:.0} dB quieter, and comes back by itself");
    promise(low > 10.0, "music makes room for speech")?;
    let back = ears.until("passing again", |sound| share(sound, &own) > 0.9).await?;
    show("after speech", &back, &own);

    let sent = call.stats().await.ok_or("the call is over")?.sent;
    println!("\nsent {} packets, {} bytes, {} of them silence", sent.packets, sent.bytes, sent.silence);
    Ok(())
}

/// By how much the music goes down while somebody speaks: the voice is a sound too soft to be heard beside it, and loud
/// enough to be noticed.
async fn music_level(ears: &mut Ears, music: &Track, player: &Player) -> Result<f64> {
    let before = ears.listen(ms(600)).await.level();
    let voice = PlayOptions::new().group(GroupId::SPEECH).volume(0.03);
    let voice = player.play_with(File::new(asset("waltz-44k-stereo.mp3")), voice)?;
    ears.listen(ms(400)).await;
    let during = ears.listen(ms(600)).await.level();
    voice.fade_out(Duration::ZERO);
    promise(music.position() > Duration::ZERO, "the music plays on")?;
    Ok(before - during)
}

/// The sizes of a file's packets.
fn sizes(mut file: File) -> Result<HashSet<usize>> {
    let (mut sizes, mut chunk) = (HashSet::new(), Chunk::new());
    while file.read(&mut chunk)? {
        sizes.insert(chunk.packet().len());
        chunk.clear();
    }
    Ok(sizes)
}

/// Which part of the packets are the file's own.
fn share(heard: &Sound, own: &HashSet<usize>) -> f64 {
    let passed = heard.packets.iter().filter(|size| own.contains(size)).count();
    passed as f64 / heard.packets.len().max(1) as f64
}

fn show(when: &str, heard: &Sound, own: &HashSet<usize>) -> f64 {
    let (packets, share) = (heard.packets.len(), share(heard, own));
    let bytes = heard.packets.iter().sum::<usize>() / packets.max(1);
    println!("{when:20} {heard}  {:3.0} % of {packets} packets passed, {bytes} bytes each", 100.0 * share);
    share
}
