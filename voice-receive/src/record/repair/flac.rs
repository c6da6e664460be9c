use std::io::SeekFrom;

use super::{RepairError, Repaired, Whole, length, read_at};
use crate::record::flac::{BLOCK, HEADER, header};

/// Checksums of a frame's header and of a frame (RFC 9639, sections 9.1.8 and 9.3).
const CRC_8: crc::Crc<u8> = crc::Crc::<u8>::new(&crc::CRC_8_SMBUS);
const CRC_16: crc::Crc<u16> = crc::Crc::<u16>::new(&crc::CRC_16_UMTS);
/// Room for the longest frame, which is hardly longer than its samples, and the header behind it.
const LONGEST: usize = 2 * 4 * BLOCK;
/// Bytes of the longest header of a frame.
const FRAME_HEADER: usize = 16;

/// What the header of a frame says.
struct Frame {
    number: u64,
    samples: u64,
}

/// Finishes a FLAC file: a torn frame goes, the header says how long it is.
///
/// # Errors
///
/// [`RepairError`].
pub fn flac(file: &mut impl Whole) -> Result<Repaired, RepairError> {
    let whole = length(file)?;
    let mut buffer = vec![0; LONGEST];
    let len = read_at(file, 0, &mut buffer[..HEADER])?;
    if len < HEADER {
        return Err(RepairError::Empty("FLAC"));
    }
    if buffer[..18] != header(0)[..18] {
        return Err(RepairError::Foreign("FLAC"));
    }
    let (mut at, mut samples, mut number) = (HEADER as u64, 0, 0);
    loop {
        let len = read_at(file, at, &mut buffer)?;
        let bytes = &buffer[..len];
        let Some(frame) = Frame::parse(bytes).filter(|frame| frame.number == number) else { break };
        let Some(len) = end(bytes, number) else { break };
        at += len as u64;
        samples += frame.samples;
        number += 1;
    }
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&header(samples))?;
    file.flush()?;
    Ok(Repaired { samples, bytes: at, torn: whole - at })
}

/// How long the frame is that `bytes` begin with: up to the next one, or up to the end of the file.
fn end(bytes: &[u8], number: u64) -> Option<usize> {
    let is_whole = |len: usize| {
        let (frame, sum) = bytes[..len].split_at(len - 2);
        CRC_16.checksum(frame).to_be_bytes() == sum
    };
    let next = (8..bytes.len().saturating_sub(1)).find(|&at| {
        bytes[at..].starts_with(&[0xFF, 0xF8])
            && Frame::parse(&bytes[at..]).is_some_and(|frame| frame.number == number + 1)
            && is_whole(at)
    });
    next.or_else(|| Some(bytes.len()).filter(|&len| len > 8 && len < LONGEST && is_whole(len)))
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
