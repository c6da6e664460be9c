use std::fmt;
use std::sync::Arc;

use openmls::ciphersuite::hash_ref::make_proposal_ref;
use openmls::credentials::BasicCredential;
use openmls::extensions::{Extensions, ExternalSender, SenderExtensionIndex};
use openmls::framing::{MlsMessageIn, MlsMessageOut};
use openmls::group::{GroupEpoch, GroupId};
use openmls::key_packages::KeyPackageIn;
use openmls::messages::external_proposals::ExternalProposal;
use openmls::prelude::LeafNodeIndex;
use openmls::versions::ProtocolVersion;
use openmls_traits::OpenMlsProvider as _;
use openmls_traits::types::Ciphersuite;
use tls_codec::{DeserializeBytes as _, Serialize as _, VLByteSlice};
use voice_dave::Identity;
use voice_dave::provider::{Backend, Provider};

use super::Seeded;

const SUITE: Ciphersuite = Ciphersuite::MLS_128_DHKEMP256_AES128GCM_SHA256_P256;

/// The external sender of a group.
pub(crate) struct Gateway {
    pub(crate) identity: Identity,
    pub(crate) group: u64,
    name: Vec<u8>,
    provider: Provider,
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("group", &self.group).finish_non_exhaustive()
    }
}

impl Gateway {
    /// The name is that of libdave's test gateway.
    pub(crate) fn new(seed: u64, group: u64) -> Self {
        Self::named(seed, group, &[0, 1, 1, 0])
    }

    pub(crate) fn named(seed: u64, group: u64, name: &[u8]) -> Self {
        let entropy = Arc::new(Seeded::new(seed));
        let identity = Identity::generate(&*entropy);
        Self { identity, group, name: name.to_vec(), provider: Provider::new(Backend::AwsLc, entropy) }
    }

    pub(crate) fn sender(&self) -> ExternalSender {
        let credential = BasicCredential::new(self.name.clone()).into();
        ExternalSender::new(self.identity.public_key().to_vec().into(), credential)
    }

    /// The payload of op 25.
    pub(crate) fn package(&self) -> Vec<u8> {
        self.sender().tls_serialize_detached().expect("serializes")
    }

    fn group_id(&self) -> GroupId {
        GroupId::from_slice(&self.group.to_be_bytes())
    }

    /// An external proposal to add the owner of this key package.
    pub(crate) fn add(&self, key_package: &[u8], epoch: u64) -> Vec<u8> {
        self.add_as(key_package, epoch, 0)
    }

    pub(crate) fn add_as(&self, key_package: &[u8], epoch: u64, index: u32) -> Vec<u8> {
        let package = KeyPackageIn::tls_deserialize_exact_bytes(key_package).expect("a bare key package");
        let package = package.validate(self.provider.crypto(), ProtocolVersion::Mls10).expect("a valid key package");
        let message = ExternalProposal::new_add::<Provider>(
            package,
            self.group_id(),
            GroupEpoch::from(epoch),
            &self.identity,
            SenderExtensionIndex::new(index),
        );
        bytes(&message.expect("signs"))
    }

    /// An external proposal to remove this leaf.
    pub(crate) fn remove(&self, leaf: u32, epoch: u64) -> Vec<u8> {
        let message = ExternalProposal::new_remove::<Provider>(
            LeafNodeIndex::new(leaf),
            self.group_id(),
            GroupEpoch::from(epoch),
            &self.identity,
            SenderExtensionIndex::new(0),
        );
        bytes(&message.expect("signs"))
    }

    /// A proposal that DAVE does not allow, though MLS does.
    pub(crate) fn extensions(&self, epoch: u64) -> Vec<u8> {
        let message = ExternalProposal::new_group_context_extensions::<Provider>(
            Extensions::empty(),
            self.group_id(),
            GroupEpoch::from(epoch),
            &self.identity,
            SenderExtensionIndex::new(0),
        );
        bytes(&message.expect("signs"))
    }

    /// What commits and revocations call a proposal.
    pub(crate) fn reference(&self, proposal: &[u8]) -> Vec<u8> {
        // AuthenticatedContent is an external PublicMessage without the version in front.
        let reference = make_proposal_ref(&proposal[2..], SUITE, self.provider.crypto()).expect("hashes");
        reference.tls_serialize_detached().expect("serializes")
    }

    /// The payload of op 27 that revokes them.
    pub(crate) fn revocation(&self, proposals: &[&[u8]]) -> Vec<u8> {
        revoke(&proposals.iter().map(|proposal| self.reference(proposal)).collect::<Vec<_>>())
    }
}

fn bytes(message: &MlsMessageOut) -> Vec<u8> {
    message.tls_serialize_detached().expect("serializes")
}

/// The payload of op 27 that appends.
pub(crate) fn append(proposals: &[&[u8]]) -> Vec<u8> {
    append_raw(&proposals.concat())
}

pub(crate) fn append_raw(proposals: &[u8]) -> Vec<u8> {
    let mut payload = vec![0];
    VLByteSlice(proposals).tls_serialize(&mut payload).expect("serializes");
    payload
}

/// The payload of op 27 that revokes these references.
pub(crate) fn revoke(references: &[Vec<u8>]) -> Vec<u8> {
    let mut payload = vec![1];
    VLByteSlice(&references.concat()).tls_serialize(&mut payload).expect("serializes");
    payload
}

/// The commit of an op 28.
pub(crate) fn commit_of(payload: &[u8]) -> Vec<u8> {
    payload[..payload.len() - welcome_of(payload).len()].to_vec()
}

/// The welcome of an op 28; empty when there is none.
pub(crate) fn welcome_of(payload: &[u8]) -> Vec<u8> {
    MlsMessageIn::tls_deserialize_bytes(payload).expect("an MLS message first").1.to_vec()
}
