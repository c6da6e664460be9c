//! A voice server on this machine with two who speak and one who records: what the examples about recordings work on
//! when they are given nothing.
#![allow(dead_code, reason = "each example uses its part")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use loopback::{Impairment, Loopback, Options};
use voice_client::source::file::File;
use voice_client::{
    Call, ChannelId, Client, Config, ConnectionInfo, GuildId, UserId, VoiceServerUpdate, VoiceStateUpdate,
};

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error>>;

const LINK: Impairment = Impairment {
    latency: Duration::from_millis(20),
    jitter: Duration::from_millis(15),
    loss: 0.02,
    reorder: 0.01,
    duplicate: 0.01,
};

/// Two speakers and a listener in one channel.
pub(crate) struct Company {
    server: Loopback,
    speakers: [Call; 2],
    /// Who records.
    pub(crate) listener: Call,
}

impl Company {
    pub(crate) async fn meet() -> Result<Self> {
        let server = Loopback::start(Options::default().outgoing(LINK).seed(2_026)).await?;
        let client = Client::new(Config::default().ca(server.ca_pem().map(|pem| pem.as_bytes().to_vec())));
        let mut calls = Vec::new();
        for user in [201, 202, 203] {
            calls.push(client.join(info(&server, user).await?).await?);
        }
        for call in &calls {
            tokio::time::timeout(Duration::from_secs(10), call.encrypted()).await?.ok_or("the call ended too early")?;
        }
        let [first, second, listener] = calls.try_into().map_err(|_| "three joined")?;
        Ok(Self { server, speakers: [first, second], listener })
    }

    /// They speak for some seconds: one after the other, and over one another.
    pub(crate) async fn talk(&self) {
        let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets");
        let [first, second] = &self.speakers;
        let song = first.play(File::new(assets.join("arpeggio-48k-stereo.flac")));
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        let bells = second.play(File::new(assets.join("bells-44k-mono.wav")));
        song.ended().await;
        bells.ended().await;
        first.play(File::new(assets.join("ding-48k-mono.wav"))).ended().await;
        // What is under way arrives.
        tokio::time::sleep(Duration::from_millis(500)).await;
    }

    pub(crate) async fn part(self) {
        for call in self.speakers.iter().chain([&self.listener]) {
            call.leave().await;
        }
        self.server.shutdown().await;
    }
}

/// The folder that the program is given, or an empty one below cargo's target folder.
pub(crate) fn folder(name: &str) -> Result<(PathBuf, bool)> {
    if let Some(folder) = std::env::args_os().nth(1) {
        return Ok((folder.into(), true));
    }
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("the crate has no parent folder")?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.join("target"), PathBuf::from);
    let folder = target.join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    Ok((folder, false))
}

/// Plays the main gateway's part: what a bot is told when it asks to join.
async fn info(server: &Loopback, user: u64) -> Result<ConnectionInfo> {
    let user = UserId::new(user).ok_or("no user")?;
    let (guild, channel) = (GuildId::new(1).ok_or("no guild")?, ChannelId::new(1).ok_or("no channel")?);
    let updates = server.updates(user, guild, channel).await;
    let state = VoiceStateUpdate::from_json(&updates.state)?;
    let update = VoiceServerUpdate::from_json(&updates.server)?;
    let endpoint = update.endpoint.ok_or("no endpoint")?;
    Ok(ConnectionInfo { endpoint, guild, channel, user, session: state.session, token: update.token })
}
