use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crypto::Mode;

/// How the server behaves. `Debug` leaves out the seed, from which every key follows.
#[derive(Clone)]
#[non_exhaustive]
pub struct Config {
    /// Where clients send media: the `ip` and `port` of op 2. Default `127.0.0.1:50000`.
    pub udp: SocketAddr,
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
            endpoint: "127.0.0.1:443".to_owned(),
            modes: Mode::DEFAULT.to_vec(),
            extension: false,
            padding: false,
            grace: Duration::ZERO,
            heartbeat_interval: Duration::from_millis(13_750),
            issued_only: false,
            max_connections: 4_096,
            seed: 0,
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("udp", &self.udp)
            .field("endpoint", &self.endpoint)
            .field("modes", &self.modes)
            .field("extension", &self.extension)
            .field("padding", &self.padding)
            .field("grace", &self.grace)
            .field("heartbeat_interval", &self.heartbeat_interval)
            .field("issued_only", &self.issued_only)
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
}
