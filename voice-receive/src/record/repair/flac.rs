use std::io::{self, SeekFrom};

use super::{Ahead, RepairError, Repaired, Whole, length, read_at};
use crate::record::flac::{BLOCK, CRC_8, CRC_16, HEADER, header};

/// Room for the longest frame, which is hardly longer than its samples, and the header behind it.
const LONGEST: usize = 2 * 4 * BLOCK;
/// Bytes of the shortest frame: no more frames than those fit into what is damaged.
const SHORTEST: u64 = 10;
/// Bytes of the longest header of a frame.
const FRAME_HEADER: usize = 16;

/// What the header of a frame says.
struct Frame {
    number: u64,
    samples: u64,
}

/// Finishes a FLAC file: the header says how long it is, a torn frame at the end goes.
///
/// Damage in the middle stays where it is: players go on at the next frame, whose number tells them the time.
///
/// # Errors
///
/// [`RepairError`].
pub fn flac(file: &mut impl Whole) -> Result<Repaired, RepairError> {
    let whole = length(file)?;
    let mut head = [0; HEADER];
    if read_at(file, 0, &mut head)? < HEADER {
        return Err(RepairError::Empty("FLAC"));
    }
    if !is_ours(&head) {
        return Err(RepairError::Foreign("FLAC"));
    }
    let (mut at, mut samples, mut number, mut torn) = (HEADER as u64, 0, 0, 0);
    // Room for a frame behind as many bytes that are none.
    let mut ahead = Ahead::new(2 * LONGEST);
    while let Some(found) = next(file, at, number, &mut ahead)? {
        torn += found.at - at;
        at = found.at + found.len as u64;
        samples = found.frame.number * BLOCK as u64 + found.frame.samples;
        number = found.frame.number + 1;
    }
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&header(samples))?;
    file.flush()?;
    Ok(Repaired { samples, bytes: at, torn: torn + whole - at })
}

/// Whether a recorder wrote this header: all of it is fixed but the 36 bits of the length.
fn is_ours(head: &[u8]) -> bool {
    let ours = header(0);
    head[..21] == ours[..21] && head[21] & 0xF0 == ours[21] && head[26..] == ours[26..]
}

/// A frame that is whole, and where.
struct Found {
    at: u64,
    len: usize,
    frame: Frame,
}

/// The next whole frame of this number, or of a later one behind damage.
fn next(file: &mut impl Whole, from: u64, number: u64, ahead: &mut Ahead) -> io::Result<Option<Found>> {
    let mut at = from;
    loop {
        let (bytes, is_end) = ahead.at(file, at)?;
        let last = if is_end { bytes.len() } else { bytes.len() - LONGEST };
        for (skipped, _) in bytes.windows(2).take(last).enumerate().filter(|(_, pair)| *pair == [0xFF, 0xF8]) {
            let most = number + (at - from + skipped as u64) / SHORTEST;
            let frame = Frame::parse(&bytes[skipped..]).filter(|frame| (number..=most).contains(&frame.number));
            if let Some(frame) = frame
                && let Some(len) = end(&bytes[skipped..], frame.number, is_end)
            {
                return Ok(Some(Found { at: at + skipped as u64, len, frame }));
            }
        }
        if is_end {
            return Ok(None);
        }
        at += last as u64;
    }
}

/// How long the frame is that `bytes` begin with: up to the next one, or up to the end of the file.
fn end(bytes: &[u8], number: u64, is_end: bool) -> Option<usize> {
    let (bytes, is_end) = (&bytes[..bytes.len().min(LONGEST)], is_end && bytes.len() <= LONGEST);
    let is_whole = |len: usize| {
        let (frame, sum) = bytes[..len].split_at(len - 2);
        CRC_16.checksum(frame).to_be_bytes() == sum
    };
    let next = (8..bytes.len().saturating_sub(1)).find(|&at| {
        bytes[at..].starts_with(&[0xFF, 0xF8])
            && Frame::parse(&bytes[at..]).is_some_and(|frame| frame.number == number + 1)
            && is_whole(at)
    });
    next.or_else(|| Some(bytes.len()).filter(|&len| is_end && len > 8 && is_whole(len)))
}

impl Frame {
    /// The header of a frame of as many samples as its number says (RFC 9639, section 9.1).
    fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..FRAME_HEADER.min(bytes.len())).filter(|bytes| bytes.starts_with(&[0xFF, 0xF8]))?;
        let size = *bytes.get(2)? >> 4;
        let rate = *bytes.get(2)? & 15;
        // Number of the frame, as UTF-8 has its code points.
        let first = *bytes.get(4)?;
        let more = first.leading_ones().saturating_sub(1) as usize;
        let mut number = if more == 0 { u64::from(first) } else { u64::from(first) & (0x3F >> more) };
        for byte in bytes.get(5..5 + more)? {
            number = number << 6 | u64::from(byte & 0x3F);
        }
        let mut at = 5 + more;
        let samples = match size {
            2..=5 => 144 << size,
            6 => {
                at += 1;
                u64::from(*bytes.get(at - 1)?) + 1
            }
            7 => {
                at += 2;
                u64::from(u16::from_be_bytes([*bytes.get(at - 2)?, *bytes.get(at - 1)?])) + 1
            }
            8..=15 => 1 << size,
            1 => 192,
            _ => return None,
        };
        at += match rate {
            12 => 1,
            13 | 14 => 2,
            _ => 0,
        };
        let sum = *bytes.get(at)?;
        (CRC_8.checksum(&bytes[..at]) == sum).then_some(Self { number, samples })
    }
}
