//! The JSON half of DAVE's control messages: ops 21 to 24 and 31 (DAVE protocol, "Voice Gateway Opcodes").

use serde::{Deserialize, Serialize};

use super::field;

/// Op 21, server: the call is going to change its protocol version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrepareTransition {
    /// Names the transition in ops 22 and 23; 0 is executed at once.
    #[serde(rename = "transition_id", with = "field")]
    pub transition: u16,
    /// The version to come; 0 for no end-to-end encryption.
    #[serde(with = "field")]
    pub protocol_version: u16,
}

/// Op 22, server: everyone is ready, or time is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecuteTransition {
    /// As prepared by op 21, 29 or 30.
    #[serde(rename = "transition_id", with = "field")]
    pub transition: u16,
}

/// Op 23, client: we can receive with the transition's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadyForTransition {
    /// As prepared by op 21, 29 or 30.
    #[serde(rename = "transition_id", with = "field")]
    pub transition: u16,
}

/// Op 24, server: a new protocol version or a new group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrepareEpoch {
    /// The version to come.
    #[serde(with = "field")]
    pub protocol_version: u16,
    /// 1: a new group is made. Some peers write it as a string.
    #[serde(with = "field")]
    pub epoch: u64,
    /// In the documentation, not seen on the wire.
    #[serde(rename = "transition_id", default, skip_serializing_if = "Option::is_none", with = "field::optional")]
    pub transition: Option<u16>,
}

/// Op 31, client: a commit or welcome could not be processed; add us again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvalidCommitWelcome {
    /// That of the failed op 29 or 30.
    #[serde(rename = "transition_id", with = "field")]
    pub transition: u16,
}
