use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use openmls::ciphersuite::hash_ref::ProposalRef;
use openmls::extensions::SenderExtensionIndex;
use openmls::framing::{ContentType, MlsMessageIn, ProcessedMessageContent, ProtocolMessage, Sender};
use openmls::group::{MlsGroup, QueuedProposal};
use openmls::messages::proposals::Proposal;
use openmls_traits::OpenMlsProvider as _;
use tls_codec::{Serialize as _, VLByteVec};
use voice_model::UserId;

use super::group::{Group, Phase, leaf_user, user_of};
use super::guard::guarded;
use super::roster::Roster;
use super::wire;

/// Proposals that are queued or held at most.
const MAX_PROPOSALS: usize = 256;

/// Batches that are held, and the bytes of their messages, at most.
const MAX_HELD: usize = 16;
const MAX_HELD_BYTES: usize = 64 * 1_024;

/// Batches with an addition of somebody that op 11 has not announced yet: op 27 can come first. And the commit that could
/// not be followed without them, if that came first as well.
#[derive(Debug, Default)]
pub(super) struct Held {
    batches: Vec<Batch>,
    commit: Option<HeldCommit>,
}

/// An op 29 that waits.
#[derive(Debug)]
pub(super) struct HeldCommit {
    pub(super) transition: u16,
    pub(super) bytes: Vec<u8>,
    pub(super) until: Instant,
}

/// The proposals of one op 27. Verified, not queued.
#[derive(Debug)]
struct Batch {
    proposals: Vec<QueuedProposal>,
    bytes: usize,
}

impl Held {
    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Keeps a commit as long as something is held that it may refer to; one only.
    pub(super) fn keep_commit(&mut self, commit: HeldCommit) -> bool {
        let keeps = !self.batches.is_empty() && self.commit.is_none();
        if keeps {
            self.commit = Some(commit);
        }
        keeps
    }

    pub(super) fn take_commit(&mut self) -> Option<HeldCommit> {
        self.commit.take()
    }

    /// The end of the commit's wait.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.commit.as_ref().map(|commit| commit.until)
    }

    fn len(&self) -> usize {
        self.batches.iter().map(|batch| batch.proposals.len()).sum()
    }

    fn push(&mut self, batch: Batch) -> bool {
        let bytes: usize = self.batches.iter().map(|batch| batch.bytes).sum();
        let fits = self.batches.len() < MAX_HELD && bytes + batch.bytes <= MAX_HELD_BYTES;
        if fits {
            self.batches.push(batch);
        }
        fits
    }

    fn revoke(&mut self, reference: &ProposalRef) -> bool {
        let before = self.len();
        for batch in &mut self.batches {
            batch.proposals.retain(|proposal| proposal.proposal_reference_ref() != reference);
        }
        self.batches.retain(|batch| !batch.proposals.is_empty());
        self.len() < before
    }
}

/// What became of op 27.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Queued {
    /// The queue has changed: this commit covers it, `None` when it is empty or cannot be committed to by us.
    Changed(Option<Vec<u8>>),
    /// The queue is as it was: the batch waits for op 11, or only what waited was revoked.
    Unchanged,
    /// Refused as a whole; so many proposals.
    Refused(u64),
    /// Refused likewise, but the commit of before could not be kept: this one, to the same queue, takes its place.
    Replaced(u64, Option<Vec<u8>>),
    /// Of no use where we are.
    Ignored,
    /// It belongs to an epoch that we have not reached.
    Ahead,
}

/// Why a batch is not queued.
enum Objection {
    Unrecognised,
    Invalid(&'static str),
}

impl Group {
    /// Op 27, append: all of the messages or none of them.
    pub(super) fn append(&mut self, messages: &[u8], roster: &Roster) -> Queued {
        let phase = self.phase();
        let Some(mls) = &mut self.mls else { return Queued::Ignored };
        let Some((vector, [])) = wire::read::<VLByteVec>(messages) else { return Queued::Ignored };
        // One by one: parsed messages are many times as large as the smallest that can be sent.
        let (mut messages_in, mut rest) = (Vec::new(), vector.as_slice());
        while !rest.is_empty() && messages_in.len() <= MAX_PROPOSALS {
            let Some((message, behind)) = wire::read::<MlsMessageIn>(rest) else { return Queued::Ignored };
            messages_in.push(message);
            rest = behind;
        }
        let count = messages_in.len() as u64;
        if count == 0 {
            return Queued::Ignored;
        }
        let queued = mls.pending_proposals().count() + self.held.len();
        if queued + messages_in.len() > MAX_PROPOSALS {
            return Queued::Refused(count);
        }
        let mut parsed = Vec::with_capacity(messages_in.len());
        for message in messages_in {
            let header = is_from_external_sender(&message);
            let Ok(message @ ProtocolMessage::PublicMessage(_)) = message.try_into_protocol_message() else {
                return Queued::Refused(count);
            };
            if !header || message.group_id() != &self.id || message.content_type() != ContentType::Proposal {
                return Queued::Refused(count);
            }
            match message.epoch().cmp(&mls.epoch()) {
                Ordering::Less => return Queued::Ignored,
                // The epochs of a group that we are not in say nothing about ours.
                Ordering::Greater if phase == Phase::Pending => return Queued::Ignored,
                Ordering::Greater => return Queued::Ahead,
                Ordering::Equal => parsed.push(message),
            }
        }
        let mut proposals = Vec::with_capacity(parsed.len());
        for message in parsed {
            let Some(processed) = guarded(|| mls.process_message(&self.provider, message)) else {
                self.collapse();
                return Queued::Refused(count);
            };
            let processed = match processed {
                Ok(processed) => processed,
                Err(error) => {
                    tracing::debug!(%error, "a proposal is refused");
                    return Queued::Refused(count);
                }
            };
            let is_external = *processed.sender() == Sender::External(SenderExtensionIndex::new(0));
            match processed.into_content() {
                ProcessedMessageContent::ProposalMessage(proposal) if is_external => proposals.push(*proposal),
                _ => return Queued::Refused(count),
            }
        }
        match self.admit(Batch { proposals, bytes: messages.len() }, roster) {
            Ok(added) if added.is_empty() => Queued::Unchanged,
            Ok(added) => self.commit_with(&added),
            Err(refused) => Queued::Refused(refused),
        }
    }

    /// Op 11 has announced somebody: what was held may be queued now. One commit covers all of it; none is made when a
    /// commit of somebody else's is held, since that has decided the epoch. Returns also how many proposals were refused.
    pub(super) fn retry_held(&mut self, roster: &Roster) -> (Queued, u64) {
        let (mut added, mut refused) = (Vec::new(), 0);
        for batch in std::mem::take(&mut self.held.batches) {
            match self.admit(batch, roster) {
                Ok(references) => added.extend(references),
                Err(count) => refused += count,
            }
        }
        let queued =
            if added.is_empty() || self.held.commit.is_some() { Queued::Unchanged } else { self.commit_with(&added) };
        (queued, refused)
    }

    /// Queues a batch, or holds it: the references of what was queued, or how many proposals are refused.
    fn admit(&mut self, batch: Batch, roster: &Roster) -> Result<Vec<ProposalRef>, u64> {
        let count = batch.proposals.len() as u64;
        let Some(mls) = &mut self.mls else { return Err(count) };
        match object(mls, &batch.proposals, roster) {
            Some(Objection::Unrecognised) => {
                return if self.held.push(batch) { Ok(Vec::new()) } else { Err(count) };
            }
            Some(Objection::Invalid(reason)) => {
                tracing::debug!(reason, "proposals are refused");
                return Err(count);
            }
            None => {}
        }
        // Our last commit covers less than the queue now.
        self.prepared = None;
        let mut references = Vec::with_capacity(batch.proposals.len());
        for proposal in batch.proposals {
            references.push(proposal.proposal_reference_ref().clone());
            let stored = mls.store_pending_proposal(self.provider.storage(), proposal);
            debug_assert!(stored.is_ok(), "the storage keeps no proposals");
        }
        Ok(references)
    }

    /// Commits to the queue, to which these were added.
    fn commit_with(&mut self, added: &[ProposalRef]) -> Queued {
        match self.commit() {
            Ok(commit) => Queued::Changed(commit),
            // openmls looks closer when it commits. Whatever it dislikes must not spoil the queue for good.
            Err(()) => {
                self.unqueue(added);
                Queued::Replaced(added.len() as u64, self.commit().unwrap_or_default())
            }
        }
    }

    /// Op 27, revoke. Returns what became of it, and how many references were unknown.
    pub(super) fn revoke(&mut self, references: &[u8]) -> (Queued, u64) {
        if self.mls.is_none() {
            return (Queued::Ignored, 0);
        }
        let Some((references, [])) = wire::read::<Vec<ProposalRef>>(references) else {
            return (Queued::Ignored, 0);
        };
        let mut unknown = references.len().saturating_sub(MAX_PROPOSALS) as u64;
        let mut changed = false;
        for reference in references.iter().take(MAX_PROPOSALS) {
            if self.unqueue(std::slice::from_ref(reference)) {
                changed = true;
            } else if !self.held.revoke(reference) {
                unknown += 1;
            }
        }
        if !changed {
            return (Queued::Unchanged, unknown);
        }
        (Queued::Changed(self.commit().unwrap_or_default()), unknown)
    }

    fn unqueue(&mut self, references: &[ProposalRef]) -> bool {
        let Some(mls) = &mut self.mls else { return false };
        let mut removed = false;
        for reference in references {
            removed |= mls.remove_pending_proposal(self.provider.storage(), reference).is_ok();
        }
        removed
    }
}

/// The external sender of index 0, going by the header: openmls shows the sender of verified messages only, and verifies
/// only those of the current epoch.
fn is_from_external_sender(message: &MlsMessageIn) -> bool {
    // MLSMessage: u16 version, u16 wire format, opaque group_id<V>, u64 epoch, u8 sender type (2 external), u32 index.
    let Ok(bytes) = message.tls_serialize_detached() else { return false };
    let Some(rest) = bytes.get(4..) else { return false };
    let Some((_, rest)) = wire::read::<VLByteVec>(rest) else { return false };
    rest.get(8..13) == Some(&[2, 0, 0, 0, 0])
}

/// The group as it would be with all that is queued and `batch`.
#[derive(Default)]
pub(super) struct Projection {
    members: BTreeMap<u32, (UserId, Vec<u8>)>,
    removed: BTreeSet<u32>,
    added: Vec<(UserId, Vec<u8>)>,
}

impl Projection {
    pub(super) fn new<'a>(
        mls: &MlsGroup,
        proposals: impl Iterator<Item = &'a QueuedProposal>,
    ) -> Result<Self, &'static str> {
        let mut projection = Self::default();
        for member in mls.members() {
            let user = user_of(&member.credential).ok_or("a member's credential is not a user's")?;
            projection.members.insert(member.index.u32(), (user, member.signature_key));
        }
        for proposal in proposals {
            match proposal.proposal() {
                Proposal::Add(add) => {
                    let leaf = leaf_user(add.key_package().leaf_node());
                    let (user, key) = leaf.ok_or("an added credential is not a user's")?;
                    projection.added.push((user, key.to_vec()));
                }
                Proposal::Remove(remove) => {
                    let index = remove.removed().u32();
                    if !projection.members.contains_key(&index) {
                        return Err("who is removed is no member");
                    }
                    if !projection.removed.insert(index) {
                        return Err("a member is removed twice");
                    }
                }
                _ => return Err("only additions and removals are allowed"),
            }
        }
        Ok(projection)
    }

    /// Nobody is in it twice, and no signature key is ("Client Commit Validity").
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let stay = self.members.iter().filter(|(index, _)| !self.removed.contains(index)).map(|(_, member)| member);
        let (mut users, mut keys) = (BTreeSet::new(), BTreeSet::new());
        for (user, key) in stay.chain(&self.added) {
            if !users.insert(user) {
                return Err("a user would be in the group twice");
            }
            if !keys.insert(key) {
                return Err("a key would be in the group twice");
            }
        }
        Ok(())
    }

    pub(super) fn removes(&self, index: u32) -> bool {
        self.removed.contains(&index)
    }
}

fn object(mls: &MlsGroup, batch: &[QueuedProposal], roster: &Roster) -> Option<Objection> {
    let mut references: BTreeSet<_> = mls.pending_proposals().map(QueuedProposal::proposal_reference_ref).collect();
    if !batch.iter().all(|proposal| references.insert(proposal.proposal_reference_ref())) {
        return Some(Objection::Invalid("a proposal is queued already"));
    }
    let projection = match Projection::new(mls, mls.pending_proposals().chain(batch)) {
        Ok(projection) => projection,
        Err(reason) => return Some(Objection::Invalid(reason)),
    };
    if let Err(reason) = projection.check() {
        return Some(Objection::Invalid(reason));
    }
    let all_recognised = projection.added.iter().all(|(user, _)| roster.recognises(*user));
    (!all_recognised).then_some(Objection::Unrecognised)
}
