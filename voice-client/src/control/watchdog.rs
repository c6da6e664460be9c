use std::fmt;
use std::time::{Duration, Instant};

use crate::config::Watchdog;
use crate::media::Vital;
use crate::stats::WatchdogCounts;

/// What is done about a dead media path, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Rung {
    /// Our address is discovered anew from another socket and told to the server (op 1), in the same session.
    Rediscover,
    /// The WebSocket is closed and the session resumed.
    Resume,
    /// The session is given up for a fresh join.
    Rejoin,
}

/// What a dead media path is told by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Symptom {
    /// Keepalive pings that used to be answered are not, and no packet comes.
    Unanswered {
        /// How many in a row.
        pings: u32,
    },
    /// RTP comes, and none of it opens with the session's key.
    Unopened {
        /// For how long, at least.
        time: Duration,
    },
}

impl fmt::Display for Symptom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Symptom::Unanswered { pings } => write!(f, "{pings} keepalive pings in a row were not answered"),
            Symptom::Unopened { time } => write!(f, "no packet of the last {time:?} opens with the session's key"),
        }
    }
}

/// Judges what media notices, and says what to do about it. Pure, and without timers: symptoms that last are told again.
///
/// Each rung gets time to work before the next. What helps ends the climb; what does not is followed by a resume and a fresh
/// join once in [`Watchdog::rest`], so that nothing goes round in circles.
pub(super) struct Ladder {
    settings: Watchdog,
    /// Pings of this session were answered once.
    answered: bool,
    alarm: Option<Alarm>,
    /// When a second rung was taken last.
    climbed: Option<Instant>,
    counts: WatchdogCounts,
}

struct Alarm {
    why: Symptom,
    rung: Rung,
    /// When the rung began to have time to work.
    since: Instant,
    /// Pings that were unanswered by then.
    pings: u32,
}

impl Ladder {
    pub(super) fn new(settings: Watchdog) -> Self {
        Self { settings, answered: false, alarm: None, climbed: None, counts: WatchdogCounts::default() }
    }

    pub(super) fn counts(&self) -> WatchdogCounts {
        self.counts
    }

    /// Takes what media has noticed; returns what to do now. `top` is the last rung that can be taken.
    pub(super) fn handle(&mut self, now: Instant, vital: Vital, top: Rung) -> Option<(Rung, Symptom)> {
        let Watchdog { pings: limit, patience, .. } = self.settings;
        let why = match vital {
            Vital::Answered => {
                self.answered = true;
                self.recovered(|why| matches!(why, Symptom::Unanswered { .. }));
                return None;
            }
            Vital::Opened => {
                self.recovered(|_| true);
                return None;
            }
            Vital::Unanswered(pings) => {
                // Counted anew in a new session.
                let before = self.alarm.as_ref().map_or(0, |alarm| alarm.pings);
                let since = if pings < before { pings } else { pings - before };
                if limit == 0 || !self.answered || since < limit {
                    return None;
                }
                Symptom::Unanswered { pings }
            }
            Vital::Unopened(time) => Symptom::Unopened { time },
        };
        if self.alarm.as_ref().is_some_and(|alarm| now < alarm.since + patience) {
            return None;
        }
        self.climb(now, why, top)
    }

    /// What was tried last cannot be done; returns what to do instead.
    pub(super) fn fail(&mut self, now: Instant, top: Rung) -> Option<(Rung, Symptom)> {
        let why = self.alarm.as_ref()?.why;
        self.climb(now, why, top)
    }

    /// What was tried last is done, and has time to work from now on.
    pub(super) fn settle(&mut self, now: Instant) {
        if let Some(alarm) = &mut self.alarm {
            alarm.since = now;
        }
    }

    /// The session is over: another server may not answer pings.
    pub(super) fn detach(&mut self) {
        self.answered = false;
    }

    /// There is nothing to judge by: deafened.
    pub(super) fn clear(&mut self) {
        self.alarm = None;
    }

    fn climb(&mut self, now: Instant, why: Symptom, top: Rung) -> Option<(Rung, Symptom)> {
        let rested = self.climbed.is_none_or(|climbed| now >= climbed + self.settings.rest);
        let rung = match self.alarm.as_ref().map(|alarm| alarm.rung) {
            None => Rung::Rediscover,
            Some(rung) if rung >= top => rested.then_some(Rung::Rediscover)?,
            Some(Rung::Rediscover) => {
                rested.then_some(())?;
                self.climbed = Some(now);
                Rung::Resume
            }
            Some(_) => Rung::Rejoin,
        };
        *match rung {
            Rung::Rediscover => &mut self.counts.rediscoveries,
            Rung::Resume => &mut self.counts.resumes,
            Rung::Rejoin => &mut self.counts.rejoins,
        } += 1;
        let pings = if let Symptom::Unanswered { pings } = why { pings } else { 0 };
        self.alarm = Some(Alarm { why, rung, since: now, pings });
        Some((rung, why))
    }

    fn recovered(&mut self, is_over: impl FnOnce(&Symptom) -> bool) {
        if self.alarm.take_if(|alarm| is_over(&alarm.why)).is_some() {
            self.counts.recovered += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const PING: Duration = Duration::from_secs(5);

    struct Patient {
        ladder: Ladder,
        start: Instant,
        now: Instant,
        unanswered: u32,
    }

    impl Patient {
        #[expect(clippy::disallowed_methods, reason = "any instant will do as the start of virtual time")]
        fn new() -> Self {
            let start = Instant::now();
            Self { ladder: Ladder::new(Watchdog::default()), start, now: start, unanswered: 0 }
        }

        fn tell(&mut self, vital: Vital, top: Rung) -> Option<(u64, Rung)> {
            let act = self.ladder.handle(self.now, vital, top);
            act.map(|(rung, _)| ((self.now - self.start).as_secs(), rung))
        }

        /// So many pings without an answer: when which rung is taken.
        fn pings(&mut self, count: u32, top: Rung) -> Vec<(u64, Rung)> {
            let mut acts = Vec::new();
            for _ in 0..count {
                self.now += PING;
                self.unanswered += 1;
                let act = self.tell(Vital::Unanswered(self.unanswered), top);
                if act.is_some_and(|(_, rung)| rung == Rung::Rejoin) {
                    self.ladder.detach();
                }
                acts.extend(act);
            }
            acts
        }
    }

    #[test]
    fn pings_that_were_never_answered_mean_nothing() {
        let mut patient = Patient::new();
        assert_eq!(patient.pings(1_000, Rung::Rejoin), []);
    }

    #[test]
    fn rungs_follow_each_other_with_time_between_and_then_rest() {
        let mut patient = Patient::new();
        patient.tell(Vital::Answered, Rung::Rejoin);
        assert_eq!(patient.pings(120, Rung::Rejoin), [(15, Rung::Rediscover), (30, Rung::Resume), (45, Rung::Rejoin)]);
        let counts = patient.ladder.counts();
        assert_eq!((counts.rediscoveries, counts.resumes, counts.rejoins, counts.recovered), (1, 1, 1, 0));
    }

    #[test]
    fn without_a_link_the_second_rung_is_the_last_and_all_is_tried_again_after_the_rest() {
        let mut patient = Patient::new();
        patient.tell(Vital::Answered, Rung::Resume);
        let acts = patient.pings(240, Rung::Resume);
        let again = [(15, Rung::Rediscover), (30, Rung::Resume), (630, Rung::Rediscover), (645, Rung::Resume)];
        assert_eq!(acts, again);
    }

    #[test]
    fn what_helps_ends_the_climb_and_a_later_fault_begins_at_the_bottom() {
        let mut patient = Patient::new();
        patient.tell(Vital::Answered, Rung::Rejoin);
        assert_eq!(patient.pings(3, Rung::Rejoin), [(15, Rung::Rediscover)]);
        patient.tell(Vital::Answered, Rung::Rejoin);
        patient.unanswered = 0;
        assert_eq!(patient.pings(3, Rung::Rejoin), [(30, Rung::Rediscover)]);
        patient.unanswered = 0;
        patient.tell(Vital::Opened, Rung::Rejoin);
        assert_eq!(patient.ladder.counts().recovered, 2);
        // Packets that do not open are no matter of pings.
        patient.tell(Vital::Unopened(PING), Rung::Rejoin);
        patient.tell(Vital::Answered, Rung::Rejoin);
        assert_eq!(patient.ladder.counts().recovered, 2);
    }

    #[test]
    fn what_does_not_help_is_not_tried_in_circles() {
        let mut patient = Patient::new();
        let mut acts = Vec::new();
        for _ in 0..12 * 30 {
            patient.now += PING;
            acts.extend(patient.tell(Vital::Unopened(PING), Rung::Rejoin));
        }
        let resumes: Vec<u64> = acts.iter().filter(|(_, rung)| *rung == Rung::Resume).map(|(at, _)| *at).collect();
        assert_eq!(resumes.len(), 3, "in half an hour: {acts:?}");
        assert!(resumes.windows(2).all(|pair| pair[1] - pair[0] >= 600));
        assert!(acts.windows(2).all(|pair| pair[1].0 - pair[0].0 >= 10), "each has time: {acts:?}");
        assert_eq!(acts.len(), 9);
        assert_eq!(acts[0], ((5 * SECOND).as_secs(), Rung::Rediscover));
    }
}
