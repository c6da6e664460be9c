//! The parts that frames are made of, for testers, fuzzers and servers; media needs [`Sealer`](crate::Sealer) and
//! [`Opener`](crate::Opener) only. Both directions of everything that travels.

use std::ops::Range;

pub use crate::codec::Layout;
pub use crate::frame::{
    MARKER, MAX_ULEB128_LEN, MIN_TRAILER_LEN, OpenKey, Ranges, SealKey, TAG_LEN, Trailer, read_uleb128, uleb128_len,
    write_uleb128,
};
pub use crate::ratchet::{
    GENERATION_SHIFT, MAX_FRAMES_PER_SECOND, MAX_GENERATION_GAP, RETENTION, Ratchet, big_nonce, unwrap_generation,
};
pub use crate::replay::{MAX_MISSING, ReplayWindow};
pub use crate::seal::MAX_ATTEMPTS;

use crate::frame::{Interleaved, open_in_place, write_trailer};

impl SealKey {
    /// The sealed frame of this media, of which the ranges stay clear.
    ///
    /// `None` when the ranges are not in order or not in the media, or too many for the trailer's 255 bytes.
    pub fn seal_frame(&self, nonce: u32, media: &[u8], ranges: &[Range<usize>]) -> Option<Vec<u8>> {
        let mut end = 0;
        for range in ranges {
            if range.start < end || range.end < range.start || range.end > media.len() {
                return None;
            }
            end = range.end;
        }
        let mut parts = Interleaved::default();
        parts.take_plain(media, ranges);
        let mut frame = media.to_vec();
        let tag = parts.seal(self, nonce, &mut frame, ranges).ok()?;
        frame.resize(media.len() + usize::from(u8::MAX), 0);
        let len = write_trailer(&mut frame, media.len(), tag, nonce, ranges)?;
        frame.truncate(len);
        Some(frame)
    }
}

impl OpenKey {
    /// Opens a sealed frame in place, whatever its nonce; returns the length of the media.
    ///
    /// `None`: not sealed, or not with this key. The frame is as it was then.
    pub fn open_frame(&self, frame: &mut [u8]) -> Option<usize> {
        let trailer = Trailer::read(frame)?;
        open_in_place(self, &trailer, frame, &mut Vec::new(), true).then_some(trailer.media_len)
    }
}
