use std::fmt;

use gateway::Token;
use model::{ChannelId, GuildId, UserId};
use serde_json::Value;

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

/// A main-gateway payload lacks a field that matters here, or has it in another type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the payload has no usable `{0}`; pass the `d` of the dispatch as it came")]
pub struct InvalidUpdate(&'static str);

impl VoiceStateUpdate {
    /// Reads the `d` of a VOICE_STATE_UPDATE dispatch.
    ///
    /// # Errors
    ///
    /// [`InvalidUpdate`] names the field that is missing or wrong.
    pub fn from_json(d: &Value) -> Result<Self, InvalidUpdate> {
        let channel = match d.get("channel_id") {
            None | Some(Value::Null) => None,
            Some(channel) => Some(ChannelId::new(id(channel)).ok_or(InvalidUpdate("channel_id"))?),
        };
        Ok(Self {
            guild: GuildId::new(id(&d["guild_id"])).ok_or(InvalidUpdate("guild_id"))?,
            user: UserId::new(id(&d["user_id"])).ok_or(InvalidUpdate("user_id"))?,
            channel,
            session: text(d, "session_id")?.to_owned(),
        })
    }
}

impl VoiceServerUpdate {
    /// Reads the `d` of a VOICE_SERVER_UPDATE dispatch.
    ///
    /// # Errors
    ///
    /// [`InvalidUpdate`] names the field that is missing or wrong.
    pub fn from_json(d: &Value) -> Result<Self, InvalidUpdate> {
        let endpoint = match d.get("endpoint") {
            None | Some(Value::Null) => None,
            Some(_) => Some(text(d, "endpoint")?.to_owned()),
        };
        let guild = GuildId::new(id(&d["guild_id"])).ok_or(InvalidUpdate("guild_id"))?;
        Ok(Self { guild, endpoint, token: text(d, "token")?.into() })
    }
}

/// A snowflake, as text or number; 0, which is none, for anything else.
fn id(value: &Value) -> u64 {
    value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap_or(0)
}

fn text<'a>(d: &'a Value, field: &'static str) -> Result<&'a str, InvalidUpdate> {
    d[field].as_str().ok_or(InvalidUpdate(field))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn dispatches_are_read_leniently_and_refused_by_field() {
        let d = json!({"guild_id": "1", "user_id": 3, "channel_id": null, "session_id": "s", "deaf": false, "x": {}});
        let state = VoiceStateUpdate::from_json(&d).unwrap();
        assert_eq!((state.user.get(), state.channel), (3, None));
        let d = json!({"guild_id": "1", "token": "t", "endpoint": "host:443"});
        assert_eq!(VoiceServerUpdate::from_json(&d).unwrap().endpoint.as_deref(), Some("host:443"));

        let d = json!({"guild_id": "1", "user_id": "x", "session_id": "s"});
        assert_eq!(VoiceStateUpdate::from_json(&d), Err(InvalidUpdate("user_id")));
        assert_eq!(VoiceServerUpdate::from_json(&json!([1])), Err(InvalidUpdate("guild_id")));
        assert_eq!(
            VoiceServerUpdate::from_json(&json!({"guild_id": 1, "endpoint": 5})),
            Err(InvalidUpdate("endpoint"))
        );
    }

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
