use std::fmt;
use std::io;
use std::sync::Arc;

use openmls_traits::signatures::{Signer, SignerError};
use openmls_traits::types::{CryptoError, SignatureScheme};
use zeroize::Zeroizing;

use crate::provider::{self, Entropy, SigningKey};

/// A signature key pair (P-256): who we are to the other members. One per user for all calls at a time; kept, others can
/// recognise it next time. Cheap to clone.
#[derive(Clone)]
pub struct Identity(Arc<Inner>);

struct Inner {
    /// Made ready once: AWS-LC computes the public key anew each time that it takes a scalar.
    signer: SigningKey,
    scalar: Zeroizing<[u8; 32]>,
}

/// Where persistent identities are kept. Asked once, when an identity is opened.
pub trait KeyStore {
    /// The private key of that name, `None` when there is none yet.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    fn load(&self, name: &str) -> io::Result<Option<Zeroizing<Vec<u8>>>>;
    /// Keeps a private key; safely, which is the store's affair.
    ///
    /// # Errors
    ///
    /// When the store cannot be written.
    fn save(&self, name: &str, key: &[u8]) -> io::Result<()>;
}

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The store failed.
    #[error("the key store failed: {0}")]
    Store(#[from] io::Error),
    /// What is stored is no P-256 private key.
    #[error("{len} bytes are no P-256 private key: remove it from the store to make a new identity")]
    NotAKey {
        /// Bytes found.
        len: usize,
    },
}

impl Identity {
    /// A new identity.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        entropy.fill(seed.as_mut());
        let pair = provider::derive_key_pair(seed.as_ref()).expect("invariant: one of 256 candidates is a scalar");
        Self::from_private_key(pair.scalar.as_ref()).expect("invariant: a derived key is valid")
    }

    /// The identity of that private key: 32 bytes, big-endian.
    ///
    /// # Errors
    ///
    /// [`IdentityError::NotAKey`] when it has another length, is 0, or is not below the order of the curve.
    pub fn from_private_key(key: &[u8]) -> Result<Self, IdentityError> {
        let wrong = || IdentityError::NotAKey { len: key.len() };
        let scalar = Zeroizing::new(<[u8; 32]>::try_from(key).map_err(|_| wrong())?);
        let signer = SigningKey::new(&scalar).map_err(|_| wrong())?;
        Ok(Self(Arc::new(Inner { signer, scalar })))
    }

    /// The identity of that name in the store; a new one, which is saved, when there is none. What the store holds is
    /// never overwritten.
    ///
    /// # Errors
    ///
    /// When the store fails, or holds something else.
    pub fn open(store: &dyn KeyStore, name: &str, entropy: &dyn Entropy) -> Result<Self, IdentityError> {
        if let Some(key) = store.load(name)? {
            return Self::from_private_key(&key);
        }
        let identity = Self::generate(entropy);
        store.save(name, identity.0.scalar.as_ref())?;
        Ok(identity)
    }

    /// 32 bytes, big-endian.
    pub fn private_key(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.0.scalar.to_vec())
    }

    /// 65 bytes: an uncompressed point.
    pub fn public_key(&self) -> &[u8] {
        self.0.signer.public()
    }

    /// The signature with which Discord's `PUT /voice/public-keys` wants the key (ASN.1 DER): of
    /// `session_id ‖ ":" ‖ public key`, labelled `DiscordSelfSignature` (DAVE protocol, "Persistent identity keys";
    /// `SignWithLabel` of RFC 9420 5.1.2).
    pub fn self_signature(&self, session_id: &str) -> Vec<u8> {
        let content = [session_id.as_bytes(), b":", self.public_key()].concat();
        self.0.signer.sign(&labeled(b"DiscordSelfSignature", &content)).expect("invariant: a valid key signs")
    }
}

/// `SignContent` (RFC 9420 5.1.2): the label behind "MLS 1.0 " and the content, each as a vector with its length.
fn labeled(label: &[u8], content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(16 + label.len() + content.len());
    for parts in [[b"MLS 1.0 ", label], [b"", content]] {
        let len = parts[0].len() + parts[1].len();
        match len {
            0..0x40 => bytes.push(len as u8),
            0x40..0x4000 => bytes.extend_from_slice(&(len as u16 | 0x4000).to_be_bytes()),
            _ => bytes.extend_from_slice(&(len as u32 | 0x8000_0000).to_be_bytes()),
        }
        parts.iter().for_each(|part| bytes.extend_from_slice(part));
    }
    bytes
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity(public key of {} bytes)", self.public_key().len())
    }
}

impl Signer for Identity {
    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SignerError> {
        self.0.signer.sign(payload).map_err(|_: CryptoError| SignerError::SigningError)
    }
    fn signature_scheme(&self) -> SignatureScheme {
        SignatureScheme::ECDSA_SECP256R1_SHA256
    }
}
