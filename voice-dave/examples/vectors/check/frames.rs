//! Sealed frames, and the numbers in them.

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::digest::{SHA256, digest};
use serde_json::Value;
use voice_dave::primitive::{Layout, OpenKey, SealKey, Trailer, read_uleb128, uleb128_len, write_uleb128};
use voice_dave::{Codec, Media, Opened, Opener, Refusal, Secret};
use voice_model::SILENCE_FRAME;

use super::read::{base64, bytes, codec, hex, number, ranges, same, same_if, small, text};
use super::wire::start;

pub(super) fn encode(entry: &Value) -> Result<(), String> {
    let (value, wanted) = (number(entry, "value")?, hex(entry, "hex")?);
    same("the length", &wanted.len(), &uleb128_len(value))?;
    let mut out = [0; 16];
    let len = write_uleb128(value, &mut out).ok_or("does not fit into 16 bytes")?;
    same("hex", wanted.as_slice(), &out[..len])?;
    same("the value, read again", &Some((value, wanted.len())), &read_uleb128(&wanted))
}

pub(super) fn decode(entry: &Value) -> Result<(), String> {
    let wanted = match entry.get("value") {
        None => return Err("`value` is missing".to_owned()),
        Some(Value::Null) => None,
        Some(_) => Some((number(entry, "value")?, small(entry, "consumed")?)),
    };
    same("value and length", &wanted, &read_uleb128(&hex(entry, "hex")?))
}

pub(super) fn parse(entry: &Value) -> Result<(), String> {
    let frame = hex(entry, "frame")?;
    let trailer = Trailer::read(&frame).ok_or("not taken for a sealed frame")?;
    same("tag", &bytes(entry, "tag")?, &trailer.tag)?;
    same("truncated_nonce", &small(entry, "truncated_nonce")?, &trailer.nonce)?;
    same("unencrypted_ranges", &ranges(entry, "unencrypted_ranges")?, &trailer.ranges(&frame).collect())?;
    same("media_len", &small(entry, "media_len")?, &trailer.media_len)?;
    same_if(entry, "supplemental_size", small, &(frame.len() - trailer.media_len))?;
    same_if(entry, "reconstructs_to", hex, &frame[..trailer.media_len].to_vec())
}

pub(super) fn no_parse(entry: &Value) -> Result<(), String> {
    same("the frame, taken for a sealed one", &None, &Trailer::read(&hex(entry, "frame")?))
}

pub(super) fn parse_stricter(entry: &Value) -> Result<(), String> {
    stricter(&hex(entry, "frame")?, &entry["parsed"])
}

/// libdave takes it for a sealed frame although a range leaves the media; the protocol does not.
fn stricter(frame: &[u8], parsed: &Value) -> Result<(), String> {
    leaves_media(parsed)?.then_some(()).ok_or("every range is within the media")?;
    same("the frame, taken for a sealed one", &None, &Trailer::read(frame))?;
    // With longer media it is one, and says the same.
    let trailer = frame.get(small(parsed, "media_len")?..).ok_or("`media_len` is above the frame's")?;
    let mut longer = vec![0; ranges(parsed, "ranges")?.last().map_or(0, |range| range.end)];
    longer.extend_from_slice(trailer);
    same_trailer(&longer, parsed)
}

fn same_trailer(frame: &[u8], parsed: &Value) -> Result<(), String> {
    let trailer = Trailer::read(frame).ok_or("not taken for a sealed frame")?;
    same("tag", &bytes(parsed, "tag")?, &trailer.tag)?;
    same("nonce", &small(parsed, "nonce")?, &trailer.nonce)?;
    same("ranges", &ranges(parsed, "ranges")?, &trailer.ranges(frame).collect())
}

fn leaves_media(parsed: &Value) -> Result<bool, String> {
    let media_len = small(parsed, "media_len")?;
    Ok(ranges(parsed, "ranges")?.iter().any(|range| range.end > media_len))
}

pub(super) fn gcm(entry: &Value) -> Result<(), String> {
    let (nonce, ranges) = (small(entry, "truncated_nonce")?, ranges(entry, "unencrypted_ranges")?);
    let (clear, plaintext) = (hex(entry, "aad")?, hex(entry, "plaintext")?);
    let mut media = plaintext.clone();
    let mut taken = 0;
    for range in &ranges {
        let part = clear.get(taken..taken + range.len()).ok_or("`aad` is shorter than the ranges")?;
        let at = range.start.min(media.len());
        media.splice(at..at, part.iter().copied());
        taken += range.len();
    }
    same("the length of `aad`", &clear.len(), &taken)?;

    let gcm_nonce = [[0; 8].as_slice(), &u32::to_le_bytes(nonce)].concat();
    same("gcm_nonce", &hex(entry, "gcm_nonce")?, &gcm_nonce)?;
    let tag: [u8; 8] = bytes(entry, "tag8")?;
    let (ciphertext, full_tag) = bare(entry, "gcm_nonce", &clear, plaintext)?;
    same("ciphertext", &hex(entry, "ciphertext")?, &ciphertext)?;
    same("full_tag", &hex(entry, "full_tag")?, &full_tag)?;
    same("tag8", tag.as_slice(), &full_tag[..tag.len()])?;

    let codec = codec(entry)?;
    if codec != Codec::Av1 {
        // AV1 frames are rewritten on the way; the others are laid out like this.
        same("the layout", &Layout { media: media.clone(), ranges: ranges.clone() }, &Layout::new(codec, &media))?;
    }
    let frame = hex(entry, "frame")?;
    let sealed = SealKey::new(&bytes(entry, "key")?).seal_frame(nonce, &media, &ranges);
    same("the sealed frame", &Some(frame.clone()), &sealed)?;
    let trailer = Trailer::read(&frame).ok_or("`frame` is not sealed")?;
    same("the tag in it", &tag, &trailer.tag)?;
    let key = OpenKey::new(&bytes(entry, "key")?);
    let mut opened = frame.clone();
    let len = key.open_frame(&mut opened).ok_or("does not open")?;
    same("the opened frame", media.as_slice(), &opened[..len])?;

    for index in 0..frame.len() {
        let mut spoilt = frame.clone();
        spoilt[index] ^= 0x01;
        let mut opened = spoilt.clone();
        same("a frame with a changed byte, opened", &None, &key.open_frame(&mut opened))?;
        same("a frame with a changed byte, refused", &spoilt, &opened)?;
    }
    Ok(())
}

/// AES-128-GCM as the library has it: ciphertext and whole tag.
fn bare(entry: &Value, nonce: &str, clear: &[u8], mut text: Vec<u8>) -> Result<(Vec<u8>, Vec<u8>), String> {
    let key = UnboundKey::new(&AES_128_GCM, &bytes::<16>(entry, "key")?).map_err(|error| error.to_string())?;
    let nonce = Nonce::assume_unique_for_key(bytes(entry, nonce)?);
    let tag = LessSafeKey::new(key).seal_in_place_separate_tag(nonce, Aad::from(clear), &mut text);
    Ok((text, tag.map_err(|error| error.to_string())?.as_ref().to_vec()))
}

/// 1,024 zeros under a whole nonce; with one that DAVE can have, as a frame too.
pub(super) fn gcm_zeros(entry: &Value) -> Result<(), String> {
    const LEN: usize = 1_024;
    same("aad", text(entry, "aad")?, "1024 zero bytes")?;
    same("plaintext", text(entry, "plaintext")?, "1024 zero bytes")?;
    if entry.get("user_id").is_some() {
        super::keys::static_sender(entry)?;
    }
    let (ciphertext, tag) = bare(entry, "nonce", &[0; LEN], vec![0; LEN])?;
    same("ciphertext_first32", &hex(entry, "ciphertext_first32")?, &ciphertext[..32].to_vec())?;
    same("ciphertext_sha256", hex(entry, "ciphertext_sha256")?.as_slice(), digest(&SHA256, &ciphertext).as_ref())?;
    same("tag16", &hex(entry, "tag16")?, &tag)?;

    if let [0, 0, 0, 0, 0, 0, 0, 0, nonce @ ..] = bytes::<12>(entry, "nonce")? {
        let key = SealKey::new(&bytes(entry, "key")?);
        let clear = 0..LEN;
        let frame = key.seal_frame(u32::from_le_bytes(nonce), &[0; 2 * LEN], std::slice::from_ref(&clear));
        let frame = frame.ok_or("cannot be sealed")?;
        same("the ciphertext of a frame", ciphertext.as_slice(), &frame[LEN..2 * LEN])?;
        same("the tag of a frame", &tag[..8], &frame[2 * LEN..2 * LEN + 8])?;
    }
    Ok(())
}

/// An input of a fuzzer: all but its last byte is the frame, which chooses the kind of media.
pub(super) fn fuzz_input(entry: &Value) -> Result<(), String> {
    let input = base64(entry, "base64")?;
    same("len", &small(entry, "len")?, &input.len())?;
    let (kind, frame) = input.split_last().ok_or("`base64` is empty")?;
    same("media_type_byte_mod3", &small(entry, "media_type_byte_mod3")?, &(kind % 3))?;
    match entry.get("parse_without_last_byte") {
        None => return Err("`parse_without_last_byte` is missing".to_owned()),
        Some(Value::Null) => same("the frame, taken for a sealed one", &None, &Trailer::read(frame))?,
        Some(parsed) if leaves_media(parsed)? => stricter(frame, parsed)?,
        Some(parsed) => {
            same_trailer(frame, parsed)?;
            let media_len = Trailer::read(frame).map(|trailer| trailer.media_len);
            same("media_len", &Some(small(parsed, "media_len")?), &media_len)?;
        }
    }
    let now = start();
    let mut keyed = Opener::new();
    keyed.expect(now, &Secret::new([0; Secret::LEN]), now);
    for media in [Media::Audio, Media::Video] {
        for (opener, sealed) in [(&mut Opener::new(), Refusal::NoSecret), (&mut keyed, Refusal::Unauthentic)] {
            let mut opened = frame.to_vec();
            let found = opener.open(now, media, false, &mut opened);
            let wanted = match Trailer::read(frame) {
                Some(trailer) if trailer.nonce >= 1 << 24 && sealed == Refusal::Unauthentic => {
                    Opened::Refused(Refusal::Implausible)
                }
                Some(_) => Opened::Refused(sealed),
                None if media == Media::Audio && *frame == SILENCE_FRAME => Opened::Silence,
                None => Opened::Refused(Refusal::Plain),
            };
            same("what becomes of it", &wanted, &found)?;
            same("the frame afterwards", frame, &opened)?;
        }
    }
    Ok(())
}
