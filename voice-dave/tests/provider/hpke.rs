//! RFC 9180, appendix A.3.1: DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-128-GCM, base mode. Our calls send one message
//! per context, so of its encryptions the first is used.

use std::sync::Arc;

use openmls_traits::OpenMlsProvider as _;
use openmls_traits::crypto::OpenMlsCrypto as _;
use openmls_traits::types::{CryptoError, HpkeCiphertext};
use voice_dave::provider::{Backend, Crypto, Entropy, Provider};

use crate::member::{SUITE, Seeded};

const INFO: &str = "4f6465206f6e2061204772656369616e2055726e";
const IKM_E: &str = "4270e54ffd08d79d5928020af4686d8f6b7d35dbe470265f1f5aa22816ce860e";
const SK_EM: &str = "4995788ef4b9d6132b249ce59a77281493eb39af373d236a1fe415cb0c2d7beb";
const PK_EM: &str = "04a92719c6195d5085104f469a8b9814d5838ff72b60501e2c4466e5e67b325ac9\
                     8536d7b61a1af4b78e5b7f951c0900be863c403ce65c9bfcb9382657222d18c4";
const IKM_R: &str = "668b37171f1072f3cf12ea8a236a45df23fc13b82af3609ad1e354f6ef817550";
const SK_RM: &str = "f3ce7fdae57e1a310d87f1ebbde6f328be0a99cdbcadf4d6589cf29de4b8ffd2";
const PK_RM: &str = "04fe8c19ce0905191ebc298a9245792531f26f0cece2460639e8bc39cb7f706a82\
                     6a779b4cf969b8a0e539c7f62fb3d30ad6aa8f80e30f1d128aafd68a2ce72ea0";
const PT: &str = "4265617574792069732074727574682c20747275746820626561757479";
const AAD: &str = "436f756e742d30";
const CT: &str = "5ad590bb8baa577f8619db35a36311226a896e7342a6d836d8b7bcd2f20b6c7f9076ac232e3ab2523f39513434";
/// Exporter context and 32 bytes exported.
const EXPORTS: [(&str, &str); 3] = [
    ("", "5e9bc3d236e1911d95e65b576a8a86d478fb827e8bdfe77b741b289890490d4d"),
    ("00", "6cff87658931bda83dc857e6353efe4987a201b849658d9b047aab4cf216e796"),
    ("54657374436f6e74657874", "d8f1ea7942adbba7412c6d431c62d01371ea476b823eb697e1f6e6cae1dab85a"),
];

/// The randomness of the vectors: `ikmE`, always.
struct IkmE;

impl Entropy for IkmE {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.copy_from_slice(&unhex(IKM_E));
    }
}

fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2));
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn with<T>(use_it: impl FnOnce(&Crypto) -> T) -> T {
    use_it(Provider::new(Backend::AwsLc, Arc::new(IkmE)).crypto())
}

fn open(enc: &[u8], ciphertext: &[u8], info: &[u8], aad: &[u8], secret: &[u8]) -> Result<Vec<u8>, CryptoError> {
    let input = HpkeCiphertext { kem_output: enc.into(), ciphertext: ciphertext.into() };
    with(|crypto| crypto.hpke_open(SUITE.hpke_config(), &input, secret, info, aad))
}

#[test]
fn key_pairs_are_derived_as_published() {
    for (ikm, secret, public) in [(IKM_E, SK_EM, PK_EM), (IKM_R, SK_RM, PK_RM)] {
        let pair = with(|crypto| crypto.derive_hpke_keypair(SUITE.hpke_config(), &unhex(ikm)).unwrap());
        assert_eq!((pair.private.to_vec(), pair.public), (unhex(secret), unhex(public)));
    }
}

#[test]
fn the_message_is_sealed_and_opened_as_published() {
    let sealed = with(|crypto| {
        crypto.hpke_seal(SUITE.hpke_config(), &unhex(PK_RM), &unhex(INFO), &unhex(AAD), &unhex(PT)).unwrap()
    });
    assert_eq!(sealed.kem_output.as_slice(), unhex(PK_EM));
    assert_eq!(sealed.ciphertext.as_slice(), unhex(CT));
    assert_eq!(open(&unhex(PK_EM), &unhex(CT), &unhex(INFO), &unhex(AAD), &unhex(SK_RM)), Ok(unhex(PT)));
}

#[test]
fn secrets_are_exported_as_published() {
    for (context, secret) in EXPORTS {
        let (context, secret) = (unhex(context), unhex(secret));
        let (enc, sent) = with(|crypto| {
            crypto.hpke_setup_sender_and_export(SUITE.hpke_config(), &unhex(PK_RM), &unhex(INFO), &context, 32).unwrap()
        });
        assert_eq!((enc, sent.to_vec()), (unhex(PK_EM), secret.clone()));
        let received = with(|crypto| {
            let (enc, key, info) = (unhex(PK_EM), unhex(SK_RM), unhex(INFO));
            crypto.hpke_setup_receiver_and_export(SUITE.hpke_config(), &enc, &key, &info, &context, 32).unwrap()
        });
        assert_eq!(received.to_vec(), secret);
    }
}

#[test]
fn nothing_else_is_opened() {
    let (enc, ct, info, aad, secret) = (unhex(PK_EM), unhex(CT), unhex(INFO), unhex(AAD), unhex(SK_RM));
    let refused = Err(CryptoError::HpkeDecryptionError);
    let flipped = |bytes: &[u8], at: usize| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 1;
        bytes
    };
    for at in 0..ct.len() {
        assert_eq!(open(&enc, &flipped(&ct, at), &info, &aad, &secret), refused, "ciphertext byte {at}");
        assert_eq!(open(&enc, &ct[..at], &info, &aad, &secret), refused, "{at} bytes of ciphertext");
    }
    for at in 0..enc.len() {
        assert_eq!(open(&flipped(&enc, at), &ct, &info, &aad, &secret), refused, "enc byte {at}");
        assert_eq!(open(&enc[..at], &ct, &info, &aad, &secret), refused, "{at} bytes of enc");
    }
    assert_eq!(open(&enc, &ct, &flipped(&info, 0), &aad, &secret), refused);
    assert_eq!(open(&enc, &ct, &info, &flipped(&aad, 0), &secret), refused);
    assert_eq!(open(&enc, &ct, &info, &aad, &flipped(&secret, 31)), refused);
    for secret in [&[0; 32][..], &[0xff; 32], &secret[..31], &[]] {
        assert_eq!(open(&enc, &ct, &info, &aad, secret), refused, "a secret of {} bytes", secret.len());
    }
}

/// RFC 9180 7.1.1 and RFC 9420 5.1.1 know one form of a point: the same one compressed, hybrid, or wrapped as X.509 is
/// refused, and so is what is no point of the curve.
#[test]
fn keys_have_one_form() {
    let public = unhex(PK_RM);
    let sealed_to = |public: &[u8]| with(|crypto| crypto.hpke_seal(SUITE.hpke_config(), public, b"", b"", b"x").err());
    let with_first = |first: u8| [&[first], &public[1..]].concat();
    let x509 = [&unhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")[..], &public].concat();
    assert_eq!(sealed_to(&public), None);
    for other in [&public[..33], &with_first(2)[..33], &with_first(6), &with_first(0), &x509, &[0], &[]] {
        assert_eq!(sealed_to(other), Some(CryptoError::InvalidPublicKey));
    }
    assert_eq!(sealed_to(&[&public[..64], &[public[64] ^ 1]].concat()), Some(CryptoError::InvalidPublicKey));
}

#[test]
fn a_seeded_entropy_gives_repeatable_messages_and_another_seed_others() {
    let seal = |seed| {
        let provider = Provider::new(Backend::AwsLc, Seeded::new(seed));
        let (config, public) = (SUITE.hpke_config(), unhex(PK_RM));
        provider.crypto().hpke_seal(config, &public, b"info", b"aad", b"text").unwrap()
    };
    assert_eq!(seal(1), seal(1));
    assert_ne!(seal(1).kem_output, seal(2).kem_output);
}
