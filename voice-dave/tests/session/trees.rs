//! Op 30 with trees that nobody makes by accident: what openmls decrypts and trips over, or takes too long for.

use std::sync::Arc;

use openmls::key_packages::KeyPackageIn;
use openmls::versions::ProtocolVersion;
use openmls_traits::OpenMlsProvider as _;
use tls_codec::{DeserializeBytes as _, Serialize as _};
use voice_dave::Trouble;
use voice_dave::provider::{Backend, Provider};

use crate::support::{A, B, C, Call, D, Forger, GROUP, Seeded, append, user, vector, welcome_of};

/// The leaf of a key package, as a present node.
fn leaf(key_package: &[u8]) -> Vec<u8> {
    let provider = Provider::new(Backend::AwsLc, Arc::new(Seeded::new(1)));
    let package = KeyPackageIn::tls_deserialize_exact_bytes(key_package).expect("a key package");
    let package = package.validate(provider.crypto(), ProtocolVersion::Mls10).expect("a valid one");
    [vec![1, 1], package.leaf_node().tls_serialize_detached().expect("serializes")].concat()
}

/// A parent node with these unmerged leaves.
fn parent(unmerged: &[u32]) -> Vec<u8> {
    let unmerged: Vec<_> = unmerged.iter().flat_map(|index| index.to_be_bytes()).collect();
    [vec![1, 2], vector(&[4; 65]), vector(&[6; 32]), vector(&unmerged)].concat()
}

/// A group info around this tree.
fn group_info(tree: &[u8]) -> Vec<u8> {
    let context = [
        &[0, 1, 0, 2][..],
        &vector(&GROUP.to_be_bytes()),
        &1_u64.to_be_bytes(),
        &vector(&[7; 32]),
        &vector(&[7; 32]),
        &vector(&[]),
    ];
    let extensions = [&[0, 2][..], &vector(&vector(tree))];
    let rest = [&vector(&extensions.concat())[..], &vector(&[9; 32]), &[0, 0, 0, 0], &vector(&[5; 70])];
    [context.concat(), rest.concat()].concat()
}

/// What becomes of a welcome with this tree, made of the receiver's own leaf.
fn refused(tree: impl Fn(Vec<u8>) -> Vec<u8>) -> Vec<Trouble> {
    let mut call = Call::new(&[A, B]);
    let now = call.now;
    let forger = Forger::user(A, 9);
    let package = call.peer(B).key_package();
    let welcome = forger.welcome_with(&package, &group_info(&tree(leaf(&package))));
    call.forget_outputs();
    let b = call.peer(B);
    b.act(|session| session.handle_welcome(now, 9, &welcome));
    assert_eq!((b.invalid(), b.key_packages().len(), b.session.epoch()), (vec![9], 1, None));
    let troubles = b.troubles();
    // And it can be taken in all the same.
    call.add(&[B]);
    call.agree();
    troubles
}

fn because(reason: &str) -> Vec<Trouble> {
    vec![Trouble::Welcome(reason.to_owned())]
}

#[test]
fn a_tree_that_is_well_formed_is_for_mls_to_judge() {
    assert_eq!(refused(|leaf| leaf), because("MLS refuses it"));
    assert_eq!(refused(|leaf| [leaf.clone(), parent(&[1]), leaf].concat()), because("MLS refuses it"));
}

#[test]
fn unmerged_leaves_that_are_blank() {
    let blank = |leaf| [vec![0, 0, 0], parent(&[]), vec![0], parent(&[2]), leaf].concat();
    assert_eq!(refused(blank), because("an unmerged leaf of its tree is blank"));
}

#[test]
fn unmerged_leaves_that_are_out_of_range() {
    for index in [4, 1 << 31, u32::MAX] {
        let outside = |leaf| [vec![0, 0, 0], parent(&[]), vec![0], parent(&[index]), leaf].concat();
        assert_eq!(refused(outside), because("an unmerged leaf of its tree is blank"), "{index}");
    }
}

#[test]
fn trees_that_are_too_large() {
    let blanks = |count| move |leaf| [vec![0; count], leaf].concat();
    assert_eq!(refused(blanks(250_000)), because("its tree is too large"));
    assert_eq!(refused(blanks(8_192)), because("its tree is too large"));
    assert_eq!(refused(blanks(8_190)), because("MLS refuses it"));
}

/// Mutated before it is sealed: all of it is decrypted and looked at.
#[test]
fn every_bit_flip_within_a_welcome() {
    // The forger is a member, so that the tree has parents.
    let (mut call, mut forger) = (Call::established(&[A, B]), Forger::user(C, 9));
    let (now, add) = (call.now, call.gateway.add(&forger.key_package(), 1));
    let a = call.peer(A);
    a.act(|session| session.handle_connect(now, &[user(C)]));
    a.act(|session| session.handle_proposals(now, &append(&[&add])));
    forger.join(&welcome_of(&a.commit()));
    let info = forger.group_info();
    for at in (0..info.len()).step_by(3) {
        let (mut call, mut mutated) = (Call::new(&[D]), info.clone());
        let (now, d) = (call.now, call.peer(D));
        d.act(|session| session.handle_connect(now, &[user(A), user(B), user(C)]));
        mutated[at] ^= 1 << (at % 8);
        let welcome = forger.welcome_with(&d.key_package(), &mutated);
        d.outputs.clear();
        d.act(|session| session.handle_welcome(now, 9, &welcome));
        assert_eq!((d.invalid(), d.key_packages().len(), d.session.epoch()), (vec![9], 1, None), "byte {at}");
    }
}
