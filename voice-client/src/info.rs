use std::fmt;

use gateway::Token;
use model::{ChannelId, GuildId, UserId};

/// Everything that one join of the voice gateway needs.
///
/// Comes from the two main-gateway dispatches VOICE_STATE_UPDATE (`session`) and VOICE_SERVER_UPDATE (`endpoint`,
/// `token`). Good for one join: a used token is refused (close 4006).
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectionInfo {
    /// `host:port` of the voice server, as Discord gave it.
    pub endpoint: String,
    /// The guild; the voice gateway calls it server.
    pub guild: GuildId,
    /// The voice or stage channel.
    pub channel: ChannelId,
    /// The bot's own user.
    pub user: UserId,
    /// `session_id` of the bot's own VOICE_STATE_UPDATE.
    pub session: String,
    /// `token` of VOICE_SERVER_UPDATE.
    pub token: Token,
}

impl fmt::Debug for ConnectionInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionInfo")
            .field("endpoint", &self.endpoint)
            .field("guild", &self.guild)
            .field("channel", &self.channel)
            .field("user", &self.user)
            .field("session", &"<redacted>")
            .field("token", &"<redacted>")
            .finish()
    }
}

/// What the client reads of a main-gateway VOICE_STATE_UPDATE.
#[derive(Clone, PartialEq, Eq)]
pub struct VoiceStateUpdate {
    /// `guild_id`.
    pub guild: GuildId,
    /// `user_id`; updates of other users are ignored, so all of them may be passed on.
    pub user: UserId,
    /// `channel_id`: `None` when the user is in no channel any more.
    pub channel: Option<ChannelId>,
    /// `session_id`.
    pub session: String,
}

impl fmt::Debug for VoiceStateUpdate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VoiceStateUpdate")
            .field("guild", &self.guild)
            .field("user", &self.user)
            .field("channel", &self.channel)
            .finish_non_exhaustive()
    }
}

/// What the client reads of a main-gateway VOICE_SERVER_UPDATE.
#[derive(Clone, PartialEq, Eq)]
pub struct VoiceServerUpdate {
    /// `guild_id`.
    pub guild: GuildId,
    /// `endpoint`: `None` when the voice server is going away and another one will be announced.
    pub endpoint: Option<String>,
    /// `token`.
    pub token: Token,
}

impl fmt::Debug for VoiceServerUpdate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VoiceServerUpdate")
            .field("guild", &self.guild)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

/// The main-gateway command Update Voice State (op 4), for the link to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VoiceStateCommand {
    /// `guild_id`.
    pub guild: GuildId,
    /// `channel_id`: the channel to be in, or `None` to leave.
    pub channel: Option<ChannelId>,
    /// `self_mute`.
    pub self_mute: bool,
    /// `self_deaf`.
    pub self_deaf: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_secret() {
        let info = ConnectionInfo {
            endpoint: "localhost:443".into(),
            guild: GuildId::new(1).unwrap(),
            channel: ChannelId::new(2).unwrap(),
            user: UserId::new(3).unwrap(),
            session: "hush-session".into(),
            token: "hush-token".into(),
        };
        let server = VoiceServerUpdate { guild: info.guild, endpoint: None, token: "hush-token".into() };
        let state =
            VoiceStateUpdate { guild: info.guild, user: info.user, channel: None, session: "hush-session".into() };
        for text in [format!("{info:?}"), format!("{server:?}"), format!("{state:?}")] {
            assert!(!text.contains("hush"), "{text}");
        }
    }
}
