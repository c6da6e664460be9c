use std::collections::BTreeMap;

use dave::{Member, State, Trouble, verify};
use model::UserId;

/// Whether calls are end-to-end encrypted (DAVE).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum E2ee {
    /// Never: version 0 is offered. Discord refuses that with close code 4017 outside of stage channels.
    Off,
    /// When the channel has it. The server decides, and says so; see [`EncryptionEvent::State`].
    #[default]
    Allowed,
    /// Always: a channel without it is not joined, and a call that loses it ends, with
    /// [`Cause::NotEncrypted`](crate::Cause::NotEncrypted). Plain frames are never accepted.
    Required,
}

/// The end-to-end encryption of a call at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Encryption {
    /// The state.
    pub state: State,
    /// MLS epoch, from 1; `None` without a group.
    pub epoch: Option<u64>,
    /// The 30 digits that all members see, while their group is the same.
    pub privacy_code: Option<String>,
    /// The group and its keys, ourselves included.
    pub members: BTreeMap<UserId, Member>,
    /// What the group's machine did not act on.
    pub stats: dave::Stats,
}

impl Default for Encryption {
    fn default() -> Self {
        let (members, stats) = (BTreeMap::new(), dave::Stats::default());
        Self { state: State::Off, epoch: None, privacy_code: None, members, stats }
    }
}

impl Encryption {
    /// The DAVE version in force; 0 without encryption, and while there is no group yet.
    pub fn version(&self) -> u16 {
        match self.state {
            State::On { version } => version,
            _ => 0,
        }
    }
}

/// What happens to the encryption of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncryptionEvent {
    /// The state changed.
    State(State),
    /// The group changed, and with it the code that people compare.
    PrivacyCode {
        /// MLS epoch, from 1.
        epoch: u64,
        /// 30 digits.
        code: String,
    },
    /// Somebody joined the group.
    Joined(Member),
    /// Somebody joined the group with the key that [`Config::known_keys`](crate::Config::known_keys) has of them.
    Verified(Member),
    /// Somebody has another key than [`Config::known_keys`](crate::Config::known_keys) has of them, or than they had
    /// earlier in this call.
    KeyChanged {
        /// Who, and the key that they have now.
        member: Member,
        /// The key that was known.
        known: Vec<u8>,
    },
    /// Somebody left the group.
    Left(UserId),
    /// Something was wrong with the group, and it is being joined afresh. Audio goes on as long as the old keys do.
    RecoveryStarted(Trouble),
    /// The group was joined afresh, and its keys are in force.
    RecoveryEnded,
}

/// Why there is no verification code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodeError {
    /// Not in the group, or there is none.
    #[error("user {0} is not in the encrypted group of this call, or there is none yet")]
    NotAMember(UserId),
    /// A key from which no fingerprint can be made.
    #[error(transparent)]
    Key(#[from] verify::VerifyError),
    /// The runtime ended.
    #[error("the runtime that the call ran on has ended")]
    Aborted,
}

/// Randomness of the operating system, for [`Identity`](dave::Identity) and the group's keys.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl dave::provider::Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        // Keys without randomness must not be: there is nothing better to do than to stop.
        getrandom::fill(bytes).expect("invariant: the system has randomness; a client without any was never made");
    }
}
