//! Joining and moving, and what the main gateway says.
//!
//! At a join both updates must have arrived after our op 4: their values prove nothing, because the session id is the
//! main gateway's own and does not change. A stale mix is closed with 4006.

use std::time::Instant;

use model::ChannelId;

use super::{Control, Output, Phase};
use crate::error::{Cause, Closed, JoinError, Missing, Stage};
use crate::event::{Event, Recovery};
use crate::info::{ConnectionInfo, VoiceServerUpdate, VoiceStateUpdate};

/// A join or move whose updates are awaited.
pub(super) struct Joining {
    pub(super) deadline: Instant,
    pub(super) channel: ChannelId,
    /// Our voice state came, and names the channel.
    state: bool,
    server: Option<(String, gateway::Token)>,
}

impl Joining {
    fn missing(&self) -> Missing {
        match (self.state, &self.server) {
            (false, None) => Missing::Both,
            (false, Some(_)) => Missing::State,
            (true, _) => Missing::Server,
        }
    }
}

impl Control {
    /// Joins a channel through the main-gateway link. In the channel already: done. In another one: a move.
    pub(crate) fn join_channel(&mut self, now: Instant, channel: ChannelId) {
        let here = self.channel == Some(channel);
        match self.phase {
            Phase::Over | Phase::Leaving { .. } => return self.outputs.push_back(Output::JoinFailed(JoinError::Left)),
            Phase::Up if here && self.joining.is_none() => return self.outputs.push_back(Output::Joined),
            _ => {}
        }
        if !self.linked {
            return self.outputs.push_back(Output::JoinFailed(JoinError::NoLink));
        }
        // From another channel of the guild Discord answers a bare op 4; from this one, or from nowhere, it may not.
        let moving = matches!(self.phase, Phase::Up) && !here;
        self.ask(now, channel, !moving);
    }

    /// Joins with connection info that came from elsewhere. The info of the session that is up: done.
    pub(crate) fn join_info(&mut self, now: Instant, info: ConnectionInfo) {
        match self.phase {
            Phase::Over | Phase::Leaving { .. } => return self.outputs.push_back(Output::JoinFailed(JoinError::Left)),
            Phase::Up if self.live.as_ref().is_some_and(|live| live.info == info) => {
                return self.outputs.push_back(Output::Joined);
            }
            _ => {}
        }
        self.session = Some(info.session.clone());
        self.joining = None;
        self.connect(now, info);
    }

    /// Sends op 4 and starts to wait for both of its answers.
    pub(super) fn ask(&mut self, now: Instant, channel: ChannelId, leave_first: bool) {
        if !matches!(self.phase, Phase::Up) {
            // Whatever was on its way is not wanted any more.
            self.drop_session();
            self.phase = Phase::Absent;
        }
        if leave_first {
            self.command(None);
        }
        self.command(Some(channel));
        let deadline = now + self.settings.deadlines.updates;
        self.joining = Some(Joining { deadline, channel, state: false, server: None });
    }

    /// The link could not queue our op 4.
    pub(crate) fn handle_link_failed(&mut self, now: Instant, reason: String) {
        if self.joining.take().is_some() {
            self.join_failed(now, Stage::Updates, Cause::Link(reason));
        }
    }

    /// VOICE_STATE_UPDATE of the main gateway, of any user.
    pub(crate) fn handle_voice_state(&mut self, now: Instant, update: VoiceStateUpdate) {
        if update.user != self.user || update.guild != self.guild || matches!(self.phase, Phase::Over) {
            return;
        }
        let Some(channel) = update.channel else {
            // While joining it answers the op 4 that left first.
            if self.joining.is_none() && !matches!(self.phase, Phase::Leaving { .. }) && self.session.is_some() {
                self.end(Closed::Removed);
            }
            return;
        };
        self.session = Some(update.session);
        if let Some(joining) = &mut self.joining {
            if channel == joining.channel {
                joining.state = true;
                self.complete_join(now);
            } else {
                // The answer to an earlier op 4; answers come in order, so what came before this one is as old.
                joining.server = None;
            }
            return;
        }
        // With only mute or deafen changed there is nothing to do.
        if self.channel.replace(channel) != Some(channel) {
            self.outputs.push_back(Output::Event(Event::Moved { channel }));
        }
    }

    /// VOICE_SERVER_UPDATE of the main gateway.
    pub(crate) fn handle_voice_server(&mut self, now: Instant, update: VoiceServerUpdate) {
        if update.guild != self.guild || matches!(self.phase, Phase::Over | Phase::Leaving { .. }) {
            return;
        }
        let Some(endpoint) = update.endpoint else {
            // While joining, another one follows.
            if self.joining.is_none() && self.live.is_some() {
                self.lost(now, Cause::ServerGone);
            }
            return;
        };
        if let Some(joining) = &mut self.joining {
            joining.server = Some((endpoint, update.token));
            return self.complete_join(now);
        }
        // A new token is another voice server, even behind the same endpoint; the token in use is old news.
        if self.live.as_ref().is_some_and(|live| live.info.token == update.token) {
            return;
        }
        if let (Some(channel), Some(session)) = (self.channel, self.session.clone()) {
            if self.joined {
                let by = Recovery::Move;
                self.outputs.push_back(Output::Event(Event::Reconnecting { cause: Cause::Moved, by }));
            }
            let (guild, user, token) = (self.guild, self.user, update.token);
            self.connect(now, ConnectionInfo { endpoint, guild, channel, user, session, token });
        }
    }

    fn complete_join(&mut self, now: Instant) {
        let Some(session) = self.session.clone() else { return };
        match self.joining.take() {
            Some(Joining { state: true, server: Some((endpoint, token)), channel, .. }) => {
                if self.joined && self.channel != Some(channel) {
                    self.outputs.push_back(Output::Event(Event::Moved { channel }));
                }
                let (guild, user) = (self.guild, self.user);
                self.connect(now, ConnectionInfo { endpoint, guild, channel, user, session, token });
            }
            incomplete => self.joining = incomplete,
        }
    }

    /// The main gateway has not answered in time.
    pub(super) fn join_timed_out(&mut self, now: Instant) {
        if let Some(joining) = self.joining.take() {
            let deadline = self.settings.deadlines.updates;
            self.join_failed(now, Stage::Updates, Cause::NoUpdates { missing: joining.missing(), deadline });
        }
    }

    /// A first join that fails is the end. A move that fails leaves the call where it is; a rejoin is tried again.
    fn join_failed(&mut self, now: Instant, stage: Stage, cause: Cause) {
        if !self.joined {
            return self.end(Closed::Join { stage, cause });
        }
        self.outputs.push_back(Output::JoinFailed(JoinError::Failed { stage, cause: cause.clone() }));
        if let Phase::Absent | Phase::Rejoin { .. } = self.phase {
            self.rejoin(now, cause);
        }
    }
}
