use std::ops::Range;

mod cipher;
mod interleaved;
mod uleb128;

pub(crate) use cipher::Refused;
pub use cipher::{OpenKey, SealKey};
pub(crate) use interleaved::{Interleaved, open_in_place};
pub use uleb128::{MAX_ULEB128_LEN, read_uleb128, uleb128_len, write_uleb128};

/// Bytes of a tag: half of one of AES-GCM (DAVE protocol, "Truncated authentication tag").
pub const TAG_LEN: usize = 8;

/// The end of each sealed frame (DAVE protocol, "Magic Marker").
pub const MARKER: [u8; 2] = [0xFA, 0xFA];

/// Bytes of a trailer without its nonce and ranges: tag, size and marker.
pub const MIN_TRAILER_LEN: usize = TAG_LEN + 1 + MARKER.len();

/// The size of a trailer is a byte.
pub(crate) const MAX_TRAILER_LEN: usize = u8::MAX as usize;

/// The most bytes of a trailer without ranges.
pub(crate) const PLAIN_TRAILER_LEN: usize = MIN_TRAILER_LEN + uleb128_len(u32::MAX as u64);

/// What follows the media of a sealed frame: tag, nonce, clear ranges, size, marker (DAVE protocol, "Payload Format").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trailer {
    /// The authentication tag.
    pub tag: [u8; TAG_LEN],
    /// The nonce; one of more than 32 bits is cut, as other implementations do.
    pub nonce: u32,
    /// Bytes of media before it.
    pub media_len: usize,
    ranges: (usize, usize),
}

impl Trailer {
    /// The protocol frame check: `None` for a frame that is not sealed. Ranges must be in order and within the media; empty
    /// ones are allowed.
    pub fn read(frame: &[u8]) -> Option<Self> {
        let (rest, &marker) = frame.split_last_chunk()?;
        if marker != MARKER {
            return None;
        }
        let (&size, rest) = rest.split_last()?;
        let media_len = frame.len().checked_sub(usize::from(size))?;
        let (&tag, fields) = rest.get(media_len..)?.split_first_chunk()?;
        let (nonce, nonce_len) = read_uleb128(fields)?;
        let ranges = (media_len + TAG_LEN + nonce_len, rest.len());

        let mut bytes = fields.get(nonce_len..)?;
        let mut end = 0;
        while !bytes.is_empty() {
            let range = read_range(&mut bytes)?;
            if range.start < end || range.end > media_len as u64 {
                return None;
            }
            end = range.end;
        }
        Some(Self { tag, nonce: nonce as u32, media_len, ranges })
    }

    /// The clear ranges of the frame that this trailer was read from.
    pub fn ranges<'a>(&self, frame: &'a [u8]) -> Ranges<'a> {
        Ranges(frame.get(self.ranges.0..self.ranges.1).unwrap_or_default())
    }

    /// The media, and the clear ranges, of the frame that this trailer was read from.
    pub(crate) fn split<'a>(&self, frame: &'a mut [u8]) -> (&'a mut [u8], Ranges<'a>) {
        let (media, trailer) = frame.split_at_mut(self.media_len.min(frame.len()));
        let at = |offset: usize| offset.saturating_sub(self.media_len);
        (media, Ranges(trailer.get(at(self.ranges.0)..at(self.ranges.1)).unwrap_or_default()))
    }
}

/// Ranges of a frame, in order: offsets in its media.
#[derive(Clone, Copy, Debug)]
pub struct Ranges<'a>(&'a [u8]);

impl Iterator for Ranges<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        read_range(&mut self.0).map(|range| range.start as usize..range.end as usize)
    }
}

impl Ranges<'_> {
    /// Whether everything is encrypted.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn read_range(bytes: &mut &[u8]) -> Option<Range<u64>> {
    let (offset, offset_len) = read_uleb128(bytes)?;
    let (size, size_len) = read_uleb128(bytes.get(offset_len..)?)?;
    *bytes = bytes.get(offset_len + size_len..)?;
    Some(offset..offset.checked_add(size)?)
}

/// Writes the trailer behind the media; returns the length of the frame.
///
/// `None`: it has no room, or its size does not fit into a byte.
pub(crate) fn write_trailer(
    frame: &mut [u8],
    media_len: usize,
    tag: [u8; TAG_LEN],
    nonce: u32,
    ranges: &[Range<usize>],
) -> Option<usize> {
    let out = frame.get_mut(media_len..)?;
    let out_len = out.len().min(MAX_TRAILER_LEN);
    let (tag_out, mut out) = out.get_mut(..out_len)?.split_first_chunk_mut()?;
    *tag_out = tag;
    let mut size = MIN_TRAILER_LEN;
    let mut number = |value: u64| {
        let len = write_uleb128(value, out)?;
        out = std::mem::take(&mut out).get_mut(len..)?;
        size += len;
        Some(())
    };
    number(nonce.into())?;
    for range in ranges {
        number(range.start as u64)?;
        number((range.end - range.start) as u64)?;
    }
    let [size_out, marker @ ..] = out.first_chunk_mut::<{ 1 + MARKER.len() }>()?;
    *size_out = size as u8;
    *marker = MARKER;
    Some(media_len + size)
}

/// As [`write_trailer`], of a frame that has no clear ranges; much used, hence on its own.
pub(crate) fn write_plain_trailer(frame: &mut [u8], media_len: usize, tag: [u8; TAG_LEN], nonce: u32) -> Option<usize> {
    let out = frame.get_mut(media_len..)?.first_chunk_mut::<PLAIN_TRAILER_LEN>()?;
    // All that follows the tag fits into one word: up to 5 bytes of nonce, size, marker.
    let (mut word, mut shift, mut rest) = (0, 0, u64::from(nonce));
    while rest >= 0x80 {
        word |= (rest & 0x7F | 0x80) << shift;
        rest >>= 7;
        shift += 8;
    }
    let size = MIN_TRAILER_LEN + 1 + shift / 8;
    let [first, second] = MARKER.map(u64::from);
    word |= (rest | (size as u64) << 8 | first << 16 | second << 24) << shift;
    let (tag_out, rest_out) = out.split_first_chunk_mut()?;
    *tag_out = tag;
    rest_out.copy_from_slice(&word.to_le_bytes());
    Some(media_len + size)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{PLAIN_TRAILER_LEN, Trailer, write_plain_trailer, write_trailer};

    proptest! {
        #[test]
        fn a_plain_trailer_is_one_without_ranges(media_len in 0_usize..40, tag: [u8; 8], nonce: u32, shift in 0_u32..32) {
            let nonce = nonce >> shift;
            let mut frame = vec![0x11; media_len + PLAIN_TRAILER_LEN];
            let mut other = frame.clone();
            let len = write_plain_trailer(&mut frame, media_len, tag, nonce);
            prop_assert_eq!(len, write_trailer(&mut other, media_len, tag, nonce, &[]));
            let len = len.expect("room");
            prop_assert_eq!(&frame[..len], &other[..len]);
            let trailer = Trailer::read(&frame[..len]).expect("a sealed frame");
            prop_assert_eq!((trailer.tag, trailer.nonce, trailer.media_len), (tag, nonce, media_len));
            frame.pop();
            prop_assert_eq!(write_plain_trailer(&mut frame, media_len, tag, nonce), None);
        }

        #[test]
        fn what_is_written_is_read(
            gaps in prop::collection::vec((0_usize..40, 1_usize..200), 0..40), after in 0_usize..50, tag: [u8; 8], nonce: u32,
        ) {
            let mut media_len = 0;
            let mut ranges = Vec::new();
            for (gap, len) in gaps {
                ranges.push(media_len + gap..media_len + gap + len);
                media_len += gap + len;
            }
            media_len += after;
            let mut frame = vec![0; media_len + 300];
            match write_trailer(&mut frame, media_len, tag, nonce, &ranges) {
                None => prop_assert!(ranges.len() > 20, "{} ranges do not fit", ranges.len()),
                Some(len) => {
                    frame.truncate(len);
                    let trailer = Trailer::read(&frame).expect("a sealed frame");
                    prop_assert_eq!((trailer.tag, trailer.nonce, trailer.media_len), (tag, nonce, media_len));
                    prop_assert_eq!(trailer.ranges(&frame).collect::<Vec<_>>(), ranges.clone());
                    let (media, same) = trailer.split(&mut frame);
                    prop_assert_eq!((media.len(), same.collect::<Vec<_>>()), (media_len, ranges));
                }
            }
        }
    }
}
