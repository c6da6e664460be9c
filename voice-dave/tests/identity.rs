//! Identity keys: made, checked, kept, and what is signed with them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use openmls_traits::OpenMlsProvider as _;
use openmls_traits::crypto::OpenMlsCrypto as _;
use openmls_traits::signatures::Signer as _;
use openmls_traits::types::SignatureScheme;
use voice_dave::provider::{Backend, Entropy, Provider};
use voice_dave::{Identity, IdentityError, KeyStore};
use zeroize::Zeroizing;

/// The order of P-256 (SEC 2, 2.4.2).
const ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
/// A key pair of RFC 6979, appendix A.2.5.
const PRIVATE: &str = "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721";
const PUBLIC: &str = "0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6\
                      7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299";

fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2));
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// Every byte is the seed.
struct Constant(u8);

impl Entropy for Constant {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(self.0);
    }
}

/// Verified by both backends, of which one is not ours.
fn verified(public: &[u8], data: &[u8], signature: &[u8]) -> bool {
    let both = [Backend::AwsLc, Backend::RustCrypto].map(|backend| {
        let provider = Provider::new(backend, Arc::new(Constant(0)));
        let scheme = SignatureScheme::ECDSA_SECP256R1_SHA256;
        provider.crypto().verify_signature(scheme, data, public, signature).is_ok()
    });
    assert_eq!(both[0], both[1]);
    both[0]
}

#[test]
fn keys_repeat_with_their_entropy_whatever_it_is() {
    let private = |seed| Identity::generate(&Constant(seed)).private_key().to_vec();
    let keys: Vec<_> = (0..=u8::MAX).map(private).collect();
    assert_eq!(keys, (0..=u8::MAX).map(private).collect::<Vec<_>>());
    for (at, key) in keys.iter().enumerate() {
        assert_eq!(key.len(), 32);
        assert!(!keys[..at].contains(key), "seed {at} repeats a key");
    }
}

#[test]
fn a_private_key_has_the_public_key_of_the_rfc() {
    let identity = Identity::from_private_key(&unhex(PRIVATE)).unwrap();
    assert_eq!(identity.public_key(), unhex(PUBLIC));
    assert_eq!(*identity.private_key(), unhex(PRIVATE));
    assert_eq!(identity.clone().public_key(), identity.public_key());
}

#[test]
fn scalars_are_between_zero_and_the_order() {
    let near_order = |last: u8| [&unhex(ORDER)[..31], &[last]].concat();
    let mut one = [0; 32];
    one[31] = 1;
    for good in [&one[..], &near_order(0x50)] {
        assert_eq!(*Identity::from_private_key(good).unwrap().private_key(), good);
    }
    for bad in [&[][..], &[0; 32], &[1; 31], &[1; 33], &[0xff; 32], &near_order(0x51), &near_order(0x52)] {
        match Identity::from_private_key(bad) {
            Err(IdentityError::NotAKey { len }) => assert_eq!(len, bad.len()),
            other => panic!("{bad:?}: {other:?}"),
        }
    }
}

/// A key store in memory that can fail.
#[derive(Default)]
struct Kept {
    keys: RefCell<HashMap<String, Vec<u8>>>,
    saved: RefCell<usize>,
    broken: Option<&'static str>,
}

impl KeyStore for Kept {
    fn load(&self, name: &str) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        if self.broken == Some("load") {
            return Err(io::Error::other("unreadable"));
        }
        Ok(self.keys.borrow().get(name).cloned().map(Zeroizing::new))
    }

    fn save(&self, name: &str, key: &[u8]) -> io::Result<()> {
        *self.saved.borrow_mut() += 1;
        if self.broken == Some("save") {
            return Err(io::Error::other("read-only"));
        }
        self.keys.borrow_mut().insert(name.to_owned(), key.to_vec());
        Ok(())
    }
}

#[test]
fn an_identity_is_saved_once_and_found_again() {
    let store = Kept::default();
    let made = Identity::open(&store, "a", &Constant(1)).unwrap();
    let found = Identity::open(&store, "a", &Constant(2)).unwrap();
    let other = Identity::open(&store, "b", &Constant(3)).unwrap();
    assert_eq!(made.public_key(), found.public_key());
    assert_ne!(made.public_key(), other.public_key());
    assert_eq!(*store.saved.borrow(), 2);
}

#[test]
fn what_is_stored_is_never_overwritten() {
    for wrong in [vec![], vec![0; 32], vec![7; 16], b"-----BEGIN PRIVATE KEY-----".to_vec()] {
        let store = Kept::default();
        store.keys.borrow_mut().insert("a".to_owned(), wrong.clone());
        let error = Identity::open(&store, "a", &Constant(1)).unwrap_err();
        assert!(matches!(error, IdentityError::NotAKey { len } if len == wrong.len()), "{error}");
        assert_eq!((*store.saved.borrow(), &store.keys.borrow()["a"]), (0, &wrong));
    }
    for broken in ["load", "save"] {
        let store = Kept { broken: Some(broken), ..Kept::default() };
        assert!(matches!(Identity::open(&store, "a", &Constant(1)), Err(IdentityError::Store(_))));
        assert_eq!(*store.saved.borrow(), usize::from(broken == "save"));
    }
}

/// The content as the DAVE protocol composes it ("Persistent Public Key Upload"), its lengths by RFC 9420 2.1.2.
#[test]
fn the_self_signature_is_of_session_and_key() {
    let identity = Identity::generate(&Constant(1));
    for (session, length) in [
        (String::new(), &[0x40, 66][..]),
        ("0123456789abcdef0123456789abcdef".to_owned(), &[0x40, 98]),
        ("s".repeat(20_000), &[0x80, 0, 0x4e, 0x62]),
    ] {
        let content = [session.as_bytes(), b":", identity.public_key()].concat();
        let signed = [&b"\x1cMLS 1.0 DiscordSelfSignature"[..], length, &content].concat();
        let signature = identity.self_signature(&session);
        assert!(verified(identity.public_key(), &signed, &signature), "a session id of {} bytes", session.len());
        assert!(!verified(identity.public_key(), &content, &signature));
    }
}

#[test]
fn it_signs_for_mls() {
    let identity = Identity::generate(&Constant(1));
    assert_eq!(identity.signature_scheme(), SignatureScheme::ECDSA_SECP256R1_SHA256);
    let signature = identity.sign(b"payload").unwrap();
    assert!(verified(identity.public_key(), b"payload", &signature));
    assert!(!verified(Identity::generate(&Constant(2)).public_key(), b"payload", &signature));
}

#[test]
fn debug_prints_lengths() {
    let identity = Identity::generate(&Constant(1));
    assert_eq!(format!("{identity:?}"), "Identity(public key of 65 bytes)");
}
