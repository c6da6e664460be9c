//! What openmls needs of its surroundings: cryptography of MLS ciphersuite 2, storage, randomness.

use std::fmt;
use std::sync::Arc;

use openmls_traits::OpenMlsProvider;

mod crypto;
mod hpke;
mod storage;
mod suite;

pub use crypto::Crypto;
pub(crate) use hpke::derive_key_pair;
pub use storage::{Storage, StorageError};
pub(crate) use suite::SigningKey;

/// Randomness, for key material. The caller's: a layer asks nobody.
pub trait Entropy: Send + Sync {
    /// Fills the bytes with unpredictable ones.
    fn fill(&self, bytes: &mut [u8]);
}

/// Which implementation does the cryptography of MLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Backend {
    /// AWS-LC.
    #[default]
    AwsLc,
    /// The stock provider of openmls.
    #[cfg(feature = "rustcrypto")]
    RustCrypto,
}

/// A provider for openmls. Each session has one of its own: the storage serves one member.
pub struct Provider {
    crypto: Crypto,
    storage: Storage,
}

impl Provider {
    /// With an empty storage.
    pub fn new(backend: Backend, entropy: Arc<dyn Entropy>) -> Self {
        Self { crypto: Crypto::new(backend, entropy), storage: Storage::new() }
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider").finish_non_exhaustive()
    }
}

impl OpenMlsProvider for Provider {
    type CryptoProvider = Crypto;
    type RandProvider = Crypto;
    type StorageProvider = Storage;

    fn storage(&self) -> &Storage {
        &self.storage
    }
    fn crypto(&self) -> &Crypto {
        &self.crypto
    }
    fn rand(&self) -> &Crypto {
        &self.crypto
    }
}
