//! A program that records, and is killed.

use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;
use voice_client::{Gaps, MixFormat, RecordFormat, Recorder, RecorderConfig};

use crate::Outcome;
use crate::room::{PATIENCE, Room, encrypted, join};

/// The folders that it leaves.
pub(crate) const WAYS: [&str; 4] = ["killed-ogg", "killed-ogg-gaps", "killed-wav", "killed-flac"];
const READY: &str = "RECORDING";

/// This program once more.
pub(crate) struct Killed(Child);

impl Killed {
    /// Starts it; it records when this returns.
    pub(crate) async fn start(folder: &Path, room: &Room) -> Outcome<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("until-killed").arg(folder).arg(&room.endpoint).arg(&room.authority);
        let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let mut line = String::new();
        let mut said = BufReader::new(child.stdout.take().ok_or("no output")?);
        timeout(PATIENCE, said.read_line(&mut line)).await??;
        if line.trim() == READY { Ok(Self(child)) } else { Err(format!("it says {line:?}").into()) }
    }

    /// As a system does that runs out of memory.
    pub(crate) async fn kill(mut self) -> Outcome {
        if let Some(status) = self.0.try_wait()? {
            return Err(format!("who was to be killed ended by itself: {status}").into());
        }
        Ok(self.0.kill().await?)
    }
}

/// What it does.
pub(crate) async fn record(folder: &Path, endpoint: &Path, authority: &Path) -> Outcome {
    let call = join(endpoint.to_str().ok_or("the endpoint is no text")?, authority, 204).await?;
    encrypted(&call).await?;
    let [filled, gaps, wav, flac] = WAYS.map(|way| RecorderConfig::new(folder.join(way)).overwrite(true));
    let ways = [
        filled.mix(Some(MixFormat::Wav)),
        gaps.gaps(Gaps::Real),
        wav.format(RecordFormat::Wav),
        flac.format(RecordFormat::Flac).mix(Some(MixFormat::Flac)),
    ];
    let mut recorders = Vec::new();
    for way in ways {
        recorders.push(Recorder::start(&call, way).await?);
    }
    println!("{READY}");
    let closed = call.closed().await;
    Err(format!("the call is over before this program was killed: {closed}").into())
}
