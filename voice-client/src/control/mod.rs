//! One call's control, without sockets or clocks: composes the gateway machine, IP discovery and the session of
//! end-to-end encryption, and decides how connections are made and won back.
//!
//! ```text
//! op 4 to the main gateway -> both updates, fresh -> dial -> identify, ready -> discovery -> description -> up
//! up -> lost -> resume (same session, media goes on)      -> up
//!            -> rejoin (op 4 again, everything new)       -> dial ...
//!            -> wait for updates (moved, kicked?)         -> dial ... or over
//! up -> leave: end of speech, close frame, op 4 without a channel -> over
//! ```

mod connect;
mod dave;
mod join;
mod lost;
mod output;
mod path;
mod policy;
mod watchdog;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crypto::Mode;
use gateway::Gateway;
use model::{ChannelId, GuildId, Ssrc, UserId};
use udp::Discovery;

use crate::config::{Config, Deadlines, Retry, Watchdog};
use crate::encryption::{E2ee, Encryption};
use crate::error::{Cause, Closed, Stage};
use crate::info::{ConnectionInfo, VoiceStateCommand};
use crate::media::Update;

use self::dave::{Dave, Told};
pub(crate) use self::dave::{Done, Keys};
use join::Joining;
pub(crate) use output::{Generation, Output};
use path::Rediscovery;
use watchdog::Ladder;
pub use watchdog::{Rung, Symptom};

/// How long a replay may take to bring the group up to date.
const CATCHING_UP: Duration = Duration::from_secs(5);

/// The control machine of one call. See the module documentation for its course.
pub(crate) struct Control {
    guild: GuildId,
    user: UserId,
    /// Where we are, or want to be.
    channel: Option<ChannelId>,
    /// Whether a main-gateway link can join afresh.
    linked: bool,
    settings: Settings,
    mute: bool,
    deaf: bool,
    speaking: u32,
    /// The main-gateway session, from the latest of our voice states.
    session: Option<String>,
    /// The join, or move, whose updates are awaited.
    joining: Option<Joining>,
    /// The voice session.
    live: Option<Live>,
    /// Transport mode and DAVE version of the latest description.
    described: Option<(Mode, u16)>,
    keys: Keys,
    /// End-to-end encryption of the latest session, even if it is over.
    encryption: Encryption,
    /// The key that each member had last.
    seen_keys: BTreeMap<UserId, Vec<u8>>,
    phase: Phase,
    generation: Generation,
    /// Whether a WebSocket is open or being opened.
    dialed: bool,
    /// Whether the first join is behind us: from then on faults are mended instead of reported.
    joined: bool,
    /// Whether somebody waits for the end of a join.
    asked: bool,
    up_since: Option<Instant>,
    failed_resumes: u32,
    rejoins: u32,
    malformed: u32,
    watchdog: Ladder,
    /// Our address is being discovered anew, in a session that is up, or was.
    rediscovery: Option<Rediscovery>,
    noise: u64,
    outputs: VecDeque<Output>,
}

/// The part of [`Config`] that control goes by.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) deadlines: Deadlines,
    pub(crate) retry: Retry,
    pub(crate) watchdog: Watchdog,
    pub(crate) modes: Vec<Mode>,
    pub(crate) max_missed_acks: u32,
    pub(crate) mute: bool,
    pub(crate) deaf: bool,
    pub(crate) e2ee: E2ee,
    pub(crate) known_keys: BTreeMap<UserId, Vec<u8>>,
}

impl From<&Config> for Settings {
    fn from(config: &Config) -> Self {
        Self {
            deadlines: config.deadlines.bounded(),
            retry: config.retry.bounded(),
            watchdog: config.watchdog.bounded(),
            modes: config.modes.clone(),
            max_missed_acks: config.max_missed_acks,
            mute: config.mute,
            deaf: config.deaf,
            e2ee: config.e2ee,
            known_keys: config.known_keys.clone(),
        }
    }
}

/// A voice session: one token, one voice server.
struct Live {
    info: ConnectionInfo,
    endpoint: gateway::Endpoint,
    gateway: Gateway,
    /// The server's transport modes.
    offered: Vec<String>,
    ssrc: Option<Ssrc>,
    /// Where its media is.
    server: Option<SocketAddr>,
    /// The SSRC that media was told.
    attached: Option<Ssrc>,
    mode: Option<Mode>,
    /// `None` when no encryption was offered.
    dave: Option<Dave>,
}

/// Where the connection stands, in protocol order.
enum Phase {
    /// No connection is wanted: before the first updates.
    Absent,
    /// A WebSocket is being opened.
    Dialing { deadline: Instant },
    /// Identify was sent.
    Identifying { deadline: Instant },
    /// Our external address is being asked for; the machine starts when the socket is open. `fault` is why a request
    /// was not sent.
    Discovering { deadline: Instant, discovery: Option<Discovery>, fault: Option<String> },
    /// Select protocol was sent.
    Selecting { deadline: Instant },
    /// Resume was sent.
    Resuming { deadline: Instant },
    /// Audio flows.
    Up,
    /// The session will be dialed again, to identify or to resume.
    Redial { at: Instant },
    /// A fresh join will be asked of the main gateway.
    Rejoin { at: Instant },
    /// Only updates of the main gateway, or new info, can help. `named`: our voice state came, and names a channel.
    AwaitUpdate { deadline: Instant, cause: Cause, named: bool },
    /// The end of speech is being sent.
    Leaving { deadline: Instant },
    /// Nothing happens any more.
    Over,
}

impl Phase {
    fn stage(&self) -> Option<Stage> {
        match self {
            Phase::Dialing { .. } => Some(Stage::Dial),
            Phase::Identifying { .. } => Some(Stage::Ready),
            Phase::Discovering { .. } => Some(Stage::Discovery),
            Phase::Selecting { .. } => Some(Stage::Description),
            Phase::Resuming { .. } => Some(Stage::Resume),
            _ => None,
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match self {
            Phase::Absent | Phase::Up | Phase::Over => None,
            Phase::Dialing { deadline }
            | Phase::Identifying { deadline }
            | Phase::Discovering { deadline, .. }
            | Phase::Selecting { deadline }
            | Phase::Resuming { deadline }
            | Phase::AwaitUpdate { deadline, .. }
            | Phase::Leaving { deadline } => Some(*deadline),
            Phase::Redial { at } | Phase::Rejoin { at } => Some(*at),
        }
    }
}

impl Control {
    /// A call of `user` in `guild`. `linked` says whether [`Output::MainGateway`] reaches anybody; `seed` is random.
    pub(crate) fn new(settings: Settings, keys: Keys, guild: GuildId, user: UserId, linked: bool, seed: u64) -> Self {
        Self {
            guild,
            user,
            channel: None,
            linked,
            mute: settings.mute,
            deaf: settings.deaf,
            watchdog: Ladder::new(settings.watchdog),
            rediscovery: None,
            settings,
            speaking: 1,
            session: None,
            joining: None,
            live: None,
            described: None,
            keys,
            encryption: Encryption::default(),
            seen_keys: BTreeMap::new(),
            phase: Phase::Absent,
            generation: 0,
            dialed: false,
            joined: false,
            asked: false,
            up_since: None,
            failed_resumes: 0,
            rejoins: 0,
            malformed: 0,
            noise: seed,
            outputs: VecDeque::new(),
        }
    }

    /// Mutes or unmutes: tells media, and the main gateway when there is one.
    pub(crate) fn set_mute(&mut self, mute: bool) {
        if std::mem::replace(&mut self.mute, mute) != mute {
            self.update(Update::Mute(mute));
            self.announce();
        }
    }

    /// Deafens or undeafens: media drops what comes in, since the server goes on sending.
    pub(crate) fn set_deaf(&mut self, deaf: bool) {
        if std::mem::replace(&mut self.deaf, deaf) != deaf {
            self.watchdog.clear();
            self.update(Update::Deaf(deaf));
            self.announce();
        }
    }

    /// Sets the speaking flags of op 5.
    pub(crate) fn set_speaking(&mut self, now: Instant, flags: u32) {
        self.speaking = flags;
        if let (Phase::Up, Some(live)) = (&self.phase, &mut self.live) {
            live.gateway.set_speaking(now, flags);
        }
        self.pump(now);
    }

    /// Sends a message of the application.
    pub(crate) fn send(&mut self, now: Instant, message: &gateway::text::Message) {
        if let (Phase::Up, Some(live)) = (&self.phase, &mut self.live) {
            live.gateway.send(message);
        }
        self.pump(now);
    }

    /// Leaves: the end of speech first, then everything else.
    pub(crate) fn leave(&mut self, now: Instant) {
        self.joining = None;
        match self.phase {
            Phase::Over | Phase::Leaving { .. } => {}
            Phase::Up | Phase::Redial { .. } | Phase::Resuming { .. } => {
                self.phase = Phase::Leaving { deadline: now + self.settings.deadlines.farewell };
                self.update(Update::Farewell);
            }
            _ => self.end(Closed::Left),
        }
    }

    /// Media can send nothing any more: what sends it has panicked.
    pub(crate) fn handle_panicked(&mut self) {
        self.end(Closed::Panicked);
    }

    /// Media has sent the end of speech.
    pub(crate) fn handle_farewelled(&mut self) {
        if matches!(self.phase, Phase::Leaving { .. }) {
            self.end(Closed::Left);
        }
    }

    /// The sealer has no nonce left: only a new session has a new key.
    pub(crate) fn handle_key_exhausted(&mut self, now: Instant) {
        self.lost(now, Cause::KeyExhausted);
    }

    /// Drain until `None`.
    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        let output = self.outputs.pop_front();
        if output.is_none() {
            // Long stretches of nothing follow short ones of much: its room is given back.
            self.outputs = VecDeque::new();
        }
        output
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let discovery = match &self.phase {
            Phase::Discovering { discovery: Some(discovery), .. } => discovery.poll_timeout(),
            _ => self.rediscovery_due(),
        };
        let gateway = self.live.as_ref().filter(|_| self.dialed).and_then(|live| live.gateway.poll_timeout());
        let joining = self.joining.as_ref().map(|joining| joining.deadline);
        [self.phase.deadline(), joining, gateway, discovery, self.dave_due()].into_iter().flatten().min()
    }

    /// Transport mode and DAVE version of the latest session that was described, even if it is over.
    pub(crate) fn described(&self) -> Option<(Mode, u16)> {
        self.described
    }

    /// End-to-end encryption of the latest session, even if it is over.
    pub(crate) fn encryption(&self) -> &Encryption {
        &self.encryption
    }

    /// Media cannot open anybody's frames any more.
    pub(crate) fn handle_hopeless(&mut self, now: Instant) {
        // While the WebSocket is lost, and just after, the group may have moved on, and a replay say so.
        if self.is_up() && self.up_since.is_some_and(|since| now >= since + CATCHING_UP) {
            self.tell_dave(now, Told::Undecryptable);
        }
    }

    /// Whether audio flows.
    pub(crate) fn is_up(&self) -> bool {
        matches!(self.phase, Phase::Up)
    }

    /// Round trip of the latest heartbeat.
    pub(crate) fn round_trip(&self) -> Option<Duration> {
        self.live.as_ref()?.gateway.round_trip()
    }

    fn update(&mut self, update: Update) {
        self.outputs.push_back(Output::Update(update));
    }

    /// Tells the main gateway where we are and how, unless we are not there.
    fn announce(&mut self) {
        match (&self.joining, &self.live) {
            (Some(joining), _) => self.command(Some(joining.channel)),
            (None, Some(live)) => self.command(Some(live.info.channel)),
            (None, None) => {}
        }
    }

    fn command(&mut self, channel: Option<ChannelId>) {
        if self.linked {
            let (guild, self_mute, self_deaf) = (self.guild, self.mute, self.deaf);
            self.outputs.push_back(Output::MainGateway(VoiceStateCommand { guild, channel, self_mute, self_deaf }));
        }
    }

    /// The next of a sequence of numbers that need not be secret: nonces' seeds, jitter (splitmix64).
    fn noise(&mut self) -> u64 {
        self.noise = self.noise.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.noise;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}
