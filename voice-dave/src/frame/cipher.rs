use std::fmt;

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, DecryptingKey, DecryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use zeroize::{Zeroize, Zeroizing};

use super::TAG_LEN;
use crate::ratchet::KEY_LEN;

/// Bytes of a tag before it is cut, and of a block.
pub(super) const BLOCK_LEN: usize = 16;

/// The cipher refused a text of this length. No frame is that long.
#[derive(Debug)]
pub(crate) struct Refused;

/// The key of one generation, ready to seal: AES-128-GCM with tags cut to 8 bytes (DAVE protocol, "Media Ciphersuite").
pub struct SealKey(LessSafeKey);

impl SealKey {
    /// Sets the key up.
    pub fn new(key: &[u8; KEY_LEN]) -> Self {
        let key = UnboundKey::new(&AES_128_GCM, key).expect("invariant: the key has 16 bytes");
        Self(LessSafeKey::new(key))
    }

    /// Encrypts in place, returns the tag.
    pub(crate) fn seal(&self, nonce: u32, clear: &[u8], text: &mut [u8]) -> Result<[u8; TAG_LEN], Refused> {
        let mut tag = [0; BLOCK_LEN];
        let sealed = self.0.seal_in_place_scatter(expand(nonce), Aad::from(clear), text, &[], &mut tag);
        sealed.map_err(|_| Refused)?;
        Ok(cut(tag))
    }

    /// Encrypts from one buffer into another of the same length, returns the tag.
    pub(crate) fn seal_into(
        &self,
        nonce: u32,
        clear: &[u8],
        text: &[u8],
        sealed: &mut [u8],
    ) -> Result<[u8; TAG_LEN], Refused> {
        let mut tag = [0; BLOCK_LEN];
        let outcome = self.0.seal_out_of_place_scatter(expand(nonce), Aad::from(clear), text, sealed, &[], &mut tag);
        outcome.map_err(|_| Refused)?;
        Ok(cut(tag))
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey(AES-128)")
    }
}

/// The key of one generation, ready to open: authentic or not first, the plaintext afterwards.
//
// The library verifies whole tags of 16 bytes only. But it computes the tag of associated data without a text, and over the
// same bytes that differs from the tag of a ciphertext in one block: the last one, which holds both lengths. The tag is linear
// in it (NIST SP 800-38D, section 6.4), so the difference of the two blocks, times the hash key, turns one tag into the other.
// That takes a few shifts. Sealing twice and comparing needs none of this, but twice the time.
pub struct OpenKey {
    mac: SealKey,
    counter: DecryptingKey,
    lengths: Lengths,
}

impl OpenKey {
    /// Sets the key up.
    pub fn new(key: &[u8; KEY_LEN]) -> Self {
        let counter = UnboundCipherKey::new(&AES_128, key).and_then(DecryptingKey::ctr);
        let counter = counter.expect("invariant: the key has 16 bytes");
        let mut hash_key = [0; BLOCK_LEN];
        run(&counter, [0; BLOCK_LEN], &mut hash_key);
        let lengths = Lengths::new(&hash_key);
        hash_key.zeroize();
        Self { mac: SealKey::new(key), counter, lengths }
    }

    /// Whether the tag is that of a frame whose clear bytes, filled up to whole blocks with zeros, and whose encrypted ones
    /// are `padded`; `clear_len` bytes are clear.
    pub(super) fn is_authentic(&self, nonce: u32, clear_len: usize, padded: &[u8], tag: [u8; TAG_LEN]) -> bool {
        let mut own = [0; BLOCK_LEN];
        let sealed = self.mac.0.seal_in_place_scatter(expand(nonce), Aad::from(padded), &mut [], &[], &mut own);
        let own = u128::from_be_bytes(own) ^ self.lengths.difference(clear_len, padded.len());
        sealed.is_ok() && equal(cut(own.to_be_bytes()), tag)
    }

    /// Decrypts in place what is authentic.
    pub(super) fn decrypt(&self, nonce: u32, text: &mut [u8]) {
        // Counter 1 encrypts the tag, the text begins at 2 (NIST SP 800-38D, section 7.1).
        let [a, b, c, d] = nonce.to_le_bytes();
        run(&self.counter, [0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d, 0, 0, 0, 2], text);
    }
}

impl fmt::Debug for OpenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpenKey(AES-128)")
    }
}

/// Counter mode from this block on.
fn run(key: &DecryptingKey, block: [u8; BLOCK_LEN], text: &mut [u8]) {
    let context = DecryptionContext::Iv128(FixedLength::from(block));
    key.decrypt(text, context).map(drop).expect("invariant: counter mode takes any text");
}

/// The hash key, shifted to where the lengths stand in the last block. It is a polynomial whose lowest power is the highest bit;
/// lengths are numbers of bits.
#[derive(Zeroize)]
#[zeroize(drop)]
struct Lengths {
    /// Of one clear byte.
    clear: u128,
    /// Of one encrypted byte.
    encrypted: u128,
}

impl Lengths {
    fn new(hash_key: &[u8; BLOCK_LEN]) -> Self {
        let hash_key = Zeroizing::new(u128::from_be_bytes(*hash_key));
        // x^128 is 1 + x + x^2 + x^7.
        let times_x = |value: u128, _| value >> 1 ^ 0xE1 << 120 & (value & 1).wrapping_neg();
        // The lowest bit of the upper half of the block is x^63, of the lower half x^127; 8 bits are a byte.
        let clear = (0..60).fold(*hash_key, times_x);
        Self { clear, encrypted: (60..124).fold(clear, times_x) }
    }

    /// What the tag of `padded_len` clear bytes lacks to that of `clear_len` clear ones and the rest encrypted.
    fn difference(&self, clear_len: usize, padded_len: usize) -> u128 {
        if clear_len == 0 {
            return times(self.clear ^ self.encrypted, padded_len);
        }
        let encrypted_len = padded_len.saturating_sub(clear_len.next_multiple_of(BLOCK_LEN));
        times(self.clear, padded_len ^ clear_len) ^ times(self.encrypted, encrypted_len)
    }
}

/// `unit` so many times. Without a branch but for how large `count` is: `unit` is secret, and counts are hard to predict.
fn times(mut unit: u128, mut count: usize) -> u128 {
    let mut product = 0;
    while count > 0 {
        product ^= unit & (count as u128 & 1).wrapping_neg();
        // Twice as many is one power of x less; x^-1 is 1 + x + x^6 + x^127.
        unit = unit << 1 ^ (0xE1 << 121 | 1) & (unit >> 127).wrapping_neg();
        count >>= 1;
    }
    product
}

/// 8 zero bytes, then the 4 little-endian bytes that the frame carries (DAVE protocol, "Truncated synchronization nonce").
fn expand(nonce: u32) -> Nonce {
    let [a, b, c, d] = nonce.to_le_bytes();
    let nonce: [u8; NONCE_LEN] = [0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d];
    Nonce::assume_unique_for_key(nonce)
}

fn cut(tag: [u8; BLOCK_LEN]) -> [u8; TAG_LEN] {
    let [a, b, c, d, e, f, g, h, ..] = tag;
    [a, b, c, d, e, f, g, h]
}

/// One comparison of one word: it takes as long wherever they differ.
fn equal(one: [u8; TAG_LEN], other: [u8; TAG_LEN]) -> bool {
    u64::from_ne_bytes(one) ^ u64::from_ne_bytes(other) == 0
}
