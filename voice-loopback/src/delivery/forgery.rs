use model::ChannelId;
use openmls::prelude::{
    BasicCredential, Capabilities, CredentialType, CredentialWithKey, Extension, Extensions, ExternalSender, GroupId,
    KeyPackage, Lifetime, MlsGroup, MlsGroupCreateConfig, PURE_PLAINTEXT_WIRE_FORMAT_POLICY, ProtocolVersion,
};
use tls_codec::{DeserializeBytes, Serialize};

use super::authority::Authority;
use super::candidate::SUITE;

/// Who is alone in a foreign group before somebody is lured into it.
const LURER: u64 = u64::MAX;

/// Flips a bit in the middle of a commit.
pub(super) fn corrupt(commit: &mut [u8]) {
    let middle = commit.len() / 2;
    if let Some(byte) = commit.get_mut(middle) {
        *byte ^= 1;
    }
}

impl Authority {
    /// A welcome for this key package into a group that is like the call's, but for its id and its members.
    pub(super) fn foreign_welcome(&self, channel: Option<ChannelId>, package: KeyPackage) -> Option<Vec<u8>> {
        let other = GroupId::from_slice(&(!channel?.get()).to_be_bytes());
        let external_sender = ExternalSender::tls_deserialize_exact_bytes(self.external_sender()).ok()?;
        let capabilities = Capabilities::builder()
            .versions(vec![ProtocolVersion::Mls10])
            .ciphersuites(vec![SUITE])
            .credentials(vec![CredentialType::Basic])
            .build();
        let config = MlsGroupCreateConfig::builder()
            .ciphersuite(SUITE)
            .capabilities(capabilities)
            .lifetime(Lifetime::init(0, u64::MAX))
            .with_group_context_extensions(Extensions::single(Extension::ExternalSenders(vec![external_sender])).ok()?)
            .use_ratchet_tree_extension(true)
            .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
            .build();
        let lurer = CredentialWithKey {
            credential: BasicCredential::new(LURER.to_be_bytes().to_vec()).into(),
            signature_key: self.identity().public_key().into(),
        };
        let mut group = MlsGroup::new_with_group_id(self.provider(), self.identity(), &config, other, lurer).ok()?;
        let (_, welcome, _) = group.add_members(self.provider(), self.identity(), &[package]).ok()?;
        // Without the version and wire format of an MLSMessage.
        welcome.tls_serialize_detached().ok()?.get(4..).map(<[u8]>::to_vec)
    }
}
