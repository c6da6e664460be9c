//! One packet body, one nonce, one tag: what all modes and back ends have in common.

use aes_gcm::Aes256Gcm;
use aws_lc_rs::aead::{AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use chacha20::R20;
use chacha20poly1305::{AeadInOut, KeyInit, XChaCha20Poly1305};
use crypto_secretbox::XSalsa20Poly1305;
use crypto_secretbox::aead::{AeadInPlace, KeyInit as _};
use zeroize::Zeroizing;

use crate::key::{KEY_LEN, Key};
use crate::mode::{Mode, TAG_LEN};
use crate::nonce::NONCE_LEN;

/// Who computes the AEAD modes. The bytes are the same; the retired modes have only the portable one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Backend {
    /// AWS-LC, in C and assembly: several times faster. For XChaCha20-Poly1305 it allocates once per packet, in C,
    /// because each packet has a key of its own there.
    #[default]
    AwsLc,
    /// RustCrypto, in Rust: runs wherever Rust does.
    Portable,
}

/// The cipher could not do its work: on opening, the packet is not authentic.
pub(crate) struct Refused;

impl From<aws_lc_rs::error::Unspecified> for Refused {
    fn from(_: aws_lc_rs::error::Unspecified) -> Self {
        Refused
    }
}

impl From<chacha20poly1305::Error> for Refused {
    fn from(_: chacha20poly1305::Error) -> Self {
        Refused
    }
}

impl From<crypto_secretbox::aead::Error> for Refused {
    fn from(_: crypto_secretbox::aead::Error) -> Self {
        Refused
    }
}

pub(crate) enum Cipher {
    AesGcm(LessSafeKey),
    XChaCha(Key),
    PortableAesGcm(Box<Aes256Gcm>),
    PortableXChaCha(XChaCha20Poly1305),
    SecretBox(XSalsa20Poly1305),
}

impl Cipher {
    pub(crate) fn new(mode: Mode, key: &Key, backend: Backend) -> Self {
        let bytes = key.bytes();
        match (mode, backend) {
            (Mode::Aes256GcmRtpsize, Backend::AwsLc) => {
                let key = UnboundKey::new(&AES_256_GCM, bytes).expect("invariant: the key has 32 bytes");
                Cipher::AesGcm(LessSafeKey::new(key))
            }
            (Mode::Aes256GcmRtpsize, Backend::Portable) => {
                Cipher::PortableAesGcm(Box::new(Aes256Gcm::new(bytes.into())))
            }
            (Mode::XChaCha20Poly1305Rtpsize, Backend::AwsLc) => Cipher::XChaCha(key.clone()),
            (Mode::XChaCha20Poly1305Rtpsize, Backend::Portable) => {
                Cipher::PortableXChaCha(XChaCha20Poly1305::new(bytes.into()))
            }
            (
                Mode::XSalsa20Poly1305
                | Mode::XSalsa20Poly1305Suffix
                | Mode::XSalsa20Poly1305Lite
                | Mode::XSalsa20Poly1305LiteRtpsize,
                _,
            ) => Cipher::SecretBox(XSalsa20Poly1305::new(bytes.into())),
        }
    }

    /// Encrypts `text` in place. A secret box has no associated data: `clear` is ignored there.
    pub(crate) fn seal(
        &self,
        nonce: &[u8; NONCE_LEN],
        clear: &[u8],
        text: &mut [u8],
        tag: &mut [u8; TAG_LEN],
    ) -> Result<(), Refused> {
        *tag = match self {
            Cipher::AesGcm(key) => return seal_aws(key, gcm_nonce(nonce), clear, text, tag),
            Cipher::XChaCha(key) => return seal_aws(&subkey(key, nonce)?, chacha_nonce(nonce), clear, text, tag),
            Cipher::PortableAesGcm(cipher) => {
                cipher.encrypt_inout_detached((&gcm_nonce(nonce)).into(), clear, text.into())?.into()
            }
            Cipher::PortableXChaCha(cipher) => cipher.encrypt_inout_detached(nonce.into(), clear, text.into())?.into(),
            Cipher::SecretBox(cipher) => cipher.encrypt_in_place_detached(nonce.into(), &[], text)?.into(),
        };
        Ok(())
    }

    /// Decrypts `text` in place. When it refuses, `text` is worthless.
    pub(crate) fn open(
        &self,
        nonce: &[u8; NONCE_LEN],
        clear: &[u8],
        text: &mut [u8],
        tag: &[u8; TAG_LEN],
    ) -> Result<(), Refused> {
        match self {
            Cipher::AesGcm(key) => open_aws(key, gcm_nonce(nonce), clear, text, tag)?,
            Cipher::XChaCha(key) => open_aws(&subkey(key, nonce)?, chacha_nonce(nonce), clear, text, tag)?,
            Cipher::PortableAesGcm(cipher) => {
                cipher.decrypt_inout_detached((&gcm_nonce(nonce)).into(), clear, text.into(), tag.into())?;
            }
            Cipher::PortableXChaCha(cipher) => {
                cipher.decrypt_inout_detached(nonce.into(), clear, text.into(), tag.into())?;
            }
            Cipher::SecretBox(cipher) => cipher.decrypt_in_place_detached(nonce.into(), &[], text, tag.into())?,
        }
        Ok(())
    }
}

/// AES-GCM has a nonce of 12 bytes: what follows them is zero in its modes.
fn gcm_nonce(nonce: &[u8; NONCE_LEN]) -> [u8; 12] {
    let mut short = [0; 12];
    short.copy_from_slice(&nonce[..12]);
    short
}

/// XChaCha20-Poly1305 is ChaCha20-Poly1305 with a key derived from the nonce's first 16 bytes, and the other 8 as nonce
/// (draft-irtf-cfrg-xchacha-03, section 2.3). The packet's counter is in the first 16, so no two packets share a key and
/// there is nothing to keep. Inlined because AWS-LC's context has some 600 bytes, and each move of it is felt.
#[inline(always)]
fn subkey(key: &Key, nonce: &[u8; NONCE_LEN]) -> Result<LessSafeKey, Refused> {
    let mut head = [0; 16];
    head.copy_from_slice(&nonce[..16]);
    let subkey: Zeroizing<[u8; KEY_LEN]> =
        Zeroizing::new(chacha20::hchacha::<R20>(key.bytes().into(), (&head).into()).into());
    Ok(LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, subkey.as_slice())?))
}

fn chacha_nonce(nonce: &[u8; NONCE_LEN]) -> [u8; 12] {
    let mut tail = [0; 12];
    tail[4..].copy_from_slice(&nonce[16..]);
    tail
}

fn seal_aws(
    key: &LessSafeKey,
    nonce: [u8; 12],
    clear: &[u8],
    text: &mut [u8],
    tag: &mut [u8; TAG_LEN],
) -> Result<(), Refused> {
    let nonce = Nonce::assume_unique_for_key(nonce);
    Ok(key.seal_in_place_scatter(nonce, Aad::from(clear), text, &[], tag)?)
}

fn open_aws(
    key: &LessSafeKey,
    nonce: [u8; 12],
    clear: &[u8],
    text: &mut [u8],
    tag: &[u8; TAG_LEN],
) -> Result<(), Refused> {
    let nonce = Nonce::assume_unique_for_key(nonce);
    key.open_in_place_separate_tag(nonce, Aad::from(clear), tag, text)?;
    Ok(())
}
