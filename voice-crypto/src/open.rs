use std::fmt;

use crate::cipher::{Backend, Cipher};
use crate::key::Key;
use crate::mode::{Mode, TAG_LEN};
use crate::nonce::NONCE_LEN;

/// Decrypts what comes in, in place. It takes any nonce: peers count in both byte orders.
pub struct Opener {
    mode: Mode,
    cipher: Cipher,
}

impl Opener {
    /// An opener for the packets of this key.
    pub fn new(mode: Mode, key: &Key, backend: Backend) -> Self {
        Self { mode, cipher: Cipher::new(mode, key, backend) }
    }

    /// How packets are encrypted.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The plaintext of a packet with `clear_len` clear bytes (8 for RTCP), which now starts at `packet[clear_len]`:
    /// the clear bytes and the plaintext together are the packet as it was before sealing.
    ///
    /// `None`: not authentic, or too short. What follows the clear bytes is worthless then.
    pub fn open<'a>(&mut self, packet: &'a mut [u8], clear_len: usize) -> Option<&'a mut [u8]> {
        let text_len = packet.len().checked_sub(clear_len)?.checked_sub(self.mode.overhead())?;
        let (clear, sealed) = packet.split_at_mut(clear_len);
        let (body, suffix) = sealed.split_at_mut(text_len + TAG_LEN);

        let nonce = self.nonce(clear, suffix);
        if self.mode.is_retired() {
            let (tag, text) = body.split_first_chunk_mut::<TAG_LEN>()?;
            self.cipher.open(&nonce, clear, text, tag).ok()?;
            body.copy_within(TAG_LEN.., 0);
        } else {
            let (text, tag) = body.split_last_chunk_mut::<TAG_LEN>()?;
            self.cipher.open(&nonce, clear, text, tag).ok()?;
        }
        Some(&mut body[..text_len])
    }

    fn nonce(&self, clear: &[u8], suffix: &[u8]) -> [u8; NONCE_LEN] {
        let source = if self.mode == Mode::XSalsa20Poly1305 { clear } else { suffix };
        let len = source.len().min(NONCE_LEN);
        let mut nonce = [0; NONCE_LEN];
        nonce[..len].copy_from_slice(&source[..len]);
        nonce
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opener").field("mode", &self.mode).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
