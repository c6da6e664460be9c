use std::fmt;
use std::net::SocketAddr;
use std::time::Instant;

use crypto::{Backend, Key, Mode, Opener, Sealer};
use gateway::Token;
use gateway::text::{self, Dialect, Identify, Message, SecretKey};
use model::{GuildId, Ssrc, UserId};
use udp::rtp::{self, Header};

use super::ConnId;
use super::reception::Reception;
use super::replay::Replay;
use super::room::Room;
use super::stats::Member;
use crate::rng::Rng;

/// One user's place in one room. It outlives its WebSocket by the time in which it can be resumed.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) user: UserId,
    pub(super) guild: GuildId,
    pub(super) room: Room,
    pub(super) ssrc: Ssrc,
    pub(super) id: String,
    token: Token,
    /// The WebSocket, and the dialect spoken on it or on the last one.
    pub(super) conn: Option<ConnId>,
    pub(super) dialect: Dialect,
    /// When the WebSocket went away.
    pub(super) severed: Option<Instant>,
    /// The others have been told of it (op 11), and not that it left (op 13).
    pub(super) visible: bool,
    /// Op 4 was sent: media may be, too.
    pub(super) described: bool,
    /// The flags of the last op 5.
    pub(super) speaking: Option<u32>,
    /// Set by op 1.
    pub(super) transport: Option<Transport>,
    pub(super) reception: Reception,
    /// RTP packets sent to this client.
    pub(super) forwarded: u64,
    next_seq: u16,
    pub(super) replay: Replay,
}

impl Session {
    pub(super) fn new(identify: Identify, room: Room, ssrc: Ssrc, conn: ConnId, dialect: Dialect) -> Self {
        Self {
            user: identify.user,
            guild: identify.server,
            room,
            ssrc,
            id: identify.session,
            token: identify.token,
            conn: Some(conn),
            dialect,
            severed: None,
            visible: false,
            described: false,
            speaking: None,
            transport: None,
            reception: Reception::default(),
            forwarded: 0,
            next_seq: 0,
            replay: Replay::default(),
        }
    }

    /// Whether these are the credentials that it was opened with.
    pub(super) fn is_for(&self, id: &str, token: &Token) -> bool {
        self.id == id && self.token.expose() == token.expose()
    }

    /// The text of `message`; numbered and kept for a replay where the protocol has it so. One counter, from 0, modulo
    /// 2^16, counts JSON and binary messages.
    pub(super) fn write(&mut self, message: &Message) -> String {
        if self.dialect == Dialect::V4 || is_unnumbered(message.op()) {
            return text::write(self.dialect, None, message);
        }
        let seq = self.next_seq;
        self.next_seq = seq.wrapping_add(1);
        let text = text::write(self.dialect, Some(seq), message);
        self.replay.push(seq, text.clone());
        text
    }

    pub(super) fn member(&self) -> Member {
        Member {
            user: self.user,
            guild: self.guild,
            channel: self.room.channel,
            ssrc: self.ssrc,
            connected: self.conn.is_some(),
            visible: self.visible,
            described: self.described,
            mode: self.transport.as_ref().map(|transport| transport.mode),
            address: self.transport.as_ref().map(|transport| transport.address),
            speaking: self.speaking,
            received: self.reception.packets(),
            forwarded: self.forwarded,
        }
    }
}

/// Ready, session description, heartbeat acknowledgement, hello and resumed carry no `seq`.
fn is_unnumbered(op: u64) -> bool {
    matches!(op, 2 | 4 | 6 | 8 | 9)
}

/// How media reaches and leaves one client.
pub(super) struct Transport {
    pub(super) mode: Mode,
    /// Where op 1 said that media shall go; media may come from elsewhere.
    pub(super) address: SocketAddr,
    pub(super) secret: SecretKey,
    pub(super) sealer: Sealer,
    pub(super) opener: Opener,
}

impl Transport {
    pub(super) fn new(rng: &mut Rng, mode: Mode, address: SocketAddr) -> Self {
        let mut secret = [0; 32];
        rng.fill(&mut secret);
        let key = Key::new(secret);
        // The client seals with this key, too, and counts from the start of each half: the server starts in the middles.
        Self {
            mode,
            address,
            secret: SecretKey::new(secret),
            sealer: Sealer::new(mode, &key, Backend::AwsLc).resume_from(1 << 30).resume_from(3 << 30),
            opener: Opener::new(mode, &key, Backend::AwsLc),
        }
    }

    /// How much of an RTP packet with this header is not encrypted.
    pub(super) fn clear_len(&self, header: &Header) -> usize {
        if self.mode.is_rtpsize() { header.clear_len() } else { rtp::FIXED_LEN }
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").field("mode", &self.mode).field("address", &self.address).finish_non_exhaustive()
    }
}
