use voice_dave::provider::Backend;

use crate::member::{Gateway, Member};

/// A founds a group, B joins it, C joins it by B's commit, C is removed by A's: each of the two kinds of provider founds,
/// joins, commits with and without a path, and handles both kinds of commit of others.
fn life_of_a_group(founder: Backend, joiner: Backend) {
    let gateway = Gateway::new(1);
    let (mut a, mut b, mut c) = (Member::new(founder, 2), Member::new(joiner, 3), Member::new(founder, 4));
    a.create(&gateway);

    a.propose(&gateway.add(0, b.key_package().key_package().clone()));
    let committed = a.commit();
    a.announced(&committed.commit);
    b.join(&committed.welcome.unwrap());
    assert_eq!(a.view(3), b.view(3));

    let add = gateway.add(1, c.key_package().key_package().clone());
    a.propose(&add);
    b.propose(&add);
    let committed = b.commit();
    a.announced(&committed.commit);
    b.announced(&committed.commit);
    c.join(&committed.welcome.unwrap());
    assert_eq!(a.view(4), b.view(4));
    assert_eq!(a.view(4), c.view(4));

    // A remove brings a path: keys are derived, sealed to b and opened there, and again the other way round.
    for epoch in 2..=3 {
        let (leaf, add) = (c.leaf(), epoch == 3);
        let proposal =
            if add { gateway.add(epoch, c.key_package().key_package().clone()) } else { gateway.remove(epoch, leaf) };
        a.propose(&proposal);
        b.propose(&proposal);
        let (committer, other) = if add { (&mut b, &mut a) } else { (&mut a, &mut b) };
        let committed = committer.commit();
        other.announced(&committed.commit);
        committer.announced(&committed.commit);
        if let Some(welcome) = committed.welcome {
            c.join(&welcome);
        }
    }
    assert_eq!(a.view(2), b.view(2));
    assert_eq!(a.view(2), c.view(2));
    let remove = gateway.remove(4, c.leaf());
    a.propose(&remove);
    b.propose(&remove);
    let committed = b.commit();
    a.announced(&committed.commit);
    b.announced(&committed.commit);
    assert_eq!((a.epoch(), a.view(2)), (5, b.view(2)));
    assert_ne!(a.view(2), c.view(2));
}

#[test]
fn ours_alone() {
    life_of_a_group(Backend::AwsLc, Backend::AwsLc);
}

#[test]
fn ours_founds_and_the_stock_one_joins() {
    life_of_a_group(Backend::AwsLc, Backend::RustCrypto);
}

#[test]
fn the_stock_one_founds_and_ours_joins() {
    life_of_a_group(Backend::RustCrypto, Backend::AwsLc);
}
