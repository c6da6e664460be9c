use std::panic::{AssertUnwindSafe, catch_unwind};

use super::group::Group;

/// Why what came is refused when openmls panicked over it.
pub(super) const COLLAPSED: &str = "MLS fails on it";

/// Calls openmls with bytes from outside; `None` when it panics.
///
/// openmls has debug assertions over trees and paths that other members made, and that it decrypts before it asserts: nothing
/// in front of it can look at them all. Release builds have none of these. After a panic the group may be half changed; the
/// caller has [`Group::collapse`] drop it.
pub(super) fn guarded<T>(call: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(call)).ok()
}

impl Group {
    /// openmls panicked: nothing of the group is used any more, and a local one takes its place. Recovery does the rest.
    pub(super) fn collapse(&mut self) {
        tracing::warn!("openmls panicked; the group is left");
        self.renew();
        self.collapsed = true;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Instant;

    use voice_model::{ChannelId, UserId};

    use super::guarded;
    use crate::provider::{Backend, Entropy};
    use crate::{Config, Event, Identity, Output, Session, Trouble};

    /// Good enough for keys of which nothing is asked.
    struct Counting;

    impl Entropy for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            (1..).zip(bytes).for_each(|(count, byte)| *byte = count);
        }
    }

    #[test]
    fn a_panic_is_a_refusal() {
        assert_eq!(guarded(|| 7), Some(7));
        assert_eq!(guarded(|| -> u8 { panic!("as a debug assertion does") }), None);
    }

    #[test]
    fn a_group_that_collapsed_over_proposals_is_recovered_from() {
        #[expect(clippy::disallowed_methods, reason = "time in these tests starts anywhere")]
        let now = Instant::now();
        let mut session = Session::new(Config {
            user: UserId::new(1).expect("not 0"),
            channel: ChannelId::new(2).expect("not 0"),
            identity: Identity::generate(&Counting),
            entropy: Arc::new(Counting),
            backend: Backend::default(),
        });
        session.handle_version(now, 1);
        while session.poll_output().is_some() {}
        session.group.collapse();
        session.handle_proposals(now, &[0, 0]);
        let mut outputs = Vec::new();
        while let Some(output) = session.poll_output() {
            outputs.push(output);
        }
        let [Output::InvalidCommitWelcome(0), Output::KeyPackage(_), Output::Event(event)] = &outputs[..] else {
            panic!("{outputs:?}");
        };
        assert_eq!(*event, Event::RecoveryStarted(Trouble::Proposals(super::COLLAPSED.to_owned())));
        session.handle_proposals(now, &[0, 0]);
        assert!(session.poll_output().is_none(), "once");
    }
}
