//! Who is in the call: ops 11, 13, 18, 20.

use serde::{Deserialize, Serialize};
use voice_model::UserId;

use super::field;

/// Op 11, server: others joined, or were there before us.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientsConnect {
    /// Never ourselves.
    #[serde(rename = "user_ids", with = "field::list")]
    pub users: Vec<UserId>,
}

/// Op 13, server: another one left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientDisconnect {
    /// Who left.
    #[serde(rename = "user_id", with = "field")]
    pub user: UserId,
}

/// Op 18, server: a member's client flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientFlags {
    /// Whose.
    #[serde(rename = "user_id", with = "field")]
    pub user: UserId,
    /// Bits whose meaning Discord does not document; null when it does not say.
    #[serde(default, with = "field::optional")]
    pub flags: Option<u64>,
}

/// Op 20, server: what a member's client runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientPlatform {
    /// Whose.
    #[serde(rename = "user_id", with = "field")]
    pub user: UserId,
    /// 0 desktop, 1 mobile, 2 and 3 consoles; null when Discord does not say.
    #[serde(default, with = "field::optional")]
    pub platform: Option<u64>,
}
