use openmls_traits::OpenMlsProvider as _;
use openmls_traits::crypto::OpenMlsCrypto as _;
use openmls_traits::random::OpenMlsRand as _;
use openmls_traits::types::{
    AeadType, Ciphersuite, CryptoError, HashType, HpkeAeadType, HpkeConfig, HpkeKdfType, HpkeKemType, SignatureScheme,
};
use voice_dave::provider::{Backend, Entropy as _, Provider};

use crate::member::{SUITE, Seeded};

const HASH: HashType = HashType::Sha2_256;
const AEAD: AeadType = AeadType::Aes128Gcm;
const ECDSA: SignatureScheme = SignatureScheme::ECDSA_SECP256R1_SHA256;

fn both(seed: u64) -> [Provider; 2] {
    [Backend::AwsLc, Backend::RustCrypto].map(|backend| Provider::new(backend, Seeded::new(seed)))
}

/// Seeded bytes of a length from 0 to `max`.
fn some(seed: u64, max: usize) -> Vec<u8> {
    let entropy = Seeded::new(seed);
    let mut len = [0; 8];
    entropy.fill(&mut len);
    exactly(seed, usize::from_le_bytes(len) % (max + 1))
}

fn exactly(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    Seeded::new(seed ^ 0xb17e5).fill(&mut bytes);
    bytes
}

#[test]
fn hashes_and_derivations_are_those_of_the_stock_provider() {
    let [ours, stock] = both(1);
    let (ours, stock) = (ours.crypto(), stock.crypto());
    for round in 0..200 {
        let (a, b) = (some(round, 300), some(round + 1_000, 300));
        assert_eq!(ours.hash(HASH, &a).unwrap(), stock.hash(HASH, &a).unwrap(), "round {round}");
        let (x, y) = (ours.hmac(HASH, &a, &b).unwrap(), stock.hmac(HASH, &a, &b).unwrap());
        assert_eq!(x.as_slice(), y.as_slice(), "round {round}");
        let (x, y) = (ours.hkdf_extract(HASH, &a, &b).unwrap(), stock.hkdf_extract(HASH, &a, &b).unwrap());
        assert_eq!(x.as_slice(), y.as_slice(), "round {round}");
        let prk = exactly(round, 32 + round as usize % 40);
        for len in [0, 1, 12, 31, 32, 33, 64, 100, 255 * 32] {
            let (x, y) =
                (ours.hkdf_expand(HASH, &prk, &b, len).unwrap(), stock.hkdf_expand(HASH, &prk, &b, len).unwrap());
            assert_eq!(x.as_slice(), y.as_slice(), "round {round}, {len} bytes");
        }
    }
    let too_long = ours.hkdf_expand(HASH, &[0; 32], b"", 255 * 32 + 1).unwrap_err();
    assert_eq!(too_long, CryptoError::HkdfOutputLengthInvalid);
}

#[test]
fn aes_gcm_is_that_of_the_stock_provider() {
    let [ours, stock] = both(2);
    let (ours, stock) = (ours.crypto(), stock.crypto());
    for round in 0..200 {
        let (key, nonce) = (exactly(round, 16), exactly(round + 1, 12));
        let (data, aad) = (some(round, 500), some(round + 1_000, 100));
        let sealed = ours.aead_encrypt(AEAD, &key, &data, &nonce, &aad).unwrap();
        assert_eq!(sealed, stock.aead_encrypt(AEAD, &key, &data, &nonce, &aad).unwrap(), "round {round}");
        assert_eq!(ours.aead_decrypt(AEAD, &key, &sealed, &nonce, &aad).unwrap(), data, "round {round}");
        let mut forged = sealed.clone();
        forged[round as usize % sealed.len()] ^= 0x80;
        for bad in [&forged[..], &sealed[..sealed.len() - 1], &sealed[..15], &[]] {
            let refused = ours.aead_decrypt(AEAD, &key, bad, &nonce, &aad);
            assert_eq!(refused, Err(CryptoError::AeadDecryptionError), "round {round}");
        }
    }
    for provider in [ours, stock] {
        assert_eq!(provider.aead_encrypt(AEAD, &[0; 16], b"", &[0; 11], b""), Err(CryptoError::InvalidLength));
        assert_eq!(provider.aead_decrypt(AEAD, &[0; 16], &[0; 16], &[], b""), Err(CryptoError::InvalidLength));
    }
    assert_eq!(ours.aead_encrypt(AEAD, &[0; 17], b"", &[0; 12], b""), Err(CryptoError::InvalidLength));
}

#[test]
fn signatures_of_one_are_verified_by_the_other() {
    let providers = both(3);
    for round in 0..20 {
        let data = some(round, 300);
        for signer in &providers {
            let (private, public) = signer.crypto().signature_key_gen(ECDSA).unwrap();
            let signature = signer.crypto().sign(ECDSA, &data, &private).unwrap();
            for verifier in &providers {
                let verify =
                    |data: &[u8], signature: &[u8]| verifier.crypto().verify_signature(ECDSA, data, &public, signature);
                assert_eq!(verify(&data, &signature), Ok(()), "round {round}");
                assert!(verify(&[&data[..], b"x"].concat(), &signature).is_err(), "round {round}");
                for cut in 0..signature.len() {
                    assert!(verify(&data, &signature[..cut]).is_err(), "round {round}, {cut} bytes");
                }
            }
        }
    }
    let ours = providers[0].crypto();
    for (key, error) in [
        (&[0; 32][..], CryptoError::SigningError),
        (&[0xff; 32], CryptoError::SigningError),
        (&[1; 31], CryptoError::InvalidLength),
    ] {
        assert_eq!(ours.sign(ECDSA, b"", key), Err(error));
    }
    assert_eq!(ours.verify_signature(ECDSA, b"", &[2; 33], &[0; 70]), Err(CryptoError::InvalidPublicKey));
    assert_eq!(providers[1].crypto().sign(ECDSA, b"", &[1; 31]), Err(CryptoError::InvalidLength));
}

#[test]
fn hpke_of_one_is_opened_by_the_other() {
    let providers = both(4);
    for round in 0..10 {
        let (ikm, info, aad, text) = (exactly(round, 32), some(round, 80), some(round + 50, 80), some(round + 99, 200));
        let pairs = providers
            .each_ref()
            .map(|provider| provider.crypto().derive_hpke_keypair(SUITE.hpke_config(), &ikm).unwrap());
        assert_eq!((&pairs[0].public, &*pairs[0].private), (&pairs[1].public, &*pairs[1].private), "round {round}");
        let [pair, _] = pairs;
        for (sender, receiver) in [(0, 1), (1, 0), (0, 0)] {
            let (sender, receiver) = (providers[sender].crypto(), providers[receiver].crypto());
            let sealed = sender.hpke_seal(SUITE.hpke_config(), &pair.public, &info, &aad, &text).unwrap();
            let opened = receiver.hpke_open(SUITE.hpke_config(), &sealed, &pair.private, &info, &aad).unwrap();
            assert_eq!(opened, text, "round {round}");
            let (enc, sent) =
                sender.hpke_setup_sender_and_export(SUITE.hpke_config(), &pair.public, &info, &aad, 48).unwrap();
            let received = receiver
                .hpke_setup_receiver_and_export(SUITE.hpke_config(), &enc, &pair.private, &info, &aad, 48)
                .unwrap();
            assert_eq!(sent.to_vec(), received.to_vec(), "round {round}");
        }
    }
}

#[test]
fn keys_come_from_the_entropy() {
    let keys = |seed| Provider::new(Backend::AwsLc, Seeded::new(seed)).crypto().signature_key_gen(ECDSA).unwrap();
    assert_eq!(keys(1), keys(1));
    assert_ne!(keys(1), keys(2));
    let [ours, stock] = both(5);
    assert_eq!(ours.rand().random_array::<40>(), stock.rand().random_array::<40>());
    assert_eq!(ours.rand().random_vec(33), stock.rand().random_vec(33));
}

#[test]
fn every_other_algorithm_is_refused() {
    let config = |kem, kdf, aead| HpkeConfig(kem, kdf, aead);
    let (kem, kdf, aead) = (HpkeKemType::DhKemP256, HpkeKdfType::HkdfSha256, HpkeAeadType::AesGcm128);
    for provider in both(6) {
        let crypto = provider.crypto();
        assert_eq!(crypto.supported_ciphersuites(), [SUITE]);
        for number in 0..=u16::MAX {
            let Ok(suite) = Ciphersuite::try_from(number) else { continue };
            let expected = if number == 2 { Ok(()) } else { Err(CryptoError::UnsupportedCiphersuite) };
            assert_eq!(crypto.supports(suite), expected, "suite {number}");
        }
        for hash in [HashType::Sha2_384, HashType::Sha2_512] {
            assert_eq!(crypto.hash(hash, b""), Err(CryptoError::UnsupportedHashAlgorithm));
            assert_eq!(crypto.hmac(hash, b"", b"").err(), Some(CryptoError::UnsupportedHashAlgorithm));
            assert_eq!(crypto.hkdf_extract(hash, b"", b"").err(), Some(CryptoError::UnsupportedHashAlgorithm));
            assert_eq!(crypto.hkdf_expand(hash, b"", b"", 1).err(), Some(CryptoError::UnsupportedHashAlgorithm));
        }
        for aead in [AeadType::Aes256Gcm, AeadType::ChaCha20Poly1305] {
            let refused = Err(CryptoError::UnsupportedAeadAlgorithm);
            assert_eq!(crypto.aead_encrypt(aead, &[0; 32], b"", &[0; 12], b""), refused);
            assert_eq!(crypto.aead_decrypt(aead, &[0; 32], &[0; 16], &[0; 12], b""), refused);
        }
        for scheme in [SignatureScheme::ED25519, SignatureScheme::ECDSA_SECP384R1_SHA384, SignatureScheme::ED448] {
            assert_eq!(crypto.signature_key_gen(scheme).err(), Some(CryptoError::UnsupportedSignatureScheme));
            assert_eq!(crypto.sign(scheme, b"", &[1; 32]), Err(CryptoError::UnsupportedSignatureScheme));
            assert_eq!(crypto.verify_signature(scheme, b"", b"", b""), Err(CryptoError::UnsupportedSignatureScheme));
        }
        for (config, error) in [
            (config(HpkeKemType::DhKem25519, kdf, aead), CryptoError::UnsupportedCiphersuite),
            (config(kem, HpkeKdfType::HkdfSha512, aead), CryptoError::UnsupportedKdf),
            (config(kem, kdf, HpkeAeadType::AesGcm256), CryptoError::UnsupportedAeadAlgorithm),
        ] {
            assert_eq!(crypto.derive_hpke_keypair(config, &[0; 32]).err(), Some(error));
        }
    }
}
