//! How a connection is lost, and what is done about it.

use std::time::{Duration, Instant};

use gateway::close::{RESUMABLE, Verdict};

use super::{Control, Output, Phase, policy};
use crate::error::{Cause, Closed, JoinError, Stage};
use crate::event::{Event, Recovery};
use crate::media::Update;

/// Our close code when a session is over.
const NORMAL: u16 = 1_000;
/// Malformed messages without which a connection cannot go on, after which the call ends.
const MAX_MALFORMED: u32 = 3;
/// The pause after "too many messages".
const RATE_LIMIT: (u16, Duration) = (4_008, Duration::from_secs(5));

impl Control {
    /// The connection does not work any more: mend it, or end.
    pub(super) fn lost(&mut self, now: Instant, cause: Cause) {
        match self.phase {
            Phase::Over => return,
            Phase::Leaving { .. } => return self.end(Closed::Left),
            _ => {}
        }
        let stage = self.phase.stage();
        let cause = self.explained(cause);
        let verdict = self.verdict(now, &cause, stage);
        tracing::debug!(%cause, ?verdict, "connection lost");
        self.forget_if_stable(now);
        self.hang_up(if matches!(verdict, Verdict::Resume | Verdict::ResumeAfter(_)) { RESUMABLE } else { NORMAL });
        let stage = stage.unwrap_or(Stage::Updates);
        match verdict {
            // A join is under way and brings another session, or an error of its own.
            Verdict::Resume | Verdict::ResumeAfter(_) | Verdict::Rejoin | Verdict::RejoinOnce
                if self.joining.is_some() =>
            {
                self.drop_session();
                self.phase = Phase::Absent;
                self.tell(cause, Recovery::Move);
            }
            Verdict::AwaitUpdate if self.joined || cause == Cause::ServerGone => self.await_update(now, cause),
            // A first join is tried again only when the main gateway can give us fresh updates.
            Verdict::Rejoin | Verdict::RejoinOnce if !self.joined && self.linked && self.rejoins == 0 => {
                self.rejoin(now, cause);
            }
            _ if !self.joined => self.end(Closed::Join { stage, cause }),
            Verdict::RejoinOnce if self.rejoins > 0 => self.end(Closed::Lost(cause)),
            Verdict::Stop => self.end(Closed::Lost(cause)),
            Verdict::Resume => self.redial(now, cause, None),
            Verdict::ResumeAfter(wait) => self.redial(now, cause, Some(now + wait)),
            Verdict::Rejoin | Verdict::RejoinOnce | Verdict::AwaitUpdate => {
                // The session that somebody waits for is given up.
                if std::mem::take(&mut self.asked) {
                    let cause = cause.clone();
                    self.outputs.push_back(Output::JoinFailed(JoinError::Failed { stage, cause }));
                }
                self.rejoin(now, cause);
            }
        }
    }

    /// What policy says, and what the state of the session leaves of it.
    fn verdict(&mut self, now: Instant, cause: &Cause, stage: Option<Stage>) -> Verdict {
        if let Cause::Malformed { .. } = cause {
            self.malformed += 1;
            if self.malformed >= MAX_MALFORMED {
                return Verdict::Stop;
            }
        }
        let described = self.live.as_ref().is_some_and(|live| live.gateway.is_described());
        if let Some(live) = &mut self.live {
            live.gateway.handle_closed(now);
        }
        // A session that identified but was never described, or whose resume was cut off, is of no more use.
        let spent = self.live.as_ref().is_none_or(|live| !live.gateway.can_open());
        match policy::verdict(cause, stage, described) {
            Verdict::Resume | Verdict::ResumeAfter(_) if spent => Verdict::Rejoin,
            verdict => verdict,
        }
    }

    /// The cause with what only we know about it.
    fn explained(&self, cause: Cause) -> Cause {
        match (cause, &self.live) {
            (Cause::Closed { code: 4_016, .. }, Some(live)) if !live.offered.is_empty() => {
                Cause::ModeRefused { offered: live.offered.clone(), accepted: self.settings.modes.clone() }
            }
            (cause, _) => cause,
        }
    }

    /// Dials the same session again, some times; then joins afresh. Media goes on meanwhile.
    fn redial(&mut self, now: Instant, cause: Cause, at: Option<Instant>) {
        if self.failed_resumes >= self.settings.retry.resumes {
            return self.rejoin(now, cause);
        }
        self.failed_resumes += 1;
        let attempt = self.failed_resumes;
        let noise = self.noise();
        let at = at.unwrap_or_else(|| now + policy::back_off(&self.settings.retry, attempt, noise));
        self.phase = Phase::Redial { at };
        self.tell(cause, Recovery::Resume { attempt });
    }

    /// Gives the session up and asks the main gateway for another one, a bounded number of times.
    pub(super) fn rejoin(&mut self, now: Instant, cause: Cause) {
        self.drop_session();
        if !self.linked {
            return self.await_update(now, cause);
        }
        if self.rejoins >= self.settings.retry.rejoins {
            return self.end(Closed::Lost(cause));
        }
        self.rejoins += 1;
        self.failed_resumes = 0;
        let attempt = self.rejoins;
        let noise = self.noise();
        let mut wait = policy::back_off(&self.settings.retry, attempt, noise);
        if let Cause::Closed { code, .. } = cause
            && code == RATE_LIMIT.0
        {
            wait = wait.max(RATE_LIMIT.1);
        }
        self.phase = Phase::Rejoin { at: now + wait };
        self.tell(cause, Recovery::Rejoin { attempt });
    }

    /// The main gateway is going to say more: where we were moved, which server comes next, or that we are out.
    fn await_update(&mut self, now: Instant, cause: Cause) {
        self.drop_session();
        let deadlines = &self.settings.deadlines;
        let wait = if cause == Cause::ServerGone { deadlines.server_wait } else { deadlines.update_wait };
        self.phase = Phase::AwaitUpdate { deadline: now + wait, cause: cause.clone(), named: false };
        self.tell(cause, Recovery::AwaitUpdate);
    }

    /// No update came; `named` says whether at least our voice state named a channel.
    pub(super) fn await_timed_out(&mut self, now: Instant, cause: Cause, named: bool) {
        if self.joining.is_some() {
            // The deadline of the join decides.
        } else if self.linked && (named || cause == Cause::ServerGone) {
            self.rejoin(now, cause);
        } else if !self.joined {
            self.end(Closed::Join { stage: Stage::Updates, cause });
        } else if self.linked {
            self.end(Closed::Lost(cause));
        } else {
            self.end(Closed::InfoNeeded(cause));
        }
    }

    /// The session is of no more use: media is detached, the machine forgotten.
    pub(super) fn drop_session(&mut self) {
        self.hang_up(NORMAL);
        self.up_since = None;
        self.rediscovery = None;
        if self.live.take().is_some() {
            self.update(Update::Detach);
            self.watchdog.detach();
            self.drop_dave();
        }
    }

    /// Ends the call. Nothing but its end is told after this.
    pub(super) fn end(&mut self, closed: Closed) {
        if let Phase::Over = self.phase {
            return;
        }
        // What it came to stays known.
        let encryption = std::mem::take(&mut self.encryption);
        self.drop_session();
        self.encryption = encryption;
        if closed != Closed::Removed {
            self.command(None);
        }
        self.phase = Phase::Over;
        self.joining = None;
        let error = match &closed {
            Closed::Left => JoinError::Left,
            Closed::Join { stage, cause } => JoinError::Failed { stage: *stage, cause: cause.clone() },
            other => JoinError::Ended(other.clone()),
        };
        self.outputs.push_back(Output::JoinFailed(error));
        self.outputs.push_back(Output::Event(Event::Closed(closed.clone())));
        self.outputs.push_back(Output::Ended(closed));
    }

    fn tell(&mut self, cause: Cause, by: Recovery) {
        self.outputs.push_back(Output::Event(Event::Reconnecting { cause, by }));
    }

    /// Closes the WebSocket, or abandons its dialing; what still comes from it is stale.
    fn hang_up(&mut self, code: u16) {
        if std::mem::take(&mut self.dialed) {
            self.generation += 1;
            self.outputs.push_back(Output::HangUp { code });
        }
    }

    /// A connection that lasted was good: faults are counted anew.
    fn forget_if_stable(&mut self, now: Instant) {
        if self.up_since.take().is_some_and(|since| now >= since + self.settings.retry.stable_after) {
            (self.rejoins, self.failed_resumes, self.malformed) = (0, 0, 0);
        }
    }

    /// What a stage that did not finish in time failed of.
    pub(super) fn timed_out(&self, stage: Stage) -> Cause {
        let deadlines = &self.settings.deadlines;
        let deadline = match stage {
            Stage::Updates => deadlines.updates,
            Stage::Dial => deadlines.dial,
            Stage::Ready => deadlines.ready,
            Stage::Discovery => deadlines.discovery,
            Stage::Description => deadlines.description,
            Stage::Resume => deadlines.resume,
        };
        Cause::TimedOut { deadline }
    }
}
