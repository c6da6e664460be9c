use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use openmls::ciphersuite::hash_ref::KeyPackageRef;
use openmls::credentials::{BasicCredential, Credential, CredentialType, CredentialWithKey};
use openmls::extensions::{Extension, Extensions, ExternalSender};
use openmls::group::{GroupId, MlsGroup, MlsGroupJoinConfig, PURE_PLAINTEXT_WIRE_FORMAT_POLICY};
use openmls::key_packages::{KeyPackage, Lifetime};
use openmls::prelude::Capabilities;
use openmls::treesync::LeafNode;
use openmls::versions::ProtocolVersion;
use openmls_traits::OpenMlsProvider as _;
use openmls_traits::storage::StorageProvider as _;
use openmls_traits::types::Ciphersuite;
use tls_codec::{Serialize as _, VLByteVec};
use voice_model::UserId;
use zeroize::Zeroizing;

use super::proposals::Held;
use super::{Config, MAX_MESSAGE, Member, wire};
use crate::provider::Provider;
use crate::{Authenticator, Identity, Secret};

/// DAVE protocol version 1: MLS ciphersuite 2.
pub(super) const SUITE: Ciphersuite = Ciphersuite::MLS_128_DHKEMP256_AES128GCM_SHA256_P256;

/// "Sender Key Derivation" of the DAVE protocol.
const EXPORT_LABEL: &str = "Discord Secure Frames v0";

/// Where we are in the life of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// No group, not even a local one.
    None,
    /// A local group, epoch 0, that holds ourselves only.
    Pending,
    /// A group that we were welcomed to, or that our own commit made.
    Established,
}

/// What came of setting the external sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SenderSet {
    Changed,
    Same,
    Refused,
}

/// The MLS side of a session: one group at a time, one key package at a time. The external sender outlives both.
pub(super) struct Group {
    pub(super) provider: Provider,
    pub(super) identity: Identity,
    pub(super) user: UserId,
    pub(super) id: GroupId,
    pub(super) external_sender: Option<ExternalSender>,
    pub(super) mls: Option<MlsGroup>,
    /// A key package of ours is out, and no welcome has used it.
    pub(super) key_package: Option<Offered>,
    /// The latest commit of ours in this epoch, as it was sent.
    pub(super) prepared: Option<Vec<u8>>,
    pub(super) held: Held,
    /// How many groups there have been.
    serial: u64,
    /// openmls panicked, and recovery has not begun yet.
    pub(super) collapsed: bool,
    /// Whether there is to be a group at all: the version is not 0.
    wanted: bool,
}

/// A key package that was sent, and has welcomed us nowhere yet.
pub(super) struct Offered {
    reference: KeyPackageRef,
    /// As it was sent; public.
    pub(super) bytes: Vec<u8>,
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").field("phase", &self.phase()).field("epoch", &self.epoch()).finish_non_exhaustive()
    }
}

impl Group {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            provider: Provider::new(config.backend, Arc::clone(&config.entropy)),
            identity: config.identity.clone(),
            user: config.user,
            id: GroupId::from_slice(&config.channel.get().to_be_bytes()),
            external_sender: None,
            mls: None,
            key_package: None,
            prepared: None,
            held: Held::default(),
            serial: 0,
            collapsed: false,
            wanted: false,
        }
    }

    pub(super) fn phase(&self) -> Phase {
        match &self.mls {
            None => Phase::None,
            Some(mls) if mls.epoch().as_u64() == 0 => Phase::Pending,
            Some(_) => Phase::Established,
        }
    }

    /// The epoch of an established group.
    pub(super) fn epoch(&self) -> Option<u64> {
        self.mls.as_ref().map(|mls| mls.epoch().as_u64()).filter(|&epoch| epoch > 0)
    }

    /// Which of the groups of this session this one is.
    pub(super) fn serial(&self) -> u64 {
        self.serial
    }

    /// Op 25. It can be replaced as long as no group is established.
    pub(super) fn set_external_sender(&mut self, payload: &[u8]) -> SenderSet {
        let sender = match wire::read::<ExternalSender>(payload) {
            Some((sender, [])) if payload.len() <= MAX_MESSAGE => sender,
            _ => return SenderSet::Refused,
        };
        // Its fields are private: what follows the key (one vector) is the credential, whose type comes first.
        let basic = u16::from(CredentialType::Basic).to_be_bytes();
        if !wire::read::<VLByteVec>(payload).is_some_and(|(_, credential)| credential.starts_with(&basic)) {
            return SenderSet::Refused;
        }
        if self.external_sender.as_ref() == Some(&sender) {
            return SenderSet::Same;
        }
        if self.phase() == Phase::Established {
            return SenderSet::Refused;
        }
        self.external_sender = Some(sender);
        self.open_pending();
        SenderSet::Changed
    }

    /// Leaves whatever group there is, and forgets all of its keys. A local one takes its place as soon as the external
    /// sender is known.
    pub(super) fn renew(&mut self) {
        self.wanted = true;
        self.forget();
        self.open_pending();
    }

    /// Leaves whatever group there is; there is to be none.
    pub(super) fn leave(&mut self) {
        self.wanted = false;
        self.forget();
    }

    fn forget(&mut self) {
        self.mls = None;
        self.key_package = None;
        self.end_epoch();
        self.provider.storage().clear();
        self.serial += 1;
        self.collapsed = false;
    }

    /// What belongs to one epoch only is over with it.
    pub(super) fn end_epoch(&mut self) {
        self.prepared = None;
        self.held = Held::default();
    }

    /// Who is in a group is not welcomed to another: the keys of an unused package are forgotten.
    pub(super) fn withdraw_key_package(&mut self) {
        if let Some(Offered { reference, .. }) = self.key_package.take() {
            let deleted = self.provider.storage().delete_key_package(&reference);
            debug_assert!(deleted.is_ok(), "the storage is in memory");
        }
    }

    fn open_pending(&mut self) {
        let Some(sender) = self.external_sender.clone().filter(|_| self.wanted) else { return };
        self.end_epoch();
        self.mls = None;
        let Ok(extensions) = Extensions::single(Extension::ExternalSenders(vec![sender])) else { return };
        let group = MlsGroup::builder()
            .with_group_id(self.id.clone())
            .ciphersuite(SUITE)
            .with_capabilities(capabilities())
            .lifetime(lifetime())
            .with_group_context_extensions(extensions)
            .use_ratchet_tree_extension(true)
            .with_wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
            .replace_old_group()
            .build(&self.provider, &self.identity, self.credential());
        match group {
            Ok(group) => self.mls = Some(group),
            Err(error) => tracing::debug!(%error, "no local group"),
        }
    }

    /// A fresh key package, bare; the one before is of no more use.
    pub(super) fn make_key_package(&mut self) -> Option<Vec<u8>> {
        let bundle = KeyPackage::builder()
            .leaf_node_capabilities(capabilities())
            .key_package_lifetime(lifetime())
            .key_package_extensions(Extensions::empty())
            .build(SUITE, &self.provider, &self.identity, self.credential());
        let bundle = bundle.inspect_err(|error| tracing::debug!(%error, "no key package")).ok()?;
        let reference = bundle.key_package().hash_ref(self.provider.crypto()).ok()?;
        let bytes = bundle.key_package().tls_serialize_detached().ok()?;
        self.key_package = Some(Offered { reference, bytes: bytes.clone() });
        Some(bytes)
    }

    fn credential(&self) -> CredentialWithKey {
        CredentialWithKey {
            credential: BasicCredential::new(self.user.get().to_be_bytes().to_vec()).into(),
            signature_key: self.identity.public_key().to_vec().into(),
        }
    }

    pub(super) fn join_config() -> MlsGroupJoinConfig {
        MlsGroupJoinConfig::builder()
            .use_ratchet_tree_extension(true)
            .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
            .build()
    }

    /// The members of an established group, ourselves included.
    pub(super) fn members(&self) -> BTreeMap<UserId, Member> {
        let established = self.mls.as_ref().filter(|mls| mls.epoch().as_u64() > 0);
        let members = established.into_iter().flat_map(MlsGroup::members).filter_map(|member| {
            let user = user_of(&member.credential)?;
            Some((user, Member { user, key: member.signature_key }))
        });
        members.collect()
    }

    /// The base secret of a sender in the current epoch.
    pub(super) fn sender_secret(&self, user: UserId) -> Option<Secret> {
        let mls = self.mls.as_ref()?;
        let context = user.get().to_le_bytes();
        let exported = mls.export_secret(self.provider.crypto(), EXPORT_LABEL, &context, Secret::LEN).ok()?;
        let exported = Zeroizing::new(exported);
        Some(Secret::new(exported.as_slice().try_into().ok()?))
    }

    /// The authenticator of the current epoch.
    pub(super) fn authenticator(&self) -> Option<Authenticator> {
        let mls = self.mls.as_ref().filter(|mls| mls.epoch().as_u64() > 0)?;
        Some(Authenticator::new(mls.epoch_authenticator().as_slice().try_into().ok()?))
    }
}

/// Exactly what libdave announces; peers compare nothing, but the fewer differences the better.
fn capabilities() -> Capabilities {
    Capabilities::new(
        Some(&[ProtocolVersion::Mls10]),
        Some(&[SUITE]),
        Some(&[]),
        Some(&[]),
        Some(&[CredentialType::Basic]),
    )
}

/// The maximum, as the gateway demands ("Key Packages", Validation).
fn lifetime() -> Lifetime {
    Lifetime::init(0, u64::MAX)
}

/// The user that a credential names: basic, 8 bytes, big-endian.
pub(super) fn user_of(credential: &Credential) -> Option<UserId> {
    if credential.credential_type() != CredentialType::Basic {
        return None;
    }
    let identity = credential.serialized_content();
    UserId::new(u64::from_be_bytes(identity.try_into().ok()?))
}

/// A leaf's user and signature key.
pub(super) fn leaf_user(leaf: &LeafNode) -> Option<(UserId, &[u8])> {
    Some((user_of(leaf.credential())?, leaf.signature_key().as_slice()))
}
