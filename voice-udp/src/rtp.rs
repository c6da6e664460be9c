//! RTP packets (RFC 3550, section 5.1): the clear header, and what the decrypted body holds.
//!
//! Reading goes in two steps, with the transport decryption between them: [`Header::read`] says how long the clear part
//! is, [`body`] takes extension and padding off the plaintext.

use std::ops::Range;

use discortp::rtp::{MutableRtpPacket, RtpPacket, RtpType};
use voice_model::{RtpTime, Seq, Ssrc};

mod extension;

pub use extension::{Element, Elements, ONE_BYTE_PROFILE, SPEAKING, elements, profile, write_extension};

/// Payload type of Opus audio (op 1 and op 14 of Discord's voice gateway).
pub const AUDIO: u8 = 120;

/// Payload type of Discord's bandwidth probes, to be ignored.
pub const PROBE: u8 = 96;

/// Bytes of the header before the CSRC list (RFC 3550, section 5.1).
pub const FIXED_LEN: usize = 12;

const VERSION: u8 = 2;

/// The fixed header of an RTP packet. The CSRCs themselves are of no use here and stay where they are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// First packet after a gap.
    pub marker: bool,
    /// P bit: the plaintext ends in padding.
    pub padding: bool,
    /// X bit: an extension header follows the CSRCs, its body begins the plaintext.
    pub extension: bool,
    /// How many CSRCs follow, 0 to 15.
    pub csrc_count: u8,
    /// What the payload is, 0 to 127, see [`AUDIO`].
    pub payload_type: u8,
    /// Sequence number.
    pub seq: Seq,
    /// Time of the first sample.
    pub time: RtpTime,
    /// The stream.
    pub ssrc: Ssrc,
}

impl Header {
    /// An audio packet with no flag, CSRC or extension.
    pub const fn new(seq: Seq, time: RtpTime, ssrc: Ssrc) -> Self {
        Self { marker: false, padding: false, extension: false, csrc_count: 0, payload_type: AUDIO, seq, time, ssrc }
    }

    /// Reads the header; `None` unless this is RTP version 2 and the whole clear part is there.
    pub fn read(packet: &[u8]) -> Option<Self> {
        let view = RtpPacket::new(packet)?;
        let header = Self {
            marker: view.get_marker() != 0,
            padding: view.get_padding() != 0,
            extension: view.get_extension() != 0,
            csrc_count: view.get_csrc_count(),
            payload_type: packet[1] & 0x7F,
            seq: Seq(view.get_sequence().into()),
            time: RtpTime(view.get_timestamp().into()),
            ssrc: Ssrc(view.get_ssrc()),
        };
        (view.get_version() == VERSION && packet.len() >= header.clear_len()).then_some(header)
    }

    /// Writes the fixed header, the first 12 bytes.
    ///
    /// # Panics
    ///
    /// When `out` is shorter than 12 bytes.
    pub fn write(&self, out: &mut [u8]) {
        let mut view = MutableRtpPacket::new(&mut out[..FIXED_LEN]).expect("invariant: 12 bytes hold a fixed header");
        view.set_version(VERSION);
        view.set_padding(self.padding.into());
        view.set_extension(self.extension.into());
        view.set_csrc_count(self.csrc_count & 0x0F);
        view.set_marker(self.marker.into());
        view.set_payload_type(RtpType::new(self.payload_type & 0x7F));
        view.set_sequence(self.seq.0.into());
        view.set_timestamp(self.time.0.into());
        view.set_ssrc(self.ssrc.0);
    }

    /// Bytes that stay clear in the `rtpsize` modes: 12 + 4 for each CSRC, + 4 for the extension's header.
    pub const fn clear_len(&self) -> usize {
        self.csrc_end() + if self.extension { 4 } else { 0 }
    }

    /// Where the CSRC list ends: the extension's header is here.
    pub(crate) const fn csrc_end(&self) -> usize {
        FIXED_LEN + 4 * self.csrc_count as usize
    }
}

/// Length of the extension's body in words of 4 bytes, from its clear header; 0 without an extension.
pub fn extension_words(packet: &[u8], header: &Header) -> usize {
    extension::clear_header(packet, header).map_or(0, |(_, words)| words.into())
}

/// Where the parts of an RTP body are: ranges of the decrypted plaintext.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Body {
    /// Body of the extension, see [`elements`]; empty without one.
    pub extension: Range<usize>,
    /// What the packet carries; empty when the packet is all padding.
    pub payload: Range<usize>,
    /// Bytes of padding, their count included.
    pub padding: usize,
}

/// Takes the extension off the front and the padding off the end of a decrypted plaintext, in this order.
///
/// A packet that is all padding has an empty payload: that is no error, it uses up its sequence number.
///
/// # Errors
///
/// When either does not fit; such a packet is to be dropped.
pub fn body(header: &Header, extension_words: usize, plaintext: &[u8]) -> Result<Body, Malformed> {
    let start = if header.extension { extension_words.saturating_mul(4) } else { 0 };
    let rest = plaintext.get(start..).ok_or(Malformed::Extension { len: start, plaintext: plaintext.len() })?;
    let padding = match (header.padding, rest.last()) {
        (false, _) => 0,
        (true, Some(&count)) if (1..=rest.len()).contains(&count.into()) => count.into(),
        (true, count) => {
            return Err(Malformed::Padding { len: count.copied().unwrap_or(0).into(), rest: rest.len() });
        }
    };
    Ok(Body { extension: 0..start, payload: start..plaintext.len() - padding, padding })
}

/// A decrypted RTP body contradicts itself: the sender's mistake.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// The extension is longer than the plaintext.
    #[error("an extension of {len} bytes in a plaintext of {plaintext}")]
    Extension {
        /// Bytes that the extension's header announces.
        len: usize,
        /// Bytes of the plaintext.
        plaintext: usize,
    },
    /// The P bit is set, but the padding's length is zero or more than what is there.
    #[error("padding of {len} bytes at the end of {rest}")]
    Padding {
        /// What the last byte says; 0 when there is no byte.
        len: usize,
        /// Bytes between the extension and the end.
        rest: usize,
    },
}

#[cfg(test)]
mod tests;
