//! What people compare: displayable codes, fingerprints of keys and of pairs of people (DAVE protocol, "Displayable
//! Codes" and "Identity Key Verification").

use std::fmt::Write as _;

use voice_model::UserId;

/// Digits of a group, at most. The protocol's text says "smaller than 8"; every implementation takes 8.
const MAX_GROUP: usize = 8;

/// The salt of pairwise fingerprints (DAVE protocol, "Verification Fingerprint").
const SALT: [u8; 16] = [0x24, 0xca, 0xb1, 0x7a, 0x7a, 0xf8, 0xec, 0x2b, 0x82, 0xb4, 0x12, 0xb9, 0x2d, 0xab, 0x19, 0x2e];

/// Why there is no code or fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// Fewer bytes than digits.
    #[error("{len} bytes of data are too short for a code of {digits} digits")]
    TooShort {
        /// Bytes given.
        len: usize,
        /// Digits wanted.
        digits: usize,
    },
    /// The group size is 0, above 8, or does not divide the length.
    #[error("a code of {digits} digits has no groups of {group}: 1 to 8 digits that divide it")]
    Group {
        /// Digits wanted.
        digits: usize,
        /// Digits of a group.
        group: usize,
    },
    /// Only version 0 of the fingerprint format exists.
    #[error("fingerprint version {0} is unknown: only 0 is")]
    Version(u16),
    /// No key.
    #[error("the key is empty")]
    NoKey,
}

/// Digits for people to compare: groups of `group` bytes as big-endian numbers modulo 10^group, with leading zeros.
/// Bytes behind the last group are not looked at.
///
/// # Errors
///
/// When the data is too short or the group impossible.
pub fn displayable_code(data: &[u8], digits: usize, group: usize) -> Result<String, VerifyError> {
    if !(1..=MAX_GROUP).contains(&group) || !digits.is_multiple_of(group) {
        return Err(VerifyError::Group { digits, group });
    }
    let data = data.get(..digits).ok_or(VerifyError::TooShort { len: data.len(), digits })?;
    Ok(code(data, group))
}

fn code(data: &[u8], group: usize) -> String {
    let mut code = String::with_capacity(data.len());
    let modulus = 10_u64.pow(group as u32);
    for bytes in data.chunks_exact(group) {
        let number = bytes.iter().fold(0, |number: u64, byte| number << 8 | u64::from(*byte));
        write!(code, "{:0group$}", number % modulus).expect("invariant: a String takes every character");
    }
    code
}

/// The 30 digits of a call, from the 32 bytes of its epoch authenticator.
pub fn privacy_code(authenticator: &[u8; 32]) -> String {
    code(&authenticator[..30], 5)
}

/// `version ‖ public key ‖ user`, the numbers big-endian.
///
/// # Errors
///
/// When the version is not 0 or the key empty.
pub fn key_fingerprint(version: u16, key: &[u8], user: UserId) -> Result<Vec<u8>, VerifyError> {
    if version != 0 {
        return Err(VerifyError::Version(version));
    }
    if key.is_empty() {
        return Err(VerifyError::NoKey);
    }
    Ok([&version.to_be_bytes(), key, &user.get().to_be_bytes()].concat())
}

/// A key as Discord's JSON API carries it: base64 with padding (RFC 4648, section 4).
pub fn key_base64(key: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(key.len().div_ceil(3) * 4);
    for bytes in key.chunks(3) {
        let byte = |at: usize| u32::from(bytes.get(at).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * at)) as usize % DIGITS.len()];
            text.push(if at <= bytes.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

/// Two people and their public keys. Deriving their fingerprint takes tens of milliseconds and 16 MiB (scrypt): do it
/// where that is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The lower of the two key fingerprints first, as bytes compare.
    sorted: [Vec<u8>; 2],
}

impl Pair {
    /// Two people, in any order.
    ///
    /// # Errors
    ///
    /// As [`key_fingerprint`].
    pub fn new(version: u16, one: (&[u8], UserId), other: (&[u8], UserId)) -> Result<Self, VerifyError> {
        let mut sorted = [key_fingerprint(version, one.0, one.1)?, key_fingerprint(version, other.0, other.1)?];
        sorted.sort_unstable();
        Ok(Self { sorted })
    }

    /// The 64 bytes that both of them see: scrypt with N = 16384, r = 8, p = 2.
    pub fn fingerprint(&self) -> [u8; 64] {
        let params = scrypt::Params::new(14, 8, 2).expect("invariant: the parameters of the protocol are valid");
        let mut fingerprint = [0; 64];
        scrypt::scrypt(&self.sorted.concat(), &SALT, &params, &mut fingerprint)
            .expect("invariant: 64 bytes is a valid length");
        fingerprint
    }

    /// The 45 digits that both of them see. Derives the fingerprint anew.
    pub fn code(&self) -> String {
        code(&self.fingerprint()[..45], 5)
    }
}
