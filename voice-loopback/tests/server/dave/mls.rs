//! Messages made by hand: the server checks structure, so signatures need not be right.

use std::sync::Arc;

use dave::Identity;
use dave::provider::{Backend, Provider};
use openmls::prelude::{
    BasicCredential, Capabilities, CredentialType, CredentialWithKey, Extensions, KeyPackage, Lifetime, ProtocolVersion,
};
use openmls_traits::OpenMlsProvider;
use openmls_traits::crypto::OpenMlsCrypto;
use openmls_traits::types::{Ciphersuite, HashType};
use tls_codec::Serialize;

use super::call::{CHANNEL, Drawn};

pub(crate) const SUITE: Ciphersuite = Ciphersuite::MLS_128_DHKEMP256_AES128GCM_SHA256_P256;

pub(crate) fn provider(seed: u64) -> Provider {
    Provider::new(Backend::AwsLc, Arc::new(Drawn::new(seed)))
}

/// What a key package is made of.
pub(crate) struct Package {
    pub(crate) identity: Vec<u8>,
    pub(crate) lifetime: (u64, u64),
    pub(crate) capabilities: Capabilities,
    pub(crate) last_resort: bool,
    pub(crate) signer: Identity,
    pub(crate) seed: u64,
}

impl Package {
    /// As the protocol wants it.
    pub(crate) fn of(user: u64) -> Self {
        Self {
            identity: user.to_be_bytes().to_vec(),
            lifetime: (0, u64::MAX),
            capabilities: capabilities(),
            last_resort: false,
            signer: Identity::generate(&Drawn::new(user + 77)),
            seed: user,
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let provider = provider(self.seed);
        let credential = BasicCredential::new(self.identity.clone()).into();
        let with_key = CredentialWithKey { credential, signature_key: self.signer.public_key().into() };
        let mut builder = KeyPackage::builder()
            .leaf_node_capabilities(self.capabilities.clone())
            .key_package_lifetime(Lifetime::init(self.lifetime.0, self.lifetime.1))
            .key_package_extensions(Extensions::empty());
        if self.last_resort {
            builder = builder.mark_as_last_resort();
        }
        let bundle = builder.build(SUITE, &provider, &self.signer, with_key).expect("a key package");
        bundle.key_package().tls_serialize_detached().expect("bytes")
    }
}

pub(crate) fn capabilities() -> Capabilities {
    Capabilities::builder()
        .versions(vec![ProtocolVersion::Mls10])
        .ciphersuites(vec![SUITE])
        .extensions(vec![])
        .proposals(vec![])
        .credentials(vec![CredentialType::Basic])
        .build()
}

/// `opaque content<V>`.
pub(crate) fn vector(content: &[u8]) -> Vec<u8> {
    let len = content.len();
    let mut out = match len {
        0..0x40 => vec![len as u8],
        0x40..0x4000 => (len as u16 | 0x4000).to_be_bytes().to_vec(),
        _ => (len as u32 | 0x8000_0000).to_be_bytes().to_vec(),
    };
    out.extend_from_slice(content);
    out
}

/// The content of a vector, and what follows it.
pub(crate) fn split_vector(bytes: &[u8]) -> (&[u8], &[u8]) {
    let (len, rest) = match bytes[0] >> 6 {
        0 => (usize::from(bytes[0]), &bytes[1..]),
        1 => (usize::from(u16::from_be_bytes([bytes[0], bytes[1]]) & 0x3FFF), &bytes[2..]),
        _ => {
            let len = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) & 0x3FFF_FFFF;
            (len as usize, &bytes[4..])
        }
    };
    rest.split_at(len)
}

/// `RefHash` of RFC 9420, section 5.2.
pub(crate) fn reference(label: &str, value: &[u8]) -> Vec<u8> {
    let input = [vector(label.as_bytes()), vector(value)].concat();
    provider(0).crypto().hash(HashType::Sha2_256, &input).expect("a hash")
}

pub(crate) fn package_reference(package: &[u8]) -> Vec<u8> {
    reference("MLS 1.0 KeyPackage Reference", package)
}

/// The proposals of op 27, or the references that it revokes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Proposals {
    Append(Vec<Proposal>),
    Revoke(Vec<Vec<u8>>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proposal {
    pub(crate) reference: Vec<u8>,
    pub(crate) epoch: u64,
    /// The identity added, or the leaf removed.
    pub(crate) adds: Option<u64>,
    pub(crate) removes: Option<u32>,
    pub(crate) message: Vec<u8>,
}

/// Reads the payload of op 27.
pub(crate) fn proposals(payload: &[u8]) -> Proposals {
    let (mut content, rest) = split_vector(&payload[1..]);
    assert!(rest.is_empty());
    if payload[0] == 1 {
        let mut references = Vec::new();
        while !content.is_empty() {
            let (reference, rest) = split_vector(content);
            references.push(reference.to_vec());
            content = rest;
        }
        return Proposals::Revoke(references);
    }
    let mut found = Vec::new();
    while !content.is_empty() {
        let (proposal, rest) = proposal(content);
        found.push(proposal);
        content = rest;
    }
    Proposals::Append(found)
}

/// An external proposal to this group.
fn proposal(bytes: &[u8]) -> (Proposal, &[u8]) {
    assert_eq!(bytes[..4], [0, 1, 0, 1], "MLS 1.0, public message");
    let (group, rest) = split_vector(&bytes[4..]);
    assert_eq!(group, CHANNEL.to_be_bytes());
    let epoch = u64::from_be_bytes(rest[..8].try_into().expect("eight bytes"));
    assert_eq!(rest[8..15], [2, 0, 0, 0, 0, 0, 2], "external sender 0, no authenticated data, a proposal");
    let kind = u16::from_be_bytes([rest[15], rest[16]]);
    let body = &rest[17..];
    let (adds, removes, rest) = match kind {
        1 => {
            let rest = skip_package(body);
            (Some(user_of(body)), None, rest)
        }
        3 => (None, Some(u32::from_be_bytes(body[..4].try_into().expect("four bytes"))), &body[4..]),
        other => panic!("proposal type {other}"),
    };
    let (_signature, rest) = split_vector(rest);
    let message = bytes[..bytes.len() - rest.len()].to_vec();
    let reference = reference("MLS 1.0 Proposal Reference", &message[2..]);
    (Proposal { reference, epoch, adds, removes, message }, rest)
}

/// The identity in a key package.
fn user_of(package: &[u8]) -> u64 {
    let mut rest = &package[4..];
    for _ in 0..3 {
        rest = split_vector(rest).1;
    }
    let (identity, _) = split_vector(&rest[2..]);
    u64::from_be_bytes(identity.try_into().expect("eight bytes"))
}

fn skip_package(package: &[u8]) -> &[u8] {
    let mut rest = &package[4..];
    for _ in 0..3 {
        rest = split_vector(rest).1;
    }
    rest = &rest[2..];
    for _ in 0..6 {
        rest = split_vector(rest).1;
    }
    assert_eq!(rest[0], 1, "of a key package");
    rest = &rest[17..];
    for _ in 0..4 {
        rest = split_vector(rest).1;
    }
    rest
}

/// A commit, as far as the server looks at it.
#[derive(Clone)]
pub(crate) struct Commit {
    pub(crate) version: u16,
    pub(crate) wire_format: u16,
    pub(crate) group: Vec<u8>,
    pub(crate) epoch: u64,
    pub(crate) sender: Vec<u8>,
    pub(crate) content: u8,
    pub(crate) proposals: Vec<Vec<u8>>,
    pub(crate) path: Option<Vec<u8>>,
    pub(crate) welcome: Option<Vec<u8>>,
}

impl Commit {
    /// By the member at this leaf, to these references.
    pub(crate) fn new(epoch: u64, leaf: u32, references: &[Vec<u8>]) -> Self {
        Self {
            version: 1,
            wire_format: 1,
            group: CHANNEL.to_be_bytes().to_vec(),
            epoch,
            sender: [&[1][..], &leaf.to_be_bytes()].concat(),
            content: 3,
            proposals: references.iter().map(|reference| [vec![2], vector(reference)].concat()).collect(),
            path: None,
            welcome: None,
        }
    }

    pub(crate) fn welcoming(self, packages: &[Vec<u8>]) -> Self {
        let references: Vec<Vec<u8>> = packages.iter().map(|package| package_reference(package)).collect();
        Self { welcome: Some(welcome(2, &references)), ..self }
    }

    /// The payload of op 28.
    pub(crate) fn payload(&self) -> Vec<u8> {
        let mut out = self.version.to_be_bytes().to_vec();
        out.extend(self.wire_format.to_be_bytes());
        out.extend(vector(&self.group));
        out.extend(self.epoch.to_be_bytes());
        out.extend(&self.sender);
        out.extend(vector(b"")); // authenticated data
        out.push(self.content);
        out.extend(vector(&self.proposals.concat()));
        match &self.path {
            None => out.push(0),
            Some(path) => {
                out.push(1);
                out.extend(path);
            }
        }
        for tag in [&[7; 70][..], &[8; 32], &[9; 32]] {
            out.extend(vector(tag));
        }
        out.extend(self.welcome.iter().flatten());
        out
    }
}

pub(crate) fn welcome(suite: u16, references: &[Vec<u8>]) -> Vec<u8> {
    let secrets = references.iter().flat_map(|it| [vector(it), vector(&[4; 65]), vector(&[5; 80])].concat());
    [suite.to_be_bytes().to_vec(), vector(&secrets.collect::<Vec<u8>>()), vector(&[6; 400])].concat()
}

/// An update path of this user with this key.
pub(crate) fn path(user: u64, signature_key: &[u8], source: u8) -> Vec<u8> {
    let mut out = vector(&[3; 65]);
    out.extend(vector(signature_key));
    out.extend([0, 1]);
    out.extend(vector(&user.to_be_bytes()));
    for capability in [&[0, 1][..], &[0, 2], &[], &[], &[0, 1]] {
        out.extend(vector(capability));
    }
    out.push(source);
    out.extend(vector(&[1; 32]));
    out.extend(vector(b"")); // extensions
    out.extend(vector(&[2; 70]));
    let ciphertext = [vector(&[4; 65]), vector(&[5; 48])].concat();
    let node = [vector(&[6; 65]), vector(&ciphertext)].concat();
    out.extend(vector(&node));
    out
}
