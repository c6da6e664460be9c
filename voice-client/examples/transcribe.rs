//! Hands what everybody says to a recogniser of speech: one utterance at a time, as a WAV file (16 kHz, mono, 16 bits), to the
//! standard input of any command. What the command prints is what was said.
//!
//! ```text
//! cargo run -p voice-client --example transcribe -- whisper-cli --no-prints --model ggml-base.bin --file -
//! cargo run -p voice-client --example transcribe
//! ```
//!
//! Without a command it counts bytes (`wc -c`).
#![allow(clippy::print_stdout)]

#[path = "support/stage.rs"]
mod stage;

use std::process::Stdio;
use std::time::Duration;

use stage::{Result, Stage, asset, ms, promise, secs};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use voice_client::listen::{Utterance, UtteranceOptions};
use voice_client::source::file::File;
use voice_client::{Call, speech::Segments};

/// Who talks.
const GUEST: u64 = 200_000_000_000_000_003;
/// Two pieces of three seconds, and a second between them.
const LONG: Duration = Duration::from_secs(15);

#[tokio::main]
async fn main() -> Result<()> {
    let mut command: Vec<String> = std::env::args().skip(1).collect();
    if command.is_empty() {
        command = vec!["wc".into(), "-c".into()];
    }
    let mut stage = Stage::open().await?;
    let (call, _ears) = stage.join().await?;
    let guest = stage.join_as(GUEST).await?;
    let segments = Segments::default().hang_over(ms(500));
    let mut utterances = call.utterances(UtteranceOptions::default().segments(segments))?;
    let talking = tokio::spawn(async move { talk(&guest).await });
    for _ in 0..2 {
        let said = tokio::time::timeout(LONG, utterances.next()).await?.ok_or("the call is over")?;
        let text = recognise(&command, &said).await?;
        println!("{} said, for {}: {}", said.user, secs(said.duration()), text.trim());
        promise(said.duration() > ms(3_000) && !text.is_empty(), "what is said is heard whole, and recognised")?;
    }
    talking.await?;
    stage.close().await;
    Ok(())
}

async fn talk(guest: &Call) {
    for piece in ["waltz-44k-stereo.mp3", "arpeggio-48k-stereo.flac"] {
        guest.play(File::new(asset(piece))).ended().await;
        tokio::time::sleep(ms(1_000)).await;
    }
}

/// Runs the command for one utterance; what it prints.
async fn recognise(command: &[String], said: &Utterance) -> Result<String> {
    let (program, arguments) = command.split_first().ok_or("no command")?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot run {program}: {error}"))?;
    let mut stdin = child.stdin.take().ok_or("no pipe")?;
    let wav = wav(said);
    // Written while its output is read: it may print before it has read all. One that does not want all of it says so
    // by its exit status, not by a broken pipe.
    let written = async move { stdin.write_all(&wav).await };
    let (_, output) = tokio::join!(written, child.wait_with_output());
    let output = output?;
    if !output.status.success() {
        return Err(format!("{program} failed: {}", output.status).into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A WAV file: RIFF header, format 1 (PCM), one channel of 16 bits.
fn wav(said: &Utterance) -> Vec<u8> {
    let pcm = said.to_le_bytes();
    let len = pcm.len() as u32;
    let mut wav = Vec::with_capacity(44 + pcm.len());
    wav.extend_from_slice(b"RIFF");
    wav.extend_from_slice(&(36 + len).to_le_bytes());
    wav.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    wav.extend_from_slice(&said.rate.to_le_bytes());
    wav.extend_from_slice(&(2 * said.rate).to_le_bytes());
    wav.extend_from_slice(b"\x02\0\x10\0data");
    wav.extend_from_slice(&len.to_le_bytes());
    wav.extend_from_slice(&pcm);
    wav
}
