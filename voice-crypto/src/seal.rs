use std::fmt;

use crate::cipher::{Backend, Cipher};
use crate::key::Key;
use crate::mode::{Mode, TAG_LEN};
use crate::nonce::{Half, NONCE_LEN, Nonces};

/// Clear bytes of an RTCP packet: its header and the sender's SSRC (RFC 3550, section 6.4).
const RTCP_CLEAR_LEN: usize = 8;

/// Encrypts what goes out, in place. One per key: its counters make every nonce unique, so it must live exactly as long
/// as the key does, over resumes and repeated session descriptions.
pub struct Sealer {
    mode: Mode,
    cipher: Cipher,
    nonces: Nonces,
    nonce_tail: [u8; 20],
}

impl Sealer {
    /// A sealer for a fresh key: RTP nonces count from 0, RTCP nonces from 0x8000_0000, both little-endian.
    pub fn new(mode: Mode, key: &Key, backend: Backend) -> Self {
        Self { mode, cipher: Cipher::new(mode, key, backend), nonces: Nonces::new(), nonce_tail: [0; 20] }
    }

    /// Continues at this counter, in the half that it belongs to, with a key that is not fresh. What lies before it
    /// counts as used; a counter that lies behind changes nothing, because a nonce used twice gives the key away.
    #[must_use]
    pub fn resume_from(mut self, counter: u32) -> Self {
        self.nonces.skip_to(counter);
        self
    }

    /// The last 20 bytes of each nonce of `xsalsa20_poly1305_suffix`, whose first 4 are the counter; zeros unless set.
    /// Random bytes keep two sealers of one key apart. Other modes ignore them.
    #[must_use]
    pub fn with_nonce_tail(mut self, tail: [u8; 20]) -> Self {
        self.nonce_tail = tail;
        self
    }

    /// How packets are encrypted.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Seals an RTP packet: `clear_len` header bytes, then `plaintext_len` bytes to encrypt, then at least
    /// [`Mode::overhead`] bytes of room. Returns the length of the finished packet.
    ///
    /// # Errors
    ///
    /// See [`SealError`]; the buffer is no packet then.
    pub fn seal_rtp(&mut self, buffer: &mut [u8], clear_len: usize, plaintext_len: usize) -> Result<usize, SealError> {
        self.seal(Half::Rtp, buffer, clear_len, plaintext_len)
    }

    /// Seals an RTCP compound, whose first 8 bytes stay clear; `plaintext_len` counts the bytes after them.
    ///
    /// # Errors
    ///
    /// As [`Sealer::seal_rtp`].
    pub fn seal_rtcp(&mut self, buffer: &mut [u8], plaintext_len: usize) -> Result<usize, SealError> {
        self.seal(Half::Rtcp, buffer, RTCP_CLEAR_LEN, plaintext_len)
    }

    /// Seals with the next nonce of the given half, whatever the packet is. A nonce is used up even when the packet is
    /// never sent.
    ///
    /// # Errors
    ///
    /// As [`Sealer::seal_rtp`].
    pub fn seal(
        &mut self,
        half: Half,
        buffer: &mut [u8],
        clear_len: usize,
        plaintext_len: usize,
    ) -> Result<usize, SealError> {
        let len = buffer.len();
        let needed = clear_len.saturating_add(plaintext_len).saturating_add(self.mode.overhead());
        let packet = buffer.get_mut(..needed).ok_or(SealError::BufferTooShort { needed, len })?;
        let (clear, sealed) = packet.split_at_mut(clear_len);
        let (body, suffix) = sealed.split_at_mut(plaintext_len + TAG_LEN);

        let nonce = self.nonce(half, clear)?;
        suffix.copy_from_slice(&nonce[..suffix.len()]);
        let (text, tag) = if self.mode.is_retired() {
            body.copy_within(..plaintext_len, TAG_LEN);
            body.split_first_chunk_mut().map(|(tag, text)| (text, tag))
        } else {
            body.split_last_chunk_mut()
        }
        .expect("invariant: the body has room for a tag");
        self.cipher.seal(&nonce, clear, text, tag).map_err(|_| SealError::Refused)?;
        Ok(needed)
    }

    fn nonce(&mut self, half: Half, clear: &[u8]) -> Result<[u8; NONCE_LEN], SealError> {
        let mut nonce = [0; NONCE_LEN];
        if self.mode == Mode::XSalsa20Poly1305 {
            if half == Half::Rtcp {
                return Err(SealError::NoRtcp);
            }
            let len = clear.len().min(NONCE_LEN);
            nonce[..len].copy_from_slice(&clear[..len]);
            return Ok(nonce);
        }
        let counter = self.nonces.take(half).ok_or(SealError::NoncesUsedUp(half))?;
        nonce[..4].copy_from_slice(&counter.to_le_bytes());
        if self.mode == Mode::XSalsa20Poly1305Suffix {
            nonce[4..].copy_from_slice(&self.nonce_tail);
        }
        Ok(nonce)
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("mode", &self.mode).field("nonces", &self.nonces).finish_non_exhaustive()
    }
}

/// Why a packet was not sealed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The caller's mistake: no room for the packet with its tag and nonce. Nothing was used up.
    #[error(
        "the sealed packet needs {needed} bytes, the buffer has {len}: leave MAX_OVERHEAD bytes behind the plaintext"
    )]
    BufferTooShort {
        /// Bytes of the sealed packet.
        needed: usize,
        /// Bytes of the buffer.
        len: usize,
    },
    /// All 2^31 nonces of this half are used; going on would give the key away.
    #[error("all 2^31 {0:?} nonces of this key are used up: join afresh, for a new key")]
    NoncesUsedUp(Half),
    /// In `xsalsa20_poly1305` the nonce is the clear header, which for RTCP is the same in every report.
    #[error("xsalsa20_poly1305 has no safe nonce for RTCP: send no reports in this mode")]
    NoRtcp,
    /// The cipher takes no text of this length. No datagram is that long.
    #[error("the cipher refuses a text of this length")]
    Refused,
}
