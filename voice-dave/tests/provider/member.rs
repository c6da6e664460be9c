//! A member of a DAVE group with openmls alone, and the gateway that proposes: what a session does, without its rules.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use openmls::prelude::{
    BasicCredential, Capabilities, Ciphersuite, CredentialType, CredentialWithKey, Extension, Extensions,
    ExternalProposal, ExternalSender, GroupId, KeyPackage, KeyPackageBundle, LeafNodeIndex, Lifetime, MlsGroup,
    MlsGroupCreateConfig, MlsGroupJoinConfig, MlsMessageIn, MlsMessageOut, PURE_PLAINTEXT_WIRE_FORMAT_POLICY,
    ProcessedMessageContent, ProtocolVersion, SenderExtensionIndex, StagedWelcome, Welcome, WelcomeError,
};
use openmls_traits::OpenMlsProvider as _;
use tls_codec::{DeserializeBytes as _, Serialize as _};
use voice_dave::Identity;
use voice_dave::provider::{Backend, Entropy, Provider};

/// The one ciphersuite of DAVE.
pub(crate) const SUITE: Ciphersuite = Ciphersuite::MLS_128_DHKEMP256_AES128GCM_SHA256_P256;
const GROUP: u64 = 940_403_663_430_647_849;

/// SplitMix64: repeatable bytes.
pub(crate) struct Seeded(AtomicU64);

impl Seeded {
    pub(crate) fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(seed)))
    }
}

impl Entropy for Seeded {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let state = self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
            let mut word = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            chunk.copy_from_slice(&(word ^ (word >> 31)).to_le_bytes()[..chunk.len()]);
        }
    }
}

/// The voice gateway as the group's external sender.
pub(crate) struct Gateway {
    identity: Identity,
}

impl Gateway {
    pub(crate) fn new(seed: u64) -> Self {
        Self { identity: Identity::generate(&*Seeded::new(seed)) }
    }

    pub(crate) fn sender(&self) -> ExternalSender {
        ExternalSender::new(self.identity.public_key().into(), BasicCredential::new(vec![0]).into())
    }

    pub(crate) fn add(&self, epoch: u64, package: KeyPackage) -> Vec<u8> {
        let (group, sender) = (group_id(), SenderExtensionIndex::new(0));
        ExternalProposal::new_add::<Provider>(package, group, epoch.into(), &self.identity, sender)
            .map(|message| bytes(&message))
            .unwrap()
    }

    pub(crate) fn remove(&self, epoch: u64, leaf: LeafNodeIndex) -> Vec<u8> {
        let (group, sender) = (group_id(), SenderExtensionIndex::new(0));
        ExternalProposal::new_remove::<Provider>(leaf, group, epoch.into(), &self.identity, sender)
            .map(|message| bytes(&message))
            .unwrap()
    }
}

fn group_id() -> GroupId {
    GroupId::from_slice(&GROUP.to_be_bytes())
}

pub(crate) fn bytes(message: &MlsMessageOut) -> Vec<u8> {
    message.tls_serialize_detached().unwrap()
}

/// What a commit is sent as.
pub(crate) struct Committed {
    pub(crate) commit: Vec<u8>,
    pub(crate) welcome: Option<Vec<u8>>,
}

pub(crate) struct Member {
    pub(crate) provider: Provider,
    pub(crate) identity: Identity,
    user: u64,
    group: Option<MlsGroup>,
}

impl Member {
    pub(crate) fn new(backend: Backend, seed: u64) -> Self {
        let entropy = Seeded::new(seed);
        let identity = Identity::generate(&*entropy);
        Self { provider: Provider::new(backend, entropy), identity, user: seed, group: None }
    }

    fn credential(&self) -> CredentialWithKey {
        let credential = BasicCredential::new(self.user.to_be_bytes().to_vec()).into();
        CredentialWithKey { credential, signature_key: self.identity.public_key().into() }
    }

    pub(crate) fn key_package(&self) -> KeyPackageBundle {
        KeyPackage::builder()
            .leaf_node_capabilities(capabilities())
            .key_package_lifetime(Lifetime::init(0, u64::MAX))
            .key_package_extensions(Extensions::empty())
            .build(SUITE, &self.provider, &self.identity, self.credential())
            .unwrap()
    }

    pub(crate) fn create(&mut self, gateway: &Gateway) {
        self.create_for(gateway, GROUP);
    }

    pub(crate) fn create_for(&mut self, gateway: &Gateway, call: u64) {
        let config = MlsGroupCreateConfig::builder()
            .ciphersuite(SUITE)
            .capabilities(capabilities())
            .lifetime(Lifetime::init(0, u64::MAX))
            .with_group_context_extensions(
                Extensions::single(Extension::ExternalSenders(vec![gateway.sender()])).unwrap(),
            )
            .use_ratchet_tree_extension(true)
            .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
            .build();
        let (credential, id) = (self.credential(), GroupId::from_slice(&call.to_be_bytes()));
        self.group =
            Some(MlsGroup::new_with_group_id(&self.provider, &self.identity, &config, id, credential).unwrap());
    }

    pub(crate) fn group(&self) -> &MlsGroup {
        self.group.as_ref().unwrap()
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.group().epoch().as_u64()
    }

    pub(crate) fn leaf(&self) -> LeafNodeIndex {
        self.group().own_leaf_index()
    }

    pub(crate) fn propose(&mut self, proposal: &[u8]) {
        let message = MlsMessageIn::tls_deserialize_exact_bytes(proposal).unwrap();
        let (group, provider) = (self.group.as_mut().unwrap(), &self.provider);
        let message = message.try_into_protocol_message().unwrap();
        match group.process_message(provider, message).unwrap().into_content() {
            ProcessedMessageContent::ProposalMessage(proposal) => {
                group.store_pending_proposal(provider.storage(), *proposal).unwrap();
            }
            other => panic!("not a proposal: {other:?}"),
        }
    }

    pub(crate) fn commit(&mut self) -> Committed {
        let (group, provider) = (self.group.as_mut().unwrap(), &self.provider);
        let bundle = group
            .commit_builder()
            .consume_proposal_store(true)
            .load_psks(provider.storage())
            .unwrap()
            .create_group_info(false)
            .build(provider.rand(), provider.crypto(), &self.identity, |_| true)
            .unwrap()
            .stage_commit(provider)
            .unwrap();
        let welcome = bundle.welcome().map(|welcome| welcome.tls_serialize_detached().unwrap());
        Committed { commit: bytes(bundle.commit()), welcome }
    }

    /// Handles a commit that the gateway announced, own or not.
    pub(crate) fn announced(&mut self, commit: &[u8]) {
        let message = MlsMessageIn::tls_deserialize_exact_bytes(commit).unwrap();
        let (group, provider) = (self.group.as_mut().unwrap(), &self.provider);
        let message = message.try_into_protocol_message().unwrap();
        match group.process_message(provider, message).unwrap().into_content() {
            ProcessedMessageContent::OwnPendingCommit => group.merge_pending_commit(provider).unwrap(),
            ProcessedMessageContent::StagedCommitMessage(staged) => {
                group.merge_staged_commit(provider, *staged).unwrap();
            }
            other => panic!("not a commit: {other:?}"),
        }
    }

    pub(crate) fn join(&mut self, welcome: &[u8]) {
        self.group = Some(self.try_join(welcome).unwrap());
    }

    /// The group of a welcome, `None` when it is not for us.
    pub(crate) fn try_join(&self, welcome: &[u8]) -> Option<MlsGroup> {
        let welcome = Welcome::tls_deserialize_exact_bytes(welcome).unwrap();
        let config = MlsGroupJoinConfig::builder()
            .use_ratchet_tree_extension(true)
            .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
            .build();
        let staged = match StagedWelcome::build_from_welcome(&self.provider, &config, welcome) {
            Ok(builder) => builder.skip_lifetime_validation().replace_old_group().build().unwrap(),
            Err(WelcomeError::NoMatchingKeyPackage) => return None,
            Err(other) => panic!("{other}"),
        };
        Some(staged.into_group(&self.provider).unwrap())
    }

    /// A secret that all members share, and what people compare.
    pub(crate) fn view(&self, user: u64) -> (Vec<u8>, Vec<u8>) {
        let secret = self
            .group()
            .export_secret(self.provider.crypto(), "Discord Secure Frames v0", &user.to_le_bytes(), 16)
            .unwrap();
        (secret, self.group().epoch_authenticator().as_slice().to_vec())
    }
}

fn capabilities() -> Capabilities {
    Capabilities::new(
        Some(&[ProtocolVersion::Mls10]),
        Some(&[SUITE]),
        Some(&[]),
        Some(&[]),
        Some(&[CredentialType::Basic]),
    )
}
