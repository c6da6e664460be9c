use std::fmt;

use crate::codec::{Clear, Codec, Layout, has_start_code};
use crate::frame::{Interleaved, SealKey, write_plain_trailer, write_trailer};
use crate::ratchet::{GENERATION_SHIFT, Ratchet};
use crate::secret::{Secret, SecretId};

/// How often a frame is sealed that comes out with a start code in it (libdave, `MAX_CIPHERTEXT_VALIDATION_RETRIES`).
pub const MAX_ATTEMPTS: usize = 10;

/// Of how many secrets before the one in use it is known which nonces are used up. MLS never exports a secret twice; what
/// comes twice are the latest ones, when a transition is announced again.
const MAX_REMEMBERED: usize = 32;

/// Encrypts our frames, in place. Owned by media; no lock, no allocation per Opus frame.
///
/// The last 32 secrets are remembered by a hash, with the nonces that they have used up: one that comes back goes on.
#[derive(Default)]
pub struct Sealer {
    current: Option<Lane>,
    /// Oldest first.
    remembered: Vec<(SecretId, u64)>,
    layout: Layout,
    parts: Interleaved,
    stats: SealStats,
}

/// Why a frame was not sealed. It must not be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// No secret is installed.
    #[error("no secret yet: nothing may be sent until the group has one")]
    NoSecret,
    /// The caller's mistake: no room.
    #[error("the sealed frame needs up to {needed} bytes, the buffer has {len}")]
    BufferTooShort {
        /// Bytes needed at most: [`Sealer::max_len`], or those of the frame when they are not there.
        needed: usize,
        /// Bytes of the buffer.
        len: usize,
    },
    /// DAVE cannot carry this frame: too many clear ranges, or a start code that would not go away.
    #[error("this frame cannot be sealed: drop it and go on")]
    Unsealable,
}

/// What a [`Sealer`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SealStats {
    /// Frames sealed.
    pub sealed: u64,
    /// Frames refused for want of a secret.
    pub no_secret: u64,
    /// Frames refused for any other reason.
    pub failed: u64,
}

impl Sealer {
    /// A sealer without a secret: it seals nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Seals with this secret from now on. Installing the one in use, or one that was suspended, goes on with its
    /// nonces; returns whether it is a new one.
    pub fn install(&mut self, secret: &Secret) -> bool {
        let id = secret.id();
        if self.current.as_ref().is_some_and(|lane| lane.id == id) {
            return false;
        }
        let known = self.remembered.iter().position(|(known, _)| *known == id);
        let used = known.map(|index| self.remembered.remove(index).1);
        self.suspend();
        self.current = Some(Lane::new(id, secret, used.unwrap_or(0)));
        used.is_none()
    }

    /// Seals nothing until the next [`install`](Self::install).
    pub fn suspend(&mut self) {
        if let Some(lane) = self.current.take() {
            if self.remembered.len() == MAX_REMEMBERED {
                self.remembered.remove(0);
            }
            self.remembered.push((lane.id, lane.used));
        }
    }

    /// Whether frames can be sealed.
    pub fn is_ready(&self) -> bool {
        self.current.is_some()
    }

    /// The most that sealing a frame of `len` bytes can make of it.
    pub fn max_len(codec: Codec, len: usize) -> usize {
        codec.max_len(len)
    }

    /// Seals the frame `buffer[..len]` in place; returns the length of the sealed frame. The buffer must have room for
    /// [`max_len`](Self::max_len) bytes, whatever the frame needs.
    ///
    /// # Errors
    ///
    /// See [`SealError`]; the buffer is no frame then.
    pub fn seal(&mut self, codec: Codec, buffer: &mut [u8], len: usize) -> Result<usize, SealError> {
        let sealed = self.try_seal(codec, buffer, len);
        match sealed {
            Ok(_) => self.stats.sealed += 1,
            Err(SealError::NoSecret) => self.stats.no_secret += 1,
            Err(_) => self.stats.failed += 1,
        }
        sealed
    }

    /// Figures.
    pub fn stats(&self) -> SealStats {
        self.stats
    }

    fn try_seal(&mut self, codec: Codec, buffer: &mut [u8], len: usize) -> Result<usize, SealError> {
        let lane = self.current.as_mut().ok_or(SealError::NoSecret)?;
        let needed = codec.max_len(len);
        if buffer.len() < needed {
            return Err(SealError::BufferTooShort { needed, len: buffer.len() });
        }
        let (frame, _) = buffer.split_at_mut(len);
        match codec.clear(frame, &mut self.layout) {
            Clear::Prefix(0) => {
                let (key, nonce) = lane.next();
                let tag = key.seal(nonce, &[], frame).map_err(|_| SealError::Unsealable)?;
                write_plain_trailer(buffer, len, tag, nonce).ok_or(SealError::Unsealable)
            }
            Clear::Prefix(clear_len) => {
                let (clear, text) = frame.split_at_mut(clear_len.min(len));
                let (key, nonce) = lane.next();
                let tag = key.seal(nonce, clear, text).map_err(|_| SealError::Unsealable)?;
                let range = 0..clear_len;
                write_trailer(buffer, len, tag, nonce, &[range]).ok_or(SealError::Unsealable)
            }
            Clear::Scattered => seal_scattered(lane, codec, &self.layout, &mut self.parts, buffer),
        }
    }
}

fn seal_scattered(
    lane: &mut Lane,
    codec: Codec,
    Layout { media, ranges }: &Layout,
    parts: &mut Interleaved,
    buffer: &mut [u8],
) -> Result<usize, SealError> {
    let room = buffer.len();
    let out = buffer.get_mut(..media.len());
    let out = out.ok_or(SealError::BufferTooShort { needed: media.len(), len: room })?;
    out.copy_from_slice(media);
    parts.take_plain(media, ranges);
    for _ in 0..MAX_ATTEMPTS {
        let (key, nonce) = lane.next();
        let out = buffer.get_mut(..media.len()).unwrap_or_default();
        let tag = parts.seal(key, nonce, out, ranges).map_err(|_| SealError::Unsealable)?;
        let len = write_trailer(buffer, media.len(), tag, nonce, ranges).ok_or(SealError::Unsealable)?;
        if !codec.has_start_codes() || !has_start_code(buffer.get(..len).unwrap_or_default(), ranges) {
            return Ok(len);
        }
    }
    Err(SealError::Unsealable)
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("ready", &self.is_ready()).field("stats", &self.stats).finish_non_exhaustive()
    }
}

/// One secret in use.
struct Lane {
    id: SecretId,
    ratchet: Ratchet,
    key: SealKey,
    /// Frames sealed: the last nonce. The wire has its lower 32 bits; the bits from 24 on are the generation.
    used: u64,
}

impl Lane {
    fn new(id: SecretId, secret: &Secret, used: u64) -> Self {
        let mut ratchet = Ratchet::new(secret);
        ratchet.advance_to(generation(used));
        Self { id, key: SealKey::new(&ratchet.key()), ratchet, used }
    }

    /// A key and a nonce that were not used together before. The first nonce is 1.
    fn next(&mut self) -> (&SealKey, u32) {
        self.used += 1;
        let generation = generation(self.used);
        if generation != self.ratchet.generation() {
            self.ratchet.advance_to(generation);
            self.key = SealKey::new(&self.ratchet.key());
        }
        (&self.key, self.used as u32)
    }
}

/// 2^56 frames have 32 bits of generation.
fn generation(used: u64) -> u32 {
    (used >> GENERATION_SHIFT) as u32
}

#[cfg(test)]
mod tests;
