use voice_model::{ChannelId, GuildId, UserId};

use crate::Token;

/// Who joins which call with what credentials, and the machine's policy.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The guild whose call is joined.
    pub server: GuildId,
    /// The channel of the call, when known: told in op 0. Gateway version 8 does not need it. Default `None`.
    pub channel: Option<ChannelId>,
    /// Who joins.
    pub user: UserId,
    /// `session_id` of the user's VOICE_STATE_UPDATE.
    pub session: String,
    /// `token` of VOICE_SERVER_UPDATE.
    pub token: Token,
    /// The newest DAVE protocol version that the owner speaks; 0 for none, which is the default.
    pub max_dave_protocol_version: u16,
    /// How many heartbeats in a row may stay without an ack; when the next one is due the connection is given up.
    /// Default 2; 0 counts as 1.
    pub max_missed_acks: u32,
    /// Seeds the heartbeats' nonces and first delay. Give a random number; default 0.
    pub nonce_seed: u64,
}

impl Config {
    /// These credentials with the default policy.
    pub const fn new(server: GuildId, user: UserId, session: String, token: Token) -> Self {
        Self {
            server,
            channel: None,
            user,
            session,
            token,
            max_dave_protocol_version: 0,
            max_missed_acks: 2,
            nonce_seed: 0,
        }
    }
}
