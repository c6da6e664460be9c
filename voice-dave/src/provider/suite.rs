//! The primitives of MLS ciphersuite 2 on AWS-LC: SHA-256, HMAC, HKDF, AES-128-GCM, ECDSA and ECDH on P-256.

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{self, ECDH_P256};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _, UnparsedPublicKey,
};
use aws_lc_rs::{digest, hmac};
use openmls_traits::types::CryptoError;
use zeroize::{Zeroize, Zeroizing};

/// Bytes of a private key: a scalar, big-endian.
pub(crate) const SCALAR: usize = 32;
/// Bytes of a public key: an uncompressed point (RFC 9420 5.1.1, RFC 9180 7.1.1).
pub(crate) const POINT: usize = 65;
/// Bytes of a SHA-256 hash.
pub(crate) const HASH: usize = 32;
const TAG: usize = 16;

pub(crate) fn sha256(data: &[u8]) -> [u8; HASH] {
    let mut hash = [0; HASH];
    hash.copy_from_slice(digest::digest(&digest::SHA256, data).as_ref());
    hash
}

/// HMAC over the parts, one after the other. It is HKDF-Extract too, with the salt as the key (RFC 5869 2.2).
pub(crate) fn hmac(key: &[u8], parts: &[&[u8]]) -> Zeroizing<[u8; HASH]> {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    for part in parts {
        context.update(part);
    }
    let mut tag = Zeroizing::new([0; HASH]);
    tag.copy_from_slice(context.sign().as_ref());
    tag
}

/// HKDF-Expand with the info in parts (RFC 5869 2.3). A key shorter than a hash is taken as it is.
pub(crate) fn expand(prk: &[u8], info: &[&[u8]], okm: &mut [u8]) -> Result<(), CryptoError> {
    if okm.len() > 255 * HASH {
        return Err(CryptoError::HkdfOutputLengthInvalid);
    }
    let key = hmac::Key::new(hmac::HMAC_SHA256, prk);
    let mut last = Zeroizing::new([0; HASH]);
    for (chunk, counter) in okm.chunks_mut(HASH).zip(1..=u8::MAX) {
        let mut context = hmac::Context::with_key(&key);
        if counter > 1 {
            context.update(last.as_ref());
        }
        for part in info {
            context.update(part);
        }
        context.update(&[counter]);
        last.copy_from_slice(context.sign().as_ref());
        chunk.copy_from_slice(&last[..chunk.len()]);
    }
    Ok(())
}

fn gcm(key: &[u8]) -> Result<LessSafeKey, CryptoError> {
    Ok(LessSafeKey::new(UnboundKey::new(&AES_128_GCM, key).map_err(|_| CryptoError::InvalidLength)?))
}

/// AES-128-GCM: ciphertext and tag.
pub(crate) fn seal(key: &[u8], nonce: &[u8; 12], aad: &[u8], data: &[u8]) -> Result<Vec<u8>, CryptoError> {
    let key = gcm(key)?;
    let mut sealed = Vec::with_capacity(data.len() + TAG);
    sealed.extend_from_slice(data);
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(*nonce), Aad::from(aad), &mut sealed)
        .map_err(|_| CryptoError::CryptoLibraryError)?;
    Ok(sealed)
}

/// The plaintext of what [`seal`] made.
pub(crate) fn open(key: &[u8], nonce: &[u8; 12], aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, CryptoError> {
    let key = gcm(key)?;
    let mut data = sealed.to_vec();
    match key.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(aad), &mut data) {
        Ok(plaintext) => {
            let len = plaintext.len();
            data.truncate(len);
            Ok(data)
        }
        Err(_) => {
            data.zeroize();
            Err(CryptoError::AeadDecryptionError)
        }
    }
}

/// A private key, ready to sign.
pub(crate) struct SigningKey(EcdsaKeyPair);

impl SigningKey {
    /// Of a scalar: the minimal `ECPrivateKey` (RFC 5915) of it, as AWS-LC takes no bare scalar without its point.
    pub(crate) fn new(scalar: &[u8; SCALAR]) -> Result<Self, CryptoError> {
        const BEFORE: [u8; 7] = [0x30, 0x31, 0x02, 0x01, 0x01, 0x04, 0x20];
        const AFTER: [u8; 12] = [0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
        let mut der = Zeroizing::new([0; BEFORE.len() + SCALAR + AFTER.len()]);
        der[..BEFORE.len()].copy_from_slice(&BEFORE);
        der[BEFORE.len()..][..SCALAR].copy_from_slice(scalar);
        der[BEFORE.len() + SCALAR..].copy_from_slice(&AFTER);
        EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_ASN1_SIGNING, der.as_ref())
            .map(Self)
            .map_err(|_| CryptoError::SigningError)
    }

    /// ECDSA over SHA-256, ASN.1 DER. AWS-LC draws the nonce itself.
    pub(crate) fn sign(&self, data: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let signature = self.0.sign(&SystemRandom::new(), data).map_err(|_| CryptoError::SigningError)?;
        Ok(signature.as_ref().to_vec())
    }

    pub(crate) fn public(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }
}

/// Refuses every form of a public key but the uncompressed point, which is the one that MLS and HPKE have.
fn uncompressed(public: &[u8]) -> Result<&[u8; POINT], CryptoError> {
    public.try_into().ok().filter(|point: &&[u8; POINT]| point[0] == 4).ok_or(CryptoError::InvalidPublicKey)
}

/// Checks an ASN.1 DER signature.
pub(crate) fn verify(public: &[u8], data: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, uncompressed(public)?)
        .verify(data, signature)
        .map_err(|_| CryptoError::InvalidSignature)
}

/// A private key, ready to agree, and its public half.
pub(crate) struct KeyPair {
    pub(crate) scalar: Zeroizing<[u8; SCALAR]>,
    pub(crate) public: [u8; POINT],
    key: agreement::PrivateKey,
}

impl KeyPair {
    /// Fails when the scalar is 0 or not below the order of the curve.
    pub(crate) fn new(scalar: &[u8; SCALAR]) -> Result<Self, CryptoError> {
        let key =
            agreement::PrivateKey::from_private_key(&ECDH_P256, scalar).map_err(|_| CryptoError::InvalidLength)?;
        let point = key.compute_public_key().map_err(|_| CryptoError::CryptoLibraryError)?;
        let public = point.as_ref().try_into().map_err(|_| CryptoError::CryptoLibraryError)?;
        Ok(Self { scalar: Zeroizing::new(*scalar), public, key })
    }

    /// The x coordinate that both sides share (RFC 9180 4.1 `DH`).
    pub(crate) fn agree(&self, public: &[u8]) -> Result<Zeroizing<[u8; 32]>, CryptoError> {
        let public = agreement::UnparsedPublicKey::new(&ECDH_P256, uncompressed(public)?);
        agreement::agree(&self.key, public, CryptoError::InvalidPublicKey, |shared| {
            shared.try_into().map(Zeroizing::new).map_err(|_| CryptoError::CryptoLibraryError)
        })
    }
}
