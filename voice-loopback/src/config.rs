use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crypto::Mode;
use model::ChannelId;

/// How the server behaves. `Debug` leaves out the seed, from which every key follows.
#[derive(Clone)]
#[non_exhaustive]
pub struct Config {
    /// Where clients send media: the `ip` and `port` of op 2. Default `127.0.0.1:50000`.
    pub udp: SocketAddr,
    /// Where clients are told to send media instead: a socket of your own, in place of the server's. It must answer IP discovery;
    /// the server hears none of what goes there. Default none.
    pub media: Option<SocketAddr>,
    /// The endpoint that VOICE_SERVER_UPDATE names, `host:port`. Default `127.0.0.1:443`.
    pub endpoint: String,
    /// The transport modes on offer, in this order. Default: both that Discord offers.
    pub modes: Vec<Mode>,
    /// Forwarded packets carry a header extension (X bit) with the speaker's flags, as Discord's do. Default off.
    pub extension: bool,
    /// A third of the forwarded packets carry 1 to 32 bytes of padding (P bit), as Discord's do. Default off.
    pub padding: bool,
    /// How long a session whose WebSocket was severed keeps its place before the others see it disconnect (op 13).
    /// It can be resumed for at least 30 s, whatever this says. Default zero: the others see it at once.
    pub grace: Duration,
    /// The interval of op 8. A client that is silent for two of them is closed with 4009. Default 13,750 ms, Discord's.
    /// Much less than 100 ms closes clients that refuse to beat that often, as those of `voice-gateway` do.
    pub heartbeat_interval: Duration,
    /// Admit only tokens that [`Server::updates`](crate::Server::updates) has issued: any other closes with 4004.
    /// Default off: any token, session and guild will do.
    pub issued_only: bool,
    /// The DAVE version of calls that every client can encrypt: 1, or 0 for calls without end-to-end encryption. Default 1,
    /// as Discord requires: a client without it is closed with 4017.
    pub dave_version: u16,
    /// Admit clients without DAVE to a call with it, which goes on unencrypted until the last of them leaves. Default off.
    pub dave_downgrade: bool,
    /// How long proposals to add somebody may wait, after others, to go out together. A winning commit ends the wait.
    /// Default zero: each is sent at once, as is what arises together.
    pub dave_batch: Duration,
    /// Be a stage channel, whose DAVE version is always 0. Default off.
    pub stage: bool,
    /// The channel of a room that nobody has named one for: without a channel there is no MLS group. Default none, which
    /// waits for the first client that names one.
    pub channel: Option<ChannelId>,
    /// More WebSockets than this, and more than twice as many sessions, those waiting to be resumed included, are closed
    /// with 1013, try again later. Default 4,096.
    pub max_connections: usize,
    /// Everything random follows from this: keys, SSRCs, tokens, padding. Default 0; the socket half draws its own.
    pub seed: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            udp: SocketAddr::from((Ipv4Addr::LOCALHOST, 50_000)),
            media: None,
            endpoint: "127.0.0.1:443".to_owned(),
            modes: Mode::DEFAULT.to_vec(),
            extension: false,
            padding: false,
            grace: Duration::ZERO,
            heartbeat_interval: Duration::from_millis(13_750),
            issued_only: false,
            dave_version: 1,
            dave_downgrade: false,
            dave_batch: Duration::ZERO,
            stage: false,
            channel: None,
            max_connections: 4_096,
            seed: 0,
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("udp", &self.udp)
            .field("media", &self.media)
            .field("endpoint", &self.endpoint)
            .field("modes", &self.modes)
            .field("extension", &self.extension)
            .field("padding", &self.padding)
            .field("grace", &self.grace)
            .field("heartbeat_interval", &self.heartbeat_interval)
            .field("issued_only", &self.issued_only)
            .field("dave_version", &self.dave_version)
            .field("dave_downgrade", &self.dave_downgrade)
            .field("dave_batch", &self.dave_batch)
            .field("stage", &self.stage)
            .field("channel", &self.channel)
            .field("max_connections", &self.max_connections)
            .finish_non_exhaustive()
    }
}

impl Config {
    /// Sets [`udp`](Self::udp).
    #[must_use]
    pub fn udp(mut self, udp: SocketAddr) -> Self {
        self.udp = udp;
        self
    }

    /// Sets [`media`](Self::media).
    #[must_use]
    pub fn media(mut self, media: Option<SocketAddr>) -> Self {
        self.media = media;
        self
    }

    /// Sets [`endpoint`](Self::endpoint).
    #[must_use]
    pub fn endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = endpoint.into();
        self
    }

    /// Sets [`modes`](Self::modes).
    #[must_use]
    pub fn modes(mut self, modes: impl Into<Vec<Mode>>) -> Self {
        self.modes = modes.into();
        self
    }

    /// Sets [`extension`](Self::extension).
    #[must_use]
    pub fn extension(mut self, extension: bool) -> Self {
        self.extension = extension;
        self
    }

    /// Sets [`padding`](Self::padding).
    #[must_use]
    pub fn padding(mut self, padding: bool) -> Self {
        self.padding = padding;
        self
    }

    /// Sets [`grace`](Self::grace).
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Sets [`heartbeat_interval`](Self::heartbeat_interval).
    #[must_use]
    pub fn heartbeat_interval(mut self, interval: Duration) -> Self {
        self.heartbeat_interval = interval;
        self
    }

    /// Sets [`issued_only`](Self::issued_only).
    #[must_use]
    pub fn issued_only(mut self, issued_only: bool) -> Self {
        self.issued_only = issued_only;
        self
    }

    /// Sets [`dave_version`](Self::dave_version).
    #[must_use]
    pub fn dave_version(mut self, version: u16) -> Self {
        self.dave_version = version;
        self
    }

    /// Sets [`dave_downgrade`](Self::dave_downgrade).
    #[must_use]
    pub fn dave_downgrade(mut self, downgrade: bool) -> Self {
        self.dave_downgrade = downgrade;
        self
    }

    /// Sets [`dave_batch`](Self::dave_batch).
    #[must_use]
    pub fn dave_batch(mut self, batch: Duration) -> Self {
        self.dave_batch = batch;
        self
    }

    /// Sets [`stage`](Self::stage).
    #[must_use]
    pub fn stage(mut self, stage: bool) -> Self {
        self.stage = stage;
        self
    }

    /// Sets [`channel`](Self::channel).
    #[must_use]
    pub fn channel(mut self, channel: ChannelId) -> Self {
        self.channel = Some(channel);
        self
    }

    /// Sets [`max_connections`](Self::max_connections).
    #[must_use]
    pub fn max_connections(mut self, max_connections: usize) -> Self {
        self.max_connections = max_connections;
        self
    }

    /// Sets [`seed`](Self::seed).
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The DAVE version of a call in which everybody speaks the newest one; there is none beyond 1.
    pub(crate) fn offered(&self) -> u16 {
        if self.stage { 0 } else { self.dave_version.min(1) }
    }

    /// Whether clients without DAVE are admitted.
    pub(crate) fn admits_plain(&self) -> bool {
        self.offered() == 0 || self.dave_downgrade
    }
}
