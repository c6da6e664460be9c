//! Which bytes of a frame stay clear.

use serde_json::Value;
use voice_dave::primitive::{Layout, Trailer};
use voice_dave::{Codec, Media, Opened, Opener, Sealer, Secret};

use super::read::{codec, hex, ranges, same, same_if, small};
use super::wire::start;

/// Seals a frame and opens it; what comes out is what was laid out, and what was to stay clear did.
pub(super) fn round_trip(codec: Codec, frame: &[u8]) -> Result<(), String> {
    let layout = Layout::new(codec, frame);
    let (now, secret) = (start(), Secret::new([0x5E; Secret::LEN]));
    let (mut sealer, mut opener) = (Sealer::new(), Opener::new());
    sealer.install(&secret);
    opener.expect(now, &secret, now);

    let mut buffer = frame.to_vec();
    buffer.resize(Sealer::max_len(codec, frame.len()), 0);
    let len = sealer.seal(codec, &mut buffer, frame.len()).map_err(|error| error.to_string())?;
    buffer.truncate(len);
    let trailer = Trailer::read(&buffer).ok_or("the sealed frame has no trailer")?;
    same("the sealed ranges", &layout.ranges, &trailer.ranges(&buffer).collect())?;
    for range in &layout.ranges {
        same("clear bytes", layout.media.get(range.clone()).unwrap_or_default(), &buffer[range.clone()])?;
    }
    match opener.open(now, Media::Video, false, &mut buffer) {
        Opened::Sealed { len } => same("the opened frame", &layout.media, &buffer[..len].to_vec()),
        other => Err(format!("the sealed frame does not open: {other:?}")),
    }
}

pub(super) fn split(entry: &Value) -> Result<(), String> {
    split_as(codec(entry)?, entry)
}

fn split_as(codec: Codec, entry: &Value) -> Result<(), String> {
    let frame = hex(entry, "frame")?;
    let Layout { media, ranges: found } = Layout::new(codec, &frame);
    same("unencrypted_ranges", &ranges(entry, "unencrypted_ranges")?, &found)?;
    same_if(entry, "interleaved_plain_layout", hex, &media)?;
    let prefix_len = entry["expected_output_prefix"].as_str().map_or(0, |prefix| prefix.len() / 2).min(media.len());
    same_if(entry, "expected_output_prefix", hex, &media[..prefix_len].to_vec())?;

    let mut at = 0;
    let (mut clear, mut encrypted) = (Vec::new(), Vec::new());
    for range in found {
        encrypted.extend_from_slice(&media[at..range.start]);
        clear.extend_from_slice(&media[range.clone()]);
        at = range.end;
    }
    encrypted.extend_from_slice(&media[at..]);
    same_if(entry, "aad", hex, &clear)?;
    same_if(entry, "plaintext", hex, &encrypted)?;
    round_trip(codec, &frame)
}

pub(super) fn split_or_fall_back(entry: &Value) -> Result<(), String> {
    match entry["falls_back_to_full_encrypt"].as_bool() {
        None => Err("`falls_back_to_full_encrypt` is missing".to_owned()),
        Some(false) => split_as(Codec::Av1, entry),
        Some(true) => {
            for field in ["unencrypted_ranges", "interleaved_plain_layout", "aad", "plaintext"] {
                if !entry[field].is_null() {
                    return Err(format!("`{field}` of a frame that is encrypted as a whole"));
                }
            }
            let frame = hex(entry, "frame")?;
            encrypted_as_a_whole(&frame, &Layout::new(Codec::Av1, &frame))?;
            round_trip(Codec::Av1, &frame)
        }
    }
}

fn encrypted_as_a_whole(frame: &[u8], layout: &Layout) -> Result<(), String> {
    same("the frame, encrypted as a whole", &Layout { media: frame.to_vec(), ranges: Vec::new() }, layout)
}

/// No panic, and no loss of what can be sent. Where the units of a frame are spelled out, they say what stays clear; where
/// one of them cannot be what they say, the whole frame is encrypted.
pub(super) fn robustness(entry: &Value) -> Result<(), String> {
    let (codec, frame) = (codec(entry)?, hex(entry, "frame")?);
    if let Some(units) = entry.get("nals") {
        let mut wanted = Layout::default();
        let mut sound = true;
        for unit in units.as_array().ok_or("`nals` is no list")? {
            let (start, end): (usize, usize) = (small(unit, "start")?, small(unit, "end")?);
            let clear_end: usize = small(unit, "clear_end")?;
            let bytes = frame.get(start..end).filter(|bytes| !bytes.is_empty()).ok_or("a unit outside of its frame")?;
            let kind = if codec == Codec::H264 { bytes[0] & 0x1F } else { bytes[0] >> 1 & 0x3F };
            same("type", &small(unit, "type")?, &kind)?;
            sound &= clear_end <= end;
            let at = wanted.media.len();
            wanted.media.extend_from_slice(&[0, 0, 0, 1]);
            wanted.media.extend_from_slice(bytes);
            let clear = at..at + 4 + clear_end.checked_sub(start).ok_or("`clear_end` before `start`")?;
            match wanted.ranges.last_mut() {
                Some(last) if last.end == clear.start => last.end = clear.end,
                _ => wanted.ranges.push(clear),
            }
        }
        let found = Layout::new(codec, &frame);
        match sound {
            true => same("the layout", &wanted, &found)?,
            false => encrypted_as_a_whole(&frame, &found)?,
        }
    }
    round_trip(codec, &frame)
}
