use std::collections::BTreeSet;

use openmls::extensions::{Extension, ExtensionType};
use openmls::group::{StagedWelcome, WelcomeError};
use openmls::messages::Welcome;
use openmls::versions::ProtocolVersion;

use super::commit::Outcome;
use super::group::{Group, Phase, SUITE, user_of};
use super::guard::{COLLAPSED, guarded};
use super::roster::Roster;
use super::{tree, wire};

impl Group {
    /// Op 30, without the transition.
    pub(super) fn join(&mut self, bytes: &[u8], roster: &Roster) -> Outcome {
        if self.phase() == Phase::Established || self.key_package.is_none() {
            return Outcome::Ignored;
        }
        if self.external_sender.is_none() {
            return Outcome::Failed("no external sender is known");
        }
        let Some((welcome, [])) = wire::read::<Welcome>(bytes) else {
            return Outcome::Failed("it is no welcome");
        };
        if welcome.ciphersuite() != SUITE {
            return Outcome::Failed("it is of another ciphersuite");
        }
        let staged = guarded(|| {
            let builder = StagedWelcome::build_from_welcome(&self.provider, &Self::join_config(), welcome)?;
            let info = builder.processed_welcome().unverified_group_info();
            if let Some(Err(reason)) = info.extensions().ratchet_tree().map(tree::examine) {
                return Ok(Err(reason));
            }
            builder.skip_lifetime_validation().replace_old_group().build().map(Ok)
        });
        let Some(staged) = staged else {
            self.collapse();
            return Outcome::Failed(COLLAPSED);
        };
        let staged = match staged {
            Ok(Ok(staged)) => staged,
            Ok(Err(reason)) => {
                self.key_package = None;
                return Outcome::Failed(reason);
            }
            Err(error) => {
                tracing::debug!(%error, "a welcome is refused");
                if !matches!(error, WelcomeError::NoMatchingKeyPackage) {
                    self.key_package = None;
                }
                return Outcome::Failed("MLS refuses it");
            }
        };
        // openmls has used it up, whatever comes of it.
        self.key_package = None;
        if let Err(reason) = self.examine(&staged, roster) {
            return Outcome::Failed(reason);
        }
        match guarded(|| staged.into_group(&self.provider)) {
            None => {
                self.collapse();
                Outcome::Failed(COLLAPSED)
            }
            Some(Ok(mls)) => {
                self.mls = Some(mls);
                self.end_epoch();
                Outcome::Advanced
            }
            Some(Err(error)) => {
                tracing::debug!(%error, "a welcome is refused");
                Outcome::Failed("MLS refuses it")
            }
        }
    }

    /// "Invalid Groups" of the DAVE protocol.
    fn examine(&self, staged: &StagedWelcome, roster: &Roster) -> Result<(), &'static str> {
        let context = staged.group_context();
        if context.group_id() != &self.id {
            return Err("it is for another group");
        }
        if context.ciphersuite() != SUITE || context.protocol_version() != ProtocolVersion::Mls10 {
            return Err("it is of another ciphersuite");
        }
        if context.epoch().as_u64() == 0 {
            return Err("its group has no epoch");
        }
        if context.extensions().iter().any(|extension| extension.extension_type() != ExtensionType::ExternalSenders) {
            return Err("its group has extensions that are not allowed");
        }
        let mut senders = context.extensions().iter().filter_map(|extension| match extension {
            Extension::ExternalSenders(senders) => Some(senders.as_slice()),
            _ => None,
        });
        match (senders.next(), &self.external_sender) {
            (Some([sender]), Some(known)) if sender == known => {}
            _ => return Err("its external sender is not the one announced"),
        }
        let mut users = BTreeSet::new();
        for member in staged.members() {
            let user = user_of(&member.credential).ok_or("a member's credential is not a user's")?;
            if !users.insert(user) {
                return Err("a user is in the group twice");
            }
            if !roster.recognises(user) {
                return Err("it lists a user who is not in the call");
            }
        }
        let own = staged.own_leaf_node().and_then(|leaf| user_of(leaf.credential()));
        if own != Some(self.user) {
            return Err("it is for somebody else");
        }
        Ok(())
    }
}
