use std::time::Instant;

use super::group::Phase;
use super::roster::Changes;
use super::{Output, Session, Update};
use crate::MAX_VERSION;
use crate::transition::{Change, RETENTION, Transition};

/// Versions, and the transitions between them and between epochs.
impl Session {
    /// Op 4.
    pub(super) fn describe(&mut self, now: Instant, version: u16) {
        let known = self.policy.state().is_some();
        match version {
            // A session that goes on: what it was about to change, it still is.
            0 if known && self.policy.version() == 0 => {}
            0 => {
                self.transitions.clear();
                self.end_encryption(now);
            }
            1..=MAX_VERSION if known && self.policy.version() == version => {
                // A deviation: each op 4 with a version that encrypts is to be answered with a fresh key package ("Key
                // Packages"). Pending members do. From a member, though, a gateway would take it for a wish to be added
                // anew: everybody would pay for our removal and addition, after each resume. The group goes on instead;
                // should the gateway have forgotten us, nothing can be opened soon, and recovery sends one.
                if self.group.phase() != Phase::Established {
                    self.send_key_package();
                }
            }
            1..=MAX_VERSION => {
                self.announced = Some(version);
                // The upgrade that was under way is over, and only its op 22 was missed.
                match self.transitions.newest_epoch().filter(|_| self.group.phase() == Phase::Established) {
                    Some(id) => self.execute(now, id),
                    None => {
                        self.transitions.clear();
                        self.renew_group();
                        let updates = self.policy.go_pending(version);
                        self.update(updates);
                    }
                }
            }
            _ => {
                tracing::warn!(
                    version,
                    "the call has a DAVE version that this library does not speak: nothing is sent"
                );
                self.stats.ignored += 1;
                self.announced = None;
                self.transitions.clear();
                self.group.leave();
                self.recovery.cancel();
                self.dismiss(now + RETENTION);
                let updates = self.policy.go_dark(now, version);
                self.update(updates);
            }
        }
    }

    /// Op 24.
    pub(super) fn prepare_epoch(&mut self, epoch: u64, version: u16, transition: Option<u16>) {
        if self.announced.is_none() || !(1..=MAX_VERSION).contains(&version) {
            self.stats.ignored += 1;
            return;
        }
        self.last_transition = transition.unwrap_or(self.last_transition);
        self.announced = Some(version);
        // Any other epoch is the current one: the group stays.
        if epoch == 1 {
            self.recreating = true;
            self.renew_group();
        }
    }

    /// Op 21.
    pub(super) fn prepare_transition(&mut self, now: Instant, id: u16, version: u16) {
        if self.announced.is_none() || version > MAX_VERSION {
            self.stats.ignored += 1;
            return;
        }
        let repeated = match self.transitions.get(id) {
            // The commit has announced it already; its secret is not given up for a version.
            Some(Change::Epoch { .. }) => true,
            Some(Change::Downgrade) => version == 0,
            Some(Change::Version(_)) => version != 0,
            None => false,
        };
        if repeated {
            self.stats.ignored += 1;
            return;
        }
        self.last_transition = id;
        let change = if version == 0 { Change::Downgrade } else { Change::Version(version) };
        self.announce(Transition { id, prepared: now, change });
    }

    /// Transition 0 is executed at once and not answered; the others wait for op 22.
    pub(super) fn announce(&mut self, transition: Transition) {
        if transition.id == 0 {
            // Of what waits, only an epoch that a new version builds upon is not overtaken.
            let now = transition.prepared;
            if let (Change::Version(_), Some(id)) = (&transition.change, self.transitions.newest_epoch())
                && (!self.recreating || self.group.phase() == Phase::Established)
            {
                self.execute(now, id);
            }
            self.transitions.clear();
            self.apply(now, transition);
        } else {
            let id = transition.id;
            self.transitions.prepare(transition);
            self.send(Output::ReadyForTransition(id));
        }
    }

    /// Op 22, or its absence for too long.
    pub(super) fn execute(&mut self, now: Instant, id: u16) {
        let transitions = self.transitions.execute(id);
        if transitions.is_empty() {
            self.stats.ignored += 1;
        }
        for transition in transitions {
            self.apply(now, transition);
        }
    }

    fn apply(&mut self, now: Instant, transition: Transition) {
        match transition.change {
            Change::Epoch { secret, version, group } => {
                let updates = self.policy.go_sealed(version, secret, now + RETENTION);
                self.update(updates);
                let is_current = group == self.group.serial() && self.group.phase() == Phase::Established;
                self.recreating &= !is_current;
                if is_current && self.recovery.end(now) {
                    self.settle(now);
                    self.tell(super::Event::RecoveryEnded);
                }
            }
            Change::Version(version) => {
                // Sole member reset, or alone from the start. In a recovery nothing was reset for the others.
                let alone = self.recreating || !self.recovery.is_active();
                if self.group.phase() != Phase::Established && alone {
                    self.recreating = false;
                    self.transitions.clear();
                    self.recovery.cancel();
                    self.dismiss(now + RETENTION);
                    let updates = self.policy.go_pending(version);
                    self.update(updates);
                }
            }
            Change::Downgrade => {
                self.transitions.clear();
                self.end_encryption(transition.prepared);
            }
        }
    }

    /// Version 0 is in force; what others sealed before `prepared` + 10 s is still heard.
    fn end_encryption(&mut self, prepared: Instant) {
        self.announced = Some(0);
        self.recreating = false;
        self.group.leave();
        self.recovery.cancel();
        self.dismiss(prepared + RETENTION);
        let updates = self.policy.go_plain();
        self.update(updates);
    }

    /// Nobody is in a group with us any more.
    fn dismiss(&mut self, retire: Instant) {
        let Changes { left, events } = self.roster.clear();
        self.update(left.into_iter().map(|user| Update::Retire { user, at: retire }));
        events.into_iter().for_each(|event| self.tell(event));
    }
}
