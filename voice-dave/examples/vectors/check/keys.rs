//! Secrets, ratchets, nonces.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use serde_json::Value;
use voice_dave::primitive::{
    GENERATION_SHIFT, MARKER, MAX_ATTEMPTS, MAX_FRAMES_PER_SECOND, MAX_GENERATION_GAP, MAX_MISSING, MIN_TRAILER_LEN,
    RETENTION, Ratchet, ReplayWindow, TAG_LEN, big_nonce as to_big_nonce, unwrap_generation,
};
use voice_dave::{Codec, Identity, Sealer, Secret};
use voice_model::SILENCE_FRAME;

use super::codecs;
use super::read::{bytes, hex, number, same, small, text, user};
use super::wire::{self, contains};

/// The tests of libdave have keys that are a user id twice, in the byte order of the exporter's context.
pub(super) fn static_sender(entry: &Value) -> Result<(), String> {
    same("key", &hex(entry, "key")?, &Secret::context(user(entry, "user_id")?).repeat(2))
}

pub(super) fn ratchet(entry: &Value) -> Result<(), String> {
    let mut ratchet = Ratchet::new(&Secret::new(bytes(entry, "base_secret")?));
    let one = std::slice::from_ref(entry);
    let generations = match entry.get("generations") {
        Some(generations) => generations.as_array().ok_or("`generations` is no list")?,
        None => one,
    };
    for entry in generations {
        let generation = small(entry, "generation")?;
        if generation < ratchet.generation() {
            return Err("generations are not in order".to_owned());
        }
        ratchet.advance_to(generation);
        same("key", &bytes(entry, "key")?, &*ratchet.key())?;
        same("nonce", &bytes(entry, "nonce")?, &*ratchet.nonce())?;
    }
    Ok(())
}

pub(super) fn label(entry: &Value) -> Result<(), String> {
    if entry.get("value").is_some() {
        same("context", text(entry, "context")?, "user id, u64 little-endian, 8 bytes")?;
        same("value", text(entry, "value")?, Secret::LABEL)?;
        return same("length", &small(entry, "length")?, &Secret::LEN);
    }
    // What is signed begins with a label of MLS, behind its length.
    let label = hex(entry, "mls_label_hex")?;
    let (len, name) = label.split_first().ok_or("`mls_label_hex` is empty")?;
    same("the label's length", &usize::from(*len), &name.len())?;
    same("label_ascii", format!("MLS 1.0 {}", text(entry, "label_ascii")?).as_bytes(), name)?;
    let content = "ascii(session_id + ':') || public_key, MLS varint length prefix";
    same("content", text(entry, "content")?, content)?;

    let identity = Identity::generate(&wire::Seeded::default());
    let content = [b"session:", identity.public_key()].concat();
    // 64 to 16,383 bytes: a length of two (RFC 9420, section 2.1.2).
    let len = (0x4000 | content.len() as u16).to_be_bytes();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, identity.public_key())
        .verify(&[&label[..], &len, &content].concat(), &identity.self_signature("session"))
        .map_err(|_| "the self-signature is of something else".to_owned())
}

pub(super) fn exporter_context(entry: &Value) -> Result<(), String> {
    let user = user(entry, "user_id")?;
    same("context_le", &bytes(entry, "context_le")?, &Secret::context(user))?;
    let identity: [u8; 8] = bytes(entry, "credential_identity_be")?;
    same("credential_identity_be", &identity, &user.get().to_be_bytes())?;
    // Credential type basic, length, identity.
    contains("the key package", &wire::key_package(user)?, &[&[0, 1, 8], &identity[..]].concat())
}

pub(super) fn constant(name: &str, value: &Value) -> Result<(), String> {
    let entry = &Value::from_iter([(name, value.clone())]);
    let same = |wanted: u64| same(name, &number(entry, name)?, &wanted);
    match name {
        "opus_silence" => super::read::same(name, hex(entry, name)?.as_slice(), &SILENCE_FRAME),
        "magic_marker" => super::read::same(name, hex(entry, name)?.as_slice(), &MARKER),
        "tag_len" => same(TAG_LEN as u64),
        "min_supplemental" => same(MIN_TRAILER_LEN as u64),
        "max_generation_gap" => same(MAX_GENERATION_GAP.into()),
        "max_missing_nonces" => same(MAX_MISSING),
        "generation_wrap" => same(1 << (u32::BITS - GENERATION_SHIFT)),
        "generation_shift" => same(GENERATION_SHIFT.into()),
        "cryptor_expiry_s" | "default_transition_s" => same(RETENTION.as_secs()),
        "max_frames_per_second" => same(MAX_FRAMES_PER_SECOND),
        "max_ciphertext_validation_retries" => same(MAX_ATTEMPTS as u64),
        // What a caller of libdave leaves room for beside the smallest trailer: sealed audio must fit.
        "transform_padding" => {
            let room = usize::try_from(number(entry, name)?).map_err(|error| error.to_string())?;
            let needed = Sealer::max_len(Codec::Opus, 1_275) - 1_275;
            match needed <= MIN_TRAILER_LEN + room && room == 64 {
                true => Ok(()),
                false => Err(format!("{needed} bytes are needed behind a frame")),
            }
        }
        "opus_frame_short_capi" => codecs::round_trip(Codec::Opus, &bytes::<16>(entry, name)?),
        _ => Err("unknown".to_owned()),
    }
}

pub(super) fn generation_wrap(entry: &Value) -> Result<(), String> {
    let found = unwrap_generation(small(entry, "oldest")?, small(entry, "nonce_msb")?);
    same("generation", &small(entry, "generation")?, &found)
}

pub(super) fn big_nonce(entry: &Value) -> Result<(), String> {
    let found = to_big_nonce(small(entry, "generation")?, small(entry, "truncated_nonce")?);
    same("big_nonce", &number(entry, "big_nonce")?, &found)
}

pub(super) fn replay_script(entry: &Value) -> Result<(), String> {
    let mut window = ReplayWindow::new();
    let steps = entry["steps"].as_array().filter(|steps| !steps.is_empty()).ok_or("`steps` is missing or empty")?;
    for (index, step) in steps.iter().enumerate() {
        let nonce = |generation: &Value, nonce: &Value| {
            let pair = Value::from_iter([("generation", generation.clone()), ("nonce", nonce.clone())]);
            Ok::<_, String>(to_big_nonce(small(&pair, "generation")?, small(&pair, "nonce")?))
        };
        match step.as_array().map(Vec::as_slice) {
            Some([Value::String(verb), generation, number, Value::Bool(wanted)]) if verb == "can" => {
                let found = window.may_accept(nonce(generation, number)?);
                same(&format!("step {index}, {step}"), wanted, &found)?;
            }
            Some([Value::String(verb), generation, number]) if verb == "ok" => {
                let nonce = nonce(generation, number)?;
                same(&format!("step {index}, {step}"), &true, &window.may_accept(nonce))?;
                window.accept(nonce);
            }
            _ => return Err(format!("unknown step {step}")),
        }
    }
    Ok(())
}
