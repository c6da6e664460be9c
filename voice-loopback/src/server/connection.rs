use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use crypto::Mode;
use gateway::close::{Verdict, verdict};
use gateway::text::{
    self, BackendVersion, Dialect, Heartbeat, HeartbeatAck, Hello, Identify, Message, Ready, SelectProtocol,
    SessionDescription,
};
use model::Ssrc;

use super::session::{Session, Transport};
use super::{ConnId, Output, Server};

/// A client that has not identified or resumed by then is closed; the slowest known client takes 6 s.
const HANDSHAKE: Duration = Duration::from_secs(15);

/// A client that sends more messages than this within [`WINDOW`] is closed with 4008. Discord does not tell its limit;
/// no known client comes near this one.
const MAX_MESSAGES: u32 = 250;

const WINDOW: Duration = Duration::from_secs(10);

/// One WebSocket.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) dialect: Dialect,
    /// Set by identify or resume.
    pub(super) session: Option<Ssrc>,
    opened: Instant,
    /// When it was opened, then when the last heartbeat came.
    heard: Instant,
    /// When the present [`WINDOW`] began, and how many messages came in it.
    window: (Instant, u32),
}

impl Connection {
    fn new(now: Instant, dialect: Dialect) -> Self {
        Self { dialect, session: None, opened: now, heard: now, window: (now, 0) }
    }

    /// False when there have been too many lately.
    fn count_message(&mut self, now: Instant) -> bool {
        if now.duration_since(self.window.0) >= WINDOW {
            self.window = (now, 0);
        }
        self.window.1 = self.window.1.saturating_add(1);
        self.window.1 <= MAX_MESSAGES
    }
}

/// Which dialect a URL's query asks for. Discord's default is the oldest version; other versions get the nearest.
pub(super) fn dialect(query: &str) -> Dialect {
    let version = query.trim_start_matches(['/', '?']).split('&').find_map(|pair| pair.strip_prefix("v="));
    match version.and_then(|version| version.parse::<u32>().ok()) {
        Some(8..) => Dialect::V8,
        _ => Dialect::V4,
    }
}

/// Whether the server does something when it gets this: identify, select protocol, heartbeat, speaking, resume, ready
/// for transition, invalid commit or welcome.
pub(super) fn is_acted_on(op: u64) -> bool {
    matches!(op, 0 | 1 | 3 | 5 | 7 | 23 | 31)
}

/// Whether a client may resume a described session after this close code.
pub(super) fn is_resumable(code: u16) -> bool {
    matches!(verdict(Some(code), true), Verdict::Resume | Verdict::ResumeAfter(_))
}

impl Server {
    /// Op 8.
    pub(super) fn greet(&mut self, now: Instant, conn: ConnId, dialect: Dialect) {
        self.connections.insert(conn, Connection::new(now, dialect));
        let hello = Hello { v: Some(version(dialect)), heartbeat_interval: self.config.heartbeat_interval };
        self.answer(conn, &Message::Hello(hello));
    }

    /// Whether a message may come on this connection; who sends too many is closed.
    pub(super) fn accept(&mut self, now: Instant, conn: ConnId) -> bool {
        let Some(connection) = self.connections.get_mut(&conn) else { return false };
        let accepted = connection.count_message(now);
        if !accepted {
            self.close(now, conn, 4008, "rate limited: too many messages");
        }
        accepted
    }

    pub(super) fn dispatch(&mut self, now: Instant, conn: ConnId, message: Message) {
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        match (message, connection.session) {
            (Message::Heartbeat(Heartbeat { nonce, .. }), _) => {
                connection.heard = now;
                self.answer(conn, &Message::HeartbeatAck(HeartbeatAck { nonce }));
            }
            (Message::BackendVersion(_), _) => self.answer_version(conn),
            (Message::Identify(_) | Message::Resume(_), Some(_)) => {
                self.close(now, conn, 4005, "already authenticated");
            }
            (Message::Identify(identify), None) => self.identify(now, conn, identify),
            (Message::Resume(resume), None) => self.resume(now, conn, &resume),
            (Message::SelectProtocol(select), Some(ssrc)) => self.select_protocol(now, conn, ssrc, &select),
            (Message::Speaking(speaking), Some(ssrc)) => self.speak(ssrc, speaking.flags),
            (Message::Video(video), Some(ssrc)) => self.show(ssrc, video),
            (Message::ReadyForTransition(ready), Some(ssrc)) => self.take_ready(now, ssrc, ready.transition),
            (Message::InvalidCommitWelcome(invalid), Some(ssrc)) => self.recover(now, ssrc, invalid.transition),
            (Message::SelectProtocol(_) | Message::Speaking(_) | Message::Video(_), None) => {
                self.close(now, conn, 4003, "not authenticated");
            }
            _ => self.stats.messages_ignored += 1,
        }
    }

    /// Sends what belongs to a connection, not to a session: it has no number and is never replayed.
    fn answer(&mut self, conn: ConnId, message: &Message) {
        let Some(connection) = self.connections.get(&conn) else { return };
        let user = connection.session.and_then(|ssrc| self.sessions.get(&ssrc)).map(|session| session.user);
        if !self.misbehaviour.withholds(user, message.op()) {
            let text = text::write(connection.dialect, None, message);
            self.outputs.push_back(Output::Text { conn, text });
        }
    }

    fn answer_version(&mut self, conn: ConnId) {
        let version = Some(env!("CARGO_PKG_VERSION").to_owned());
        let message = Message::BackendVersion(BackendVersion { voice: version.clone(), rtc_worker: version });
        match self.connections.get(&conn).and_then(|connection| connection.session) {
            Some(ssrc) => _ = self.send(ssrc, &message),
            None => self.answer(conn, &message),
        }
    }

    /// Op 0, answered by op 2.
    fn identify(&mut self, now: Instant, conn: ConnId, identify: Identify) {
        if identify.max_dave_protocol_version == 0 && !self.config.admits_plain() {
            return self.close(now, conn, 4017, "end-to-end encryption (DAVE) is required");
        }
        let twin = self.sessions.values().find(|it| it.user == identify.user && it.guild == identify.server);
        // Before the token is spent, so that trying again later can succeed. A twin makes room.
        if twin.is_none() && self.sessions.len() >= self.config.max_connections.saturating_mul(2) {
            return self.close(now, conn, 1013, "the server is full");
        }
        let channel = match self.credentials.admit(&identify, self.config.issued_only) {
            Ok(channel) => channel,
            Err(refusal) => return self.close(now, conn, refusal.code(), refusal.reason()),
        };
        if let Some(twin) = twin {
            let (ssrc, live) = (twin.ssrc, twin.conn);
            if live.is_some() && twin.is_for(&identify.session, &identify.token) {
                return self.close(now, conn, 4006, "this session is live already");
            }
            match live {
                Some(live) => self.close(now, live, 4014, "disconnected: joined from somewhere else"),
                None => self.remove(now, ssrc),
            }
        }
        let ssrc = self.free_ssrc();
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        connection.session = Some(ssrc);
        self.sessions.insert(ssrc, Session::new(identify, channel, ssrc, conn, connection.dialect));
        let modes = self.config.modes.iter().map(|mode| mode.name().to_owned()).collect();
        let ready = Ready::new(ssrc, self.config.media.unwrap_or(self.config.udp), modes);
        self.send(ssrc, &Message::Ready(ready));
    }

    /// Discord's SSRCs are small numbers; unlike them, these do not follow one another.
    fn free_ssrc(&mut self) -> Ssrc {
        loop {
            let ssrc = Ssrc(1 + self.rng.below(0x00FF_FFFF) as u32);
            if !self.sessions.contains_key(&ssrc) {
                return ssrc;
            }
        }
    }

    /// Op 1, answered by who is there and op 4. A second one moves the media address, or changes the mode.
    fn select_protocol(&mut self, now: Instant, conn: ConnId, ssrc: Ssrc, select: &SelectProtocol) {
        if select.protocol != "udp" {
            return self.close(now, conn, 4012, "unknown protocol: only udp is spoken here");
        }
        let Some(mode) = Mode::from_name(&select.mode).filter(|mode| self.config.modes.contains(mode)) else {
            return self.close(now, conn, 4016, "unknown encryption mode");
        };
        let Ok(ip) = select.address.parse::<IpAddr>() else {
            return self.close(now, conn, 4002, "the address of select protocol is no IP address");
        };
        let address = SocketAddr::new(ip, select.port);
        let Some(session) = self.sessions.get_mut(&ssrc) else { return };
        match &mut session.transport {
            Some(transport) if transport.mode == mode => transport.address = address,
            transport => *transport = Some(Transport::new(&mut self.rng, mode, address)),
        }
        self.join(now, ssrc);
        self.describe(now, ssrc);
    }

    /// Op 4.
    pub(super) fn describe(&mut self, now: Instant, ssrc: Ssrc) {
        let Some(session) = self.sessions.get(&ssrc) else { return };
        let Some(transport) = &session.transport else { return };
        let (mode, secret) = (transport.mode.name().to_owned(), transport.secret.clone());
        let room = session.room.and_then(|room| self.rooms.get(&room));
        let version = room.map_or(0, |room| room.delivery.version_for(session.max_version));
        let mut description = SessionDescription::new(mode, secret, version);
        description.audio_codec = Some("opus".to_owned());
        description.video_codec = Some("H264".to_owned());
        description.media_session_id = Some(format!("{:032x}", ssrc.0));
        let sent = self.send(ssrc, &Message::SessionDescription(description));
        let Some(session) = self.sessions.get_mut(&ssrc).filter(|_| sent) else { return };
        session.told_version = Some(version);
        let is_first = !session.described;
        session.described = true;
        if is_first {
            self.enter(now, ssrc);
        }
    }

    /// Closes whoever missed two heartbeats, or never said who it is.
    pub(super) fn close_silent(&mut self, now: Instant) {
        let patience = self.config.heartbeat_interval * 2;
        let is_late = |connection: &Connection| match connection.session {
            Some(_) => now.duration_since(connection.heard) > patience,
            None => now.duration_since(connection.opened) > HANDSHAKE,
        };
        let silent: Vec<ConnId> =
            self.connections.iter().filter(|(_, connection)| is_late(connection)).map(|(conn, _)| *conn).collect();
        for conn in silent {
            self.close(now, conn, 4009, "session timed out");
        }
    }
}

fn version(dialect: Dialect) -> u8 {
    match dialect {
        Dialect::V4 => 4,
        Dialect::V8 => 8,
    }
}
