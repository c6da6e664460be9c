use gateway::binary::{Message as Binary, write_client};
use openmls::prelude::{Capabilities, CredentialType, ExtensionType, ProtocolVersion};
use openmls_traits::types::Ciphersuite;
use voice_loopback::Config;

use super::call::Call;
use super::mls::{Package, SUITE, capabilities};

/// A call with one silent member, who hears what is proposed, and user 2, who will send a key package by hand.
fn call() -> Call {
    let mut call = Call::new(Config::default());
    for id in [1, 2] {
        call.join(id);
        call.peer(id).is_silent = true;
    }
    call.run();
    call.forget();
    call
}

fn outcome(package: &[u8]) -> (u64, u64, bool) {
    let mut call = call();
    let conn = call.peer(2).conn;
    call.world.say_binary(conn, &write_client(&Binary::KeyPackage(package.to_vec())));
    call.run();
    assert_eq!(call.world.ended(conn), None, "a bad one is not fatal");
    let stats = call.stats();
    (stats.key_packages, stats.key_packages_refused, !call.peer(1).heard.is_empty())
}

const ACCEPTED: (u64, u64, bool) = (1, 0, true);
const REFUSED: (u64, u64, bool) = (0, 1, false);

#[test]
fn a_key_package_as_the_protocol_wants_it_is_proposed() {
    assert_eq!(outcome(&Package::of(2).bytes()), ACCEPTED);
}

#[test]
fn the_credential_must_be_the_user_s() {
    for identity in [3_u64.to_be_bytes().to_vec(), 2_u64.to_le_bytes().to_vec(), vec![2], vec![], b"2".to_vec()] {
        assert_eq!(outcome(&Package { identity, ..Package::of(2) }.bytes()), REFUSED);
    }
}

#[test]
fn the_lifetime_must_be_the_longest() {
    for lifetime in [(1, u64::MAX), (0, u64::MAX - 1), (0, 0)] {
        assert_eq!(outcome(&Package { lifetime, ..Package::of(2) }.bytes()), REFUSED, "{lifetime:?}");
    }
}

#[test]
fn what_it_is_capable_of_must_include_dave_and_it_has_no_extensions() {
    let base = || Capabilities::builder().versions(vec![ProtocolVersion::Mls10]);
    let other = Ciphersuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519;
    let generous =
        base().ciphersuites(vec![other, SUITE]).credentials(vec![CredentialType::X509, CredentialType::Basic]);
    assert_eq!(outcome(&Package { capabilities: generous.build(), ..Package::of(2) }.bytes()), ACCEPTED);
    let last_resort = Capabilities::builder()
        .versions(vec![ProtocolVersion::Mls10])
        .ciphersuites(vec![SUITE])
        .credentials(vec![CredentialType::Basic])
        .extensions(vec![ExtensionType::LastResort]);
    let capabilities = last_resort.build();
    assert_eq!(outcome(&Package { capabilities, last_resort: true, ..Package::of(2) }.bytes()), REFUSED);
}

#[test]
fn anything_else_is_refused() {
    let good = Package::of(2).bytes();
    for len in (0..good.len()).step_by(7) {
        assert_eq!(outcome(&good[..len]), REFUSED, "{len}");
    }
    for position in (0..good.len()).step_by(11) {
        let mut bad = good.clone();
        bad[position] ^= 1;
        assert_eq!(outcome(&bad), REFUSED, "byte {position}");
    }
    let wrapped = [&[0, 1, 0, 5][..], &good].concat();
    assert_eq!(outcome(&wrapped), REFUSED, "as an MLSMessage");
    assert_eq!(outcome(&[&good[..], &[0]].concat()), REFUSED, "and more");
    assert_eq!(outcome(&[&good[..], &[0; 5_000]].concat()), REFUSED, "longer than any");
    assert_eq!(outcome(&vec![0xFF; 1 << 20]), REFUSED);
}

#[test]
fn somebody_else_s_keys_are_refused() {
    let mut call = call();
    let package = Package::of(1);
    let conn = call.peer(1).conn;
    call.world.say_binary(conn, &write_client(&Binary::KeyPackage(package.bytes())));
    let copied = Package { identity: 2_u64.to_be_bytes().to_vec(), seed: 9, ..package };
    let conn = call.peer(2).conn;
    call.world.say_binary(conn, &write_client(&Binary::KeyPackage(copied.bytes())));
    let stats = call.stats();
    assert_eq!(
        (stats.key_packages, stats.key_packages_refused),
        (1, 1),
        "with one signature key, no commit would work"
    );
}

#[test]
fn without_a_place_in_a_call_none_is_taken() {
    let mut call = Call::new(Config::default());
    let conn = call.world.connect("v=8");
    let frame = write_client(&Binary::KeyPackage(Package::of(1).bytes()));
    call.world.say_binary(conn, &frame);
    call.world.say(conn, &crate::world::identify(1));
    call.world.say_binary(conn, &frame);
    let json = br#"{"op":26,"d":{}}"#;
    for frame in [&json[..], &[], &[29], &[30, 0, 1, 2], &[27, 0], &[25], &[255]] {
        call.world.say_binary(conn, frame);
    }
    assert_eq!(call.world.ended(conn), None);
    assert_eq!((call.stats().key_packages, call.world.server.stats().binary_ignored), (0, 9));
    assert!(!capabilities().versions().is_empty());
}
