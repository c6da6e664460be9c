use std::fmt;

use aws_lc_rs::digest;
use voice_model::UserId;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A speaker's base secret of one epoch: 16 bytes that the MLS group exports, from which that speaker's media keys are
/// ratcheted (DAVE protocol, "Sender Key Derivation"). All that control hands to media. Zeroized; `Debug` prints the
/// length.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret([u8; Secret::LEN]);

impl Secret {
    /// Bytes of a secret.
    pub const LEN: usize = 16;

    /// The label under which MLS exports it.
    pub const LABEL: &str = "Discord Secure Frames v0";

    /// The context under which MLS exports it: whose it is, as 8 little-endian bytes.
    pub const fn context(speaker: UserId) -> [u8; 8] {
        speaker.get().to_le_bytes()
    }

    /// Takes exported bytes.
    pub const fn new(bytes: [u8; Secret::LEN]) -> Self {
        Self(bytes)
    }

    /// The bytes. They open everything that this speaker says in this epoch.
    pub const fn expose(&self) -> &[u8; Secret::LEN] {
        &self.0
    }

    /// What to know it by after its bytes are gone.
    pub(crate) fn id(&self) -> SecretId {
        SecretId(digest::digest(&digest::SHA256, &self.0).as_ref().first_chunk().copied().unwrap_or_default())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} bytes)", Self::LEN)
    }
}

/// The MLS epoch authenticator (RFC 9420, section 8.7): 32 bytes that all members of an epoch have in common, and nobody
/// else. A secret: who knows it can pretend to have been there. Zeroized; `Debug` prints the length.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Authenticator([u8; Authenticator::LEN]);

impl Authenticator {
    /// Bytes of an authenticator.
    pub const LEN: usize = 32;

    pub(crate) const fn new(bytes: [u8; Authenticator::LEN]) -> Self {
        Self(bytes)
    }

    /// The bytes: what [`privacy_code`](crate::verify::privacy_code) is made of.
    pub const fn expose(&self) -> &[u8; Authenticator::LEN] {
        &self.0
    }
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authenticator({} bytes)", Self::LEN)
    }
}

/// Half of a secret's SHA-256: tells secrets apart and gives nothing away.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SecretId([u8; 16]);

#[cfg(test)]
mod tests {
    use super::{Authenticator, Secret};
    use zeroize::Zeroize;

    #[test]
    fn debug_tells_the_length_only() {
        assert_eq!(format!("{:?}", Secret::new([0xAB; Secret::LEN])), "Secret(16 bytes)");
        assert_eq!(format!("{:?}", Authenticator::new([0xAB; 32])), "Authenticator(32 bytes)");
    }

    #[test]
    fn wiping_leaves_zeros() {
        let mut secret = Secret::new([0xAB; Secret::LEN]);
        secret.zeroize();
        assert_eq!(secret.expose(), &[0; Secret::LEN]);
    }

    #[test]
    fn ids_tell_secrets_apart() {
        let (one, other) = (Secret::new([1; Secret::LEN]), Secret::new([2; Secret::LEN]));
        assert_eq!(one.id(), one.clone().id());
        assert_ne!(one.id(), other.id());
    }
}
