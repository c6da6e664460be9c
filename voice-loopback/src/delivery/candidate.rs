use model::UserId;
use openmls::prelude::{CredentialType, KeyPackage, KeyPackageIn, ProtocolVersion};
use openmls_traits::crypto::OpenMlsCrypto;
use openmls_traits::types::{Ciphersuite, VerifiableCiphersuite};
use tls_codec::DeserializeBytes;

use super::leaf::{LeafNode, Source};
use super::proposal::Reference;
use super::reader::Reader;

/// DAVE version 1's only one (DAVE protocol, "MLS Parameters").
pub(super) const SUITE: Ciphersuite = Ciphersuite::MLS_128_DHKEMP256_AES128GCM_SHA256_P256;

/// Longer key packages, in bytes, are refused: real ones have some 300.
const MAX_LEN: usize = 4_096;

/// Somebody who can be added to the group: a key package that was found valid.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) reference: Reference,
    pub(super) signature_key: Vec<u8>,
    pub(super) encryption_key: Vec<u8>,
    pub(super) package: KeyPackage,
}

impl Candidate {
    /// A bare key package of this user, if it is as the protocol demands (DAVE protocol, "Key Packages", "Validation";
    /// "MLS Parameters") and nobody who adds it would fail.
    pub(super) fn read(crypto: &impl OpenMlsCrypto, user: UserId, bytes: &[u8]) -> Option<Self> {
        if bytes.len() > MAX_LEN {
            return None;
        }
        let shape = Shape::read(bytes).filter(|shape| shape.is_of(user))?;
        let package = KeyPackageIn::tls_deserialize_exact_bytes(bytes).ok()?;
        let package = package.validate(crypto, ProtocolVersion::Mls10).ok()?;
        let keys = [shape.init_key, shape.leaf.encryption_key];
        if package.ciphersuite() != SUITE || !can_do_dave(package.leaf_node()) || !are_usable(crypto, keys) {
            return None;
        }
        Some(Self {
            reference: package.hash_ref(crypto).ok()?.as_slice().try_into().ok()?,
            signature_key: shape.leaf.signature_key.to_vec(),
            encryption_key: shape.leaf.encryption_key.to_vec(),
            package,
        })
    }
}

/// A key package that is in one piece and has nothing that DAVE does not (RFC 9420, section 10). openmls would panic over
/// some others when it is built with debug assertions.
struct Shape<'a> {
    init_key: &'a [u8],
    leaf: LeafNode<'a>,
}

impl<'a> Shape<'a> {
    fn read(package: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(package);
        let (_version, _suite) = (reader.u16()?, reader.u16()?);
        let shape = Self { init_key: reader.vector()?, leaf: LeafNode::read(&mut reader)? };
        let (extensions, _signature) = (reader.vector()?, reader.vector()?);
        (extensions.is_empty() && reader.is_empty()).then_some(shape)
    }

    /// Whether it is this user's, for ever: the credential is eight bytes, big-endian, and the lifetime the longest.
    fn is_of(&self, user: UserId) -> bool {
        let for_ever = Source::KeyPackage { not_before: 0, not_after: u64::MAX };
        self.leaf.identity == user.get().to_be_bytes() && self.leaf.source == for_ever
    }
}

fn can_do_dave(leaf: &openmls::prelude::LeafNode) -> bool {
    let capabilities = leaf.capabilities();
    capabilities.versions().contains(&ProtocolVersion::Mls10)
        && capabilities.ciphersuites().contains(&VerifiableCiphersuite::from(SUITE))
        && capabilities.credentials().contains(&CredentialType::Basic)
}

/// Whether something can be sealed for these keys: one that is no point of the curve would make every commit fail.
fn are_usable(crypto: &impl OpenMlsCrypto, keys: [&[u8]; 2]) -> bool {
    keys.iter().all(|key| crypto.hpke_seal(SUITE.hpke_config(), key, &[], &[], &[]).is_ok())
}
