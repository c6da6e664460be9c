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
    /// Sender reports in them.
    pub sender_reports: u64,
    /// Report blocks in them, of sender and receiver reports.
    pub report_blocks: u64,
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
    /// `1337CAFE` pings left unanswered on cue.
    pub pings_ignored: u64,
    /// Datagrams of no known kind, swallowed: other clients' keepalives, and noise.
    pub swallowed: u64,
    /// JSON messages without effect here: unknown opcodes, and those that only a server sends.
    pub messages_ignored: u64,
    /// Binary messages without effect here.
    pub binary_ignored: u64,
    /// End-to-end encryption.
    pub dave: DaveStats,
}

/// What the server has done for end-to-end encryption, all counters since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DaveStats {
    /// Key packages found valid.
    pub key_packages: u64,
    /// Key packages that are not as they must be.
    pub key_packages_refused: u64,
    /// Proposals signed.
    pub proposals: u64,
    /// Proposals revoked before they were committed.
    pub revoked: u64,
    /// Commits that were the first valid ones of their epoch.
    pub commits_accepted: u64,
    /// Commits that lost: for an epoch that has passed, or to other than all unrevoked proposals because more of them
    /// were sent, or some revoked, meanwhile.
    pub commits_late: u64,
    /// Commits that cannot be valid.
    pub commits_invalid: u64,
    /// Welcomes sent.
    pub welcomes: u64,
    /// Transitions executed when everybody was ready.
    pub transitions_executed: u64,
    /// Transitions executed because time was up.
    pub transitions_timed_out: u64,
    /// Messages of op 31: a member could not follow and asks to be added again.
    pub recoveries: u64,
    /// Groups given up for a new one: only one member was left, or nobody was left who could commit.
    pub resets: u64,
    /// Calls that went on without end-to-end encryption because a client without it joined.
    pub downgrades: u64,
    /// Calls that turned to end-to-end encryption again.
    pub upgrades: u64,
}

/// One session, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Member {
    /// Whose.
    pub user: UserId,
    /// In which guild.
    pub guild: GuildId,
    /// In which channel: that of its token when [`Server::updates`](crate::Server::updates) has issued it, else the one
    /// that it named at identify, else that of the room it is in; `None` as long as nobody there has told one.
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
    /// The newest DAVE version that it speaks, as it said at identify.
    pub max_dave_version: u16,
    /// The DAVE version of its call, for those who are in one.
    pub dave_version: Option<u16>,
    /// The epoch of the MLS group that it is in; `None` when it is in none, or its removal is on the way.
    pub dave_epoch: Option<u64>,
    /// Authentic RTP packets received from it.
    pub received: u64,
    /// RTP packets sent to it.
    pub forwarded: u64,
}
