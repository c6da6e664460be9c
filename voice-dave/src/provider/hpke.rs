//! HPKE, base mode, DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-128-GCM (RFC 9180).

use openmls_traits::types::CryptoError;
use zeroize::Zeroizing;

use super::suite::{HASH, KeyPair, POINT, SCALAR, expand, hmac};

/// `suite_id` of the key encapsulation (RFC 9180 4.1): kem 0x0010.
const KEM: &[u8] = b"KEM\x00\x10";
/// `suite_id` of the key schedule (RFC 9180 5.1): kem 0x0010, kdf 0x0001, aead 0x0001.
const HPKE: &[u8] = b"HPKE\x00\x10\x00\x01\x00\x01";
const VERSION: &[u8] = b"HPKE-v1";

/// What both sides have after the set-up: enough for one message and for exports.
pub(super) struct Context {
    pub(super) key: Zeroizing<[u8; 16]>,
    pub(super) base_nonce: Zeroizing<[u8; 12]>,
    exporter: Zeroizing<[u8; HASH]>,
}

impl Context {
    /// `Context.Export` (RFC 9180 5.3).
    pub(super) fn export(&self, context: &[u8], len: usize) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let mut secret = Zeroizing::new(vec![0; len]);
        labeled_expand(HPKE, self.exporter.as_ref(), b"sec", &[context], &mut secret)
            .map_err(|_| CryptoError::ExporterError)?;
        Ok(secret)
    }
}

/// `LabeledExtract` (RFC 9180 4).
fn labeled_extract(suite: &[u8], salt: &[u8], label: &[u8], ikm: &[u8]) -> Zeroizing<[u8; HASH]> {
    hmac(salt, &[VERSION, suite, label, ikm])
}

/// `LabeledExpand` (RFC 9180 4), of as many bytes as the output has, with the info in up to two parts.
fn labeled_expand(suite: &[u8], prk: &[u8], label: &[u8], info: &[&[u8]], okm: &mut [u8]) -> Result<(), CryptoError> {
    let len = u16::try_from(okm.len()).map_err(|_| CryptoError::HkdfOutputLengthInvalid)?.to_be_bytes();
    let first = info.first().copied().unwrap_or_default();
    let second = info.get(1).copied().unwrap_or_default();
    expand(prk, &[&len, VERSION, suite, label, first, second], okm)
}

/// `DeriveKeyPair` (RFC 9180 7.1.3).
pub(crate) fn derive_key_pair(ikm: &[u8]) -> Result<KeyPair, CryptoError> {
    let prk = labeled_extract(KEM, b"", b"dkp_prk", ikm);
    let mut candidate = Zeroizing::new([0; SCALAR]);
    for counter in 0..=u8::MAX {
        labeled_expand(KEM, prk.as_ref(), b"candidate", &[&[counter]], candidate.as_mut())?;
        if let Ok(pair) = KeyPair::new(&candidate) {
            return Ok(pair);
        }
    }
    Err(CryptoError::CryptoLibraryError)
}

/// `ExtractAndExpand` (RFC 9180 4.1).
fn shared_secret(dh: &[u8], enc: &[u8], receiver: &[u8]) -> Result<Zeroizing<[u8; HASH]>, CryptoError> {
    let prk = labeled_extract(KEM, b"", b"eae_prk", dh);
    let mut secret = Zeroizing::new([0; HASH]);
    labeled_expand(KEM, prk.as_ref(), b"shared_secret", &[enc, receiver], secret.as_mut())?;
    Ok(secret)
}

/// `KeySchedule` in base mode (RFC 9180 5.1).
fn key_schedule(shared_secret: &[u8], info: &[u8]) -> Result<Context, CryptoError> {
    let mut schedule = [0; 1 + 2 * HASH];
    let (psk_id_hash, info_hash) = schedule[1..].split_at_mut(HASH);
    psk_id_hash.copy_from_slice(labeled_extract(HPKE, b"", b"psk_id_hash", b"").as_ref());
    info_hash.copy_from_slice(labeled_extract(HPKE, b"", b"info_hash", info).as_ref());
    let secret = labeled_extract(HPKE, shared_secret, b"secret", b"");
    let mut context =
        Context { key: Zeroizing::default(), base_nonce: Zeroizing::default(), exporter: Zeroizing::default() };
    labeled_expand(HPKE, secret.as_ref(), b"key", &[&schedule], context.key.as_mut())?;
    labeled_expand(HPKE, secret.as_ref(), b"base_nonce", &[&schedule], context.base_nonce.as_mut())?;
    labeled_expand(HPKE, secret.as_ref(), b"exp", &[&schedule], context.exporter.as_mut())?;
    Ok(context)
}

/// `SetupBaseS` (RFC 9180 5.1.1) with the ephemeral key pair of that input: `enc` and the context.
pub(super) fn sender(ikm: &[u8], receiver: &[u8], info: &[u8]) -> Result<([u8; POINT], Context), CryptoError> {
    let ephemeral = derive_key_pair(ikm)?;
    let dh = ephemeral.agree(receiver)?;
    let secret = shared_secret(dh.as_ref(), &ephemeral.public, receiver)?;
    Ok((ephemeral.public, key_schedule(secret.as_ref(), info)?))
}

/// `SetupBaseR` (RFC 9180 5.1.1).
pub(super) fn receiver(enc: &[u8], scalar: &[u8], info: &[u8]) -> Result<Context, CryptoError> {
    let receiver = KeyPair::new(scalar.try_into().map_err(|_| CryptoError::InvalidLength)?)?;
    let dh = receiver.agree(enc)?;
    let secret = shared_secret(dh.as_ref(), enc, &receiver.public)?;
    key_schedule(secret.as_ref(), info)
}
