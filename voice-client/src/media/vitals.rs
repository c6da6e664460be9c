use std::time::{Duration, Instant};

/// Undecipherable packets that come further apart than this are noise, not a stream.
const LULL: Duration = Duration::from_secs(1);

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
    /// RTP came all the time for this long, and none of it opened with the session's key. Told again each time that it has
    /// lasted as long once more.
    Unopened(Duration),
}

/// Keeps count for [`Vital`]s.
pub(super) struct Vitals {
    /// Pings made since the last sign of life.
    pings: u32,
    /// How long packets may come unopened.
    unopened: Duration,
    /// Since when packets come that do not open, and when the last one came.
    since: Option<(Instant, Instant)>,
    /// Trouble was told, and not that it is over.
    troubled: bool,
    path: Option<Vital>,
    key: Option<Vital>,
}

impl Vitals {
    pub(super) fn new(unopened: Duration) -> Self {
        Self { pings: 0, unopened, since: None, troubled: false, path: None, key: None }
    }

    /// There is no session any more.
    pub(super) fn detach(&mut self) {
        (self.pings, self.since) = (0, None);
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
        (self.pings, self.since) = (0, None);
        if std::mem::take(&mut self.troubled) {
            self.key = Some(Vital::Opened);
        }
    }

    /// An RTP packet did not.
    pub(super) fn unopened(&mut self, now: Instant) {
        let goes_on = self.since.filter(|(_, last)| now.saturating_duration_since(*last) < LULL);
        let since = goes_on.map_or(now, |(since, _)| since);
        self.since = Some((since, now));
        let lasted = now.saturating_duration_since(since);
        if !self.unopened.is_zero() && lasted >= self.unopened {
            self.since = Some((now, now));
            self.troubled = true;
            self.key = Some(Vital::Unopened(lasted));
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
        for n in 0..60 {
            vitals.unopened(start + (20 + 2 * n) * SECOND);
            vitals.unopened(start + (20 + 2 * n) * SECOND + SECOND / 2);
        }
        assert_eq!(vitals.poll(), None, "noise now and then");
    }
}
