use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crypto::Mode;
use model::UserId;

use crate::encryption::Encryption;

/// Figures of one call, counted since it began.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Whether the session is up, and its WebSocket.
    pub connected: bool,
    /// What was sent.
    pub sent: Sent,
    /// What was received, as a whole.
    pub received: Received,
    /// What was heard, by user.
    pub heard: BTreeMap<UserId, receive::Stats>,
    /// Transport mode of the latest session.
    pub mode: Option<Mode>,
    /// DAVE version that the latest session was described with (op 4); the one in force is
    /// [`Encryption::version`](crate::Encryption::version).
    pub dave_version: u16,
    /// End-to-end encryption.
    pub encryption: Encryption,
    /// Round trip of the WebSocket, from heartbeats.
    pub ws_round_trip: Option<Duration>,
    /// Round trip of the media path, from keepalive pings.
    pub udp_round_trip: Option<Duration>,
    /// How the server receives what we send, by its latest report; `None` before the first, which comes some seconds after the
    /// first packet.
    pub send_quality: Option<SendQuality>,
    /// What was done about a dead media path.
    pub watchdog: WatchdogCounts,
}

/// How the server receives what we send: its latest report block on our stream (RFC 3550, section 6.4.1).
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct SendQuality {
    /// When the report came.
    pub at: Instant,
    /// Share of packets lost between the latest two reports, 0 to 1.
    pub fraction_lost: f32,
    /// Packets lost since the stream began; negative when more were duplicated than lost.
    pub lost: i32,
    /// Interarrival jitter (RFC 3550, appendix A.8).
    pub jitter: Duration,
    /// From a sender report of ours to a report that answers it, without the time that the server kept it; `None` before the
    /// first answer.
    pub round_trip: Option<Duration>,
}

/// How often the [watchdog](crate::Watchdog) acted, by rung, and how often that helped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WatchdogCounts {
    /// Addresses discovered anew, from another socket.
    pub rediscoveries: u64,
    /// WebSockets closed, to resume the session.
    pub resumes: u64,
    /// Sessions given up for another one.
    pub rejoins: u64,
    /// Times that media came back afterwards.
    pub recovered: u64,
}

/// What a call sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent {
    /// RTP packets on the wire, silence included.
    pub packets: u64,
    /// Their bytes, RTP header and transport encryption included.
    pub bytes: u64,
    /// Those of them that were silence frames.
    pub silence: u64,
    /// Frames that did not leave: muted, refused by the socket, or without a usable key.
    pub dropped: u64,
    /// Frames that did not leave because there was no end-to-end key: alone, about to be welcomed.
    pub no_key: u64,
    /// Frames sealed end to end.
    pub sealed: u64,
    /// Frames that did not leave because they could not be sealed.
    pub unsealable: u64,
}

/// Datagrams that a call received, by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Received {
    /// RTP packets of audio that were opened.
    pub packets: u64,
    /// Their bytes on the wire.
    pub bytes: u64,
    /// RTCP packets that were opened.
    pub rtcp: u64,
    /// RTP packets of other payload types: video, bandwidth probes.
    pub other_media: u64,
    /// Packets that were all padding.
    pub padding: u64,
    /// Packets that did not open with the session's key.
    pub unauthentic: u64,
    /// Packets whose inside was malformed.
    pub malformed: u64,
    /// Datagrams that are nothing we know.
    pub unknown: u64,
    /// Packets dropped because the call is deafened.
    pub deafened: u64,
    /// Packets whose user was not known in time.
    pub unattributed: u64,
    /// Frames that were opened end to end.
    pub opened: u64,
    /// Frames that were not sealed, and allowed not to be.
    pub plain: u64,
    /// Silence frames of the server's making, which are never sealed.
    pub silence: u64,
    /// Frames dropped because they were not sealed.
    pub refused_plain: u64,
    /// Frames dropped because no key of their sender came in time.
    pub no_key: u64,
    /// Frames dropped because no key of their sender opens them, nor did one come in time.
    pub undecryptable: u64,
    /// Frames dropped because their nonce had been used.
    pub replayed: u64,
    /// Frames dropped because their generation is further ahead than a sender can be.
    pub implausible: u64,
    /// Frames that a slow consumer of audio lost.
    pub consumer_lost: u64,
}
