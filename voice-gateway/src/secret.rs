use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

/// The voice token of VOICE_SERVER_UPDATE. Wiped when dropped; `Debug` shows its length only.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Token(String);

impl Token {
    /// The token itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Token {
    fn from(token: String) -> Self {
        Self(token)
    }
}

impl From<&str> for Token {
    fn from(token: &str) -> Self {
        Self(token.to_owned())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({} bytes)", self.0.len())
    }
}

/// The transport key of op 4. Wiped when dropped; `Debug` shows its length only.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct SecretKey([u8; 32]);

impl SecretKey {
    /// Takes the key's bytes.
    pub const fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// The key itself.
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for SecretKey {
    fn from(key: [u8; 32]) -> Self {
        Self(key)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::{SecretKey, Token};

    #[test]
    fn debug_shows_no_secret() {
        assert_eq!(format!("{:?}", Token::from("hunter2")), "Token(7 bytes)");
        assert_eq!(format!("{:?}", SecretKey::new([77; 32])), "SecretKey(32 bytes)");
    }
}
