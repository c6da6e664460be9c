//! How a connection is lost, and what is done about it.

use std::time::Instant;

use gateway::close::{RESUMABLE, Verdict};

use super::{Control, Output, Phase, policy};
use crate::error::{Cause, Closed, JoinError, Missing, Stage};
use crate::event::{Event, Recovery};
use crate::media::Update;

/// Our close code when a session is over.
const NORMAL: u16 = 1_000;

impl Control {
    /// The connection does not work any more: mend it, or end.
    pub(super) fn lost(&mut self, now: Instant, cause: Cause) {
        if let Phase::Over = self.phase {
            return;
        }
        if let Phase::Leaving { .. } = self.phase {
            return self.end(Closed::Left);
        }
        if self.joining.is_some() {
            // A join is under way and brings another session, or an error of its own.
            self.drop_session();
            self.phase = Phase::Absent;
            if self.joined {
                self.outputs.push_back(Output::Event(Event::Reconnecting { cause, by: Recovery::Move }));
            }
            return;
        }
        let stage = self.phase.stage();
        let described = self.live.as_ref().is_some_and(|live| live.gateway.is_described());
        let verdict = policy::verdict(&cause, stage, described);
        self.forget_if_stable(now);
        self.hang_up(RESUMABLE);
        if let Some(live) = &mut self.live {
            live.gateway.handle_closed(now);
        }
        // A session that identified but was never described, or whose resume was cut off, is of no more use.
        let spent = self.live.as_ref().is_none_or(|live| !live.gateway.can_open());
        let verdict = match verdict {
            Verdict::Resume | Verdict::ResumeAfter(_) if spent => Verdict::Rejoin,
            verdict => verdict,
        };
        tracing::debug!(%cause, ?verdict, "connection lost");
        match verdict {
            // A first join is tried again only when the main gateway can give us fresh updates.
            Verdict::Rejoin | Verdict::RejoinOnce if !self.joined && self.linked && self.rejoins == 0 => {
                self.rejoin(now, cause);
            }
            _ if !self.joined => self.end(Closed::Join { stage: stage.unwrap_or(Stage::Updates), cause }),
            Verdict::Resume => self.redial(now, cause, None),
            Verdict::ResumeAfter(wait) => self.redial(now, cause, Some(now + wait)),
            Verdict::RejoinOnce if self.rejoins > 0 => self.end(Closed::Lost(cause)),
            Verdict::Rejoin | Verdict::RejoinOnce => self.rejoin(now, cause),
            Verdict::AwaitUpdate => self.await_update(now, cause),
            Verdict::Stop => self.end(Closed::Lost(cause)),
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
        self.outputs.push_back(Output::Event(Event::Reconnecting { cause, by: Recovery::Resume { attempt } }));
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
        self.phase = Phase::Rejoin { at: now + policy::back_off(&self.settings.retry, attempt, noise) };
        self.outputs.push_back(Output::Event(Event::Reconnecting { cause, by: Recovery::Rejoin { attempt } }));
    }

    /// The main gateway is going to say more: where we were moved, which server comes next, or that we are out.
    fn await_update(&mut self, now: Instant, cause: Cause) {
        self.drop_session();
        let deadlines = &self.settings.deadlines;
        let wait = if cause == Cause::ServerGone { deadlines.server_wait } else { deadlines.update_wait };
        self.phase = Phase::AwaitUpdate { deadline: now + wait, cause: cause.clone() };
        self.outputs.push_back(Output::Event(Event::Reconnecting { cause, by: Recovery::AwaitUpdate }));
    }

    /// No update came.
    pub(super) fn await_timed_out(&mut self, now: Instant, cause: Cause) {
        if cause == Cause::ServerGone && self.linked {
            self.rejoin(now, cause);
        } else if self.linked {
            self.end(Closed::Lost(cause));
        } else {
            self.end(Closed::InfoNeeded(cause));
        }
    }

    /// The session is of no more use: media is detached, the machine forgotten.
    pub(super) fn drop_session(&mut self) {
        self.hang_up(NORMAL);
        if self.live.take().is_some() {
            self.update(Update::Detach);
        }
    }

    /// Ends the call. Nothing but its end is told after this.
    pub(super) fn end(&mut self, closed: Closed) {
        if let Phase::Over = self.phase {
            return;
        }
        self.drop_session();
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
            self.rejoins = 0;
        }
    }

    /// What a join was waiting for when it was given up, for tests and texts.
    pub(super) fn timed_out(&self, stage: Stage) -> Cause {
        let deadlines = &self.settings.deadlines;
        let deadline = match stage {
            Stage::Updates => return Cause::NoUpdates { missing: Missing::Both, deadline: deadlines.updates },
            Stage::Dial => deadlines.dial,
            Stage::Ready => deadlines.ready,
            Stage::Discovery => deadlines.discovery,
            Stage::Description => deadlines.description,
            Stage::Resume => deadlines.resume,
        };
        Cause::TimedOut { deadline }
    }
}
