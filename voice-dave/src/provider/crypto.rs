use std::fmt;
use std::sync::Arc;

use openmls_traits::crypto::OpenMlsCrypto;
use openmls_traits::random::OpenMlsRand;
use openmls_traits::types::{
    AeadType, Ciphersuite, CryptoError, ExporterSecret, HashType, HpkeAeadType, HpkeCiphertext, HpkeConfig,
    HpkeKdfType, HpkeKemType, HpkeKeyPair, KemOutput, SignatureScheme,
};
use tls_codec::SecretVLBytes;
use zeroize::Zeroizing;

use super::{Backend, Entropy, hpke, suite};

/// The one MLS ciphersuite of DAVE (number 2).
const SUITE: Ciphersuite = Ciphersuite::MLS_128_DHKEMP256_AES128GCM_SHA256_P256;

/// Cryptography and randomness of MLS ciphersuite 2; every other suite and algorithm is refused.
///
/// Whatever a key is made of comes from the caller's [`Entropy`]. Two things do not: the nonces of ECDSA signatures, and
/// the ephemeral and signature keys that `Backend::RustCrypto` draws for itself. A commit with a path is sealed to several
/// members in parallel: which of them gets which draw is left to chance.
pub struct Crypto {
    entropy: Arc<dyn Entropy>,
    #[cfg(feature = "rustcrypto")]
    stock: Option<Box<openmls_rust_crypto::RustCrypto>>,
}

/// Either our implementation or the stock one.
macro_rules! either {
    ($self:ident, $method:ident($($argument:expr),*), $ours:expr) => {{
        #[cfg(feature = "rustcrypto")]
        if let Some(stock) = &$self.stock {
            return stock.$method($($argument),*);
        }
        $ours
    }};
}

impl Crypto {
    pub(super) fn new(backend: Backend, entropy: Arc<dyn Entropy>) -> Self {
        match backend {
            Backend::AwsLc => Self {
                entropy,
                #[cfg(feature = "rustcrypto")]
                stock: None,
            },
            #[cfg(feature = "rustcrypto")]
            Backend::RustCrypto => Self { entropy, stock: Some(Box::default()) },
        }
    }

    /// Input for one key pair.
    fn seed(&self) -> Zeroizing<[u8; 32]> {
        let mut seed = Zeroizing::new([0; 32]);
        self.entropy.fill(seed.as_mut());
        seed
    }
}

impl fmt::Debug for Crypto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crypto").finish_non_exhaustive()
    }
}

fn sha_256(hash: HashType) -> Result<(), CryptoError> {
    match hash {
        HashType::Sha2_256 => Ok(()),
        _ => Err(CryptoError::UnsupportedHashAlgorithm),
    }
}

fn aes_128_gcm(aead: AeadType) -> Result<(), CryptoError> {
    match aead {
        AeadType::Aes128Gcm => Ok(()),
        _ => Err(CryptoError::UnsupportedAeadAlgorithm),
    }
}

fn ecdsa_p256(scheme: SignatureScheme) -> Result<(), CryptoError> {
    match scheme {
        SignatureScheme::ECDSA_SECP256R1_SHA256 => Ok(()),
        _ => Err(CryptoError::UnsupportedSignatureScheme),
    }
}

fn hpke_of_suite(config: &HpkeConfig) -> Result<(), CryptoError> {
    match config {
        HpkeConfig(HpkeKemType::DhKemP256, HpkeKdfType::HkdfSha256, HpkeAeadType::AesGcm128) => Ok(()),
        HpkeConfig(HpkeKemType::DhKemP256, HpkeKdfType::HkdfSha256, _) => Err(CryptoError::UnsupportedAeadAlgorithm),
        HpkeConfig(HpkeKemType::DhKemP256, ..) => Err(CryptoError::UnsupportedKdf),
        HpkeConfig(..) => Err(CryptoError::UnsupportedCiphersuite),
    }
}

impl OpenMlsCrypto for Crypto {
    fn supports(&self, ciphersuite: Ciphersuite) -> Result<(), CryptoError> {
        if ciphersuite == SUITE { Ok(()) } else { Err(CryptoError::UnsupportedCiphersuite) }
    }

    fn supported_ciphersuites(&self) -> Vec<Ciphersuite> {
        vec![SUITE]
    }

    fn hkdf_extract(&self, hash: HashType, salt: &[u8], ikm: &[u8]) -> Result<SecretVLBytes, CryptoError> {
        sha_256(hash)?;
        either!(self, hkdf_extract(hash, salt, ikm), Ok(suite::hmac(salt, &[ikm]).as_slice().into()))
    }

    fn hmac(&self, hash: HashType, key: &[u8], message: &[u8]) -> Result<SecretVLBytes, CryptoError> {
        sha_256(hash)?;
        either!(self, hmac(hash, key, message), Ok(suite::hmac(key, &[message]).as_slice().into()))
    }

    fn hkdf_expand(
        &self,
        hash: HashType,
        prk: &[u8],
        info: &[u8],
        okm_len: usize,
    ) -> Result<SecretVLBytes, CryptoError> {
        sha_256(hash)?;
        either!(self, hkdf_expand(hash, prk, info, okm_len), {
            let mut okm = Zeroizing::new(vec![0; okm_len]);
            suite::expand(prk, &[info], &mut okm)?;
            Ok(std::mem::take(&mut *okm).into())
        })
    }

    fn hash(&self, hash: HashType, data: &[u8]) -> Result<Vec<u8>, CryptoError> {
        sha_256(hash)?;
        either!(self, hash(hash, data), Ok(suite::sha256(data).to_vec()))
    }

    fn aead_encrypt(
        &self,
        aead: AeadType,
        key: &[u8],
        data: &[u8],
        nonce: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        aes_128_gcm(aead)?;
        let nonce: &[u8; 12] = nonce.try_into().map_err(|_| CryptoError::InvalidLength)?;
        either!(self, aead_encrypt(aead, key, data, nonce, aad), suite::seal(key, nonce, aad, data))
    }

    fn aead_decrypt(
        &self,
        aead: AeadType,
        key: &[u8],
        ct_tag: &[u8],
        nonce: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        aes_128_gcm(aead)?;
        let nonce: &[u8; 12] = nonce.try_into().map_err(|_| CryptoError::InvalidLength)?;
        either!(self, aead_decrypt(aead, key, ct_tag, nonce, aad), suite::open(key, nonce, aad, ct_tag))
    }

    fn signature_key_gen(&self, scheme: SignatureScheme) -> Result<(Vec<u8>, Vec<u8>), CryptoError> {
        ecdsa_p256(scheme)?;
        either!(self, signature_key_gen(scheme), {
            let pair = hpke::derive_key_pair(&*self.seed())?;
            Ok((pair.scalar.to_vec(), pair.public.to_vec()))
        })
    }

    fn verify_signature(
        &self,
        scheme: SignatureScheme,
        data: &[u8],
        public: &[u8],
        signature: &[u8],
    ) -> Result<(), CryptoError> {
        ecdsa_p256(scheme)?;
        either!(self, verify_signature(scheme, data, public, signature), suite::verify(public, data, signature))
    }

    fn sign(&self, scheme: SignatureScheme, data: &[u8], key: &[u8]) -> Result<Vec<u8>, CryptoError> {
        ecdsa_p256(scheme)?;
        let key: &[u8; suite::SCALAR] = key.try_into().map_err(|_| CryptoError::InvalidLength)?;
        either!(self, sign(scheme, data, key), suite::SigningKey::new(key)?.sign(data))
    }

    fn hpke_seal(
        &self,
        config: HpkeConfig,
        pk_r: &[u8],
        info: &[u8],
        aad: &[u8],
        ptxt: &[u8],
    ) -> Result<HpkeCiphertext, CryptoError> {
        hpke_of_suite(&config)?;
        either!(self, hpke_seal(config, pk_r, info, aad, ptxt), {
            let (enc, context) = hpke::sender(&*self.seed(), pk_r, info)?;
            let ciphertext = suite::seal(context.key.as_ref(), &context.base_nonce, aad, ptxt)?;
            Ok(HpkeCiphertext { kem_output: enc.to_vec().into(), ciphertext: ciphertext.into() })
        })
    }

    fn hpke_open(
        &self,
        config: HpkeConfig,
        input: &HpkeCiphertext,
        sk_r: &[u8],
        info: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        hpke_of_suite(&config)?;
        either!(self, hpke_open(config, input, sk_r, info, aad), {
            hpke::receiver(input.kem_output.as_slice(), sk_r, info)
                .and_then(|context| {
                    suite::open(context.key.as_ref(), &context.base_nonce, aad, input.ciphertext.as_slice())
                })
                .map_err(|_| CryptoError::HpkeDecryptionError)
        })
    }

    fn hpke_setup_sender_and_export(
        &self,
        config: HpkeConfig,
        pk_r: &[u8],
        info: &[u8],
        exporter_context: &[u8],
        exporter_length: usize,
    ) -> Result<(KemOutput, ExporterSecret), CryptoError> {
        hpke_of_suite(&config)?;
        either!(self, hpke_setup_sender_and_export(config, pk_r, info, exporter_context, exporter_length), {
            let (enc, context) = hpke::sender(&*self.seed(), pk_r, info).map_err(|_| CryptoError::SenderSetupError)?;
            let secret = context.export(exporter_context, exporter_length)?;
            Ok((enc.to_vec(), ExporterSecret::from(secret.to_vec())))
        })
    }

    fn hpke_setup_receiver_and_export(
        &self,
        config: HpkeConfig,
        enc: &[u8],
        sk_r: &[u8],
        info: &[u8],
        exporter_context: &[u8],
        exporter_length: usize,
    ) -> Result<ExporterSecret, CryptoError> {
        hpke_of_suite(&config)?;
        either!(self, hpke_setup_receiver_and_export(config, enc, sk_r, info, exporter_context, exporter_length), {
            let context = hpke::receiver(enc, sk_r, info).map_err(|_| CryptoError::ReceiverSetupError)?;
            Ok(ExporterSecret::from(context.export(exporter_context, exporter_length)?.to_vec()))
        })
    }

    fn derive_hpke_keypair(&self, config: HpkeConfig, ikm: &[u8]) -> Result<HpkeKeyPair, CryptoError> {
        hpke_of_suite(&config)?;
        either!(self, derive_hpke_keypair(config, ikm), {
            let pair = hpke::derive_key_pair(ikm)?;
            Ok(HpkeKeyPair { private: pair.scalar.as_slice().into(), public: pair.public.to_vec() })
        })
    }
}

impl OpenMlsRand for Crypto {
    type Error = std::convert::Infallible;

    fn random_array<const N: usize>(&self) -> Result<[u8; N], Self::Error> {
        let mut bytes = [0; N];
        self.entropy.fill(&mut bytes);
        Ok(bytes)
    }

    fn random_vec(&self, len: usize) -> Result<Vec<u8>, Self::Error> {
        let mut bytes = vec![0; len];
        self.entropy.fill(&mut bytes);
        Ok(bytes)
    }
}
