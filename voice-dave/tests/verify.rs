//! Codes and fingerprints against the vectors of `tests/vectors/dave.json`, each entry of the four sections used, and by
//! the rules of the protocol.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
use proptest::test_runner::{Config, RngSeed};
use serde_json::Value;
use voice_dave::verify::{Pair, VerifyError, displayable_code, key_base64, key_fingerprint, privacy_code};
use voice_model::UserId;

fn vectors() -> Value {
    serde_json::from_str(include_str!("vectors/dave.json")).unwrap()
}

/// The entries, counted: a file that lost some fails.
fn entries(section: &Value, count: usize) -> &Vec<Value> {
    let entries = section.as_array().unwrap();
    assert_eq!(entries.len(), count);
    entries
}

fn text<'a>(entry: &'a Value, key: &str) -> &'a str {
    entry[key].as_str().unwrap_or_else(|| panic!("no text {key} in {entry}"))
}

fn number(entry: &Value, key: &str) -> usize {
    entry[key].as_u64().unwrap_or_else(|| panic!("no number {key} in {entry}")).try_into().unwrap()
}

fn bytes(entry: &Value, key: &str) -> Vec<u8> {
    unhex(text(entry, key)).unwrap_or_else(|| panic!("{key} is not hexadecimal in {entry}"))
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = |at: usize| text.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    (0..text.len()).step_by(2).map(digits).collect()
}

fn user(entry: &Value, key: &str) -> UserId {
    text(entry, key).parse().unwrap()
}

fn id(id: u64) -> UserId {
    UserId::new(id).unwrap()
}

#[test]
fn displayable_codes_are_as_published() {
    let section = &vectors()["displayable_code"];
    for entry in entries(&section["ok"], 2) {
        let code =
            displayable_code(&bytes(entry, "data"), number(entry, "desired_length"), number(entry, "group_size"));
        assert_eq!(code.as_deref(), Ok(text(entry, "code")));
    }
    let errors = [
        VerifyError::TooShort { len: 4, digits: 5 },
        VerifyError::Group { digits: 4, group: 3 },
        VerifyError::Group { digits: 1024, group: 11 },
    ];
    for (entry, error) in entries(&section["errors"], errors.len()).iter().zip(errors) {
        // One of them is of "any 1024 bytes".
        let data = unhex(text(entry, "data")).unwrap_or_else(|| vec![0; number(entry, "data_len")]);
        let code = displayable_code(&data, number(entry, "desired_length"), number(entry, "group_size"));
        assert_eq!(code, Err(error), "{}", text(entry, "reason"));
    }
}

#[test]
fn key_fingerprints_are_as_published() {
    let section = &vectors()["key_fingerprint"];
    let fingerprint = |entry| {
        let version = number(entry, "version").try_into().unwrap();
        key_fingerprint(version, &bytes(entry, "key"), user(entry, "user_id"))
    };
    for entry in entries(&section["ok"], 2) {
        let fingerprint = fingerprint(entry).unwrap();
        assert_eq!(fingerprint, bytes(entry, "fingerprint_hex"));
        let decimal: String = fingerprint.iter().map(u8::to_string).collect();
        assert_eq!(decimal, text(entry, "decimal_joined"));
    }
    let errors = entries(&section["errors"], 3);
    assert_eq!(fingerprint(&errors[0]), Err(VerifyError::Version(1)));
    assert_eq!(fingerprint(&errors[1]), Err(VerifyError::NoKey));
    assert!(text(&errors[2], "user_id").parse::<UserId>().is_err(), "such a user is not even an id");
}

#[test]
fn pairwise_fingerprints_are_as_published_whoever_comes_first() {
    let section = &vectors()["pairwise_fingerprint"];
    let pair = |entry, turned| {
        let version = number(entry, "version").try_into().unwrap();
        let (a, b) = (bytes(entry, "key_a"), bytes(entry, "key_b"));
        let (a, b) = ((&a[..], user(entry, "user_a")), (&b[..], user(entry, "user_b")));
        if turned { Pair::new(version, b, a) } else { Pair::new(version, a, b) }
    };
    for entry in entries(&section["ok"], 2) {
        let (one, other) = (pair(entry, false).unwrap(), pair(entry, true).unwrap());
        assert_eq!(one, other, "{}", text(entry, "name"));
        assert_eq!(one.fingerprint().to_vec(), bytes(entry, "fingerprint"), "{}", text(entry, "name"));
        assert_eq!(other.code(), text(entry, "displayable_45_5"), "{}", text(entry, "name"));
    }
    let errors = entries(&section["errors"], 2);
    for turned in [false, true] {
        assert_eq!(pair(&errors[0], turned), Err(VerifyError::Version(1)));
        assert_eq!(pair(&errors[1], turned), Err(VerifyError::NoKey));
    }
}

#[test]
fn keys_are_written_as_published() {
    for entry in entries(&vectors()["key_serialization_base64"], 2) {
        assert_eq!(key_base64(&bytes(entry, "data")), text(entry, "base64"));
    }
    // RFC 4648, section 10.
    for (data, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
        assert_eq!(key_base64(data.as_bytes()), text);
    }
}

#[test]
fn groups_have_one_to_eight_digits_that_divide_the_code() {
    let data = [0xff; 24];
    assert_eq!(displayable_code(&data, 24, 8).as_deref(), Ok("095516150955161509551615"));
    assert_eq!(displayable_code(&data, 3, 1).as_deref(), Ok("555"));
    assert_eq!(displayable_code(&data, 0, 5).as_deref(), Ok(""));
    for group in [0, 9, usize::MAX] {
        assert_eq!(displayable_code(&data, 18, group), Err(VerifyError::Group { digits: 18, group }));
    }
    let digits = usize::MAX - usize::MAX % 5;
    assert_eq!(displayable_code(&data, digits, 5), Err(VerifyError::TooShort { len: 24, digits }));
}

#[test]
fn other_people_other_keys_and_other_versions_make_other_pairs() {
    let key = |byte| [byte; 65];
    let pair = Pair::new(0, (&key(1), id(1)), (&key(2), id(2))).unwrap();
    for (one, other) in [((1, 1), (2, 3)), ((1, 1), (3, 2)), ((2, 1), (1, 2)), ((1, 1), (1, 1))] {
        let different = Pair::new(0, (&key(one.0), id(one.1)), (&key(other.0), id(other.1))).unwrap();
        assert_ne!(different, pair);
    }
}

proptest! {
    #![proptest_config(Config { rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..Config::default() })]

    #[test]
    fn a_privacy_code_is_thirty_digits_in_fives(authenticator in any::<[u8; 32]>()) {
        let code = privacy_code(&authenticator);
        prop_assert_eq!(Ok(code.clone()), displayable_code(&authenticator, 30, 5));
        prop_assert_eq!(code.len(), 30);
        prop_assert!(code.bytes().all(|digit| digit.is_ascii_digit()));
    }

    #[test]
    fn any_code_has_the_digits_asked_for(data in any::<Vec<u8>>(), digits in 0..120_usize, group in 0..12_usize) {
        match displayable_code(&data, digits, group) {
            Ok(code) => {
                prop_assert_eq!(code.len(), digits);
                prop_assert!(code.bytes().all(|digit| digit.is_ascii_digit()));
            }
            Err(VerifyError::TooShort { .. }) => prop_assert!(data.len() < digits),
            Err(VerifyError::Group { .. }) => prop_assert!(group == 0 || group > 8 || !digits.is_multiple_of(group)),
            Err(other) => prop_assert!(false, "{}", other),
        }
    }
}
