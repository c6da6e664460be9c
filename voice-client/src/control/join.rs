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
    /// Joins a channel through the main-gateway link. In the channel already, or on the way: nothing more is done. In
    /// another one: a move.
    pub(crate) fn join_channel(&mut self, now: Instant, channel: ChannelId) {
        if let Phase::Over | Phase::Leaving { .. } = self.phase {
            return self.outputs.push_back(Output::JoinFailed(JoinError::Left));
        }
        self.asked = true;
        if self.joining.as_ref().is_some_and(|joining| joining.channel == channel) {
            return;
        }
        let here = self.channel == Some(channel) && self.live.is_some() && self.joining.is_none();
        match self.phase {
            Phase::Up if here => self.answer(),
            // The session is being made or won back; its end is the answer.
            _ if here => {}
            _ if !self.linked => self.outputs.push_back(Output::JoinFailed(JoinError::NoLink)),
            // From another channel of the guild Discord answers a bare op 4; from this one, or from nowhere, it may not.
            Phase::Up => self.ask(now, channel, self.channel == Some(channel)),
            _ => self.ask(now, channel, true),
        }
    }

    /// Joins with connection info that came from elsewhere. The info of the session in use: nothing more is done.
    pub(crate) fn join_info(&mut self, now: Instant, info: ConnectionInfo) {
        if let Phase::Over | Phase::Leaving { .. } = self.phase {
            return self.outputs.push_back(Output::JoinFailed(JoinError::Left));
        }
        self.asked = true;
        self.session = Some(info.session.clone());
        self.joining = None;
        match &self.live {
            Some(live) if live.info == info => {
                if let Phase::Up = self.phase {
                    self.answer();
                }
            }
            _ => self.connect(now, info),
        }
    }

    /// Tells who asked that we are in.
    pub(super) fn answer(&mut self) {
        // A later join that is still under way has its own end.
        if self.joining.is_none() && std::mem::take(&mut self.asked) {
            self.outputs.push_back(Output::Joined);
        }
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
        if update.user != self.user || update.guild != self.guild {
            return;
        }
        if let Phase::Over | Phase::Leaving { .. } = self.phase {
            return;
        }
        let Some(channel) = update.channel else {
            match &mut self.joining {
                // The answer to the op 4 that left first; what came before it is as old.
                Some(joining) => (joining.state, joining.server) = (false, None),
                None if self.session.is_some() => self.end(Closed::Removed),
                None => {}
            }
            return;
        };
        self.session = Some(update.session);
        if self.channel.replace(channel) != Some(channel) && self.joined {
            self.outputs.push_back(Output::Event(Event::Moved { channel }));
        }
        if let Phase::AwaitUpdate { named, .. } = &mut self.phase {
            *named = true;
        }
        match &mut self.joining {
            Some(joining) if joining.channel == channel => {
                joining.state = true;
                self.complete_join(now);
            }
            // The answer to an earlier op 4; answers come in order, so what came before this one is as old.
            Some(joining) => (joining.state, joining.server) = (false, None),
            // With only mute or deafen changed there is nothing to do.
            None => {}
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
        if std::mem::take(&mut self.asked) {
            self.outputs.push_back(Output::JoinFailed(JoinError::Failed { stage, cause: cause.clone() }));
        }
        if let Phase::Absent = self.phase {
            self.rejoin(now, cause);
        }
    }
}
