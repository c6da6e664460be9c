//! RTCP compounds (RFC 3550, section 6), as they are before sealing and after opening: the 8 clear bytes, then the
//! plaintext. Sender and receiver reports, source descriptions, goodbyes and applications' packets are read; feedback
//! (RFC 4585) and whatever else comes stays raw.

use voice_model::{RtpTime, Ssrc};

mod read;
mod reception;
mod report;
mod write;

pub use read::{Packets, read};
pub use reception::{Reception, SenderTime};
pub use report::ReportBlock;
pub use write::write;

/// Bytes that stay clear when a compound is sealed: the first packet's header and its sender's SSRC.
pub const CLEAR_LEN: usize = 8;

/// The item of a source description that names a participant (RFC 3550, section 6.5.1).
pub const CNAME: u8 = 1;

/// Bytes of a packet's header (RFC 3550, section 6.4.1).
const HEADER_LEN: usize = 4;

/// The count in a header has 5 bits, so no list is longer.
const MAX_COUNT: usize = 31;

/// Packet types (RFC 3550, section 12.1).
const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const GOODBYE: u8 = 203;
const APPLICATION: u8 = 204;

/// One packet of a compound.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Packet {
    /// SR: what a sender sent, and how it hears others.
    SenderReport(SenderReport),
    /// RR: how a receiver hears others.
    ReceiverReport(ReceiverReport),
    /// SDES: who the sources are, at most 31.
    SourceDescription(Vec<Chunk>),
    /// BYE: sources that leave.
    Goodbye(Goodbye),
    /// APP: whatever an application defines.
    Application(Application),
    /// Of another type (205 and 206 are feedback), or not readable as what its type says.
    Other {
        /// Packet type.
        packet_type: u8,
        /// The 5 bits beside version and padding: a count or a subtype, 0 to 31.
        count: u8,
        /// What follows the header, without padding; a multiple of 4 bytes when well made.
        body: Vec<u8>,
    },
}

/// A sender report (RFC 3550, section 6.4.1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SenderReport {
    /// The sender.
    pub ssrc: Ssrc,
    /// NTP time of the report: seconds since 1900 in the upper 32 bits, fractions in the lower.
    pub ntp: u64,
    /// The same moment on the stream's RTP clock.
    pub time: RtpTime,
    /// RTP packets sent so far, modulo 2^32.
    pub packets: u32,
    /// Payload bytes sent so far, modulo 2^32.
    pub octets: u32,
    /// How the sender hears others, at most 31.
    pub reports: Vec<ReportBlock>,
}

/// A receiver report (RFC 3550, section 6.4.2).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReceiverReport {
    /// The receiver.
    pub ssrc: Ssrc,
    /// How it hears others, at most 31.
    pub reports: Vec<ReportBlock>,
}

/// What a source description says about one source (RFC 3550, section 6.5).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chunk {
    /// The source.
    pub ssrc: Ssrc,
    /// What is said about it. Discord's own client says `CNAME`, with an empty text.
    pub items: Vec<Item>,
}

/// One item of a [`Chunk`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Item {
    /// What it is, 1 to 255, see [`CNAME`].
    pub kind: u8,
    /// At most 255 bytes; UTF-8 when well made.
    pub text: Vec<u8>,
}

/// A goodbye (RFC 3550, section 6.6).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Goodbye {
    /// Who leaves, at most 31.
    pub sources: Vec<Ssrc>,
    /// Why, at most 255 bytes; UTF-8 when well made.
    pub reason: Option<Vec<u8>>,
}

/// An application's packet (RFC 3550, section 6.7).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Application {
    /// Defined by the application, 0 to 31.
    pub subtype: u8,
    /// The sender.
    pub ssrc: Ssrc,
    /// Name of the application, ASCII when well made.
    pub name: [u8; 4],
    /// A multiple of 4 bytes when well made.
    pub data: Vec<u8>,
}

/// Whether a datagram is a compound with all its clear bytes (RFC 5761, section 4).
pub(crate) fn is_rtcp(datagram: &[u8]) -> bool {
    datagram.len() >= CLEAR_LEN && datagram[0] >> 6 == 2 && (192..=223).contains(&datagram[1])
}

#[cfg(test)]
mod tests;
