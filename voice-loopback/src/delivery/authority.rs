use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dave::Identity;
use dave::provider::{Backend, Entropy, Provider};
use model::UserId;
use openmls::prelude::{ExternalProposal, GroupEpoch, GroupId, LeafNodeIndex, MlsMessageOut, SenderExtensionIndex};
use openmls_traits::OpenMlsProvider;
use openmls_traits::crypto::OpenMlsCrypto;
use openmls_traits::signatures::Signer;
use openmls_traits::types::HashType;
use tls_codec::Serialize;

use super::candidate::Candidate;
use super::proposal::{Change, Proposal, Reference};
use super::reader::write_vector;
use crate::rng::Rng;

const BASIC_CREDENTIAL: u16 = 1;

/// Discord's own.
const IDENTITY: &[u8] = &[0];

/// Bytes of an `MLSMessage` before what is authenticated, its version.
const VERSION_LEN: usize = 2;

/// The external sender: the key with which the server signs proposals, one for all rooms. `Debug` shows none of it.
pub(crate) struct Authority {
    identity: Identity,
    provider: Provider,
    external_sender: Vec<u8>,
}

impl Authority {
    /// With a key of its own.
    pub(crate) fn new(rng: &mut Rng) -> Self {
        let identity = loop {
            let mut key = [0; 32];
            rng.fill(&mut key);
            // One in 2^32 is no scalar of P-256.
            if let Ok(identity) = Identity::from_private_key(&key) {
                break identity;
            }
        };
        let mut external_sender = Vec::new();
        write_vector(identity.public_key(), &mut external_sender);
        external_sender.extend_from_slice(&BASIC_CREDENTIAL.to_be_bytes());
        write_vector(IDENTITY, &mut external_sender);
        let provider = Provider::new(Backend::default(), Arc::new(Drawn(AtomicU64::new(rng.next()))));
        Self { identity, provider, external_sender }
    }

    /// The payload of op 25: an `ExternalSender` (RFC 9420, section 12.1.8.1).
    pub(crate) fn external_sender(&self) -> &[u8] {
        &self.external_sender
    }

    /// Signs once, so that the first signature, for which AWS-LC takes some 27 ms, is not made while media waits.
    pub(crate) fn warm_up(&self) {
        _ = self.identity.sign(&[]);
    }

    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    pub(super) fn provider(&self) -> &Provider {
        &self.provider
    }

    /// A bare key package, validated; `None` when it is not as it must be.
    pub(super) fn validate(&self, user: UserId, package: &[u8]) -> Option<Candidate> {
        Candidate::read(self.provider.crypto(), user, package)
    }

    /// Signs a proposal; an addition needs its candidate.
    pub(super) fn propose(
        &self,
        group: &[u8],
        epoch: u64,
        change: Change,
        candidate: Option<&Candidate>,
    ) -> Option<Proposal> {
        let (group, epoch, index) = (GroupId::from_slice(group), GroupEpoch::from(epoch), SenderExtensionIndex::new(0));
        let message: MlsMessageOut = match change {
            Change::Remove(leaf) => {
                let leaf = LeafNodeIndex::new(leaf);
                ExternalProposal::new_remove::<Provider>(leaf, group, epoch, &self.identity, index).ok()?
            }
            Change::Add(..) => {
                let package = candidate?.package.clone();
                ExternalProposal::new_add::<Provider>(package, group, epoch, &self.identity, index).ok()?
            }
        };
        let message = message.tls_serialize_detached().ok()?;
        // An external sender's message has no membership tag: what follows the version is an `AuthenticatedContent`.
        let reference = self.reference("MLS 1.0 Proposal Reference", message.get(VERSION_LEN..)?)?;
        Some(Proposal { change, reference, message })
    }

    /// `RefHash` (RFC 9420, section 5.2).
    fn reference(&self, label: &str, value: &[u8]) -> Option<Reference> {
        let mut input = Vec::with_capacity(value.len() + 64);
        write_vector(label.as_bytes(), &mut input);
        write_vector(value, &mut input);
        self.provider.crypto().hash(HashType::Sha2_256, &input).ok()?.try_into().ok()
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

/// [`Rng`]s, one for each request.
struct Drawn(AtomicU64);

impl Entropy for Drawn {
    fn fill(&self, bytes: &mut [u8]) {
        Rng::new(Rng::new(self.0.fetch_add(1, Ordering::Relaxed)).next()).fill(bytes);
    }
}
