use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use crypto::{Backend, Mode};
use dave::Identity;
use model::UserId;
use receive::speech::Sensitivity;

use crate::dialer::Dialer;
use crate::encoder::EncoderSettings;
use crate::encryption::E2ee;

/// Settings of a [`Client`](crate::Client) and its calls. Every default suits a first bot.
///
/// Fields are public; each has a setter by value: `Config::default().bind(addr).plain_ws(true)`.
#[derive(Clone)]
#[non_exhaustive]
pub struct Config {
    /// Deadlines of each stage of a join.
    pub deadlines: Deadlines,
    /// How lost connections are won back.
    pub retry: Retry,
    /// Transport modes that may be used, the preferred one first.
    pub modes: Vec<Mode>,
    /// Which implementation of the ciphers runs.
    pub backend: Backend,
    /// Whether calls are end-to-end encrypted.
    pub e2ee: E2ee,
    /// How long tracks wait for the first key of an encrypted call, so that their beginning is heard. Who is alone in a call
    /// waits in vain: tracks then run on unheard.
    pub e2ee_hold: Duration,
    /// The signature key that other members know us by; a fresh one for each user of a client when there is none.
    pub identity: Option<Identity>,
    /// Public signature keys of users, by which they are recognised: 65 bytes each, as in [`Member::key`](dave::Member).
    pub known_keys: BTreeMap<UserId, Vec<u8>>,
    /// Local address of the media sockets; an unspecified one lets the system choose. The family must be the server's.
    pub bind: IpAddr,
    /// Dial `ws://` without TLS. Discord never does; a server on this machine may.
    pub plain_ws: bool,
    /// Certificate authorities to trust, as PEM, in place of the system's.
    pub ca: Option<Vec<u8>>,
    /// Opens byte streams to voice servers, in place of TCP and TLS of our own: proxies, tests, other TLS stacks.
    pub dialer: Option<Arc<dyn Dialer>>,
    /// Opus encoder settings of new calls.
    pub encoder: EncoderSettings,
    /// Jitter buffer of what is received. Its `decode` is for who drives [`media`](crate::media) alone: a call decodes what its
    /// listeners want.
    pub receive: receive::Config,
    /// How often the media path is pinged; mappings in address translators die within about a minute.
    pub keepalive: Duration,
    /// How long packets wait for the user of their SSRC to be known, or for their sender's key.
    pub hold: Duration,
    /// What is loud enough to be speech, for [`Event::Speech`](crate::Event::Speech).
    pub sensitivity: Sensitivity,
    /// What is done about a media path that is dead.
    pub watchdog: Watchdog,
    /// Join deafened: incoming audio is dropped.
    pub deaf: bool,
    /// Join muted: nothing is sent.
    pub mute: bool,
    /// While muted, tracks stand still; they run on unheard by default.
    pub mute_holds: bool,
    /// Missed heartbeat acknowledgements that count as a lost connection.
    pub max_missed_acks: u32,
    /// Audio that is read ahead of its playout, per track. More bridges slower sources, and costs more than memory: rings
    /// that do not fit into the processor's cache make mixing slower.
    pub read_ahead: Duration,
    /// Loudness in LUFS to bring sources to whose tags (ReplayGain, R128) say what they have; none by default. Something like
    /// -16 makes music of all kinds equally loud. Sources whose volume it changes are mixed, not passed through.
    pub loudness: Option<f32>,
    /// Most threads that sources may hold, beside the one that watches them; a source that finds none free fails.
    pub max_readers: usize,
    /// Most threads that decode, shared by all calls of a client, for calls with more speakers than their own task can keep up
    /// with; by default as many as the machine runs at once. None is started before that.
    pub max_decoders: usize,
    /// Most clock threads, shared by all calls of a client; by default as many as the machine runs at once. There is one at first;
    /// when it is busy for more than 55 % of a second, or late, calls move to others.
    pub clock_threads: usize,
    /// Ask for real-time priority for clock threads (Linux: SCHED_FIFO, priority 10), so that other programs do not delay packets.
    /// Where the system does not allow it they run on as they are, and [`ClockStats`](crate::ClockStats) says why.
    pub realtime: bool,
    /// Frames that an [`Audio`](crate::Audio) stream holds for a slow reader; what does not fit is dropped and counted.
    pub audio_queue: usize,
}

/// How long each stage of a join may take. A join that fails names the stage and its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deadlines {
    /// From our main-gateway op 4 to both of its answers.
    pub updates: Duration,
    /// TCP, TLS and WebSocket handshake.
    pub dial: Duration,
    /// From an open WebSocket to ready (op 2).
    pub ready: Duration,
    /// IP discovery, with its retries.
    pub discovery: Duration,
    /// How long an answer of IP discovery may take before it is asked again.
    pub discovery_retry: Duration,
    /// From select protocol (op 1) to the session description (op 4).
    pub description: Duration,
    /// From an open WebSocket to resumed (op 9).
    pub resume: Duration,
    /// How long a disconnected call waits to hear where it was moved (after close 4014 or 4022), or for new
    /// connection info when it has no main-gateway link.
    pub update_wait: Duration,
    /// How long a call waits for another voice server when its own went away (`endpoint: null`).
    pub server_wait: Duration,
    /// The end of speech when leaving: five frames of 20 ms.
    pub farewell: Duration,
    /// The close handshake of a WebSocket; afterwards its socket is dropped.
    pub closing: Duration,
}

/// Longer than anything may take; keeps sums with a moment in range.
const FOREVER: Duration = Duration::from_secs(86_400);

impl Deadlines {
    pub(crate) fn bounded(self) -> Self {
        Self {
            updates: self.updates.min(FOREVER),
            dial: self.dial.min(FOREVER),
            ready: self.ready.min(FOREVER),
            discovery: self.discovery.min(FOREVER),
            discovery_retry: self.discovery_retry.min(FOREVER),
            description: self.description.min(FOREVER),
            resume: self.resume.min(FOREVER),
            update_wait: self.update_wait.min(FOREVER),
            server_wait: self.server_wait.min(FOREVER),
            farewell: self.farewell.min(FOREVER),
            closing: self.closing.min(FOREVER),
        }
    }
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            updates: Duration::from_secs(10),
            dial: Duration::from_secs(10),
            ready: Duration::from_secs(10),
            discovery: Duration::from_secs(5),
            discovery_retry: Duration::from_millis(500),
            description: Duration::from_secs(10),
            resume: Duration::from_secs(10),
            update_wait: Duration::from_secs(10),
            server_wait: Duration::from_secs(60),
            farewell: Duration::from_millis(500),
            closing: Duration::from_secs(1),
        }
    }
}

/// How lost connections are won back: exponential back-off with jitter, and how often before giving up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retry {
    /// Wait before the second attempt; doubled for each further one. The first attempt is made at once.
    pub first: Duration,
    /// Longest wait.
    pub longest: Duration,
    /// Resumes in a row after which the session is given up and joined afresh.
    pub resumes: u32,
    /// Fresh joins in a row after which the call ends.
    pub rejoins: u32,
    /// A connection that lasted this long was good: the counts start anew.
    pub stable_after: Duration,
}

impl Retry {
    pub(crate) fn bounded(self) -> Self {
        Self {
            first: self.first.min(FOREVER),
            longest: self.longest.min(FOREVER),
            stable_after: self.stable_after.min(FOREVER),
            ..self
        }
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(500),
            longest: Duration::from_secs(15),
            resumes: 5,
            rejoins: 5,
            stable_after: Duration::from_secs(30),
        }
    }
}

/// When the media path is taken for dead, and how often something is done about it; never while deafened. Silence alone is no
/// sign, nor are pings that were never answered.
///
/// Three things are tried, one after the other, each announced by an [`Event::Watchdog`](crate::Event::Watchdog): discovering
/// our address anew from another socket, resuming the session, joining afresh (with a main-gateway link only).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Watchdog {
    /// So many keepalive pings in a row unanswered, when they used to be answered and no packet comes meanwhile, mean that the
    /// path is dead; 0 is never.
    pub pings: u32,
    /// RTP that comes for so long, and none of it opens, means that the session's key is not ours; pauses of speech do not count.
    /// Zero is never.
    pub unopened: Duration,
    /// How long each thing that was tried gets to work before the next one, at least.
    pub patience: Duration,
    /// From one resume or fresh join of this kind to the next that is not part of the same attempt, at least.
    pub rest: Duration,
}

impl Watchdog {
    pub(crate) fn bounded(self) -> Self {
        Self { patience: self.patience.min(FOREVER), rest: self.rest.min(FOREVER), ..self }
    }
}

impl Default for Watchdog {
    fn default() -> Self {
        Self {
            pings: 3,
            unopened: Duration::from_secs(5),
            patience: Duration::from_secs(10),
            rest: Duration::from_secs(600),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            deadlines: Deadlines::default(),
            retry: Retry::default(),
            modes: Mode::DEFAULT.to_vec(),
            backend: Backend::AwsLc,
            e2ee: E2ee::default(),
            e2ee_hold: Duration::from_secs(2),
            identity: None,
            known_keys: BTreeMap::new(),
            bind: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            plain_ws: false,
            ca: None,
            dialer: None,
            encoder: EncoderSettings::default(),
            receive: receive::Config::default(),
            keepalive: Duration::from_secs(5),
            hold: Duration::from_secs(2),
            sensitivity: Sensitivity::default(),
            watchdog: Watchdog::default(),
            deaf: false,
            mute: false,
            mute_holds: false,
            max_missed_acks: 2,
            read_ahead: Duration::from_millis(250),
            loudness: None,
            max_readers: 64,
            max_decoders: std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
            clock_threads: std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
            realtime: false,
            audio_queue: 128,
        }
    }
}

macro_rules! setters {
    ($owner:ident { $($field:ident: $type:ty),* $(,)? }) => {
        impl $owner {
            $(
                #[doc = concat!("Sets [`", stringify!($field), "`](Self::", stringify!($field), ").")]
                #[must_use]
                pub fn $field(mut self, value: $type) -> Self {
                    self.$field = value;
                    self
                }
            )*
        }
    };
}

setters!(Config {
    deadlines: Deadlines,
    retry: Retry,
    modes: Vec<Mode>,
    backend: Backend,
    e2ee: E2ee,
    e2ee_hold: Duration,
    identity: Option<Identity>,
    known_keys: BTreeMap<UserId, Vec<u8>>,
    bind: IpAddr,
    plain_ws: bool,
    ca: Option<Vec<u8>>,
    dialer: Option<Arc<dyn Dialer>>,
    encoder: EncoderSettings,
    receive: receive::Config,
    keepalive: Duration,
    hold: Duration,
    sensitivity: Sensitivity,
    watchdog: Watchdog,
    deaf: bool,
    mute: bool,
    mute_holds: bool,
    max_missed_acks: u32,
    read_ahead: Duration,
    loudness: Option<f32>,
    max_readers: usize,
    max_decoders: usize,
    clock_threads: usize,
    realtime: bool,
    audio_queue: usize,
});

setters!(Deadlines {
    updates: Duration,
    dial: Duration,
    ready: Duration,
    discovery: Duration,
    discovery_retry: Duration,
    description: Duration,
    resume: Duration,
    update_wait: Duration,
    server_wait: Duration,
    farewell: Duration,
    closing: Duration,
});

setters!(Watchdog { pings: u32, unopened: Duration, patience: Duration, rest: Duration });

setters!(Retry { first: Duration, longest: Duration, resumes: u32, rejoins: u32, stable_after: Duration });

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("deadlines", &self.deadlines)
            .field("retry", &self.retry)
            .field("modes", &self.modes)
            .field("e2ee", &self.e2ee)
            .field("bind", &self.bind)
            .field("plain_ws", &self.plain_ws)
            .finish_non_exhaustive()
    }
}
