//! Samples of what travels over the gateway, against a session.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::Value;
use voice_dave::provider::{Backend, Entropy};
use voice_dave::{Config, Identity, Output, Session};
use voice_model::{ChannelId, UserId};

use super::read::{from_hex, hex, same, text};

/// Bytes from a counter: each run is like the last.
#[derive(Default)]
pub(super) struct Seeded(AtomicU64);

impl Entropy for Seeded {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            let count = self.0.fetch_add(1, Ordering::Relaxed);
            chunk.copy_from_slice(&digest(&SHA256, &count.to_le_bytes()).as_ref()[..chunk.len()]);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "time in these checks starts anywhere")]
pub(super) fn start() -> Instant {
    Instant::now()
}

fn session(user: UserId) -> Result<Session, String> {
    let entropy = Arc::new(Seeded::default());
    let channel = ChannelId::new(940_403_663_430_647_849).ok_or("no channel")?;
    let identity = Identity::generate(&*entropy);
    Ok(Session::new(Config { user, channel, identity, entropy, backend: Backend::AwsLc }))
}

/// What a session of this user answers to op 4.
pub(super) fn key_package(user: UserId) -> Result<Vec<u8>, String> {
    let mut session = session(user)?;
    session.handle_version(start(), 1);
    let package = std::iter::from_fn(|| session.poll_output()).find_map(|output| match output {
        Output::KeyPackage(package) => Some(package),
        _ => None,
    });
    package.ok_or_else(|| "the session sends no key package".to_owned())
}

pub(super) fn contains(what: &str, bytes: &[u8], part: &[u8]) -> Result<(), String> {
    match bytes.windows(part.len().max(1)).any(|window| window == part) {
        true => Ok(()),
        false => Err(format!("{what} lacks {part:02x?}")),
    }
}

pub(super) fn sample(entry: &Value) -> Result<(), String> {
    let sample = hex(entry, "hex")?;
    let Some(fields) = entry.get("fields") else {
        let what = text(entry, "what")?;
        return match what.contains("ExternalSender credential identity") {
            true => same("length", &4, &sample.len()).and_then(|()| external_sender_of(&sample)),
            false => Err(format!("unknown sample `{what}`")),
        };
    };
    let field = |name: &str| -> Result<Vec<u8>, String> {
        let first = text(fields, name)?.split_whitespace().next().unwrap_or_default();
        from_hex(first).ok_or_else(|| format!("`{name}` begins with no hexadecimal text"))
    };
    if fields.get("signature_key").is_some() {
        let (len, key, identity) = (field("signature_key_len_varint")?, field("signature_key")?, field("identity")?);
        same("signature_key_len_varint", &varint(&len), &Some((key.len(), len.len())))?;
        let parts = [len, key, field("credential_type")?, vec![identity.len() as u8], identity];
        same("the fields", &sample, &parts.concat())?;
        return takes_external_sender(&sample);
    }
    if fields.get("operation_type").is_some() {
        let (operation, len) = (field("operation_type")?, field("proposal_messages<V>_len")?);
        same("the fields", &sample, &[operation.as_slice(), &len].concat())?;
        same("operation_type", text(fields, "operation_type")?, "00 append")?;
        let (value, _) = varint(&len).ok_or("`proposal_messages<V>_len` is no length")?;
        same(
            "proposal_messages<V>_len",
            text(fields, "proposal_messages<V>_len")?,
            &format!("{} = {value}", hex_of(&len)),
        )?;
        return ignores_proposals(&sample);
    }
    if fields.get("versions<V>").is_some() {
        let names = ["versions<V>", "ciphersuites<V>", "extensions<V>", "proposals<V>", "credentials<V>"];
        let names = names.iter().chain(&["leaf_node_source", "not_before", "not_after", "leaf extensions<V>"]);
        let mut parts = Vec::new();
        for name in names {
            // Lengths stand apart from what they are of.
            let digits = text(fields, name)?.split_whitespace();
            let digits: String = digits.take_while(|word| from_hex(word).is_some()).collect();
            parts.extend(from_hex(&digits).ok_or_else(|| format!("`{name}` is no hexadecimal text"))?);
        }
        same("the fields", &sample, &parts)?;
        let user = UserId::new(1_090_123_456_789_012_345).ok_or("no user")?;
        return contains("the key package", &key_package(user)?, &sample);
    }
    Err("unknown fields".to_owned())
}

fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The length of a vector, and its own (RFC 9420, section 2.1.2).
fn varint(bytes: &[u8]) -> Option<(usize, usize)> {
    let (&first, rest) = bytes.split_first()?;
    let len = 1 << (first >> 6);
    let value =
        rest.get(..len - 1)?.iter().fold(usize::from(first & 0x3F), |value, byte| value << 8 | usize::from(*byte));
    (len <= 4).then_some((value, len))
}

/// A sender with this identity and a key of ours.
fn external_sender_of(identity: &[u8]) -> Result<(), String> {
    let key = Identity::generate(&Seeded::default()).public_key().to_vec();
    takes_external_sender(&[&[0x40, 0x41], &key[..], &[0, 1, identity.len() as u8], identity].concat())
}

fn takes_external_sender(payload: &[u8]) -> Result<(), String> {
    let user = UserId::new(1).ok_or("no user")?;
    let mut session = session(user)?;
    session.handle_version(start(), 1);
    session.handle_external_sender(start(), payload);
    same("messages ignored", &0, &session.stats().ignored)?;
    session.handle_external_sender(start(), &payload[..payload.len() - 1]);
    same("messages ignored after a truncated one", &1, &session.stats().ignored)
}

fn ignores_proposals(prefix: &[u8]) -> Result<(), String> {
    let user = UserId::new(1).ok_or("no user")?;
    let mut session = session(user)?;
    session.handle_version(start(), 1);
    session.handle_proposals(start(), prefix);
    let stats = session.stats();
    same("truncated proposals ignored or refused", &1, &(stats.ignored + stats.proposals_refused))
}
