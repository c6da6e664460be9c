use std::fmt;
use std::sync::Arc;

use openmls::credentials::{BasicCredential, CredentialWithKey};
use openmls::extensions::{Extension, Extensions};
use openmls::framing::{MlsMessageIn, ProcessedMessageContent};
use openmls::group::{
    CommitBuilder, GroupContext, GroupId, Initial, MlsGroup, MlsGroupJoinConfig, PURE_PLAINTEXT_WIRE_FORMAT_POLICY,
    StagedWelcome,
};
use openmls::key_packages::{KeyPackage, KeyPackageIn, Lifetime};
use openmls::messages::Welcome;
use openmls::prelude::Capabilities;
use openmls::versions::ProtocolVersion;
use openmls_traits::OpenMlsProvider as _;
use openmls_traits::crypto::OpenMlsCrypto as _;
use openmls_traits::types::{AeadType, Ciphersuite, HashType};
use tls_codec::{DeserializeBytes as _, Serialize as _, VLByteSlice};
use voice_dave::Identity;
use voice_dave::provider::{Backend, Provider};

use super::Seeded;

const SUITE: Ciphersuite = Ciphersuite::MLS_128_DHKEMP256_AES128GCM_SHA256_P256;

/// A commit before it has a shape.
pub(crate) type Builder<'a> = CommitBuilder<'a, Initial, &'a mut MlsGroup>;

/// A member who does what MLS allows and DAVE does not.
pub(crate) struct Forger {
    pub(crate) identity: Identity,
    credential: Vec<u8>,
    provider: Provider,
    pub(crate) mls: Option<MlsGroup>,
}

impl fmt::Debug for Forger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forger").finish_non_exhaustive()
    }
}

impl Forger {
    /// With any bytes for an identity.
    pub(crate) fn new(credential: &[u8], seed: u64) -> Self {
        let entropy = Arc::new(Seeded::new(seed));
        let identity = Identity::generate(&*entropy);
        let provider = Provider::new(Backend::AwsLc, entropy);
        Self { identity, credential: credential.to_vec(), provider, mls: None }
    }

    pub(crate) fn user(id: u64, seed: u64) -> Self {
        Self::new(&id.to_be_bytes(), seed)
    }

    pub(crate) fn credential(&self) -> CredentialWithKey {
        CredentialWithKey {
            credential: BasicCredential::new(self.credential.clone()).into(),
            signature_key: self.identity.public_key().to_vec().into(),
        }
    }

    pub(crate) fn key_package(&self) -> Vec<u8> {
        self.key_package_for(&[SUITE])
    }

    /// A key package that claims to know these ciphersuites.
    pub(crate) fn key_package_for(&self, suites: &[Ciphersuite]) -> Vec<u8> {
        let builder = KeyPackage::builder()
            .leaf_node_capabilities(Capabilities::new(None, Some(suites), None, None, None))
            .key_package_lifetime(Lifetime::init(0, u64::MAX));
        let bundle = builder.build(SUITE, &self.provider, &self.identity, self.credential()).expect("a key package");
        bundle.key_package().tls_serialize_detached().expect("serializes")
    }

    /// A group of its own.
    pub(crate) fn create(&mut self, group: u64, extensions: Vec<Extension>) {
        self.create_for(group, extensions, Lifetime::init(0, u64::MAX));
    }

    /// A group of its own, with a leaf that is valid for so long.
    pub(crate) fn create_for(&mut self, group: u64, extensions: Vec<Extension>, lifetime: Lifetime) {
        let extensions = Extensions::<GroupContext>::from_vec(extensions).expect("unique extensions");
        let group = MlsGroup::builder()
            .with_group_id(GroupId::from_slice(&group.to_be_bytes()))
            .ciphersuite(SUITE)
            .lifetime(lifetime)
            .with_group_context_extensions(extensions)
            .use_ratchet_tree_extension(true)
            .with_wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
            .replace_old_group()
            .build(&self.provider, &self.identity, self.credential());
        self.mls = Some(group.expect("a group"));
    }

    /// Adds these key packages; the welcome.
    pub(crate) fn welcome(&mut self, key_packages: &[&[u8]]) -> Vec<u8> {
        let packages: Vec<_> = key_packages
            .iter()
            .map(|bytes| KeyPackageIn::tls_deserialize_exact_bytes(bytes).expect("a key package"))
            .map(|package| package.validate(self.provider.crypto(), ProtocolVersion::Mls10).expect("a valid one"))
            .collect();
        self.build(|builder| builder.propose_adds(packages)).1.expect("additions")
    }

    pub(crate) fn join(&mut self, welcome: &[u8]) {
        let welcome = Welcome::tls_deserialize_exact_bytes(welcome).expect("a welcome");
        let config = MlsGroupJoinConfig::builder()
            .use_ratchet_tree_extension(true)
            .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
            .build();
        let staged = StagedWelcome::build_from_welcome(&self.provider, &config, welcome).expect("for us");
        let staged = staged.skip_lifetime_validation().replace_old_group().build().expect("a valid welcome");
        self.mls = Some(staged.into_group(&self.provider).expect("a group"));
    }

    /// Queues an external proposal, whatever it is.
    pub(crate) fn queue(&mut self, proposal: &[u8]) {
        let message = MlsMessageIn::tls_deserialize_exact_bytes(proposal).expect("a message");
        let message = message.try_into_protocol_message().expect("a protocol message");
        let mls = self.mls.as_mut().expect("a group");
        let processed = mls.process_message(&self.provider, message).expect("a valid proposal");
        let ProcessedMessageContent::ProposalMessage(proposal) = processed.into_content() else {
            panic!("no proposal");
        };
        mls.store_pending_proposal(self.provider.storage(), *proposal).expect("stored");
    }

    /// Moves to the epoch of somebody else's commit.
    pub(crate) fn follow(&mut self, commit: &[u8]) {
        let message = MlsMessageIn::tls_deserialize_exact_bytes(commit).expect("a message");
        let message = message.try_into_protocol_message().expect("a protocol message");
        let mls = self.mls.as_mut().expect("a group");
        let processed = mls.process_message(&self.provider, message).expect("a valid commit");
        let ProcessedMessageContent::StagedCommitMessage(staged) = processed.into_content() else {
            panic!("no commit");
        };
        mls.merge_staged_commit(&self.provider, *staged).expect("merged");
    }

    pub(crate) fn export(&self, label: &str, context: &[u8], len: usize) -> Vec<u8> {
        let mls = self.mls.as_ref().expect("a group");
        mls.export_secret(self.provider.crypto(), label, context, len).expect("an active group")
    }

    /// A commit, wrapped as op 29 has it. Our group stays where it is.
    pub(crate) fn commit(&mut self, shape: impl for<'a> FnOnce(Builder<'a>) -> Builder<'a>) -> Vec<u8> {
        self.build(shape).0
    }

    fn build(&mut self, shape: impl for<'a> FnOnce(Builder<'a>) -> Builder<'a>) -> (Vec<u8>, Option<Vec<u8>>) {
        let mls = self.mls.as_mut().expect("a group");
        mls.clear_pending_commit(self.provider.storage()).expect("cleared");
        let builder = shape(mls.commit_builder()).load_psks(self.provider.storage()).expect("no psks");
        let bundle = builder
            .build(self.provider.rand(), self.provider.crypto(), &self.identity, |_| true)
            .expect("a commit")
            .stage_commit(&self.provider)
            .expect("staged");
        let welcome = bundle.welcome().map(|welcome| welcome.tls_serialize_detached().expect("serializes"));
        (bundle.commit().tls_serialize_detached().expect("serializes"), welcome)
    }

    /// A proposal of a member's.
    pub(crate) fn member_proposal(&mut self, leaf: u32) -> Vec<u8> {
        let mls = self.mls.as_mut().expect("a group");
        let leaf = openmls::prelude::LeafNodeIndex::new(leaf);
        let (message, _) = mls.propose_remove_member(&self.provider, &self.identity, leaf).expect("a proposal");
        message.tls_serialize_detached().expect("serializes")
    }

    /// The public state of our group, as welcomes have it: signed, with the ratchet tree.
    pub(crate) fn group_info(&self) -> Vec<u8> {
        let mls = self.mls.as_ref().expect("a group");
        let info = mls.export_group_info(self.provider.crypto(), &self.identity, true).expect("an active group");
        // Behind the version and the wire format of an MLS message.
        info.tls_serialize_detached().expect("serializes").split_off(4)
    }

    /// A welcome to whatever this group info says, for the owner of the key package. All is sealed as it should be; its
    /// confirmation tag is that of other secrets.
    pub(crate) fn welcome_with(&self, key_package: &[u8], group_info: &[u8]) -> Vec<u8> {
        let crypto = self.provider.crypto();
        let package = KeyPackageIn::tls_deserialize_exact_bytes(key_package).expect("a key package");
        let package = package.validate(crypto, ProtocolVersion::Mls10).expect("a valid one");
        let reference = package.hash_ref(crypto).expect("hashes");
        let (joiner, hash) = ([3; 32], HashType::Sha2_256);
        let expand = |secret: &[u8], label: &[u8], len: u16| {
            let info = [&len.to_be_bytes()[..], &vector(&[b"MLS 1.0 ", label].concat()), &[0]].concat();
            crypto.hkdf_expand(hash, secret, &info, len.into()).expect("expands")
        };
        // RFC 9420, sections 8 and 12.4.3.1, without pre-shared keys.
        let member = crypto.hkdf_extract(hash, &joiner, &[0; 32]).expect("extracts");
        let welcome = expand(member.as_slice(), b"welcome", 32);
        let (key, nonce) = (expand(welcome.as_slice(), b"key", 16), expand(welcome.as_slice(), b"nonce", 12));
        let sealed =
            crypto.aead_encrypt(AeadType::Aes128Gcm, key.as_slice(), group_info, nonce.as_slice(), &[]).expect("seals");
        let secrets = [vector(&joiner), vec![0], vector(&[])].concat();
        let label = [vector(b"MLS 1.0 Welcome"), vector(&sealed)].concat();
        let text = crypto
            .hpke_seal(SUITE.hpke_config(), package.hpke_init_key().as_slice(), &label, &[], &secrets)
            .expect("seals");
        let secrets = [
            reference.tls_serialize_detached().expect("serializes"),
            vector(text.kem_output.as_slice()),
            vector(text.ciphertext.as_slice()),
        ];
        [vec![0, 2], vector(&secrets.concat()), vector(&sealed)].concat()
    }
}

/// Bytes behind their length (RFC 9420, section 2.1.2).
pub(crate) fn vector(bytes: &[u8]) -> Vec<u8> {
    VLByteSlice(bytes).tls_serialize_detached().expect("serializes")
}
