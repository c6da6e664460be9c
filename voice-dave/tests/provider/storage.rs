use voice_dave::provider::Backend;

use crate::member::{Gateway, Member};

/// What a member of a two-member group may take.
const STATE_BAR: i64 = 16 * 1024;
/// More than a key package and the keys of one epoch ever need.
const STORED_BAR: usize = 1_024;

fn stored(member: &Member) -> usize {
    use openmls_traits::OpenMlsProvider as _;
    member.provider.storage().stored_bytes()
}

#[test]
fn ten_thousand_epochs_leave_no_more_than_one() {
    let gateway = Gateway::new(1);
    let (mut a, b) = (Member::new(Backend::AwsLc, 2), Member::new(Backend::AwsLc, 3));
    a.create(&gateway);
    let mut most = (0, 0);
    for epoch in (0..10_000).step_by(2) {
        a.propose(&gateway.add(epoch, b.key_package().key_package().clone()));
        let committed = a.commit();
        a.announced(&committed.commit);
        let joiner = a.group().members().last().unwrap().index;
        a.propose(&gateway.remove(epoch + 1, joiner));
        let committed = a.commit();
        a.announced(&committed.commit);
        most = (most.0.max(stored(&a)), most.1.max(stored(&b)));
    }
    assert_eq!(a.epoch(), 10_000);
    assert!(most.0 <= STORED_BAR && most.1 <= STORED_BAR, "{most:?} bytes stored");
}

#[test]
fn a_thousand_groups_of_the_same_call_leave_no_more_than_one() {
    let gateway = Gateway::new(1);
    let mut b = Member::new(Backend::AwsLc, 3);
    for round in 0..1_000 {
        // A gateway forms a new group of the call whenever all but one have left: pending here, joined there.
        b.create(&gateway);
        if round % 50 == 0 {
            let mut a = Member::new(Backend::AwsLc, 2);
            a.create(&gateway);
            a.propose(&gateway.add(0, b.key_package().key_package().clone()));
            let committed = a.commit();
            b.join(&committed.welcome.unwrap());
        }
        assert!(stored(&b) <= STORED_BAR, "{} bytes stored in round {round}", stored(&b));
    }
}

#[test]
fn a_thousand_calls_leave_no_more_than_a_few() {
    let gateway = Gateway::new(1);
    let mut a = Member::new(Backend::AwsLc, 2);
    for call in 0..1_000 {
        a.create_for(&gateway, call);
        assert!(stored(&a) <= STORED_BAR, "{} bytes stored after call {call}", stored(&a));
    }
}

#[test]
fn a_new_key_package_replaces_the_last_one() {
    let gateway = Gateway::new(1);
    let (mut a, b) = (Member::new(Backend::AwsLc, 2), Member::new(Backend::AwsLc, 3));
    let first = b.key_package();
    let one = stored(&b);
    b.key_package();
    assert!(stored(&b).abs_diff(one) < 16, "more than the signatures' lengths differ: {one}, {}", stored(&b));

    a.create(&gateway);
    a.propose(&gateway.add(0, first.key_package().clone()));
    let welcome = a.commit().welcome.unwrap();
    assert!(b.try_join(&welcome).is_none(), "the private keys of the replaced key package are still there");
}

#[test]
fn a_used_key_package_is_gone() {
    use openmls_traits::OpenMlsProvider as _;
    let gateway = Gateway::new(1);
    let (mut a, mut b) = (Member::new(Backend::AwsLc, 2), Member::new(Backend::AwsLc, 3));
    a.create(&gateway);
    a.propose(&gateway.add(0, b.key_package().key_package().clone()));
    let welcome = a.commit().welcome.unwrap();
    b.join(&welcome);
    assert!(b.try_join(&welcome).is_none(), "one key package joined twice");
    b.provider.storage().clear();
    assert_eq!(stored(&b), 0);
}

/// Measured by what dropping a member gives back: openmls allocates some of it on threads of rayon.
#[test]
fn the_state_of_a_two_member_group_is_small() {
    let gateway = Gateway::new(1);
    let (mut a, mut b) = (Member::new(Backend::AwsLc, 2), Member::new(Backend::AwsLc, 3));
    a.create(&gateway);
    a.propose(&gateway.add(0, b.key_package().key_package().clone()));
    let committed = a.commit();
    a.announced(&committed.commit);
    b.join(&committed.welcome.unwrap());
    for (name, member) in [("founder", a), ("joiner", b)] {
        let inline = size_of_val(&member) as i64;
        let bytes = inline - allocation_counter::measure(|| drop(member)).bytes_current;
        assert!((1..=STATE_BAR).contains(&bytes), "{name}: {bytes} bytes");
    }
}

#[test]
fn debug_prints_no_secret() {
    use openmls_traits::OpenMlsProvider as _;
    let b = Member::new(Backend::AwsLc, 3);
    b.key_package();
    let text = format!("{:?} {:?} {:?}", b.provider, b.provider.storage(), b.provider.crypto());
    let expected = format!("Provider {{ .. }} Storage {{ stored_bytes: {}, .. }} Crypto {{ .. }}", stored(&b));
    assert_eq!(text, expected);
}
