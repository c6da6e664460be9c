//! What a delivery service must read of a commit.

use openmls::prelude::MlsMessageIn;
use tls_codec::{DeserializeBytes, VLBytes};

/// Parts of a PublicMessage before its sender: version and wire format, as they must be.
const PUBLIC_MESSAGE: [u8; 4] = [0, 1, 0, 1];
const MEMBER: u8 = 1;
const COMMIT: u8 = 3;
const REFERENCE: u8 = 2;

/// Splits the payload of op 28 into the commit and, when it adds somebody, the welcome; `None` when it is neither.
pub fn split(payload: &[u8]) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
    let (_, welcome) = MlsMessageIn::tls_deserialize_bytes(payload).ok()?;
    let commit = &payload[..payload.len() - welcome.len()];
    Some((commit.to_vec(), (!welcome.is_empty()).then(|| welcome.to_vec())))
}

/// The references of a commit, in its order (RFC 9420, sections 6, 6.2 and 12.4); `None` when it is no commit of a
/// member, or holds a proposal itself.
pub(crate) fn references(commit: &[u8]) -> Option<Vec<Vec<u8>>> {
    let rest = commit.strip_prefix(&PUBLIC_MESSAGE)?;
    let (_group, rest) = opaque(rest)?;
    let (_epoch, rest) = rest.split_at_checked(8)?;
    let (_leaf, rest) = rest.strip_prefix(&[MEMBER])?.split_at_checked(4)?;
    let (_authenticated, rest) = opaque(rest)?;
    let (proposals, _path_and_signature) = opaque(rest.strip_prefix(&[COMMIT])?)?;
    let (mut proposals, mut references) = (proposals.as_slice(), Vec::new());
    while !proposals.is_empty() {
        let (reference, rest) = opaque(proposals.strip_prefix(&[REFERENCE])?)?;
        references.push(reference);
        proposals = rest;
    }
    Some(references)
}

fn opaque(bytes: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let (value, rest) = VLBytes::tls_deserialize_bytes(bytes).ok()?;
    Some((value.into(), rest))
}
