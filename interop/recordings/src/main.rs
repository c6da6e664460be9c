//! `interop-recordings files FOLDER FFPROBE OPUSINFO FFMPEG` records a call in every way into `FOLDER`, and has the three
//! programs read what was written; `-` in the place of one means that it is not there.
//!
//! `interop-recordings same FOLDER NODE PROBE` lets discord.js and our recorder hear one speaker: the same packets.
//!
//! `interop-recordings until-killed ..` is a part of the first, which it starts itself.

mod files;
mod judges;
mod killed;
mod packets;
mod room;
mod same;
mod session;

use std::error::Error;
use std::ffi::OsString;
use std::path::Path;

use judges::Judges;

type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

const USAGE: &str = "usage: interop-recordings files FOLDER FFPROBE OPUSINFO FFMPEG | same FOLDER NODE PROBE";

#[tokio::main]
async fn main() -> Outcome {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let words: Vec<&Path> = arguments.iter().map(Path::new).collect();
    let [command, folder, words @ ..] = &words[..] else { return Err(USAGE.into()) };
    match (command.to_str(), words) {
        (Some("files"), [ffprobe, opusinfo, ffmpeg]) => {
            files::record(folder).await?;
            Judges::new(ffprobe, opusinfo, ffmpeg).hear(folder)
        }
        (Some("same"), [node, probe]) => same::hear(folder, node, probe).await,
        (Some("until-killed"), [endpoint, authority]) => killed::record(folder, endpoint, authority).await,
        _ => Err(USAGE.into()),
    }
}
