use std::collections::VecDeque;

use model::UserId;

use super::reader::write_vector;

/// A `ProposalRef` or `KeyPackageRef`: SHA-256 in suite 2 (RFC 9420, section 5.2).
pub(super) type Reference = [u8; 32];

/// What a proposal is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Remove the leaf of this index.
    Remove(u32),
    /// Add this user with the key package of this reference.
    Add(UserId, Reference),
}

impl Change {
    /// Whether it adds this user: who, before there is a group, commits alone to what the others need.
    pub(super) fn adds(&self, user: UserId) -> bool {
        matches!(self, Self::Add(added, _) if *added == user)
    }

    /// The key package that it adds.
    pub(super) fn added(&self) -> Option<Reference> {
        match self {
            Self::Add(_, reference) => Some(*reference),
            Self::Remove(_) => None,
        }
    }
}

/// An external proposal: signed once, the same bytes for everybody.
#[derive(Clone, Debug)]
pub(super) struct Proposal {
    pub(super) change: Change,
    pub(super) reference: Reference,
    /// An `MLSMessage`.
    pub(super) message: Vec<u8>,
}

/// The proposals of the epoch.
#[derive(Debug, Default)]
pub(super) struct Proposals {
    standing: Vec<Proposal>,
    /// References that stood once: a commit to one of them is late, not wrong.
    past: VecDeque<Reference>,
}

/// At most this many references of the past are remembered.
const MAX_PAST: usize = 1_024;

impl Proposals {
    /// Unrevoked, in the order in which they were sent.
    pub(super) fn standing(&self) -> &[Proposal] {
        &self.standing
    }

    pub(super) fn find(&self, reference: &Reference) -> Option<&Proposal> {
        self.standing.iter().find(|proposal| proposal.reference == *reference)
    }

    /// Whether it stood once, and does not stand now.
    pub(super) fn is_past(&self, reference: &Reference) -> bool {
        self.past.contains(reference)
    }

    pub(super) fn append(&mut self, proposals: Vec<Proposal>) {
        self.standing.extend(proposals);
    }

    /// Takes out, and gives, all that stand.
    pub(super) fn revoke(&mut self) -> Vec<Proposal> {
        let revoked = std::mem::take(&mut self.standing);
        self.past.extend(revoked.iter().map(|proposal| proposal.reference));
        let excess = self.past.len().saturating_sub(MAX_PAST);
        self.past.drain(..excess);
        revoked
    }
}

/// The payload of op 27 that appends these; `None` when there are none.
pub(super) fn append<'a>(proposals: impl Iterator<Item = &'a Proposal>) -> Option<Vec<u8>> {
    let content: Vec<u8> = proposals.flat_map(|proposal| proposal.message.iter().copied()).collect();
    payload(0, &content)
}

/// The payload of op 27 that revokes these; `None` when there are none.
pub(super) fn revoke<'a>(proposals: impl Iterator<Item = &'a Proposal>) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    proposals.for_each(|proposal| write_vector(&proposal.reference, &mut content));
    payload(1, &content)
}

fn payload(operation: u8, content: &[u8]) -> Option<Vec<u8>> {
    let mut payload = vec![operation];
    write_vector(content, &mut payload);
    (!content.is_empty()).then_some(payload)
}
