use std::fmt;
use std::time::Instant;

use voice_model::SILENCE_FRAME;

use crate::codec::Media;
use crate::frame::{Trailer, open_in_place};
use crate::ratchet::GENERATION_SHIFT;
use crate::secret::Secret;

mod expected;

use expected::Expected;

/// The most secrets expected at a time; one more pushes the oldest out. Each epoch brings one, and those before it last for
/// 10 s.
const MAX_SECRETS: usize = 32;

/// Decrypts the frames of one speaker, in place. Owned by media; no lock, no allocation per frame.
///
/// It expects up to 32 secrets; one more pushes the oldest out. Memory: 350 bytes each, 1.2 KiB more for those that frames
/// were tried with, up to 16 KiB where 1,000 single frames are missing; and a buffer for the largest frame with clear ranges.
#[derive(Default)]
pub struct Opener {
    /// Oldest first.
    secrets: Vec<Expected>,
    /// The one that opened the last frame.
    last: usize,
    /// When the first of them ends.
    first_end: Option<Instant>,
    scratch: Vec<u8>,
    stats: OpenStats,
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Opened {
    /// It is authentic: the plaintext is `frame[..len]`.
    Sealed {
        /// Bytes of plaintext.
        len: usize,
    },
    /// A silence frame of the server's making; as it came.
    Silence,
    /// Not sealed, and allowed to be; as it came.
    Plain,
    /// Drop it; as it came.
    Refused(Refusal),
}

/// Why a frame is not to be handed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// Not sealed, and not allowed to be.
    Plain,
    /// Sealed, and there is no secret of this speaker (any more, or yet): one that comes may open it.
    NoSecret,
    /// No secret opens it: forged, or sealed with one that is yet to come.
    Unauthentic,
    /// It is authentic, but its nonce was used already, or is too old to tell.
    Replayed,
    /// Its generation is further ahead than any speaker can be.
    Implausible,
}

/// What an [`Opener`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenStats {
    /// Authentic frames.
    pub opened: u64,
    /// Silence frames passed.
    pub silence: u64,
    /// Plain frames passed.
    pub plain: u64,
    /// [`Refusal::Plain`].
    pub refused_plain: u64,
    /// [`Refusal::NoSecret`].
    pub no_secret: u64,
    /// [`Refusal::Unauthentic`].
    pub unauthentic: u64,
    /// [`Refusal::Replayed`].
    pub replayed: u64,
    /// [`Refusal::Implausible`].
    pub implausible: u64,
}

impl Opener {
    /// An opener without secrets.
    pub fn new() -> Self {
        Self::default()
    }

    /// Expects frames sealed with this secret from now on. What was expected before is expected until `retire` at the
    /// latest. A secret that is known already changes nothing.
    pub fn expect(&mut self, now: Instant, secret: &Secret, retire: Instant) {
        self.erase(now);
        let expected = Expected::new(now, secret);
        if self.secrets.iter().any(|known| known.id == expected.id) {
            return;
        }
        self.retire(retire);
        if self.secrets.len() == MAX_SECRETS {
            self.remove(0);
        }
        // One is the rule: no room for more before it is needed.
        self.secrets.reserve_exact(1);
        self.secrets.push(expected);
    }

    /// Nothing that is expected now is expected after `at`. Can only shorten.
    pub fn retire(&mut self, at: Instant) {
        self.secrets.iter_mut().for_each(|secret| secret.retire(at));
        self.first_end = self.secrets.iter().filter_map(Expected::until).min();
    }

    /// Erases what is over by now: secrets, and the keys of generations past. Opening a frame does so too; of somebody who
    /// has fallen silent, only this does. About once a second is enough.
    pub fn expire(&mut self, now: Instant) {
        self.erase(now);
        self.secrets.iter_mut().for_each(|secret| secret.expire(now));
    }

    /// Whether any secret could open a frame now.
    pub fn is_ready(&self, now: Instant) -> bool {
        self.secrets.iter().any(|secret| !secret.is_over(now))
    }

    /// Opens a frame in place. `plain`: whether frames that are not sealed may pass.
    pub fn open(&mut self, now: Instant, media: Media, plain: bool, frame: &mut [u8]) -> Opened {
        let opened = match Trailer::read(frame) {
            Some(trailer) => self.open_sealed(now, &trailer, frame),
            None if media == Media::Audio && *frame == SILENCE_FRAME => Opened::Silence,
            None if plain => Opened::Plain,
            None => Opened::Refused(Refusal::Plain),
        };
        let stats = &mut self.stats;
        *match opened {
            Opened::Sealed { .. } => &mut stats.opened,
            Opened::Silence => &mut stats.silence,
            Opened::Plain => &mut stats.plain,
            Opened::Refused(Refusal::Plain) => &mut stats.refused_plain,
            Opened::Refused(Refusal::NoSecret) => &mut stats.no_secret,
            Opened::Refused(Refusal::Unauthentic) => &mut stats.unauthentic,
            Opened::Refused(Refusal::Replayed) => &mut stats.replayed,
            Opened::Refused(Refusal::Implausible) => &mut stats.implausible,
        } += 1;
        opened
    }

    /// Figures.
    pub fn stats(&self) -> OpenStats {
        self.stats
    }

    fn open_sealed(&mut self, now: Instant, trailer: &Trailer, frame: &mut [u8]) -> Opened {
        if self.first_end.is_some_and(|end| now > end) {
            self.erase(now);
        }
        if self.secrets.is_empty() {
            return Opened::Refused(Refusal::NoSecret);
        }
        let (mut stale, mut plausible) = (false, false);
        // The one that opened the last frame, then the newest first.
        let last = self.last;
        for index in std::iter::once(last).chain((0..self.secrets.len()).rev().filter(|index| *index != last)) {
            let Some(secret) = self.secrets.get_mut(index) else { continue };
            let Some(place) = secret.place(now, trailer.nonce) else { continue };
            plausible = true;
            if !secret.is_fresh(place) {
                stale = true;
                continue;
            }
            if open_in_place(secret.key(place), trailer, frame, &mut self.scratch, true) {
                secret.accept(now, place);
                self.last = index;
                return Opened::Sealed { len: trailer.media_len };
            }
        }
        Opened::Refused(match plausible {
            true if stale && self.is_replay(now, trailer, frame) => Refusal::Replayed,
            true => Refusal::Unauthentic,
            // The generation that each secret begins with: it may be of one that is yet to come.
            false if trailer.nonce >> GENERATION_SHIFT == 0 => Refusal::Unauthentic,
            false => Refusal::Implausible,
        })
    }

    /// Whether a frame that nothing opens is authentic nevertheless. Nonces of the next epoch begin anew, and look like old
    /// ones of this epoch: such a frame is not to be taken for a replay, because its secret may be yet to come.
    fn is_replay(&mut self, now: Instant, trailer: &Trailer, frame: &mut [u8]) -> bool {
        self.secrets.iter_mut().any(|secret| {
            let stale = secret.place(now, trailer.nonce).filter(|place| !secret.is_fresh(*place));
            stale.is_some_and(|place| open_in_place(secret.key(place), trailer, frame, &mut self.scratch, false))
        })
    }

    /// Forgets what is over.
    fn erase(&mut self, now: Instant) {
        while let Some(index) = self.secrets.iter().position(|secret| secret.is_over(now)) {
            self.remove(index);
        }
        self.first_end = self.secrets.iter().filter_map(Expected::until).min();
    }

    fn remove(&mut self, index: usize) {
        self.secrets.remove(index);
        if index < self.last {
            self.last -= 1;
        }
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opener")
            .field("secrets", &self.secrets.len())
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
