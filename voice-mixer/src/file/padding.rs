//! What a Matroska file wants cut off its end: symphonia reads the element but does not tell.

use std::io::{self, BufRead, BufReader, Read, Seek};

// Element ids (RFC 9559, section 5.1).
const EBML: u32 = 0x1A45_DFA3;
const SEGMENT: u32 = 0x1853_8067;
const CLUSTER: u32 = 0x1F43_B675;
const SIMPLE_BLOCK: u32 = 0xA3;
const BLOCK_GROUP: u32 = 0xA0;
const DISCARD_PADDING: u32 = 0x75A2;

/// More elements at one level than any sane file has; it would be somebody's trap.
const MAX_ELEMENTS: usize = 1_000_000;

/// DiscardPadding of the last block, in nanoseconds (RFC 9559, section 5.1.3.5.7); `None` when there is none, when the
/// file has no lengths to find it by (a live stream), or when it is no Matroska.
pub(super) fn padding(media: impl Read + Seek) -> Option<u64> {
    let mut reader = BufReader::new(media);
    find(&mut reader).ok().flatten()
}

fn find(reader: &mut BufReader<impl Read + Seek>) -> io::Result<Option<u64>> {
    let Some((EBML, length)) = element(reader)? else { return Ok(None) };
    skip(reader, length)?;
    let Some((SEGMENT, length)) = element(reader)? else { return Ok(None) };
    let Some(cluster) = last(reader, length, &[CLUSTER])? else { return Ok(None) };
    let Some(block) = last(reader, cluster.length, &[SIMPLE_BLOCK, BLOCK_GROUP])? else { return Ok(None) };
    if block.id != BLOCK_GROUP {
        return Ok(None);
    }
    match last(reader, block.length, &[DISCARD_PADDING])? {
        Some(padding) if (1..=8).contains(&padding.length) => {
            // A signed number; a negative one would be cut off the block's beginning.
            let value = number(reader, padding.length, 0)?;
            Ok(Some(value).filter(|value| value >> (8 * padding.length - 1) == 0))
        }
        _ => Ok(None),
    }
}

struct Element {
    id: u32,
    length: u64,
}

/// Goes to the content of the last of the children with one of these ids, within the next `length` bytes.
fn last(reader: &mut BufReader<impl Read + Seek>, length: u64, ids: &[u32]) -> io::Result<Option<Element>> {
    let end = reader.stream_position()?.saturating_add(length);
    let mut at = reader.stream_position()?;
    let mut found = None;
    for _ in 0..MAX_ELEMENTS {
        if at >= end {
            break;
        }
        let Some((id, length)) = element(reader)? else { break };
        let content = reader.stream_position()?;
        if ids.contains(&id) {
            found = Some((content, Element { id, length }));
        }
        skip(reader, length)?;
        at = content.saturating_add(length);
    }
    let Some((content, element)) = found else { return Ok(None) };
    reader.seek(io::SeekFrom::Start(content))?;
    Ok(Some(element))
}

/// Id and length of the next element (RFC 8794, sections 5 and 6); `None` at the end.
fn element(reader: &mut BufReader<impl Read + Seek>) -> io::Result<Option<(u32, u64)>> {
    let Some(&first) = reader.fill_buf()?.first() else { return Ok(None) };
    let bytes = u64::from(first.leading_zeros()) + 1;
    if bytes > 4 {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let id = number(reader, bytes, 0)? as u32;
    let mut first = [0];
    reader.read_exact(&mut first)?;
    let bytes = first[0].leading_zeros() + 1;
    if bytes > 8 {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let length = number(reader, u64::from(bytes) - 1, u64::from(first[0]) & (0xFF >> bytes))?;
    // All ones: the length is unknown.
    let unknown = length == (1 << (7 * bytes)) - 1;
    if unknown { Err(io::ErrorKind::InvalidData.into()) } else { Ok(Some((id, length))) }
}

/// A big-endian number of so many bytes, behind those in `head`.
fn number(reader: &mut impl Read, bytes: u64, head: u64) -> io::Result<u64> {
    let mut buffer = [0; 8];
    let buffer = &mut buffer[..bytes.min(8) as usize];
    reader.read_exact(buffer)?;
    Ok(buffer.iter().fold(head, |value, byte| value << 8 | u64::from(*byte)))
}

fn skip(reader: &mut BufReader<impl Read + Seek>, length: u64) -> io::Result<()> {
    let length = i64::try_from(length).map_err(|_| io::ErrorKind::InvalidData)?;
    reader.seek_relative(length)
}
