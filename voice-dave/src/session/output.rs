use std::time::Instant;

use voice_model::UserId;

use crate::{Authenticator, Secret};

/// What a session asks of its owner, in this order.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Output {
    /// Send op 26 with this payload: a bare key package.
    KeyPackage(Vec<u8>),
    /// Send op 28 with this payload: a commit and, with additions, its welcome.
    CommitWelcome(Vec<u8>),
    /// Send op 23.
    ReadyForTransition(u16),
    /// Send op 31.
    InvalidCommitWelcome(u16),
    /// Tell media.
    Update(Update),
    /// Tell the application.
    Event(Event),
}

/// What media must know.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Update {
    /// Seal our frames with this secret from now on.
    Seal(Secret),
    /// Send nothing: the call is encrypted, and there is no secret of ours.
    Withhold,
    /// Send our frames as they are: the call is not end-to-end encrypted.
    SendPlain,
    /// Expect frames of this user sealed with this secret; what was expected before lasts until `retire`.
    Expect {
        /// Whose.
        user: UserId,
        /// Their secret.
        secret: Secret,
        /// The end of the older ones.
        retire: Instant,
    },
    /// What is expected of this user lasts until then: they left the group, or the group is no more.
    Retire {
        /// Whose.
        user: UserId,
        /// The end of what is expected.
        at: Instant,
    },
    /// Frames that are not sealed may pass, from anybody; when `until` is given, no longer than that. Replaces what was
    /// said before.
    AcceptPlain {
        /// The end, if known already. A moment that is not in the future ends it at once.
        until: Option<Instant>,
    },
}

/// What an application may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The state of encryption changed.
    State(State),
    /// The group has a new epoch, hence a new code for people to compare.
    Epoch {
        /// MLS epoch, from 1.
        epoch: u64,
        /// The 30 digits.
        privacy_code: String,
        /// The MLS epoch authenticator that they come from.
        authenticator: Authenticator,
    },
    /// Somebody is in the group now; not ourselves.
    Joined(Member),
    /// Somebody who had been in the group of this session is back with another key.
    KeyChanged {
        /// The member and the new key.
        member: Member,
        /// The key that they had.
        old_key: Vec<u8>,
    },
    /// Somebody is no longer in the group.
    Left(UserId),
    /// Something was wrong, and the group is left to be joined afresh; audio goes on as long as the old keys do.
    RecoveryStarted(Trouble),
    /// We are in a group again, and send with its keys.
    RecoveryEnded,
}

/// The state of encryption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// Not end-to-end encrypted: version 0.
    Off,
    /// There is no group yet: alone, or about to be welcomed. Nothing is sent.
    Pending,
    /// Encrypted.
    On {
        /// Protocol version, from 1.
        version: u16,
    },
}

/// Why the group is left to be joined afresh.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Trouble {
    /// Op 29 that cannot be processed.
    #[error("a commit cannot be processed: {0}")]
    Commit(String),
    /// Op 27 that cannot be processed, and has cost the group.
    #[error("proposals cannot be processed: {0}")]
    Proposals(String),
    /// Op 30 that cannot be processed.
    #[error("a welcome cannot be processed: {0}")]
    Welcome(String),
    /// The group has moved on without us.
    #[error("a commit was missed")]
    MissedCommit,
    /// A commit took us out of the group although we are here.
    #[error("removed from the group")]
    Removed,
    /// Nothing that comes can be opened.
    #[error("frames of everybody cannot be opened")]
    Undecryptable,
}

/// Somebody of the group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub user: UserId,
    /// Their public signature key: 65 bytes, an uncompressed P-256 point.
    pub key: Vec<u8>,
}

/// What a session did not act on, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Messages that cannot be parsed, or have no place where they came.
    pub ignored: u64,
    /// Proposals refused.
    pub proposals_refused: u64,
    /// Recoveries started.
    pub recoveries: u64,
}
