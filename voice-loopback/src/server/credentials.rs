use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use gateway::text::Identify;
use model::{ChannelId, GuildId, UserId};
use serde_json::{Value, json};

use super::Server;
use crate::rng::Rng;

/// At most this many tokens and sessions are remembered; the oldest are forgotten first.
const MAX_ISSUED: usize = 65_536;

/// Longer tokens and session ids, in bytes, are nobody's: Discord's have some 20 to 30.
const MAX_LEN: usize = 1_024;

/// The `d` of the two main-gateway dispatches that answer a bot's wish to join a channel. `Debug` shows neither: they
/// hold the token.
#[derive(Clone, PartialEq)]
pub struct Updates {
    /// Of VOICE_STATE_UPDATE: the bot's own voice state, with `session_id`.
    pub state: Value,
    /// Of VOICE_SERVER_UPDATE: `token`, `guild_id` and `endpoint`.
    pub server: Value,
}

impl fmt::Debug for Updates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Updates").finish_non_exhaustive()
    }
}

/// What this server, as the main gateway, has told whom. The queues have the oldest first.
#[derive(Default)]
pub(super) struct Credentials {
    /// A user's session id is the main gateway's own: one per user, whatever the guild.
    sessions: BTreeMap<UserId, String>,
    users: VecDeque<UserId>,
    tokens: BTreeMap<String, Grant>,
    issued: VecDeque<String>,
    /// The token that outdates all others for this user and guild.
    newest: BTreeMap<(UserId, GuildId), String>,
}

struct Grant {
    user: UserId,
    guild: GuildId,
    channel: Option<ChannelId>,
    session: String,
    /// Used, or outdated by a newer token.
    spent: bool,
}

/// Why nobody was let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The token is not one of ours, though it would have to be, or cannot be one at all.
    UnknownToken,
    /// It is, but it is spent, or another user's, guild's or session's.
    InvalidSession,
}

impl Refusal {
    pub(super) fn code(self) -> u16 {
        match self {
            Self::UnknownToken => 4004,
            Self::InvalidSession => 4006,
        }
    }

    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::UnknownToken => "authentication failed",
            Self::InvalidSession => "session is no longer valid",
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({} tokens)", self.tokens.len())
    }
}

impl Credentials {
    pub(super) fn session(&mut self, rng: &mut Rng, user: UserId) -> String {
        if let Some(session) = self.sessions.get(&user) {
            return session.clone();
        }
        if self.users.len() >= MAX_ISSUED
            && let Some(oldest) = self.users.pop_front()
        {
            self.sessions.remove(&oldest);
        }
        self.users.push_back(user);
        self.sessions.entry(user).or_insert_with(|| rng.hex()).clone()
    }

    fn grant(&mut self, token: String, grant: Grant) {
        if self.issued.len() >= MAX_ISSUED
            && let Some(oldest) = self.issued.pop_front()
        {
            self.forget(&oldest);
        }
        let outdated = self.newest.insert((grant.user, grant.guild), token.clone());
        if let Some(outdated) = outdated.and_then(|token| self.tokens.get_mut(&token)) {
            outdated.spent = true;
        }
        self.issued.push_back(token.clone());
        self.tokens.insert(token, grant);
    }

    fn forget(&mut self, token: &str) {
        let Some(grant) = self.tokens.remove(token) else { return };
        let place = (grant.user, grant.guild);
        if self.newest.get(&place).is_some_and(|newest| newest == token) {
            self.newest.remove(&place);
        }
    }

    /// Uses up the token and says which channel it opens. One that was not issued here opens what identify names, if it
    /// does, as often as anybody likes, unless only issued ones count.
    pub(super) fn admit(&mut self, identify: &Identify, issued_only: bool) -> Result<Option<ChannelId>, Refusal> {
        if identify.token.expose().len().max(identify.session.len()) > MAX_LEN {
            return Err(Refusal::UnknownToken);
        }
        let Some(grant) = self.tokens.get_mut(identify.token.expose()) else {
            return if issued_only { Err(Refusal::UnknownToken) } else { Ok(identify.channel) };
        };
        let fits = grant.user == identify.user && grant.guild == identify.server && grant.session == identify.session;
        if grant.spent || !fits {
            return Err(Refusal::InvalidSession);
        }
        grant.spent = true;
        Ok(grant.channel.or(identify.channel))
    }
}

impl Server {
    /// Issues a fresh token and writes both payloads.
    pub(super) fn issue(
        &mut self,
        user: UserId,
        guild: GuildId,
        channel: Option<ChannelId>,
        session: String,
    ) -> Updates {
        let token = self.rng.hex();
        let state = voice_state(user, guild, channel, &session);
        self.credentials.grant(token.clone(), Grant { user, guild, channel, session, spent: false });
        Updates { state, server: voice_server(&token, guild, Some(&self.config.endpoint)) }
    }
}

/// A voice state as the main gateway sends it; `channel` is null for somebody who is in none.
pub(super) fn voice_state(user: UserId, guild: GuildId, channel: Option<ChannelId>, session: &str) -> Value {
    json!({
        "guild_id": guild.to_string(),
        "channel_id": channel.map(|channel| channel.to_string()),
        "user_id": user.to_string(),
        "session_id": session,
        "deaf": false,
        "mute": false,
        "self_deaf": false,
        "self_mute": false,
        "self_video": false,
        "suppress": false,
        "request_to_speak_timestamp": null,
    })
}

/// A voice server update as the main gateway sends it; `endpoint` is null while the guild has no server.
pub(super) fn voice_server(token: &str, guild: GuildId, endpoint: Option<&str>) -> Value {
    json!({ "token": token, "guild_id": guild.to_string(), "endpoint": endpoint })
}

#[cfg(test)]
mod tests {
    use model::{GuildId, UserId};

    use super::{Credentials, Grant, MAX_ISSUED};
    use crate::rng::Rng;

    fn user(id: usize) -> UserId {
        UserId::new(id as u64).expect("not zero")
    }

    #[test]
    fn the_oldest_are_forgotten_first() {
        let (mut credentials, mut rng) = (Credentials::default(), Rng::new(1));
        let guild = GuildId::new(2).expect("not zero");
        // The highest user id is the oldest.
        for id in (1..=MAX_ISSUED + 1).rev() {
            let session = credentials.session(&mut rng, user(id));
            let grant = Grant { user: user(id), guild, channel: None, session, spent: false };
            credentials.grant(id.to_string(), grant);
        }
        for known in [credentials.sessions.len(), credentials.tokens.len(), credentials.newest.len()] {
            assert_eq!(known, MAX_ISSUED);
        }
        assert!(!credentials.sessions.contains_key(&user(MAX_ISSUED + 1)));
        assert!(!credentials.tokens.contains_key(&(MAX_ISSUED + 1).to_string()));
        assert!(credentials.sessions.contains_key(&user(1)) && credentials.tokens.contains_key("1"));
    }
}
