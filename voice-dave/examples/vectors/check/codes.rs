//! What people compare.

use serde_json::Value;
use voice_dave::verify::{self, Pair};
use voice_model::UserId;

use super::read::{base64 as from_base64, hex, same, same_if, small, text, user};

fn code(entry: &Value) -> Result<Result<String, String>, String> {
    let data = match entry.get("data_len") {
        Some(_) => vec![0xA5; small(entry, "data_len")?],
        None => hex(entry, "data")?,
    };
    let code = verify::displayable_code(&data, small(entry, "desired_length")?, small(entry, "group_size")?);
    Ok(code.map_err(|error| error.to_string()))
}

pub(super) fn displayable(entry: &Value) -> Result<(), String> {
    let code = code(entry)??;
    if let (Ok(data), "30/5") = (bytes32(entry), layout(entry).as_str()) {
        same("the privacy code", &code, &verify::privacy_code(&data))?;
    }
    same("code", text(entry, "code")?, &code)
}

fn bytes32(entry: &Value) -> Result<[u8; 32], String> {
    super::read::bytes(entry, "data")
}

fn layout(entry: &Value) -> String {
    format!("{}/{}", entry["desired_length"], entry["group_size"])
}

pub(super) fn no_displayable(entry: &Value) -> Result<(), String> {
    refused(code(entry)?)
}

fn refused<T: std::fmt::Debug>(result: Result<T, String>) -> Result<(), String> {
    match result {
        Ok(found) => Err(format!("wanted an error, found {found:02x?}")),
        Err(_) => Ok(()),
    }
}

/// An error entry may lack a sound user id: that is an error too.
fn key_fingerprint(entry: &Value) -> Result<Result<Vec<u8>, String>, String> {
    let (version, key) = (small(entry, "version")?, hex(entry, "key")?);
    let fingerprint = |user| verify::key_fingerprint(version, &key, user).map_err(|error| error.to_string());
    text(entry, "user_id")?;
    Ok(user(entry, "user_id").and_then(fingerprint))
}

pub(super) fn fingerprint(entry: &Value) -> Result<(), String> {
    let found = key_fingerprint(entry)??;
    same("fingerprint_hex", &hex(entry, "fingerprint_hex")?, &found)?;
    let decimal: String = found.iter().map(u8::to_string).collect();
    same_if(entry, "decimal_joined", |entry, field| text(entry, field).map(str::to_owned), &decimal)
}

pub(super) fn no_fingerprint(entry: &Value) -> Result<(), String> {
    refused(key_fingerprint(entry)?)
}

fn read_pair(entry: &Value) -> Result<Result<Pair, String>, String> {
    let version = small(entry, "version")?;
    let (key_a, key_b) = (hex(entry, "key_a")?, hex(entry, "key_b")?);
    let users: Result<(UserId, UserId), String> =
        user(entry, "user_a").and_then(|user_a| Ok((user_a, user(entry, "user_b")?)));
    Ok(users.and_then(|(user_a, user_b)| {
        let pair = |one, other| Pair::new(version, one, other).map_err(|error| error.to_string());
        let one_way = pair((&key_a, user_a), (&key_b, user_b))?;
        same("the pair in the other order", &one_way, &pair((&key_b, user_b), (&key_a, user_a))?)?;
        Ok(one_way)
    }))
}

pub(super) fn pair(entry: &Value) -> Result<(), String> {
    let pair = read_pair(entry)??;
    if let Some(scrypt) = entry.get("scrypt") {
        // The ones of the protocol: there are no others to try.
        let salt = "24cab17a7af8ec2b82b412b92dab192e";
        same("salt", text(scrypt, "salt")?, salt)?;
        for (field, wanted) in [("N", 16_384), ("r", 8), ("p", 2), ("dk_len", 64_u64)] {
            same(field, &small(scrypt, field)?, &wanted)?;
        }
    }
    same("fingerprint", hex(entry, "fingerprint")?.as_slice(), &pair.fingerprint())?;
    same_if(entry, "displayable_45_5", |entry, field| text(entry, field).map(str::to_owned), &pair.code())
}

pub(super) fn no_pair(entry: &Value) -> Result<(), String> {
    refused(read_pair(entry)?)
}

pub(super) fn base64(entry: &Value) -> Result<(), String> {
    let data = hex(entry, "data")?;
    same("base64", text(entry, "base64")?, &verify::key_base64(&data))?;
    same("data", &data, &from_base64(entry, "base64")?)
}
