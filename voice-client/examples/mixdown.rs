//! Makes the stereo mix of a finished recording, `mixdown.wav`: every track at its place, the sum limited, one speaker
//! alone as he is.
//!
//! ```text
//! mixdown [FOLDER]
//! ```
//!
//! Without a folder it records a short call on this machine first.
#![allow(clippy::print_stdout, clippy::print_stderr)]

#[path = "support/company.rs"]
mod company;
#[path = "support/tracks.rs"]
mod tracks;

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;

use company::{Company, Result};
use voice_client::layer::receive::record::{Mixdown, Wav};
use voice_client::{Recorder, RecorderConfig};

#[tokio::main]
async fn main() -> Result<()> {
    let (folder, is_given) = company::folder("mixdown")?;
    if !is_given {
        let company = Company::meet().await?;
        let recorder = Recorder::start(&company.listener, RecorderConfig::new(&folder)).await?;
        company.talk().await;
        recorder.stop().await?;
        company.part().await;
    }
    let (seconds, limited) = mix(&folder)?;
    println!("{}: {seconds:.1} s, limited for {limited:.2} s", folder.join("mixdown.wav").display());
    // A recording of nobody has no mix.
    if seconds > 0.0 || is_given { Ok(()) } else { Err("nothing was recorded".into()) }
}

/// Returns how long the mix is, and for how long it was limited, in seconds.
fn mix(folder: &Path) -> Result<(f64, f64)> {
    let session = tracks::session(folder)?;
    let tracks = tracks::tracks(folder, &session)?;
    let mut tracks: Vec<_> = tracks.into_iter().map(|(_, track)| track).collect();
    let mut wav = Wav::new(BufWriter::new(File::create(folder.join("mixdown.wav"))?))?;
    let mut mix = Mixdown::new();
    let mut end = 0;
    // Always the track that is furthest behind, so that no more than one piece of each waits.
    while let Some(track) = tracks.iter_mut().min_by_key(|track| track.position) {
        match track.read()? {
            Some((at, pcm)) => {
                end = end.max(at + pcm.len() as u64 / 2);
                mix.add(at, &pcm);
            }
            None if tracks.iter().all(|track| track.position == u64::MAX) => break,
            None => {}
        }
        let ready = tracks.iter().map(|track| track.position).min().unwrap_or(end).min(end);
        // A block more than what is given out has to be there.
        write(&mut mix, ready.saturating_sub(480), &mut wav)?;
    }
    write(&mut mix, end + 480, &mut wav)?;
    wav.silence(end.saturating_sub(wav.samples()))?;
    wav.finish()?;
    Ok((end as f64 / 48_000.0, mix.limited() as f64 / 100.0))
}

fn write(mix: &mut Mixdown, to: u64, wav: &mut Wav<BufWriter<File>>) -> io::Result<()> {
    mix.release(to, &mut |at, pcm| {
        wav.silence(at - wav.samples())?;
        wav.write(pcm)
    })
}
