use std::time::{Duration, Instant};

/// Packets further apart than this do not belong to one spell of speech: what lies between them does not count.
const LULL: Duration = Duration::from_millis(200);

/// What the receiving half notices of the life of the media path, for control to judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Vital {
    /// A keepalive ping was answered.
    Answered,
    /// So many keepalive pings in a row were not answered, and no packet has opened meanwhile. Told with each ping.
    Unanswered(u32),
    /// A packet opened with the session's key, the first one after trouble was told.
    Opened,
    /// RTP came for this long, pauses of speech not counted, and none of it opened with the session's key. Told again each time
    /// that it has come for as long once more.
    Unopened(Duration),
}

/// Keeps count for [`Vital`]s.
pub(super) struct Vitals {
    /// Pings made since the last sign of life.
    pings: u32,
    /// How long packets may come unopened.
    unopened: Duration,
    /// How long packets have come that did not open, and when the last one came.
    lasted: Duration,
    last: Option<Instant>,
    /// Trouble was told, and not that it is over.
    troubled: bool,
    path: Option<Vital>,
    key: Option<Vital>,
}

impl Vitals {
    pub(super) fn new(unopened: Duration) -> Self {
        Self { pings: 0, unopened, lasted: Duration::ZERO, last: None, troubled: false, path: None, key: None }
    }

    /// There is another session, or key, or none: what came before says nothing about it.
    pub(super) fn renew(&mut self) {
        (self.pings, self.lasted, self.last) = (0, Duration::ZERO, None);
    }

    /// A ping goes out.
    pub(super) fn pinged(&mut self) {
        if self.pings > 0 {
            self.troubled = true;
            self.path = Some(Vital::Unanswered(self.pings));
        }
        self.pings = self.pings.saturating_add(1);
    }

    /// A ping was answered.
    pub(super) fn ponged(&mut self) {
        self.pings = 0;
        self.path = Some(Vital::Answered);
    }

    /// A packet opened with the session's key.
    pub(super) fn opened(&mut self) {
        self.renew();
        if std::mem::take(&mut self.troubled) {
            self.key = Some(Vital::Opened);
        }
    }

    /// An RTP packet did not.
    pub(super) fn unopened(&mut self, now: Instant) {
        let gap = self.last.replace(now).map_or(LULL, |last| now.saturating_duration_since(last));
        if gap < LULL {
            self.lasted += gap;
        }
        if !self.unopened.is_zero() && self.lasted >= self.unopened {
            self.troubled = true;
            self.key = Some(Vital::Unopened(std::mem::take(&mut self.lasted)));
        }
    }

    pub(super) fn poll(&mut self) -> Option<Vital> {
        self.path.take().or_else(|| self.key.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn vitals() -> Vitals {
        Vitals::new(5 * SECOND)
    }

    #[test]
    fn pings_are_counted_until_a_sign_of_life() {
        let mut vitals = vitals();
        let ping = |vitals: &mut Vitals| {
            vitals.pinged();
            vitals.poll()
        };
        assert_eq!((ping(&mut vitals), ping(&mut vitals)), (None, Some(Vital::Unanswered(1))));
        assert_eq!(ping(&mut vitals), Some(Vital::Unanswered(2)));
        vitals.ponged();
        assert_eq!((vitals.poll(), vitals.poll()), (Some(Vital::Answered), None));
        assert_eq!((ping(&mut vitals), ping(&mut vitals)), (None, Some(Vital::Unanswered(1))));
        vitals.opened();
        assert_eq!(vitals.poll(), Some(Vital::Opened), "who is heard is alive");
        vitals.opened();
        assert_eq!((vitals.poll(), ping(&mut vitals)), (None, None));
    }

    #[test]
    fn only_a_stream_of_which_nothing_opens_is_told() {
        #[expect(clippy::disallowed_methods, reason = "any instant will do as the start of virtual time")]
        let start = Instant::now();
        let mut vitals = vitals();
        let mut told = Vec::new();
        for n in 0..600_u32 {
            vitals.unopened(start + n * Duration::from_millis(20));
            told.extend(vitals.poll());
        }
        assert_eq!(told, [Vital::Unopened(5 * SECOND), Vital::Unopened(5 * SECOND)], "in twelve seconds");
        vitals.opened();
        assert_eq!(vitals.poll(), Some(Vital::Opened));
        // Four sentences of two seconds.
        let sentence = |n: u32| (0..100).map(move |frame| 5 * n * SECOND + frame * Duration::from_millis(20));
        for at in (4..8).flat_map(sentence) {
            vitals.unopened(start + at);
            told.extend(vitals.poll());
        }
        assert_eq!(told.len(), 3, "pauses do not count, nor do they begin anew");
        vitals.opened();
        assert_eq!(vitals.poll(), Some(Vital::Opened));
        for n in 0..60 {
            vitals.unopened(start + (50 + 2 * n) * SECOND);
            vitals.unopened(start + (50 + 2 * n) * SECOND + SECOND / 2);
        }
        assert_eq!(vitals.poll(), None, "noise now and then");
    }
}
