use openmls::framing::{ContentType, MlsMessageIn, ProcessedMessageContent, ProtocolMessage, Sender};
use openmls::messages::proposals::ProposalOrRefType;
use openmls_traits::OpenMlsProvider as _;
use tls_codec::Serialize as _;

use super::group::{Group, Phase};
use super::guard::{COLLAPSED, guarded};
use super::proposals::Projection;
use super::wire;

/// What became of op 29 or op 30.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The group is in a new epoch.
    Advanced,
    /// It does not concern us.
    Ignored,
    /// We are not in the group any more.
    Removed,
    /// It is for an epoch that we have not reached.
    Missed,
    /// We cannot follow; why, for people.
    Failed(&'static str),
}

impl Group {
    /// Commits to everything that is queued, by reference; the payload of op 28. `None` when there is nothing to commit
    /// to, or nothing that we may commit to.
    pub(super) fn commit(&mut self) -> Result<Option<Vec<u8>>, ()> {
        // A path is encrypted to a tree that others made.
        let Some(committed) = guarded(|| self.build_commit()) else {
            self.collapse();
            return Ok(None);
        };
        committed
    }

    fn build_commit(&mut self) -> Result<Option<Vec<u8>>, ()> {
        let Some(mls) = &mut self.mls else { return Ok(None) };
        self.prepared = None;
        mls.clear_pending_commit(self.provider.storage()).map_err(|_| ())?;
        if !mls.has_pending_proposals() {
            return Ok(None);
        }
        // Revoking a removal can leave an addition of the same user behind.
        match Projection::new(mls, mls.pending_proposals()) {
            Ok(projection) if projection.check().is_err() || projection.removes(mls.own_leaf_index().u32()) => {
                return Ok(None);
            }
            Ok(_) => {}
            Err(_) => return Ok(None),
        }
        let refused = |error: &dyn std::fmt::Display| tracing::debug!(%error, "cannot commit");
        let loaded = mls
            .commit_builder()
            .consume_proposal_store(true)
            .load_psks(self.provider.storage())
            .map_err(|error| refused(&error))?;
        // The ratchet tree would come with a group info for external joiners, signed and never used.
        let bundle = loaded
            .create_group_info(false)
            .build(self.provider.rand(), self.provider.crypto(), &self.identity, |_| true)
            .map_err(|error| refused(&error))?
            .stage_commit(&self.provider)
            .map_err(|error| refused(&error))?;
        let commit = bundle.commit().tls_serialize_detached().map_err(|error| refused(&error))?;
        let mut payload = commit.clone();
        if let Some(welcome) = bundle.welcome() {
            welcome.tls_serialize(&mut payload).map_err(|error| refused(&error))?;
        }
        self.prepared = Some(commit);
        Ok(Some(payload))
    }

    /// Op 29, without the transition.
    pub(super) fn apply_commit(&mut self, bytes: &[u8]) -> Outcome {
        let phase = self.phase();
        let Some(mls) = &mut self.mls else { return Outcome::Ignored };
        if self.prepared.as_deref() == Some(bytes) {
            // It is ours to the last byte: there is nothing to verify.
            let merged = guarded(|| mls.merge_pending_commit(&self.provider).is_ok());
            return self.advance(merged);
        }
        let message = wire::read::<MlsMessageIn>(bytes).filter(|(_, rest)| rest.is_empty());
        let Some(Ok(message @ ProtocolMessage::PublicMessage(_))) =
            message.map(|(message, _)| message.try_into_protocol_message())
        else {
            return Outcome::Failed("it is no public MLS message");
        };
        if message.group_id() != &self.id {
            return Outcome::Failed("it is for another group");
        }
        if message.content_type() != ContentType::Commit {
            return Outcome::Failed("it is no commit");
        }
        if phase == Phase::Pending {
            return match message.epoch().as_u64() {
                0 => Outcome::Failed("it came before a welcome"),
                _ => Outcome::Missed,
            };
        }
        if message.epoch() > mls.epoch() {
            return Outcome::Missed;
        }
        if message.epoch() < mls.epoch() {
            return Outcome::Failed("it is of a past epoch");
        }
        if !mls.has_pending_proposals() {
            return Outcome::Failed("there are no proposals to commit to");
        }
        // Lifetimes of added key packages are looked at here, by openmls and by the clock of the machine, although the DAVE
        // protocol has members validate none ("Key Packages", Validation). The gateway lets none pass but the maximum.
        let Some(processed) = guarded(|| mls.process_message(&self.provider, message)) else {
            self.collapse();
            return Outcome::Failed(COLLAPSED);
        };
        let processed = match processed {
            Ok(processed) => processed,
            Err(error) => {
                tracing::debug!(%error, "a commit is refused");
                return Outcome::Failed("MLS refuses it");
            }
        };
        let Sender::Member(sender) = *processed.sender() else {
            return Outcome::Failed("its sender is no member");
        };
        if sender == mls.own_leaf_index() {
            return Outcome::Failed("it is ours, but not the latest that we made");
        }
        let ProcessedMessageContent::StagedCommitMessage(staged) = processed.into_content() else {
            return Outcome::Failed("it is no commit");
        };
        if staged.queued_proposals().any(|proposal| proposal.proposal_or_ref_type() != ProposalOrRefType::Reference) {
            return Outcome::Failed("it brings proposals of its own");
        }
        if staged.queued_proposals().next().is_none() {
            return Outcome::Failed("it commits to nothing");
        }
        let committer = mls.member_at(sender);
        let keeps_identity = staged.update_path_leaf_node().is_none_or(|leaf| {
            committer.as_ref().is_some_and(|member| {
                member.credential == *leaf.credential() && member.signature_key == leaf.signature_key().as_slice()
            })
        });
        if !keeps_identity {
            return Outcome::Failed("its sender changes identity");
        }
        if staged.self_removed() {
            return Outcome::Removed;
        }
        if let Err(reason) = Projection::new(mls, staged.queued_proposals()).and_then(|next| next.check()) {
            return Outcome::Failed(reason);
        }
        let merged = guarded(|| mls.merge_staged_commit(&self.provider, *staged).is_ok());
        self.advance(merged)
    }

    /// The key package in use, if any, is of no more use: who is in a group is not welcomed.
    fn advance(&mut self, merged: Option<bool>) -> Outcome {
        match merged {
            Some(true) => {}
            Some(false) => return Outcome::Failed("it cannot be merged"),
            None => {
                self.collapse();
                return Outcome::Failed(COLLAPSED);
            }
        }
        self.end_epoch();
        self.withdraw_key_package();
        Outcome::Advanced
    }
}
