use gateway::binary;
use model::UserId;

use super::candidate::{Candidate, SUITE};
use super::commit::Commit;
use super::group::{Group, Leaf};
use super::leaf::LeafNode;
use super::proposal::{Change, Proposal, Reference};
use super::welcome::Welcome;
use super::{Context, Delivery, Participant, forgery};
use crate::script::Trick;

/// Commits remembered for a cue.
const HISTORY: usize = 2;

/// Why a commit is not the one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// It would have been fine earlier.
    Late,
    Invalid,
}

/// A commit that wins, and its welcome.
#[derive(Debug)]
struct Verdict<'a> {
    commit: Commit<'a>,
    welcome: Option<Welcome<'a>>,
    changes: Vec<Change>,
}

impl Delivery {
    /// Op 28: the first valid one of an epoch wins, the others are dropped (DAVE protocol, "Commit Ordering").
    pub(crate) fn handle_commit(&mut self, cx: &mut Context<'_>, user: UserId, payload: &[u8]) {
        match self.judge(user, payload) {
            Ok(verdict) => {
                cx.stats.commits_accepted += 1;
                self.announce(cx, user, &verdict);
                self.settle(cx);
                self.execute(cx);
            }
            Err(Fault::Late) => cx.stats.commits_late += 1,
            Err(Fault::Invalid) => cx.stats.commits_invalid += 1,
        }
    }

    /// The rules of "Voice Gateway Commit Validity".
    fn judge<'a>(&self, user: UserId, payload: &'a [u8]) -> Result<Verdict<'a>, Fault> {
        let (commit, rest) = Commit::read(payload).ok_or(Fault::Invalid)?;
        let participant = self.participants.get(&user).ok_or(Fault::Invalid)?;
        let channel = self.channel.filter(|_| self.version > 0).ok_or(Fault::Late)?;
        if commit.group != channel.get().to_be_bytes() || self.is_barred(user) {
            return Err(Fault::Invalid);
        }
        let is_overtaken = commit.references.iter().any(|reference| self.proposals.is_past(reference));
        // Who is pending was a member when it made this, or has a group of its own from before there was one.
        let is_outsider = self.group.is_established() && participant.leaf.is_none();
        if is_overtaken || is_outsider || commit.epoch < self.group.epoch() {
            return Err(Fault::Late);
        }
        if commit.epoch > self.group.epoch() {
            return Err(Fault::Invalid);
        }
        let own_leaf = if self.group.is_established() { participant.leaf } else { Some(0) };
        if own_leaf != Some(commit.sender) {
            return Err(Fault::Invalid);
        }
        let changes = self.committed(user, &commit.references)?;
        let removes = changes.iter().any(|change| matches!(change, Change::Remove(_)));
        let path_is_valid = match commit.path {
            Some(path) => self.keeps_its_leaf(user, participant, &path),
            // RFC 9420, section 12.4: only additions go without.
            None => !removes,
        };
        if !path_is_valid {
            return Err(Fault::Invalid);
        }
        let welcome = match rest {
            [] => None,
            rest => Some(Welcome::read(rest).ok_or(Fault::Invalid)?),
        };
        let added: Vec<Reference> = changes.iter().filter_map(Change::added).collect();
        let is_complete = match &welcome {
            Some(welcome) => !added.is_empty() && welcome.suite() == SUITE as u16 && welcome.is_for(&added),
            None => added.is_empty(),
        };
        if is_complete { Ok(Verdict { commit, welcome, changes }) } else { Err(Fault::Invalid) }
    }

    /// What the references stand for, if they are those of all proposals that stand, each once, and no others.
    fn committed(&self, user: UserId, references: &[Reference]) -> Result<Vec<Change>, Fault> {
        let is_founding = !self.group.is_established();
        let stands_for_them = |proposal: &&Proposal| !(is_founding && proposal.change.adds(user));
        let mut changes = Vec::with_capacity(references.len());
        for reference in references {
            match self.proposals.find(reference).filter(stands_for_them) {
                Some(proposal) if changes.contains(&proposal.change) => return Err(Fault::Invalid),
                Some(proposal) => changes.push(proposal.change),
                None => return Err(Fault::Invalid),
            }
        }
        if references.is_empty() {
            return Err(Fault::Invalid);
        }
        let standing = self.proposals.standing().iter().filter(stands_for_them).count();
        if changes.len() != standing { Err(Fault::Late) } else { Ok(changes) }
    }

    /// A path may renew the committer's encryption key, and nothing else of its leaf.
    fn keeps_its_leaf(&self, user: UserId, participant: &Participant, path: &LeafNode<'_>) -> bool {
        let seated = participant.leaf.and_then(|leaf| self.group.leaf(leaf));
        let candidate = participant.candidate.as_ref().map(|candidate| &candidate.signature_key);
        let known = seated.and_then(|leaf| leaf.signature_key.as_ref()).or(candidate);
        let others = self.group.leaves().filter(|(_, leaf)| leaf.user != user);
        let mut taken = others.filter_map(|(_, leaf)| leaf.encryption_key.as_deref());
        path.identity == user.get().to_be_bytes()
            && known.is_none_or(|key| key == path.signature_key)
            && taken.all(|key| key != path.encryption_key)
    }

    /// The commit makes the next epoch: op 29 to the members, op 30 to the new ones.
    fn announce(&mut self, cx: &mut Context<'_>, committer: UserId, verdict: &Verdict<'_>) {
        let founding = !self.group.is_established();
        let members = if founding { vec![committer] } else { self.committers() };
        if founding {
            self.found(committer);
        }
        if let Some(path) = verdict.commit.path
            && let Some(leaf) = self.group.leaf_mut(verdict.commit.sender)
        {
            leaf.encryption_key = Some(path.encryption_key.to_vec());
            leaf.signature_key = Some(path.signature_key.to_vec());
        }
        let transition = self.transitions.number();
        for user in &members {
            let mut commit = verdict.commit.message.to_vec();
            if cx.misbehaviour.plays(*user, Trick::CorruptCommit) {
                forgery::corrupt(&mut commit);
            }
            self.tell_binary(*user, binary::Message::AnnounceCommit { transition, commit });
        }
        for change in &verdict.changes {
            if let Change::Remove(leaf) = change {
                self.group.remove(*leaf);
            }
        }
        let mut told = members;
        for change in &verdict.changes {
            if let Change::Add(user, reference) = change {
                self.welcome(cx, *user, reference, transition, verdict.welcome.as_ref());
                told.push(*user);
            }
        }
        self.group.advance();
        self.proposals.revoke();
        self.batch = None;
        self.history.push_back(verdict.commit.message.to_vec());
        if self.history.len() > HISTORY {
            self.history.pop_front();
        }
        let waiting = self.connected(&told);
        self.transitions.push(cx.now, transition, told, waiting);
    }

    fn found(&mut self, founder: UserId) {
        let Some(participant) = self.participants.get_mut(&founder) else { return };
        let candidate = participant.candidate.take();
        (participant.leaf, participant.established) = (Some(0), true);
        let package = candidate.as_ref().map(|candidate| candidate.reference);
        let signature_key = candidate.map(|candidate| candidate.signature_key);
        self.group = Group::found(Leaf { user: founder, package, signature_key, encryption_key: None });
        (self.founder, self.doubts) = (Some(founder), 0);
    }

    fn welcome(
        &mut self,
        cx: &mut Context<'_>,
        user: UserId,
        reference: &Reference,
        transition: u16,
        welcome: Option<&Welcome<'_>>,
    ) {
        let Some(participant) = self.participants.get_mut(&user) else { return };
        let Some(candidate) = participant.candidate.take() else { return };
        let Candidate { signature_key, encryption_key, package, .. } = candidate;
        let (signature_key, encryption_key) = (Some(signature_key), Some(encryption_key));
        let leaf = self.group.add(Leaf { user, package: Some(*reference), signature_key, encryption_key });
        (participant.leaf, participant.established) = (Some(leaf), true);
        let targeted = welcome.and_then(|welcome| welcome.targeted(reference));
        let forged = cx.misbehaviour.plays(user, Trick::ForeignWelcome);
        let forged = forged.then(|| cx.authority.foreign_welcome(self.channel, package)).flatten();
        if let Some(welcome) = forged.or(targeted) {
            cx.stats.welcomes += 1;
            self.tell_binary(user, binary::Message::Welcome { transition, welcome });
        }
    }
}
