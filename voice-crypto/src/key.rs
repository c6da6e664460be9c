use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

/// Bytes in the key of every mode.
pub(crate) const KEY_LEN: usize = 32;

/// The `secret_key` of a session description (voice gateway op 4): one key for RTP and RTCP, in both directions.
///
/// Wiped from memory when dropped; `Debug` prints its length only.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Key([u8; KEY_LEN]);

impl Key {
    /// Takes the 32 bytes as they came.
    pub const fn new(bytes: [u8; KEY_LEN]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }
}

impl PartialEq for Key {
    /// Takes the same time whatever the bytes are.
    fn eq(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
    }
}

impl Eq for Key {}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({KEY_LEN} bytes)")
    }
}

#[cfg(test)]
mod tests {
    use super::{KEY_LEN, Key};

    #[test]
    fn debug_tells_the_length_only() {
        assert_eq!(format!("{:?}", Key::new([0xAB; KEY_LEN])), "Key(32 bytes)");
    }

    #[test]
    fn keys_that_differ_in_a_bit_are_different() {
        let mut other = [0xAB; KEY_LEN];
        assert_eq!(Key::new([0xAB; KEY_LEN]), Key::new(other));
        other[KEY_LEN - 1] ^= 1;
        assert_ne!(Key::new([0xAB; KEY_LEN]), Key::new(other));
    }

    #[test]
    fn wiping_leaves_zeros() {
        use zeroize::Zeroize;
        let mut key = Key::new([0xAB; KEY_LEN]);
        key.zeroize();
        assert_eq!(key.bytes(), &[0; KEY_LEN]);
    }
}
