use std::fmt;
use std::net::SocketAddr;
use std::time::Instant;

use crypto::{Backend, Key, Mode, Opener, Sealer};
use gateway::Token;
use gateway::binary;
use gateway::text::{self, Dialect, Identify, Message, SecretKey};
use model::{ChannelId, GuildId, Ssrc, UserId};
use udp::rtcp::Reception;
use udp::rtp::{self, Header};

use super::ConnId;
use super::replay::{Replay, Sent};
use super::room::{Room, RoomId};
use super::stats::Member;
use crate::rng::Rng;

/// One user's place in one room. It outlives its WebSocket by the time in which it can be resumed.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) user: UserId,
    pub(super) guild: GuildId,
    /// The channel of its token, or the one that it named.
    pub(super) channel: Option<ChannelId>,
    /// Set by op 1.
    pub(super) room: Option<RoomId>,
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
    /// On cue they are told later, although it is visible.
    pub(super) unannounced: bool,
    /// The newest DAVE version that it speaks, and the one that it was told last, by op 4, 21 or 24.
    pub(super) max_version: u16,
    pub(super) told_version: Option<u16>,
    /// It has taken part in the encryption of its room.
    pub(super) entered: bool,
    /// It has got op 25.
    pub(super) knows_sender: bool,
    /// Op 4 was sent: media may be, too.
    pub(super) described: bool,
    /// The flags of the last op 5.
    pub(super) speaking: Option<u32>,
    /// Set by op 1.
    pub(super) transport: Option<Transport>,
    pub(super) reception: Reception,
    /// When the next receiver report about its stream is due; `None` before its first packet.
    pub(super) report_due: Option<Instant>,
    /// RTP packets sent to this client.
    pub(super) forwarded: u64,
    /// RTP packets made up in its name since the last real one.
    pub(super) made_up: u16,
    next_seq: u16,
    pub(super) replay: Replay,
}

impl Session {
    pub(super) fn new(
        identify: Identify,
        channel: Option<ChannelId>,
        ssrc: Ssrc,
        conn: ConnId,
        dialect: Dialect,
    ) -> Self {
        Self {
            user: identify.user,
            guild: identify.server,
            channel,
            room: None,
            ssrc,
            id: identify.session,
            token: identify.token,
            conn: Some(conn),
            dialect,
            severed: None,
            visible: false,
            unannounced: false,
            max_version: identify.max_dave_protocol_version,
            told_version: None,
            entered: false,
            knows_sender: false,
            described: false,
            speaking: None,
            transport: None,
            reception: Reception::default(),
            report_due: None,
            forwarded: 0,
            made_up: 0,
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
    pub(super) fn write(&mut self, message: &Message) -> Sent {
        if self.dialect == Dialect::V4 || !message.is_numbered() {
            return Sent::Text(text::write(self.dialect, None, message));
        }
        let seq = self.number();
        self.keep(seq, Sent::Text(text::write(self.dialect, Some(seq), message)))
    }

    /// The same for a binary message.
    pub(super) fn write_binary(&mut self, message: &binary::Message) -> Sent {
        if self.dialect == Dialect::V4 {
            return Sent::Binary(binary::write_client(message));
        }
        let seq = self.number();
        self.keep(seq, Sent::Binary(binary::write_server(seq, message)))
    }

    fn number(&mut self) -> u16 {
        let seq = self.next_seq;
        self.next_seq = seq.wrapping_add(1);
        seq
    }

    fn keep(&mut self, seq: u16, message: Sent) -> Sent {
        self.replay.push(seq, message.clone());
        message
    }

    /// As it is now, in that room.
    pub(super) fn member(&self, room: Option<&Room>) -> Member {
        Member {
            user: self.user,
            guild: self.guild,
            channel: self.channel.or(room.and_then(|room| room.channel)),
            ssrc: self.ssrc,
            connected: self.conn.is_some(),
            visible: self.visible,
            described: self.described,
            mode: self.transport.as_ref().map(|transport| transport.mode),
            address: self.transport.as_ref().map(|transport| transport.address),
            speaking: self.speaking,
            max_dave_version: self.max_version,
            dave_version: room.map(|room| room.delivery.version_for(self.max_version)),
            dave_epoch: room.and_then(|room| room.delivery.epoch_of(self.user)),
            received: self.reception.packets(),
            forwarded: self.forwarded,
        }
    }
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
