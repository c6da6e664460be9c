//! What is in a segment: bytes that a demultiplexer of files knows, and when they sound.

use std::panic::catch_unwind;

use super::{HlsError, transport};

/// What the audio of a segment is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// AAC in ADTS.
    Adts,
    /// MP3, or MP2.
    Mpeg,
    Mp4,
}

impl Kind {
    /// Samples in a frame, at this sample rate; timestamps are rounded, frames are not.
    pub(super) fn frame(self, rate: u32) -> Option<u64> {
        match self {
            Kind::Adts => Some(1_024),
            Kind::Mpeg if rate < 32_000 => Some(576),
            Kind::Mpeg => Some(1_152),
            Kind::Mp4 => None,
        }
    }
}

/// A time as the stream counts it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Stamp {
    pub(super) ticks: u64,
    /// Ticks per second.
    pub(super) scale: u32,
}

#[derive(Debug)]
pub(super) struct Unpacked {
    pub(super) kind: Kind,
    pub(super) bytes: Vec<u8>,
    /// Of its first frame.
    pub(super) stamp: Option<Stamp>,
}

/// Unpacks a decrypted segment; `init` is what comes before it in fragmented MP4.
pub(super) fn unpack(sequence: u64, bytes: Vec<u8>, init: Option<&[u8]>) -> Result<Unpacked, HlsError> {
    if init.is_some() || is_mp4(&bytes) {
        let stamp = init.and_then(timescale).zip(decode_time(&bytes)).map(|(scale, ticks)| Stamp { ticks, scale });
        return Ok(Unpacked { kind: Kind::Mp4, bytes, stamp });
    }
    if bytes.first() == Some(&0x47) && bytes.get(188).is_none_or(|byte| *byte == 0x47) {
        // A demultiplexer that panics on a damaged segment has failed like any other.
        return catch_unwind(|| transport::unpack(&bytes)).unwrap_or_else(|_| Err(unknown(sequence, &bytes)));
    }
    packed(sequence, bytes)
}

/// Audio without a container, behind an ID3 tag with its time (RFC 8216, section 3.4).
fn packed(sequence: u64, mut bytes: Vec<u8>) -> Result<Unpacked, HlsError> {
    let mut stamp = None;
    while bytes.starts_with(b"ID3") && bytes.len() >= 10 {
        // Four times seven bits (ID3v2.4, section 6.2).
        let length = bytes[6..10].iter().fold(0, |length, byte| length << 7 | usize::from(byte & 0x7F));
        let end = (10 + length).min(bytes.len());
        stamp = stamp.or_else(|| private_time(&bytes[10..end]));
        bytes.drain(..end);
    }
    let kind = match bytes[..] {
        [0xFF, second, third, ..] if second & 0xF6 == 0xF0 => {
            // ADTS: two bits of profile (ISO/IEC 13818-7, section 6.2).
            if let Some(codec) = [Some("AAC Main"), None, Some("AAC SSR"), Some("AAC LTP")][usize::from(third >> 6)] {
                return Err(HlsError::Codec { codec: codec.into() });
            }
            Kind::Adts
        }
        [0xFF, second, ..] if second & 0xE0 == 0xE0 => Kind::Mpeg,
        [0x0B, 0x77, ..] => return Err(HlsError::Codec { codec: "AC-3".into() }),
        _ => return Err(unknown(sequence, &bytes)),
    };
    Ok(Unpacked { kind, bytes, stamp })
}

fn unknown(sequence: u64, bytes: &[u8]) -> HlsError {
    let begin: Vec<_> = bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    HlsError::Segment { sequence, begin: begin.join(" ").into() }
}

/// The private frame that tells the time of an MPEG-TS that was never there.
fn private_time(tag: &[u8]) -> Option<Stamp> {
    const OWNER: &[u8] = b"com.apple.streaming.transportStreamTimestamp\0";
    let at = tag.windows(OWNER.len()).position(|it| it == OWNER)? + OWNER.len();
    let ticks = u64::from_be_bytes(tag.get(at..at + 8)?.try_into().ok()?);
    Some(Stamp { ticks: ticks & 0x1_FFFF_FFFF, scale: 90_000 })
}

fn is_mp4(bytes: &[u8]) -> bool {
    let names = [b"ftyp", b"styp", b"moof", b"sidx", b"emsg", b"prft"];
    bytes.get(4..8).is_some_and(|name| names.iter().any(|it| name == *it))
}

/// Whether this is an initialisation section as it is, not encrypted.
pub(super) fn is_init(bytes: &[u8]) -> bool {
    bytes.get(4..8).is_some_and(|name| name == b"ftyp" || name == b"moov")
}

/// The content of the first box of this type (ISO/IEC 14496-12, section 4.2).
fn child<'a>(mut bytes: &'a [u8], name: &[u8; 4]) -> Option<&'a [u8]> {
    loop {
        let size = u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?);
        let found = bytes.get(4..8)?;
        let (head, size) = match size {
            0 => (8, bytes.len()),
            1 => (16, usize::try_from(u64::from_be_bytes(bytes.get(8..16)?.try_into().ok()?)).ok()?),
            size => (8, size as usize),
        };
        let content = bytes.get(head..size.min(bytes.len()))?;
        if found == name {
            return Some(content);
        }
        bytes = bytes.get(size.max(head)..)?;
    }
}

fn timescale(init: &[u8]) -> Option<u32> {
    let mdhd = child(child(child(child(init, b"moov")?, b"trak")?, b"mdia")?, b"mdhd")?;
    let at = if *mdhd.first()? == 1 { 20 } else { 12 };
    let scale = u32::from_be_bytes(mdhd.get(at..at + 4)?.try_into().ok()?);
    (scale > 0).then_some(scale)
}

fn decode_time(segment: &[u8]) -> Option<u64> {
    let tfdt = child(child(child(segment, b"moof")?, b"traf")?, b"tfdt")?;
    if *tfdt.first()? == 1 {
        Some(u64::from_be_bytes(tfdt.get(4..12)?.try_into().ok()?))
    } else {
        Some(u64::from(u32::from_be_bytes(tfdt.get(4..8)?.try_into().ok()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture(name: &str) -> Vec<u8> {
        std::fs::read(format!("{}/tests/fixtures_hls/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
    }

    #[test]
    fn stamps_are_those_of_the_first_frame() {
        let init = fixture("mp4.init");
        let of = |name: &str, init: Option<&[u8]>| unpack(0, fixture(name), init).unwrap().stamp.unwrap();
        let (first, second) = (of("mp40.seg", Some(&init)), of("mp41.seg", Some(&init)));
        assert_eq!((first.scale, second.ticks - first.ticks), (44_100, 35 * 1_024));
        let (first, second) = (of("ts0.seg", None), of("ts1.seg", None));
        assert_eq!((first.scale, (second.ticks - first.ticks) * 441 / 900 / 1_024), (90_000, 35));
    }

    #[test]
    fn damaged_segments_are_unpacked_or_refused() {
        let mut state = 1_u32;
        for name in ["ts0.seg", "mp40.seg", "sweep.aac", "ac3.ts"] {
            let (whole, init) = (fixture(name), fixture("mp4.init"));
            for _ in 0..200 {
                let mut bytes = whole.clone();
                for _ in 0..20 {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let at = (state >> 8) as usize % bytes.len().min(400);
                    bytes[at] = state as u8;
                }
                bytes.truncate((state >> 8) as usize % whole.len() + 1);
                for init in [None, Some(&init[..])] {
                    if let Ok(unpacked) = unpack(0, bytes.clone(), init) {
                        assert!(unpacked.bytes.len() <= whole.len());
                    }
                }
            }
        }
    }
}
