//! What an MP4 file wants cut off its beginning and end: an encoder's priming and padding. symphonia reads edit lists but
//! does not apply them.

use std::io::{self, BufReader, Read, Seek, SeekFrom};

/// Boxes at one level beyond these are somebody's trap.
const MAX_BOXES: usize = 100_000;

/// The part of a track that is audio, in its own frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Priming {
    /// The first frame of it.
    pub(super) first: u64,
    /// The frame after its last.
    pub(super) end: u64,
}

impl Priming {
    fn new(first: u64, end: u64) -> Option<Self> {
        (first < end).then_some(Self { first, end })
    }

    /// From an `iTunSMPB` comment: hexadecimal numbers, of which the second is the priming, the third the padding and the
    /// fourth the audio between them, all in frames.
    pub(super) fn parse(comment: &str) -> Option<Self> {
        let mut words = comment.split_ascii_whitespace().map(|word| u64::from_str_radix(word, 16).ok());
        let first = words.nth(1)??;
        let frames = words.nth(1)??;
        Self::new(first, first.checked_add(frames)?)
    }
}

/// What the edit list of the track with this id lets through (ISO/IEC 14496-12, section 8.6.6); `None` when it has none, or
/// one of several pieces.
pub(super) fn priming(media: impl Read + Seek, track: u32) -> Option<Priming> {
    find(&mut BufReader::new(media), track).ok().flatten()
}

fn find(reader: &mut (impl Read + Seek), track: u32) -> io::Result<Option<Priming>> {
    let end = reader.seek(SeekFrom::End(0))?;
    let Some(moov) = child(reader, (0, end), b"moov")? else { return Ok(None) };
    let Some(mvhd) = child(reader, moov, b"mvhd")? else { return Ok(None) };
    let (movie_scale, _) = scale_and_length(reader, mvhd)?;
    let mut from = moov.0;
    while let Some(trak) = child(reader, (from, moov.1), b"trak")? {
        from = trak.1;
        let Some(tkhd) = child(reader, trak, b"tkhd")? else { continue };
        if track_id(reader, tkhd)? == track {
            return edit(reader, trak, movie_scale);
        }
    }
    Ok(None)
}

/// Reads the one edit of a track.
fn edit(reader: &mut (impl Read + Seek), trak: Range, movie_scale: u64) -> io::Result<Option<Priming>> {
    let Some(mdia) = child(reader, trak, b"mdia")? else { return Ok(None) };
    let Some(mdhd) = child(reader, mdia, b"mdhd")? else { return Ok(None) };
    let (scale, length) = scale_and_length(reader, mdhd)?;
    let Some(edts) = child(reader, trak, b"edts")? else { return Ok(None) };
    let Some(elst) = child(reader, edts, b"elst")? else { return Ok(None) };
    let version = version(reader, elst)?;
    let count = number(reader, 4)?;
    let mut found = None;
    for _ in 0..count.min(2) {
        let wide = if version == 1 { 8 } else { 4 };
        let (duration, start) = (number(reader, wide)?, number(reader, wide)?);
        let rate = number(reader, 4)?;
        // An empty edit only delays the track against others.
        if start == u64::MAX >> (64 - 8 * wide) {
            continue;
        }
        if found.is_some() || rate != 1 << 16 {
            return Ok(None);
        }
        found = Some((start, duration));
    }
    let Some((start, duration)) = found.filter(|_| count <= 2) else { return Ok(None) };
    // Movie time is coarser than frames, so the edit's end is known to a tick of it; the track's own length is exact.
    let end = match (duration + 1).checked_mul(scale).and_then(|ticks| ticks.checked_div(movie_scale)) {
        Some(frames) if duration > 0 => start.saturating_add(frames),
        _ => u64::MAX,
    };
    Ok(Priming::new(start, if length > start { end.min(length) } else { end }))
}

/// Where the content of a box begins and ends.
type Range = (u64, u64);

/// The first box of this kind.
fn child(reader: &mut (impl Read + Seek), (mut at, end): Range, kind: &[u8; 4]) -> io::Result<Option<Range>> {
    for _ in 0..MAX_BOXES {
        if at.saturating_add(8) > end {
            return Ok(None);
        }
        reader.seek(SeekFrom::Start(at))?;
        let size = number(reader, 4)?;
        let mut found = [0; 4];
        reader.read_exact(&mut found)?;
        let (header, size) = match size {
            0 => (8, end - at),
            1 => (16, number(reader, 8)?),
            size => (8, size),
        };
        let after = at.saturating_add(size);
        if size < header || after > end {
            return Ok(None);
        }
        if found == *kind {
            return Ok(Some((at + header, after)));
        }
        at = after;
    }
    Ok(None)
}

/// Goes to what follows the version and the flags of a box.
fn version(reader: &mut (impl Read + Seek), (at, _): Range) -> io::Result<u64> {
    reader.seek(SeekFrom::Start(at))?;
    Ok(number(reader, 4)? >> 24)
}

/// Ticks per second and length of a movie or media header.
fn scale_and_length(reader: &mut (impl Read + Seek), header: Range) -> io::Result<(u64, u64)> {
    let wide = if version(reader, header)? == 1 { 8 } else { 4 };
    number(reader, 2 * wide)?;
    Ok((number(reader, 4)?, number(reader, wide)?))
}

fn track_id(reader: &mut (impl Read + Seek), header: Range) -> io::Result<u32> {
    let wide = if version(reader, header)? == 1 { 8 } else { 4 };
    number(reader, 2 * wide)?;
    Ok(number(reader, 4)? as u32)
}

/// A big-endian number of so many bytes; of more than 8, the last 8.
fn number(reader: &mut impl Read, bytes: u64) -> io::Result<u64> {
    let mut buffer = [0; 16];
    let buffer = &mut buffer[..bytes.min(16) as usize];
    reader.read_exact(buffer)?;
    Ok(buffer.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::{Priming, priming};

    fn boxed(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
        let mut bytes = (content.len() as u32 + 8).to_be_bytes().to_vec();
        bytes.extend_from_slice(kind);
        bytes.extend_from_slice(content);
        bytes
    }

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    /// A film of 1,000 ticks a second with track 7 of 45,124 frames at 44.1 kHz and these edits.
    fn film(edits: &[u32]) -> Vec<u8> {
        let mdhd = boxed(b"mdhd", &words(&[0, 0, 0, 44_100, 45_124]));
        let elst = boxed(b"edts", &boxed(b"elst", &words(edits)));
        let tkhd = boxed(b"tkhd", &words(&[0, 0, 0, 7]));
        let other = boxed(b"trak", &boxed(b"tkhd", &words(&[0, 0, 0, 6])));
        let trak = boxed(b"trak", &[tkhd, elst, boxed(b"mdia", &mdhd)].concat());
        let mvhd = boxed(b"mvhd", &words(&[0, 0, 0, 1_000, 1_000]));
        [boxed(b"ftyp", b"M4A "), boxed(b"mdat", &[0; 100]), boxed(b"moov", &[mvhd, other, trak].concat())].concat()
    }

    #[test]
    fn edit_lists_of_one_piece_are_read() {
        let read = |edits: &[u32]| priming(Cursor::new(film(edits)), 7).map(|priming| (priming.first, priming.end));
        assert_eq!(read(&[0, 1, 1_000, 1_024, 1 << 16]), Some((1_024, 45_124)));
        assert_eq!(read(&[0, 1, 500, 1_024, 1 << 16]), Some((1_024, 1_024 + 22_094)), "to a tick");
        assert_eq!(read(&[0, 1, 0, 2_112, 1 << 16]), Some((2_112, 45_124)), "a fragmented film has no length");
        assert_eq!(read(&[0, 2, 30, u32::MAX, 1 << 16, 1_000, 1_024, 1 << 16]), Some((1_024, 45_124)), "an empty edit");
        let wide = [1 << 24, 1, 0, 1_000, 0, 1_024, 1 << 16];
        assert_eq!(read(&wide), Some((1_024, 45_124)));
        assert_eq!(read(&[0, 2, 500, 0, 1 << 16, 500, 30_000, 1 << 16]), None, "two pieces");
        assert_eq!(read(&[0, 1, 1_000, 1_024, 2 << 16]), None, "double speed");
        assert_eq!(read(&[0, 9, 1_000, 1_024, 1 << 16]), None);
        assert_eq!(read(&[0, 1, 1_000]), None, "cut short");
        assert_eq!(priming(Cursor::new(film(&[0, 1, 1_000, 1_024, 1 << 16])), 8), None, "another track");
    }

    #[test]
    fn damaged_films_have_no_edits() {
        let film = film(&[0, 1, 1_000, 1_024, 1 << 16]);
        for cut in 0..film.len() {
            assert_eq!(priming(Cursor::new(&film[..cut]), 7), None, "{cut} bytes");
        }
        for place in 0..film.len() {
            let mut damaged = film.clone();
            damaged[place] = 0xFF;
            let _ = priming(Cursor::new(damaged), 7);
        }
    }

    #[test]
    fn itunes_comments_are_read() {
        let comment = " 00000000 00000840 000001CA 00000000003F31F6 00000000 00000000 00000000 00000000";
        assert_eq!(Priming::parse(comment), Some(Priming { first: 0x840, end: 0x840 + 0x3F31F6 }));
        for bad in ["", "0 840", "0 840 1CA", "0 840 1CA 0", "0 zz 1 2", "0 FFFFFFFFFFFFFFFF 0 FFFFFFFFFFFFFFFF"] {
            assert_eq!(Priming::parse(bad), None, "{bad}");
        }
    }
}
