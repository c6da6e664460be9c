use std::ops::Range;

mod av1;
mod h26x;
mod vp8;

pub(crate) use h26x::has_start_code;

use crate::frame::{MAX_TRAILER_LEN, PLAIN_TRAILER_LEN};

/// What a frame is encoded with; decides which of its bytes stay clear, so that packetizers and the SFU can read them
/// (DAVE protocol, "Codec Handling").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Codec {
    /// Audio: everything is encrypted.
    Opus,
    /// Video.
    Vp8,
    /// Video: everything is encrypted.
    Vp9,
    /// Video.
    H264,
    /// Video.
    H265,
    /// Video.
    Av1,
    /// Anything else: everything is encrypted.
    Unknown,
}

/// What kind of media a frame is: silence frames pass for audio only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Media {
    /// Opus.
    Audio,
    /// Any video codec.
    Video,
}

/// What is to stay clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clear {
    /// The first bytes of the frame as it is.
    Prefix(usize),
    /// What the [`Layout`] says.
    Scattered,
}

impl Codec {
    /// Finds what stays clear. The layout is written only when it is needed. A frame that is not what it should be is
    /// encrypted as a whole.
    pub(crate) fn clear(self, frame: &[u8], layout: &mut Layout) -> Clear {
        match self {
            Codec::Opus | Codec::Vp9 | Codec::Unknown => return Clear::Prefix(0),
            Codec::Vp8 => return Clear::Prefix(vp8::clear_len(frame)),
            Codec::H264 | Codec::H265 | Codec::Av1 => {}
        }
        layout.media.clear();
        layout.ranges.clear();
        let understood = match self {
            Codec::H264 => h26x::lay_out(h26x::Kind::H264, frame, layout),
            Codec::H265 => h26x::lay_out(h26x::Kind::H265, frame, layout),
            _ => av1::lay_out(frame, layout),
        };
        if understood.is_none() {
            layout.media.clear();
            layout.ranges.clear();
            layout.encrypted(frame);
        }
        Clear::Scattered
    }

    /// Whether the packetizer looks for start codes, which encryption must not make.
    pub(crate) fn has_start_codes(self) -> bool {
        matches!(self, Codec::H264 | Codec::H265)
    }

    /// The most that a frame of `len` bytes can become.
    pub(crate) fn max_len(self, len: usize) -> usize {
        let growth = match self {
            Codec::Opus | Codec::Vp9 | Codec::Unknown => PLAIN_TRAILER_LEN,
            // One range, whose offset and size take a byte each.
            Codec::Vp8 => PLAIN_TRAILER_LEN + 2,
            // Start codes of 3 bytes, with at least one behind each, become longer by one.
            Codec::H264 | Codec::H265 => MAX_TRAILER_LEN + len / 4,
            Codec::Av1 => MAX_TRAILER_LEN,
        };
        len.saturating_add(growth)
    }
}

/// A frame as it is going to be sent, before encryption: it may have been rewritten for the packetizer's sake.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// The frame.
    pub media: Vec<u8>,
    /// Which parts of it stay clear, in order, without empty ones and with something between them.
    pub ranges: Vec<Range<usize>>,
}

impl Layout {
    /// Of a frame with this codec.
    pub fn new(codec: Codec, frame: &[u8]) -> Self {
        let mut layout = Self::default();
        if let Clear::Prefix(len) = codec.clear(frame, &mut layout) {
            let (clear, encrypted) = frame.split_at(len.min(frame.len()));
            layout.clear(clear);
            layout.encrypted(encrypted);
        }
        layout
    }

    fn clear(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let start = self.media.len();
        self.media.extend_from_slice(bytes);
        let end = self.media.len();
        match self.ranges.last_mut() {
            Some(last) if last.end == start => last.end = end,
            _ => self.ranges.push(start..end),
        }
    }

    fn encrypted(&mut self, bytes: &[u8]) {
        self.media.extend_from_slice(bytes);
    }
}
