use std::time::{Duration, Instant};

use super::commit::Outcome;
use super::group::{Phase, SenderSet};
use super::guard::COLLAPSED;
use super::proposals::{HeldCommit, Queued};
use super::roster::Changes;
use super::{Event, MAX_MESSAGE, Output, Session, Trouble, Update};
use crate::transition::{Change, RETENTION, Transition};
use crate::verify::privacy_code;

/// How long a commit waits for op 11 to allow the proposals that it refers to. The gateway executes a transition after 2 s
/// at the latest.
const PATIENCE: Duration = Duration::from_secs(1);

/// MLS messages in and out.
impl Session {
    /// Op 25.
    pub(super) fn set_external_sender(&mut self, payload: &[u8]) {
        if self.group.set_external_sender(payload) == SenderSet::Refused {
            self.stats.ignored += 1;
        }
    }

    /// Op 27.
    pub(super) fn take_proposals(&mut self, now: Instant, payload: &[u8]) {
        let queued = match payload.split_first() {
            Some((0, messages)) if payload.len() <= MAX_MESSAGE => self.group.append(messages, &self.roster),
            Some((1, references)) if payload.len() <= MAX_MESSAGE => {
                let (queued, unknown) = self.group.revoke(references);
                self.stats.proposals_refused += unknown;
                queued
            }
            _ => Queued::Ignored,
        };
        if self.mend(now) {
            return;
        }
        if queued == Queued::Ahead {
            self.recover(now, Trouble::MissedCommit, Some(self.last_transition));
        } else {
            self.note(queued);
        }
    }

    /// Op 11 came: what waited for it goes on.
    pub(super) fn retry_held(&mut self, now: Instant) {
        if self.group.held.is_empty() {
            return;
        }
        let (queued, refused) = self.group.retry_held(&self.roster);
        self.stats.proposals_refused += refused;
        if self.mend(now) {
            return;
        }
        match self.group.held.take_commit() {
            // The epoch is decided: a commit of ours would come too late.
            Some(commit) => self.follow(now, commit.transition, &commit.bytes, Some(commit.until)),
            None => self.note(queued),
        }
    }

    /// Op 11 did not come: the commit that waited for it cannot be followed.
    pub(super) fn give_up_held(&mut self, now: Instant) {
        if self.group.held.deadline().is_some_and(|until| until <= now)
            && let Some(commit) = self.group.held.take_commit()
        {
            self.follow(now, commit.transition, &commit.bytes, None);
        }
    }

    /// Starts recovery if openmls has panicked over proposals, or over our commit to them. Panics over commits and welcomes
    /// of others are failures of those, and lead to recovery as such.
    fn mend(&mut self, now: Instant) -> bool {
        let collapsed = self.group.collapsed;
        if collapsed {
            self.recover(now, Trouble::Proposals(COLLAPSED.to_owned()), Some(self.last_transition));
        }
        collapsed
    }

    fn note(&mut self, queued: Queued) {
        match queued {
            Queued::Changed(Some(commit)) => self.send(Output::CommitWelcome(commit)),
            Queued::Changed(None) | Queued::Unchanged => {}
            Queued::Refused(count) => self.stats.proposals_refused += count,
            Queued::Replaced(count, commit) => {
                self.stats.proposals_refused += count;
                commit.into_iter().for_each(|commit| self.send(Output::CommitWelcome(commit)));
            }
            Queued::Ignored | Queued::Ahead => self.stats.ignored += 1,
        }
    }

    /// Op 29.
    pub(super) fn take_commit(&mut self, now: Instant, transition: u16, commit: &[u8]) {
        self.follow(now, transition, commit, Some(now + PATIENCE));
    }

    /// Moves to the epoch of a commit. One that cannot be followed waits until `patience` for proposals that are held.
    fn follow(&mut self, now: Instant, transition: u16, commit: &[u8], patience: Option<Instant>) {
        let phase = self.group.phase();
        let outcome = match commit.len() {
            ..=MAX_MESSAGE => self.group.apply_commit(commit),
            _ if phase == Phase::None => Outcome::Ignored,
            _ => Outcome::Failed("it is too long"),
        };
        if outcome != Outcome::Ignored {
            self.last_transition = transition;
        }
        if let (Outcome::Failed(_), Phase::Established, Some(until)) = (&outcome, phase, patience)
            && self.group.held.keep_commit(HeldCommit { transition, bytes: commit.to_vec(), until })
        {
            return;
        }
        match outcome {
            Outcome::Advanced => self.establish(now, transition),
            Outcome::Ignored => self.stats.ignored += 1,
            Outcome::Removed => self.recover(now, Trouble::Removed, None),
            // We have left that group, and the server knows: more reports would only void the key package that is to
            // bring us back.
            Outcome::Missed if phase == Phase::Pending && self.recovery.is_active() => self.stats.ignored += 1,
            Outcome::Missed if phase == Phase::Pending => {
                self.fail(now, Trouble::Commit("it came before a welcome".to_owned()), transition);
            }
            Outcome::Missed => self.fail(now, Trouble::MissedCommit, transition),
            Outcome::Failed(reason) => self.fail(now, Trouble::Commit(reason.to_owned()), transition),
        }
    }

    /// Op 30.
    pub(super) fn take_welcome(&mut self, now: Instant, transition: u16, welcome: &[u8]) {
        let outcome = match welcome.len() {
            ..=MAX_MESSAGE => self.group.join(welcome, &self.roster),
            _ if self.group.phase() == Phase::None => Outcome::Ignored,
            _ => Outcome::Failed("it is too long"),
        };
        if outcome != Outcome::Ignored {
            self.last_transition = transition;
        }
        match outcome {
            Outcome::Advanced => self.establish(now, transition),
            Outcome::Failed(reason) => self.fail(now, Trouble::Welcome(reason.to_owned()), transition),
            Outcome::Ignored | Outcome::Removed | Outcome::Missed => self.stats.ignored += 1,
        }
    }

    /// The group has a new epoch: receive with its secrets from now on, send with ours when the transition is executed.
    fn establish(&mut self, now: Instant, transition: u16) {
        let members = self.group.members();
        let Changes { left, events } = self.roster.update(&members);
        let retire = now + RETENTION;
        for &user in members.keys() {
            if let Some(secret) = (user != self.user).then(|| self.group.sender_secret(user)).flatten() {
                self.send(Output::Update(Update::Expect { user, secret, retire }));
            }
        }
        self.update(left.into_iter().map(|user| Update::Retire { user, at: retire }));
        events.into_iter().for_each(|event| self.tell(event));
        if let (Some(epoch), Some(authenticator)) = (self.group.epoch(), self.group.authenticator()) {
            let privacy_code = privacy_code(authenticator.expose());
            self.tell(Event::Epoch { epoch, privacy_code, authenticator });
        }
        let version = self.announced.filter(|&version| version > 0);
        if let (Some(secret), Some(version)) = (self.group.sender_secret(self.user), version) {
            let change = Change::Epoch { secret, version, group: self.group.serial() };
            self.announce(Transition { id: transition, prepared: now, change });
        }
    }

    fn fail(&mut self, now: Instant, trouble: Trouble, transition: u16) {
        if self.recovery.has_reported(transition) {
            self.stats.ignored += 1;
            // A welcome that fails can have used up the key package.
            if self.group.key_package.is_none() {
                self.group.renew();
                self.recovery.retry(now);
                self.offer(now);
            }
            return;
        }
        self.recover(now, trouble, Some(transition));
    }

    /// Leaves the group, to be taken back with a fresh key package ("Recovery from Invalid Commit or Welcome"). Media
    /// keeps its secrets.
    pub(super) fn recover(&mut self, now: Instant, trouble: Trouble, report: Option<u16>) {
        self.stats.recoveries += 1;
        self.recovery.start(now, report);
        if let Some(transition) = report {
            self.send(Output::InvalidCommitWelcome(transition));
        }
        self.group.renew();
        self.offer(now);
        self.tell(Event::RecoveryStarted(trouble));
    }

    /// A group of our own instead of the one there is, and a key package to join another.
    pub(super) fn renew_group(&mut self) {
        self.group.renew();
        self.send_key_package();
    }

    /// Sends a key package when recovery may: at once, but for a server that gets it wrong again and again.
    pub(super) fn offer(&mut self, now: Instant) {
        if self.recovery.offer_due().is_some_and(|due| due <= now) {
            self.send_key_package();
        }
    }

    /// The WebSocket was lost, and with it perhaps what we sent last. All of it may come twice.
    pub(super) fn repeat(&mut self) {
        for id in self.transitions.ids() {
            self.send(Output::ReadyForTransition(id));
        }
        if let Some(offered) = &self.group.key_package {
            self.send(Output::KeyPackage(offered.bytes.clone()));
        }
    }

    pub(super) fn send_key_package(&mut self) {
        self.recovery.offered();
        if let Some(key_package) = self.group.make_key_package() {
            self.send(Output::KeyPackage(key_package));
        }
    }
}
