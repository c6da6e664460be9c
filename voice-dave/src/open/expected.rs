use std::time::Instant;

use crate::frame::OpenKey;
use crate::ratchet::{
    GENERATION_SHIFT, MAX_FRAMES_PER_SECOND, MAX_GENERATION_GAP, RETENTION, Ratchet, big_nonce, unwrap_generation,
};
use crate::replay::ReplayWindow;
use crate::secret::{Secret, SecretId};

/// A secret that frames are expected to be sealed with, and what came of it.
pub(super) struct Expected {
    pub(super) id: SecretId,
    since: Instant,
    /// The last moment that it is good for.
    until: Option<Instant>,
    /// At the oldest generation that is kept.
    ratchet: Ratchet,
    newest: Generation,
    /// The one before, and when it ends.
    previous: Option<(Generation, Instant)>,
    /// The last one tried that was neither.
    tried: Option<Generation>,
    window: ReplayWindow,
}

struct Generation {
    number: u32,
    /// Set up when it is first needed: most secrets of a large group seal nothing.
    key: Option<Box<OpenKey>>,
}

impl Generation {
    fn new(number: u32) -> Self {
        Self { number, key: None }
    }

    fn key(&mut self, oldest: &Ratchet) -> &OpenKey {
        self.key.get_or_insert_with(|| {
            let mut ratchet = oldest.clone();
            ratchet.advance_to(self.number);
            Box::new(OpenKey::new(&ratchet.key()))
        })
    }
}

/// Where a nonce belongs.
#[derive(Clone, Copy)]
pub(super) struct Place {
    generation: u32,
    nonce: u64,
}

impl Expected {
    pub(super) fn new(now: Instant, secret: &Secret) -> Self {
        Self {
            id: secret.id(),
            since: now,
            until: None,
            ratchet: Ratchet::new(secret),
            newest: Generation::new(0),
            previous: None,
            tried: None,
            window: ReplayWindow::new(),
        }
    }

    /// Expected until then at the latest.
    pub(super) fn retire(&mut self, at: Instant) {
        self.until = Some(self.until.map_or(at, |until| until.min(at)));
    }

    pub(super) fn until(&self) -> Option<Instant> {
        self.until
    }

    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now > until)
    }

    /// Erases the generation before the newest when it is over.
    pub(super) fn expire(&mut self, now: Instant) {
        if self.previous.as_ref().is_some_and(|(_, until)| now > *until) {
            self.previous = None;
            self.tried = None;
            self.ratchet.advance_to(self.newest.number);
        }
    }

    /// Where the nonce belongs; `None` when no speaker can be there by now. Costs no derivation.
    pub(super) fn place(&mut self, now: Instant, nonce: u32) -> Option<Place> {
        self.expire(now);
        let oldest = self.previous.as_ref().map_or(self.newest.number, |(previous, _)| previous.number);
        let generation = unwrap_generation(oldest, (nonce >> GENERATION_SHIFT) as u8);
        if generation > self.newest.number {
            let age = now.saturating_duration_since(self.since).as_secs();
            let reachable = age.saturating_mul(MAX_FRAMES_PER_SECOND) >> GENERATION_SHIFT;
            if generation - self.newest.number > MAX_GENERATION_GAP || u64::from(generation) > reachable {
                return None;
            }
        }
        Some(Place { generation, nonce: big_nonce(generation, nonce) })
    }

    /// Whether no frame was accepted with this nonce yet.
    pub(super) fn is_fresh(&self, place: Place) -> bool {
        self.window.may_accept(place.nonce)
    }

    pub(super) fn key(&mut self, place: Place) -> &OpenKey {
        let generation = if place.generation == self.newest.number {
            &mut self.newest
        } else {
            match &mut self.previous {
                Some((previous, _)) if previous.number == place.generation => previous,
                _ => {
                    self.tried.take_if(|tried| tried.number != place.generation);
                    self.tried.get_or_insert_with(|| Generation::new(place.generation))
                }
            }
        };
        generation.key(&self.ratchet)
    }

    /// A frame with this nonce was authentic.
    pub(super) fn accept(&mut self, now: Instant, place: Place) {
        self.window.accept(place.nonce);
        if place.generation > self.newest.number {
            let newest = self.tried.take().unwrap_or_else(|| Generation::new(place.generation));
            let previous = std::mem::replace(&mut self.newest, newest);
            self.ratchet.advance_to(previous.number);
            self.previous = Some((previous, now + RETENTION));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Expected;
    use crate::secret::Secret;

    #[test]
    fn nothing_is_derived_before_it_is_needed() {
        #[expect(clippy::disallowed_methods, reason = "time in these tests starts anywhere")]
        let now = Instant::now();
        let mut expected = Expected::new(now, &Secret::new([1; 16]));
        assert!(expected.place(now, 1 << 24).is_none(), "implausible");
        assert!(expected.place(now, 1).is_some_and(|place| expected.is_fresh(place)));
        assert!(expected.newest.key.is_none() && expected.tried.is_none());

        // A month later, frames of generations that are plausible, and forged: one key more is kept.
        let later = now + Duration::from_secs(30 * 86_400);
        for generation in 0..20 {
            let place = expected.place(later, generation << 24).expect("plausible");
            expected.key(place);
        }
        assert!(expected.newest.key.is_some());
        assert_eq!(expected.tried.as_ref().map(|tried| tried.number), Some(19));
        assert_eq!((expected.newest.number, expected.ratchet.generation()), (0, 0));

        // An authentic one erases what was before its predecessor, 10 s later its predecessor.
        let place = expected.place(later, 3 << 24).expect("plausible");
        expected.key(place);
        expected.accept(later, place);
        expected.expire(later + Duration::from_secs(10));
        assert_eq!((expected.newest.number, expected.ratchet.generation()), (3, 0));
        // Without a further frame.
        expected.expire(later + Duration::from_secs(11));
        assert_eq!(expected.ratchet.generation(), 3);
        assert!(expected.previous.is_none() && expected.tried.is_none());
    }
}
