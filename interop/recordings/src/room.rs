//! A voice server on this machine, and who is in its one channel.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::timeout;
use voice_client::{Call, ChannelId, Client, Config, ConnectionInfo, GuildId, UserId};
use voice_loopback::{Impairment, Loopback, Options};

use crate::Outcome;

/// As long as anything may take here that should come at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// The room, as discord.js is told it too.
pub(crate) const GUILD: u64 = 100_000_000_000_000_001;
pub(crate) const CHANNEL: u64 = 300_000_000_000_000_001;

/// The server; everything random in it follows from a fixed seed.
pub(crate) struct Room {
    pub(crate) server: Loopback,
    pub(crate) endpoint: String,
    /// The file of its certificate authority.
    pub(crate) authority: PathBuf,
}

impl Room {
    /// Opens it; `link` is what happens to everything on its way to the clients.
    pub(crate) async fn open(folder: &Path, link: Impairment) -> Outcome<Self> {
        let server = Loopback::start(Options::default().outgoing(link).seed(2_026)).await?;
        let (endpoint, authority) = (server.ws_addr().to_string(), folder.join("ca.pem"));
        std::fs::create_dir_all(folder)?;
        std::fs::write(&authority, server.ca_pem().ok_or("the server has no certificate")?)?;
        Ok(Self { server, endpoint, authority })
    }

    /// Joins it.
    pub(crate) async fn join(&self, user: u64) -> Outcome<Call> {
        join(&self.endpoint, &self.authority, user).await
    }
}

/// Joins the room at this endpoint.
pub(crate) async fn join(endpoint: &str, authority: &Path, user: u64) -> Outcome<Call> {
    let info = ConnectionInfo {
        endpoint: endpoint.to_owned(),
        guild: GuildId::new(GUILD).ok_or("no guild")?,
        channel: ChannelId::new(CHANNEL).ok_or("no channel")?,
        user: UserId::new(user).ok_or("no user")?,
        session: format!("session-{user}"),
        token: "token".to_owned().into(),
    };
    let client = Client::new(Config::default().ca(Some(std::fs::read(authority)?)));
    Ok(client.join(info).await?)
}

/// Waits until what it says is encrypted for the others: who is alone has nobody to encrypt for.
pub(crate) async fn encrypted(call: &Call) -> Outcome {
    let is = timeout(PATIENCE, call.encrypted()).await.map_err(|_| "the call is not encrypted yet")?;
    is.map(drop).ok_or("the call ended before it was encrypted".into())
}

/// A file of the folder beside ours.
pub(crate) fn tone(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tones").join(name)
}
