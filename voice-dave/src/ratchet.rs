use std::fmt;
use std::time::Duration;

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk};
use zeroize::Zeroizing;

use crate::Secret;

/// The generation is the nonce without these low bits (DAVE protocol, "Key Rotation").
pub const GENERATION_SHIFT: u32 = 24;

/// A frame whose generation is further than this ahead of the newest is refused before anything is derived
/// (libdave, `kMaxGenerationGap`).
pub const MAX_GENERATION_GAP: u32 = 250;

/// Nobody sends more frames per second: bounds the generation that a secret of some age can have reached (libdave,
/// `kMaxFramesPerSecond`).
pub const MAX_FRAMES_PER_SECOND: u64 = 170;

/// How long keys outlive what replaced them (DAVE protocol, "Key Rotation").
pub const RETENTION: Duration = Duration::from_secs(10);

/// Bytes of a media key: AES-128.
pub(crate) const KEY_LEN: usize = 16;

/// Bytes of every ratchet secret but the first: a SHA-256.
const SECRET_LEN: usize = 32;

/// The keys of one secret, generation by generation: the sender ratchet of RFC 9420, section 9.1, over MLS ciphersuite 2.
/// A step forward erases what was before. Zeroized; `Debug` prints the generation only.
#[derive(Clone)]
pub struct Ratchet {
    generation: u32,
    secret: Zeroizing<[u8; SECRET_LEN]>,
    /// The first secret has 16 bytes, the others 32.
    secret_len: usize,
}

impl Ratchet {
    /// At generation 0.
    pub fn new(secret: &Secret) -> Self {
        let mut bytes = Zeroizing::new([0; SECRET_LEN]);
        bytes[..Secret::LEN].copy_from_slice(secret.expose());
        Self { generation: 0, secret: bytes, secret_len: Secret::LEN }
    }

    /// Where it stands.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// The AES-128 key of this generation.
    pub fn key(&self) -> Zeroizing<[u8; KEY_LEN]> {
        self.derive(b"key")
    }

    /// The nonce of this generation. DAVE has nonces of its own; this one serves comparisons with other implementations.
    pub fn nonce(&self) -> Zeroizing<[u8; 12]> {
        self.derive(b"nonce")
    }

    /// On to a later generation, one derivation per step; nothing for an earlier one.
    pub fn advance_to(&mut self, generation: u32) {
        while self.generation < generation {
            self.secret = self.derive(b"secret");
            self.secret_len = SECRET_LEN;
            self.generation += 1;
        }
    }

    /// `DeriveTreeSecret(secret, label, generation, N)`: HKDF-Expand under the label of MLS (RFC 9420, sections 8 and 9).
    fn derive<const N: usize>(&self, label: &[u8]) -> Zeroizing<[u8; N]> {
        const PREFIX: &[u8] = b"MLS 1.0 ";
        let mut out = Zeroizing::new([0; N]);
        let info = [
            &(N as u16).to_be_bytes()[..],
            &[(PREFIX.len() + label.len()) as u8],
            PREFIX,
            label,
            &[4],
            &self.generation.to_be_bytes(),
        ];
        Prk::new_less_safe(HKDF_SHA256, self.secret.get(..self.secret_len).unwrap_or_default())
            .expand(&info, Bytes(N))
            .and_then(|okm| okm.fill(&mut *out))
            .expect("invariant: 12 to 32 bytes can be expanded");
        out
    }
}

impl fmt::Debug for Ratchet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ratchet").field("generation", &self.generation).finish_non_exhaustive()
    }
}

struct Bytes(usize);

impl KeyType for Bytes {
    fn len(&self) -> usize {
        self.0
    }
}

/// The generation that a nonce with this most significant byte is of, given that it is `oldest` or one of the 255 after
/// it: the 32-bit nonce starts anew every 256 generations.
pub fn unwrap_generation(oldest: u32, top_byte: u8) -> u32 {
    oldest.saturating_add(u32::from(top_byte.wrapping_sub(oldest as u8)))
}

/// The nonce that would have been sent if 64 bits were: the count of frames since the epoch began.
pub fn big_nonce(generation: u32, nonce: u32) -> u64 {
    u64::from(generation) << GENERATION_SHIFT | u64::from(nonce & ((1 << GENERATION_SHIFT) - 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Ratchet, big_nonce, unwrap_generation};
    use crate::Secret;

    #[test]
    fn each_generation_has_a_key_of_its_own_and_none_comes_back() {
        let mut ratchet = Ratchet::new(&Secret::new([9; 16]));
        let mut keys = vec![*ratchet.key()];
        for generation in 1..=300 {
            ratchet.advance_to(generation);
            assert_eq!(ratchet.generation(), generation);
            assert!(!keys.contains(&ratchet.key()));
            keys.push(*ratchet.key());
        }
        ratchet.advance_to(3);
        assert_eq!(ratchet.generation(), 300);
    }

    #[test]
    fn debug_tells_no_secret() {
        assert_eq!(format!("{:?}", Ratchet::new(&Secret::new([9; 16]))), "Ratchet { generation: 0, .. }");
    }

    proptest! {
        #[test]
        fn a_count_of_frames_survives_the_wire(oldest in 0_u32..100_000, ahead in 0_u32..256, low in 0_u32..1 << 24) {
            let generation = oldest + ahead;
            let count = u64::from(generation) << 24 | u64::from(low);
            let nonce = count as u32;
            let unwrapped = unwrap_generation(oldest, (nonce >> 24) as u8);
            prop_assert_eq!(unwrapped, generation);
            prop_assert_eq!(big_nonce(unwrapped, nonce), count);
        }
    }
}
