use crate::{discovery, keepalive, rtcp, rtp};

/// What a datagram on the voice socket is, told by its first bytes alone: nothing here is authenticated yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Datagram {
    /// An RTP packet whose clear part is complete, of any payload type.
    Rtp(rtp::Header),
    /// An RTCP compound whose clear part is complete: the second byte is 192 to 223 (RFC 5761, section 4).
    Rtcp,
    /// An IP discovery request or response, see [`discovery`].
    Discovery,
    /// A client's keepalive that wants an answer, see [`keepalive::read_ping`].
    Ping,
    /// The answer to one, see [`keepalive::read_pong`].
    Pong,
    /// None of these: other keepalives, noise.
    Unknown,
}

impl Datagram {
    /// Looks at a datagram of any length and content.
    pub fn classify(datagram: &[u8]) -> Self {
        if keepalive::read_ping(datagram).is_some() {
            Datagram::Ping
        } else if keepalive::read_pong(datagram).is_some() {
            Datagram::Pong
        } else if discovery::is_discovery(datagram) {
            Datagram::Discovery
        } else if rtcp::is_rtcp(datagram) {
            Datagram::Rtcp
        } else {
            rtp::Header::read(datagram).map_or(Datagram::Unknown, Datagram::Rtp)
        }
    }
}

#[cfg(test)]
mod tests;
