use std::ops::Range;

use super::cipher::BLOCK_LEN;
use super::{OpenKey, Ranges, Refused, SealKey, TAG_LEN, Trailer};

/// The parts of a frame that has clear ranges: clear bytes joined, encrypted ones joined (DAVE protocol, "Interleaved protocol
/// media frame"). Kept and used again: it grows to the largest frame.
#[derive(Default)]
pub(crate) struct Interleaved {
    clear: Vec<u8>,
    text: Vec<u8>,
    sealed: Vec<u8>,
}

impl Interleaved {
    /// Takes a frame apart that is to be sealed.
    pub(crate) fn take_plain(&mut self, media: &[u8], ranges: &[Range<usize>]) {
        self.clear.clear();
        join_clear(media, ranges.iter().cloned(), &mut self.clear);
        self.text.clear();
        join_encrypted(media, ranges.iter().cloned(), &mut self.text);
        self.sealed.resize(self.text.len(), 0);
    }

    /// Seals what was taken into the same places of `media`. Can be done again, with another nonce.
    pub(crate) fn seal(
        &mut self,
        key: &SealKey,
        nonce: u32,
        media: &mut [u8],
        ranges: &[Range<usize>],
    ) -> Result<[u8; TAG_LEN], Refused> {
        let tag = key.seal_into(nonce, &self.clear, &self.text, &mut self.sealed)?;
        put_back(&self.sealed, media, ranges.iter().cloned());
        Ok(tag)
    }
}

/// Opens the frame that the trailer was read from, when it is authentic; else it stays as it is. With `release` its media become
/// plain. `scratch` is for frames with clear ranges, and grows to the largest.
pub(crate) fn open_in_place(
    key: &OpenKey,
    trailer: &Trailer,
    frame: &mut [u8],
    scratch: &mut Vec<u8>,
    release: bool,
) -> bool {
    let nonce = trailer.nonce;
    let (media, ranges) = trailer.split(frame);
    if ranges.is_empty() {
        let authentic = key.is_authentic(nonce, 0, media, trailer.tag);
        if authentic && release {
            key.decrypt(nonce, media);
        }
        return authentic;
    }
    let (clear_len, padded_len) = pad(media, ranges, scratch);
    let authentic = key.is_authentic(nonce, clear_len, scratch, trailer.tag);
    if authentic && release {
        let text = scratch.get_mut(padded_len..).unwrap_or_default();
        key.decrypt(nonce, text);
        put_back(text, media, ranges);
    }
    authentic
}

/// Clear bytes joined, filled up with zeros to whole blocks, and encrypted ones joined behind them. Returns both lengths of the
/// clear part.
fn pad(media: &[u8], ranges: Ranges<'_>, out: &mut Vec<u8>) -> (usize, usize) {
    out.clear();
    join_clear(media, ranges, out);
    let clear_len = out.len();
    let padded_len = clear_len.next_multiple_of(BLOCK_LEN);
    out.resize(padded_len, 0);
    join_encrypted(media, ranges, out);
    (clear_len, padded_len)
}

fn join_clear(media: &[u8], ranges: impl Iterator<Item = Range<usize>>, out: &mut Vec<u8>) {
    ranges.for_each(|range| out.extend_from_slice(media.get(range).unwrap_or_default()));
}

fn join_encrypted(media: &[u8], ranges: impl Iterator<Item = Range<usize>>, out: &mut Vec<u8>) {
    let mut at = 0;
    for range in ranges {
        out.extend_from_slice(media.get(at..range.start).unwrap_or_default());
        at = range.end;
    }
    out.extend_from_slice(media.get(at..).unwrap_or_default());
}

/// Puts joined encrypted bytes where they belong.
fn put_back(mut from: &[u8], media: &mut [u8], ranges: impl Iterator<Item = Range<usize>>) {
    let mut at = 0;
    let end = media.len();
    for range in ranges.chain(std::iter::once(end..end)) {
        let gap = media.get_mut(at..range.start).unwrap_or_default();
        let (part, rest) = from.split_at(gap.len().min(from.len()));
        if let Some(gap) = gap.get_mut(..part.len()) {
            gap.copy_from_slice(part);
        }
        from = rest;
        at = range.end;
    }
}
