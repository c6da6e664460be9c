//! Fields of entries, and what they should be.

use std::fmt::Debug;
use std::ops::Range;

use serde_json::Value;
use voice_dave::Codec;
use voice_model::UserId;

/// Compares with what the entry says.
pub(super) fn same<T: PartialEq + Debug + ?Sized>(what: &str, wanted: &T, found: &T) -> Result<(), String> {
    match wanted == found {
        true => Ok(()),
        false => Err(format!("{what}: wanted {wanted:02x?}, found {found:02x?}")),
    }
}

/// Compares with a field, when the entry has it.
pub(super) fn same_if<T: PartialEq + Debug>(
    entry: &Value,
    field: &str,
    read: impl FnOnce(&Value, &str) -> Result<T, String>,
    found: &T,
) -> Result<(), String> {
    match entry.get(field) {
        None | Some(Value::Null) => Ok(()),
        Some(_) => same(field, &read(entry, field)?, found),
    }
}

pub(super) fn text<'a>(entry: &'a Value, field: &str) -> Result<&'a str, String> {
    entry[field].as_str().ok_or_else(|| format!("`{field}` is missing or no text"))
}

/// A number, as such or as a text.
pub(super) fn number(entry: &Value, field: &str) -> Result<u64, String> {
    let value = &entry[field];
    let number = value.as_u64().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
    number.ok_or_else(|| format!("`{field}` is missing or no number"))
}

/// A number that fits.
pub(super) fn small<T: TryFrom<u64>>(entry: &Value, field: &str) -> Result<T, String> {
    number(entry, field)?.try_into().map_err(|_| format!("`{field}` is too large"))
}

pub(super) fn user(entry: &Value, field: &str) -> Result<UserId, String> {
    text(entry, field)?.parse().map_err(|_| format!("`{field}` is no user id"))
}

pub(super) fn hex(entry: &Value, field: &str) -> Result<Vec<u8>, String> {
    from_hex(text(entry, field)?).ok_or_else(|| format!("`{field}` is no hexadecimal text"))
}

pub(super) fn bytes<const N: usize>(entry: &Value, field: &str) -> Result<[u8; N], String> {
    hex(entry, field)?.try_into().map_err(|bytes: Vec<u8>| format!("`{field}` has {} bytes, not {N}", bytes.len()))
}

pub(super) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let byte = |digits: &[u8]| {
        let &[high, low] = digits else { return None };
        u8::try_from(digit(high)? << 4 | digit(low)?).ok()
    };
    text.as_bytes().chunks(2).map(byte).collect()
}

/// RFC 4648, section 4.
pub(super) fn base64(entry: &Value, field: &str) -> Result<Vec<u8>, String> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = text(entry, field)?.trim_end_matches('=');
    let (mut bytes, mut bits, mut len) = (Vec::new(), 0_u32, 0);
    for digit in digits.bytes() {
        let value = ALPHABET.iter().position(|known| *known == digit);
        let value = value.ok_or_else(|| format!("`{field}` is no Base64"))?;
        (bits, len) = (bits << 6 | value as u32, len + 6);
        if len >= 8 {
            len -= 8;
            bytes.push((bits >> len) as u8);
        }
    }
    Ok(bytes)
}

pub(super) fn codec(entry: &Value) -> Result<Codec, String> {
    Ok(match text(entry, "codec")? {
        "Opus" => Codec::Opus,
        "VP8" => Codec::Vp8,
        "VP9" => Codec::Vp9,
        "H264" => Codec::H264,
        "H265" => Codec::H265,
        "AV1" => Codec::Av1,
        other => return Err(format!("unknown codec `{other}`")),
    })
}

/// Offsets and sizes, as ranges.
pub(super) fn ranges(entry: &Value, field: &str) -> Result<Vec<Range<usize>>, String> {
    let range = |pair: &Value| {
        let [offset, size] = pair.as_array()?.as_slice() else { return None };
        let offset = usize::try_from(offset.as_u64()?).ok()?;
        Some(offset..offset + usize::try_from(size.as_u64()?).ok()?)
    };
    let ranges = entry[field].as_array().and_then(|ranges| ranges.iter().map(range).collect());
    ranges.ok_or_else(|| format!("`{field}` is missing or no list of ranges"))
}
