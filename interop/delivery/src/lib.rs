//! The least that a DAVE group needs of a voice gateway: an external sender that proposes, and knows who sits on which
//! leaf of the tree. For tests, fuzzing and benchmarks: it trusts what it is given, and panics where a server would
//! close the connection.

mod commit;
mod entropy;

use std::sync::Arc;

use openmls::messages::external_proposals::ExternalProposal;
use openmls::prelude::{
    BasicCredential, ExternalSender, GroupEpoch, GroupId, KeyPackageIn, LeafNodeIndex, MlsMessageOut, ProtocolVersion,
    SenderExtensionIndex,
};
use openmls_traits::OpenMlsProvider;
use openmls_traits::crypto::OpenMlsCrypto;
use openmls_traits::types::HashType;
use tls_codec::{DeserializeBytes, Serialize, VLBytes};
use voice_dave::Identity;
use voice_dave::provider::{Backend, Provider};

pub use commit::split;
pub use entropy::Seeded;

const APPEND: u8 = 0;
const REVOKE: u8 = 1;
/// What libdave's tests use; Discord's own is a single zero.
const IDENTITY: [u8; 4] = [0, 1, 1, 0];

/// The delivery service of one group.
pub struct Delivery {
    provider: Provider,
    signer: Identity,
    group: GroupId,
    epoch: u64,
    leaves: Vec<Option<u64>>,
    queued: Vec<Queued>,
}

/// A signed proposal, the same bytes for everybody.
#[derive(Clone, Debug)]
pub struct Proposal {
    message: Vec<u8>,
    reference: Vec<u8>,
}

struct Queued {
    reference: Vec<u8>,
    change: Change,
}

#[derive(Clone, Copy)]
enum Change {
    Add(u64),
    Remove(usize),
}

impl Delivery {
    /// For the group of this channel; equal seeds make equal external senders.
    pub fn new(channel: u64, seed: u64) -> Self {
        let entropy = Arc::new(Seeded::new(seed));
        Self {
            signer: Identity::generate(&*entropy),
            provider: Provider::new(Backend::AwsLc, entropy),
            group: GroupId::from_slice(&channel.to_be_bytes()),
            epoch: 0,
            leaves: Vec::new(),
            queued: Vec::new(),
        }
    }

    /// The payload of op 25.
    pub fn external_sender(&self) -> Vec<u8> {
        let credential = BasicCredential::new(IDENTITY.to_vec());
        written(&ExternalSender::new(self.signer.public_key().into(), credential.into()))
    }

    /// The epoch of the group: 0 until the first commit.
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Whether this user has a leaf.
    pub fn contains(&self, user: u64) -> bool {
        self.leaves.contains(&Some(user))
    }

    /// Everybody, by leaf.
    pub fn users(&self) -> impl Iterator<Item = u64> {
        self.leaves.iter().copied().flatten()
    }

    /// Forgets the group, not the external sender: op 24 with epoch 1.
    pub fn reset(&mut self) {
        self.epoch = 0;
        self.leaves.clear();
        self.queued.clear();
    }

    /// Proposes to add the owner of a key package; `None` when it is none.
    pub fn add(&mut self, user: u64, key_package: &[u8]) -> Option<Proposal> {
        self.add_at(self.epoch, user, key_package)
    }

    /// [`add`](Self::add) at an epoch of the caller's choice.
    pub fn add_at(&mut self, epoch: u64, user: u64, key_package: &[u8]) -> Option<Proposal> {
        let key_package = KeyPackageIn::tls_deserialize_exact_bytes(key_package).ok()?;
        let key_package = key_package.validate(self.provider.crypto(), ProtocolVersion::Mls10).ok()?;
        let (group, epoch, index) = (self.group.clone(), GroupEpoch::from(epoch), SenderExtensionIndex::new(0));
        let message = ExternalProposal::new_add::<Provider>(key_package, group, epoch, &self.signer, index);
        Some(self.proposed(&message.expect("the external sender signs"), Change::Add(user)))
    }

    /// Proposes to remove a user; `None` when they have no leaf.
    pub fn remove(&mut self, user: u64) -> Option<Proposal> {
        let leaf = self.leaves.iter().position(|&at| at == Some(user))?;
        Some(self.remove_leaf(self.epoch, leaf as u32))
    }

    /// Proposes to remove whoever is on a leaf, at an epoch of the caller's choice.
    pub fn remove_leaf(&mut self, epoch: u64, leaf: u32) -> Proposal {
        let (group, epoch, index) = (self.group.clone(), GroupEpoch::from(epoch), SenderExtensionIndex::new(0));
        let leaf_index = LeafNodeIndex::new(leaf);
        let message = ExternalProposal::new_remove::<Provider>(leaf_index, group, epoch, &self.signer, index);
        self.proposed(&message.expect("the external sender signs"), Change::Remove(leaf as usize))
    }

    /// Whether a commit is one to proposals of this epoch.
    pub fn would_accept(&self, commit: &[u8]) -> bool {
        self.changes(commit).is_some()
    }

    /// A member's commit won: a new epoch begins. `committer` matters for the first one only, which makes the group.
    pub fn accept(&mut self, committer: u64, commit: &[u8]) {
        let changes = self.changes(commit).expect("a commit to what was proposed");
        if self.epoch == 0 {
            self.leaves = vec![Some(committer)];
        }
        // Removals come first, whatever their order in the commit (RFC 9420, section 12.3).
        for change in &changes {
            if let Change::Remove(leaf) = *change
                && let Some(leaf) = self.leaves.get_mut(leaf)
            {
                *leaf = None;
            }
        }
        for change in &changes {
            if let Change::Add(user) = *change {
                match self.leaves.iter_mut().find(|leaf| leaf.is_none()) {
                    Some(leaf) => *leaf = Some(user),
                    None => self.leaves.push(Some(user)),
                }
            }
        }
        self.queued.clear();
        self.epoch += 1;
    }

    /// What a commit changes, in its order.
    fn changes(&self, commit: &[u8]) -> Option<Vec<Change>> {
        let change = |reference: &Vec<u8>| {
            self.queued.iter().find(|queued| queued.reference == *reference).map(|queued| queued.change)
        };
        commit::references(commit)?.iter().map(change).collect()
    }

    fn proposed(&mut self, message: &MlsMessageOut, change: Change) -> Proposal {
        let message = written(message);
        // RefHash of the AuthenticatedContent (RFC 9420, section 5.2). A PublicMessage of an external sender has no
        // membership tag: without the version in front, it is that content.
        let label = VLBytes::new(b"MLS 1.0 Proposal Reference".to_vec());
        let input = [written(&label), written(&VLBytes::new(message[2..].to_vec()))].concat();
        let reference = self.provider.crypto().hash(HashType::Sha2_256, &input).expect("SHA-256");
        self.queued.push(Queued { reference: reference.clone(), change });
        Proposal { message, reference }
    }
}

/// The payload of an op 27 that brings these proposals.
pub fn append(proposals: &[&Proposal]) -> Vec<u8> {
    let messages: Vec<u8> = proposals.iter().flat_map(|proposal| proposal.message.clone()).collect();
    [vec![APPEND], written(&VLBytes::new(messages))].concat()
}

/// The payload of an op 27 that takes these proposals back.
pub fn revoke(proposals: &[&Proposal]) -> Vec<u8> {
    let references = proposals.iter().flat_map(|proposal| written(&VLBytes::new(proposal.reference.clone()))).collect();
    [vec![REVOKE], written(&VLBytes::new(references))].concat()
}

fn written(value: &impl Serialize) -> Vec<u8> {
    value.tls_serialize_detached().expect("memory takes any length")
}
