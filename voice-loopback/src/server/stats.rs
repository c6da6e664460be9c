use std::net::SocketAddr;

use crypto::Mode;
use model::{ChannelId, GuildId, Ssrc, UserId};

/// What the server has seen and done, all counters since its start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Authentic RTP packets received.
    pub received: u64,
    /// RTP packets sent: one for each receiver of a received one.
    pub forwarded: u64,
    /// RTP or RTCP of an SSRC that is nobody's.
    pub unknown_ssrc: u64,
    /// RTP or RTCP that the sender's key does not open.
    pub not_authentic: u64,
    /// Authentic RTP whose extension or padding contradicts its length.
    pub malformed: u64,
    /// Authentic RTCP compounds received.
    pub rtcp_received: u64,
    /// Receiver reports sent.
    pub reports_sent: u64,
    /// RTP packets and reports that were not sent, because their sealer refused: its nonces are used up, or its mode
    /// has none for reports.
    pub unsealed: u64,
    /// Datagrams dropped because an impaired link serves 4,096 addresses at a time; the socket half counts them.
    pub unserved: u64,
    /// Discovery requests answered.
    pub discoveries: u64,
    /// Discovery requests left unanswered: on cue, or of an SSRC that is nobody's.
    pub discoveries_ignored: u64,
    /// `1337CAFE` pings answered.
    pub pings: u64,
    /// Datagrams of no known kind, swallowed: other clients' keepalives, and noise.
    pub swallowed: u64,
    /// JSON messages without effect here: unknown opcodes, and those that only a server sends.
    pub messages_ignored: u64,
    /// Binary messages without effect here.
    pub binary_ignored: u64,
}

/// One session, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Member {
    /// Whose.
    pub user: UserId,
    /// In which guild.
    pub guild: GuildId,
    /// In which channel; `None` unless its token was issued by [`Server::updates`](crate::Server::updates).
    pub channel: Option<ChannelId>,
    /// Its audio.
    pub ssrc: Ssrc,
    /// It has a WebSocket; without one it waits to be resumed.
    pub connected: bool,
    /// The others have been told that it is there.
    pub visible: bool,
    /// It has got a session description (op 4).
    pub described: bool,
    /// Chosen by select protocol (op 1).
    pub mode: Option<Mode>,
    /// Where its media goes, as op 1 said.
    pub address: Option<SocketAddr>,
    /// The flags of its last op 5.
    pub speaking: Option<u32>,
    /// Authentic RTP packets received from it.
    pub received: u64,
    /// RTP packets sent to it.
    pub forwarded: u64,
}
