//! One speaker, who plays a file of Opus packets, heard by discord.js and recorded by us, end-to-end encrypted.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;
use tokio::time::timeout;
use voice_client::source::file::File;
use voice_client::{Call, EncryptionEvent, Event, Events, Recorder, RecorderConfig, TrackEnd};
use voice_loopback::Impairment;

use crate::Outcome;
use crate::packets::Packets;
use crate::room::{CHANNEL, GUILD, PATIENCE, Room, encrypted, tone};

const SPEAKER: u64 = 201;
const LISTENER: u64 = 202;
const THEM: u64 = 200_000_000_000_000_001;
const FILE: &str = "tone-600hz.opus.ogg";
/// How long discord.js stays: the tone, six seconds, and what starts before it.
const STAYS: &str = "10";
/// Packets that somebody may miss at either end: discord.js is in the group a moment later than we know that it is.
const FEW: usize = 5;

/// Plays, listens and compares.
pub(crate) async fn hear(folder: &Path, node: &Path, probe: &Path) -> Outcome {
    let room = Room::open(folder, Impairment::default()).await?;
    let (speaker, listener) = (room.join(SPEAKER).await?, room.join(LISTENER).await?);
    encrypted(&speaker).await?;
    encrypted(&listener).await?;
    let recorder = Recorder::start(&listener, RecorderConfig::new(folder).overwrite(true)).await?;

    let packets = folder.join("discordjs.txt");
    let mut command = Command::new(node);
    command.current_dir(probe).env("NODE_EXTRA_CA_CERTS", std::fs::canonicalize(&room.authority)?);
    command.env("GUILD_ID", GUILD.to_string()).env("CHANNEL_ID", CHANNEL.to_string());
    command.args(["probe.mjs", "--endpoint", &room.endpoint, "--user", &THEM.to_string(), "--quiet", "--secs", STAYS]);
    command.args([OsStr::new("--packets"), std::path::absolute(&packets)?.as_os_str()]);
    let mut events = speaker.clone().events();
    let running = command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
    let (joined, said) = tokio::join!(
        async {
            timeout(PATIENCE, joins(&mut events)).await.map_err(|_| "discord.js does not join the group")??;
            play(&speaker).await
        },
        timeout(PATIENCE, running.wait_with_output()),
    );
    let said = said.map_err(|_| "discord.js does not leave")??;
    if !said.status.success() {
        return Err(format!("discord.js ended with {}: {}", said.status, String::from_utf8_lossy(&said.stdout)).into());
    }
    joined?;
    let recording = recorder.stop().await?;
    for call in [speaker, listener] {
        call.leave().await;
    }
    room.server.shutdown().await;

    let file = recording.files.values().flatten().next().ok_or("we recorded nobody")?;
    let sent = Packets::of_ogg(&tone(FILE))?;
    let (ours, theirs) = (Packets::of_ogg(file)?, Packets::of_probe(&packets, SPEAKER)?);
    println!("{} packets were sent, we recorded {}, discord.js {}", sent.len(), ours.len(), theirs.len());
    for (who, packets) in [("we", &ours), ("discord.js", &theirs)] {
        if !packets.are_of(&sent, FEW) {
            return Err(format!("{who} recorded other packets than were sent").into());
        }
    }
    Ok(())
}

/// Until discord.js is in the group: nothing that is sent before could be opened by it.
async fn joins(events: &mut Events) -> Outcome {
    while let Some(event) = events.next().await {
        if let Event::Encryption(EncryptionEvent::Joined(member)) = event
            && member.user.get() == THEM
        {
            return Ok(());
        }
    }
    Err("the call ended before discord.js had joined the group".into())
}

async fn play(speaker: &Call) -> Outcome {
    match speaker.play(File::new(tone(FILE))).ended().await {
        TrackEnd::Failed(error) => Err(error.into()),
        _ => Ok(()),
    }
}
