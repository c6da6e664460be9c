//! The server: told the time, text, frames and datagrams; answers with [`Output`]s.
//!
//! ```text
//! hello 8 ->  <- identify 0  ready 2 ->  <- discovery, select protocol 1
//! who is there 11 5 18 20 ->  session description 4 ->     (the others: 11 5 18 20)
//! <- speaking 5, forwarded; <- RTP, opened with the sender's key, sealed with each receiver's
//! end-to-end encryption: 21 to 31, see `delivery`
//! severed: kept; hello 8 ->  <- resume 7  resumed 9 ->  what was missed, seq by seq ->
//! left, or not resumed in time: the others get 13
//! ```

mod connection;
mod credentials;
mod cue;
mod dave;
mod inject;
mod media;
mod replay;
mod room;
mod session;
mod stats;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use gateway::text::{self, Message};
use model::{ChannelId, GuildId, Ssrc, UserId};
use serde_json::Value;

use self::connection::Connection;
use self::credentials::Credentials;
use self::room::{Room, RoomId};
use self::session::Session;
use crate::config::Config;
use crate::delivery::Authority;
use crate::misbehaviour::Misbehaviour;
use crate::rng::Rng;

pub use self::credentials::Updates;
pub use self::stats::{DaveStats, Member, Stats};

/// Missed heartbeats, lapsed sessions and due reports are looked for this often: none needs more precision.
const HOUSEKEEPING: Duration = Duration::from_millis(100);

/// The longest text of a close frame, in bytes (RFC 6455, section 5.5: 125 with the code).
const MAX_REASON: usize = 123;

/// One WebSocket, numbered by the owner of the sockets. A number is never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// What the owner of the sockets shall do. `Debug` shows lengths only: a session description holds the key.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum Output {
    /// Send a text frame.
    Text {
        /// On which WebSocket.
        conn: ConnId,
        /// The JSON.
        text: String,
    },
    /// Send a binary frame.
    Binary {
        /// On which WebSocket.
        conn: ConnId,
        /// Its bytes.
        frame: Vec<u8>,
    },
    /// Send a close frame and drop the connection. The server has forgotten it already.
    Close {
        /// Which WebSocket.
        conn: ConnId,
        /// The close code.
        code: u16,
        /// Its text, for people; at most 123 bytes.
        reason: String,
    },
    /// Drop the connection without a close frame. The server has forgotten it already.
    Sever {
        /// Which WebSocket.
        conn: ConnId,
    },
    /// Send a datagram from the server's UDP address.
    Datagram {
        /// Where to.
        to: SocketAddr,
        /// Its payload.
        bytes: Vec<u8>,
    },
    /// The main gateway would dispatch this to the bot.
    MainGateway(Dispatch),
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text { conn, text } => write!(f, "Text({conn:?}, {} bytes)", text.len()),
            Self::Binary { conn, frame } => write!(f, "Binary({conn:?}, {} bytes)", frame.len()),
            Self::Close { conn, code, reason } => write!(f, "Close({conn:?}, {code}, {} bytes)", reason.len()),
            Self::Sever { conn } => write!(f, "Sever({conn:?})"),
            Self::Datagram { to, bytes } => write!(f, "Datagram({to}, {} bytes)", bytes.len()),
            Self::MainGateway(dispatch) => f.debug_tuple("MainGateway").field(dispatch).finish(),
        }
    }
}

/// A main-gateway dispatch, which this server's owner carries to the bot. `Debug` leaves out the data, which may hold a
/// token.
#[derive(Clone, PartialEq)]
pub struct Dispatch {
    /// The bot.
    pub user: UserId,
    /// The `t` of the dispatch: `VOICE_STATE_UPDATE` or `VOICE_SERVER_UPDATE`.
    pub event: &'static str,
    /// The `d` of the dispatch.
    pub data: Value,
}

impl fmt::Debug for Dispatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatch").field("user", &self.user).field("event", &self.event).finish_non_exhaustive()
    }
}

/// A Discord voice server: gateway, rooms and media, without sockets or a clock.
///
/// A control machine: after each `handle_*`, [`cue`](Self::cue) or [`updates`](Self::updates), drain
/// [`poll_output`](Self::poll_output) and look at [`poll_timeout`](Self::poll_timeout). Whatever clients send, it neither
/// panics nor fails: what is wrong closes their connection with Discord's code or is counted in [`Stats`].
#[derive(Debug)]
pub struct Server {
    config: Config,
    rng: Rng,
    connections: BTreeMap<ConnId, Connection>,
    sessions: BTreeMap<Ssrc, Session>,
    rooms: BTreeMap<RoomId, Room>,
    /// How often somebody has joined a room.
    joins: u64,
    authority: Authority,
    /// For misbehaviour on cue.
    foreigner: Authority,
    credentials: Credentials,
    misbehaviour: Misbehaviour,
    outputs: VecDeque<Output>,
    /// The packet being forwarded, before it is sealed for each receiver.
    template: Vec<u8>,
    housekeeping: Instant,
    stats: Stats,
}

impl Server {
    /// A server without clients.
    pub fn new(now: Instant, config: Config) -> Self {
        // Keys of their own, that leave what else follows from the seed as it is without them.
        let mut keys = Rng::new(!config.seed);
        let (authority, foreigner) = (Authority::new(&mut keys), Authority::new(&mut keys));
        if config.offered() > 0 {
            authority.warm_up();
        }
        Self {
            rng: Rng::new(config.seed),
            authority,
            foreigner,
            joins: 0,
            credentials: Credentials::default(),
            connections: BTreeMap::new(),
            sessions: BTreeMap::new(),
            rooms: BTreeMap::new(),
            misbehaviour: Misbehaviour::default(),
            outputs: VecDeque::new(),
            template: Vec::with_capacity(2_048),
            housekeeping: now,
            stats: Stats::default(),
            config,
        }
    }

    /// A client opened a WebSocket; `query` is that of its URL (`v=8`), with or without the question mark.
    pub fn handle_connect(&mut self, now: Instant, conn: ConnId, query: &str) {
        if self.connections.len() >= self.config.max_connections {
            let reason = "the server is full".to_owned();
            self.outputs.push_back(Output::Close { conn, code: 1013, reason });
            return;
        }
        if self.connections.is_empty() && self.sessions.is_empty() {
            self.housekeeping = now + HOUSEKEEPING;
        }
        self.greet(now, conn, connection::dialect(query));
    }

    /// A text frame arrived.
    pub fn handle_text(&mut self, now: Instant, conn: ConnId, text: &str) {
        if !self.accept(now, conn) {
            return;
        }
        match text::read(text) {
            Ok(frame) => self.dispatch(now, conn, frame.message),
            // What would have had no effect anyway may be as malformed as it likes.
            Err(error) if error.op.is_some_and(|op| !connection::is_acted_on(op)) => self.stats.messages_ignored += 1,
            Err(error) => self.close(now, conn, 4002, &format!("failed to decode payload: {error}")),
        }
    }

    /// A binary frame arrived.
    pub fn handle_binary(&mut self, now: Instant, conn: ConnId, frame: &[u8]) {
        if self.accept(now, conn) {
            self.take_binary(now, conn, frame);
        }
    }

    /// The client's end of the WebSocket is gone; `code` is that of its close frame, if there was one.
    ///
    /// 1000 and 1001 give the session up; anything else leaves it to be resumed.
    pub fn handle_disconnect(&mut self, now: Instant, conn: ConnId, code: Option<u16>) {
        let Some(ssrc) = self.connections.remove(&conn).and_then(|connection| connection.session) else { return };
        match code {
            Some(1000 | 1001) => self.remove(now, ssrc),
            _ => self.detach(now, ssrc),
        }
    }

    /// A datagram arrived from `from`; it is opened in place.
    pub fn handle_datagram(&mut self, now: Instant, from: SocketAddr, datagram: &mut [u8]) {
        self.receive(now, from, datagram);
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.pass_time_in_rooms(now);
        if now < self.housekeeping {
            return;
        }
        self.housekeeping = now + HOUSEKEEPING;
        self.close_silent(now);
        self.end_lapsed(now);
        self.send_reports(now);
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called; `None` while there are no clients.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let idle = self.connections.is_empty() && self.sessions.is_empty();
        let rooms = self.rooms.values().filter_map(|room| room.delivery.poll_timeout());
        (!idle).then(|| rooms.fold(self.housekeeping, Instant::min))
    }

    /// The next thing to do, oldest first.
    pub fn poll_output(&mut self) -> Option<Output> {
        loop {
            match self.outputs.pop_front()? {
                Output::Datagram { to, .. } if self.misbehaviour.is_cut_off(to) => {}
                output => return Some(output),
            }
        }
    }

    /// Plays the main gateway: what a bot would be told when it asks to join `channel`. Each call issues a fresh token,
    /// good for one identify, and outdates earlier ones for this user and guild.
    pub fn updates(&mut self, user: UserId, guild: GuildId, channel: ChannelId) -> Updates {
        let session = self.credentials.session(&mut self.rng, user);
        self.issue(user, guild, Some(channel), session)
    }

    /// What the server has seen and done so far.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Every session that is in a room, or could come back to one, ordered by SSRC.
    pub fn members(&self) -> impl Iterator<Item = Member> {
        self.sessions.values().map(|session| session.member(session.room.and_then(|room| self.rooms.get(&room))))
    }

    /// Sends `message` in the session: it is numbered, kept for a replay, and sent if there is a connection.
    /// False when it was withheld on cue.
    fn send(&mut self, ssrc: Ssrc, message: &Message) -> bool {
        let Some(session) = self.sessions.get_mut(&ssrc) else { return false };
        if self.misbehaviour.withholds(Some(session.user), message.op()) {
            return false;
        }
        let sent = session.write(message);
        if let Some(conn) = session.conn {
            self.outputs.push_back(sent.on(conn));
        }
        true
    }

    /// Closes a connection; the session lives on if the code lets a client resume.
    fn close(&mut self, now: Instant, conn: ConnId, code: u16, reason: &str) {
        let Some(connection) = self.connections.remove(&conn) else { return };
        let reason = reason[..reason.floor_char_boundary(MAX_REASON)].to_owned();
        self.outputs.push_back(Output::Close { conn, code, reason });
        let Some(ssrc) = connection.session else { return };
        if connection::is_resumable(code) {
            self.detach(now, ssrc);
        } else {
            self.remove(now, ssrc);
        }
    }
}
