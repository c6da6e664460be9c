use std::cell::RefCell;
use std::fmt;

use openmls_traits::storage::{CURRENT_VERSION, StorageProvider, traits};
use postcard::ser_flavors::Size;
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

/// Groups whose keys are kept; the oldest makes room. A session has one.
const MAX_GROUPS: usize = 4;

/// Why the storage failed: openmls handed it something that has no binary form, or asks for another type than it stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an MLS entity cannot be stored or read back: {0}")]
pub struct StorageError(#[from] postcard::Error);

/// What openmls reads back of all that it writes, in memory: the private half of the newest key package, and the HPKE key
/// pairs of a member's current epoch. The rest of a group lives in its `MlsGroup` alone (`MlsGroup::load` finds nothing).
///
/// It serves one member: the next key package replaces the last one, the keys of an epoch replace those of the epoch
/// before. Entries are zeroized when they are replaced, removed or dropped.
pub struct Storage {
    key_package: RefCell<Option<Entry>>,
    epoch_keys: RefCell<Vec<EpochKeys>>,
}

type Bytes = Zeroizing<Vec<u8>>;

/// A serialised entity under its serialised key.
struct Entry {
    key: Bytes,
    value: Bytes,
}

struct EpochKeys {
    group: Bytes,
    epoch: Bytes,
    leaf: u32,
    pairs: Bytes,
}

/// Serialised into exactly as many bytes as it needs: a buffer that grows would leave secrets behind.
fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Bytes, StorageError> {
    let mut bytes = Zeroizing::new(vec![0; postcard::serialize_with_flavor(value, Size::default())?]);
    postcard::to_slice(value, &mut bytes)?;
    Ok(bytes)
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StorageError> {
    Ok(postcard::from_bytes(bytes)?)
}

impl Storage {
    pub(super) fn new() -> Self {
        Self { key_package: RefCell::new(None), epoch_keys: RefCell::new(Vec::new()) }
    }

    /// Bytes of all entries, keys included.
    pub fn stored_bytes(&self) -> usize {
        let package = self.key_package.borrow().as_ref().map_or(0, |entry| entry.key.len() + entry.value.len());
        let keys = self.epoch_keys.borrow();
        package + keys.iter().map(|keys| keys.group.len() + keys.epoch.len() + keys.pairs.len()).sum::<usize>()
    }

    /// Forgets everything.
    pub fn clear(&self) {
        *self.key_package.borrow_mut() = None;
        self.epoch_keys.borrow_mut().clear();
    }
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Storage").field("stored_bytes", &self.stored_bytes()).finish_non_exhaustive()
    }
}

/// Methods of the trait that keep nothing.
macro_rules! ignored {
    ($($name:ident<$($generic:ident: $bound:ident),*>($($kind:ty),*);)*) => {
        $(fn $name<$($generic: traits::$bound<CURRENT_VERSION>),*>(&self, $(_: $kind),*) -> Result<(), StorageError> {
            Ok(())
        })*
    };
}

/// Methods of the trait that find nothing.
macro_rules! absent {
    ($($name:ident<$($generic:ident: $bound:ident),*>($($kind:ty),*) -> $found:ty;)*) => {
        $(fn $name<$($generic: traits::$bound<CURRENT_VERSION>),*>(&self, $(_: $kind),*) -> Result<$found, StorageError> {
            Ok(Default::default())
        })*
    };
}

impl StorageProvider<CURRENT_VERSION> for Storage {
    type Error = StorageError;

    fn write_key_package<K, V>(&self, hash_ref: &K, key_package: &V) -> Result<(), StorageError>
    where
        K: traits::HashReference<CURRENT_VERSION>,
        V: traits::KeyPackage<CURRENT_VERSION>,
    {
        let entry = Entry { key: encode(hash_ref)?, value: encode(key_package)? };
        *self.key_package.borrow_mut() = Some(entry);
        Ok(())
    }

    fn key_package<K, V>(&self, hash_ref: &K) -> Result<Option<V>, StorageError>
    where
        K: traits::HashReference<CURRENT_VERSION>,
        V: traits::KeyPackage<CURRENT_VERSION>,
    {
        let key = encode(hash_ref)?;
        let entry = self.key_package.borrow();
        entry.as_ref().filter(|entry| entry.key == key).map(|entry| decode(&entry.value)).transpose()
    }

    fn delete_key_package<K>(&self, hash_ref: &K) -> Result<(), StorageError>
    where
        K: traits::HashReference<CURRENT_VERSION>,
    {
        let key = encode(hash_ref)?;
        self.key_package.borrow_mut().take_if(|entry| entry.key == key);
        Ok(())
    }

    fn write_encryption_epoch_key_pairs<G, E, P>(
        &self,
        group_id: &G,
        epoch: &E,
        leaf: u32,
        pairs: &[P],
    ) -> Result<(), StorageError>
    where
        G: traits::GroupId<CURRENT_VERSION>,
        E: traits::EpochKey<CURRENT_VERSION>,
        P: traits::HpkeKeyPair<CURRENT_VERSION>,
    {
        let keys = EpochKeys { group: encode(group_id)?, epoch: encode(epoch)?, leaf, pairs: encode(pairs)? };
        let mut all = self.epoch_keys.borrow_mut();
        all.retain(|other| other.group != keys.group);
        if all.len() == MAX_GROUPS {
            all.remove(0);
        }
        all.push(keys);
        Ok(())
    }

    fn encryption_epoch_key_pairs<G, E, P>(&self, group_id: &G, epoch: &E, leaf: u32) -> Result<Vec<P>, StorageError>
    where
        G: traits::GroupId<CURRENT_VERSION>,
        E: traits::EpochKey<CURRENT_VERSION>,
        P: traits::HpkeKeyPair<CURRENT_VERSION>,
    {
        let (group, epoch) = (encode(group_id)?, encode(epoch)?);
        let all = self.epoch_keys.borrow();
        let found = all.iter().find(|keys| keys.leaf == leaf && keys.epoch == epoch && keys.group == group);
        found.map_or(Ok(Vec::new()), |keys| decode(&keys.pairs))
    }

    fn delete_encryption_epoch_key_pairs<G, E>(&self, group_id: &G, epoch: &E, leaf: u32) -> Result<(), StorageError>
    where
        G: traits::GroupId<CURRENT_VERSION>,
        E: traits::EpochKey<CURRENT_VERSION>,
    {
        let (group, epoch) = (encode(group_id)?, encode(epoch)?);
        let mut all = self.epoch_keys.borrow_mut();
        all.retain(|keys| keys.leaf != leaf || keys.epoch != epoch || keys.group != group);
        Ok(())
    }

    ignored! {
        write_mls_join_config<G: GroupId, V: MlsGroupJoinConfig>(&G, &V);
        append_own_leaf_node<G: GroupId, V: LeafNode>(&G, &V);
        queue_proposal<G: GroupId, R: ProposalRef, V: QueuedProposal>(&G, &R, &V);
        write_tree<G: GroupId, V: TreeSync>(&G, &V);
        write_interim_transcript_hash<G: GroupId, V: InterimTranscriptHash>(&G, &V);
        write_context<G: GroupId, V: GroupContext>(&G, &V);
        write_confirmation_tag<G: GroupId, V: ConfirmationTag>(&G, &V);
        write_group_state<V: GroupState, G: GroupId>(&G, &V);
        write_message_secrets<G: GroupId, V: MessageSecrets>(&G, &V);
        write_resumption_psk_store<G: GroupId, V: ResumptionPskStore>(&G, &V);
        write_own_leaf_index<G: GroupId, V: LeafNodeIndex>(&G, &V);
        write_group_epoch_secrets<G: GroupId, V: GroupEpochSecrets>(&G, &V);
        write_signature_key_pair<K: SignaturePublicKey, V: SignatureKeyPair>(&K, &V);
        write_encryption_key_pair<K: EncryptionKey, V: HpkeKeyPair>(&K, &V);
        write_psk<K: PskId, V: PskBundle>(&K, &V);
        remove_proposal<G: GroupId, R: ProposalRef>(&G, &R);
        delete_own_leaf_nodes<G: GroupId>(&G);
        delete_group_config<G: GroupId>(&G);
        delete_tree<G: GroupId>(&G);
        delete_confirmation_tag<G: GroupId>(&G);
        delete_group_state<G: GroupId>(&G);
        delete_context<G: GroupId>(&G);
        delete_interim_transcript_hash<G: GroupId>(&G);
        delete_message_secrets<G: GroupId>(&G);
        delete_all_resumption_psk_secrets<G: GroupId>(&G);
        delete_own_leaf_index<G: GroupId>(&G);
        delete_group_epoch_secrets<G: GroupId>(&G);
        clear_proposal_queue<G: GroupId, R: ProposalRef>(&G);
        delete_signature_key_pair<K: SignaturePublicKey>(&K);
        delete_encryption_key_pair<K: EncryptionKey>(&K);
        delete_psk<K: PskId>(&K);
    }

    absent! {
        mls_group_join_config<G: GroupId, V: MlsGroupJoinConfig>(&G) -> Option<V>;
        own_leaf_nodes<G: GroupId, V: LeafNode>(&G) -> Vec<V>;
        queued_proposal_refs<G: GroupId, R: ProposalRef>(&G) -> Vec<R>;
        queued_proposals<G: GroupId, R: ProposalRef, V: QueuedProposal>(&G) -> Vec<(R, V)>;
        tree<G: GroupId, V: TreeSync>(&G) -> Option<V>;
        group_context<G: GroupId, V: GroupContext>(&G) -> Option<V>;
        interim_transcript_hash<G: GroupId, V: InterimTranscriptHash>(&G) -> Option<V>;
        confirmation_tag<G: GroupId, V: ConfirmationTag>(&G) -> Option<V>;
        group_state<V: GroupState, G: GroupId>(&G) -> Option<V>;
        message_secrets<G: GroupId, V: MessageSecrets>(&G) -> Option<V>;
        resumption_psk_store<G: GroupId, V: ResumptionPskStore>(&G) -> Option<V>;
        own_leaf_index<G: GroupId, V: LeafNodeIndex>(&G) -> Option<V>;
        group_epoch_secrets<G: GroupId, V: GroupEpochSecrets>(&G) -> Option<V>;
        signature_key_pair<K: SignaturePublicKey, V: SignatureKeyPair>(&K) -> Option<V>;
        encryption_key_pair<V: HpkeKeyPair, K: EncryptionKey>(&K) -> Option<V>;
        psk<V: PskBundle, K: PskId>(&K) -> Option<V>;
    }
}
