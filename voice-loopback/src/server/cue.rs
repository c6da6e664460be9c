use std::time::Instant;

use gateway::text::{Heartbeat, Message};
use model::{ChannelId, GuildId, Ssrc, UserId};

use super::credentials::{voice_server, voice_state};
use super::session::{Session, Transport};
use super::{ConnId, Dispatch, Output, Server};
use crate::script::Cue;

/// The largest UDP payload over IPv4.
const MAX_DATAGRAM: usize = 65_507;

impl Server {
    /// Misbehaves, now or at the next occasion.
    pub fn cue(&mut self, now: Instant, cue: Cue) {
        match cue {
            Cue::Close { user, code, reason } => {
                for conn in self.conns(user) {
                    self.close(now, conn, code, &reason);
                }
            }
            Cue::Sever { user } => self.sever(now, user),
            Cue::Withhold { user, op, times } => self.misbehaviour.withhold(user, op, times),
            Cue::IgnoreDiscovery { times } => self.misbehaviour.ignore_discoveries(times),
            Cue::IgnorePings { times } => self.misbehaviour.ignore_pings(times),
            Cue::Rebind { user } => self.rebind(user),
            Cue::Rekey { user } => self.rekey(user),
            Cue::RefuseResume { times } => self.misbehaviour.refuse_resumes(times),
            Cue::Trick { user, trick, times } => self.misbehaviour.trick(user, trick, times),
            Cue::StaleCommit { user } => self.repeat_commit(now, user),
            Cue::Plain { user, from, payload } => self.inject(user, from, &payload),
            Cue::Garbage { user, len } => self.send_garbage(user, len.min(MAX_DATAGRAM)),
            Cue::Text { user, text } => {
                for conn in self.conns(user) {
                    self.outputs.push_back(Output::Text { conn, text: text.clone() });
                }
            }
            Cue::Binary { user, frame } => {
                for conn in self.conns(user) {
                    self.outputs.push_back(Output::Binary { conn, frame: frame.clone() });
                }
            }
            Cue::AskHeartbeat { user } => {
                for ssrc in self.ssrcs(user) {
                    self.send(ssrc, &Message::Heartbeat(Heartbeat { nonce: 0, seq_ack: None }));
                }
            }
            Cue::Describe { user, fresh_key } => self.describe_again(now, user, fresh_key),
            Cue::Kick { user } => self.kick(now, user),
            Cue::Move { user, channel } => self.relocate(now, user, channel),
            Cue::ChangeEndpoint { guild, endpoint } => self.change_endpoint(guild, endpoint),
            Cue::NullEndpoint { guild } => {
                for (user, _) in self.guests(guild) {
                    let token = self.rng.hex();
                    self.tell(user, "VOICE_SERVER_UPDATE", voice_server(&token, guild, None));
                }
            }
        }
    }

    pub(super) fn whom(&self, user: Option<UserId>) -> impl Iterator<Item = &Session> {
        self.sessions.values().filter(move |session| user.is_none_or(|user| user == session.user))
    }

    fn ssrcs(&self, user: Option<UserId>) -> Vec<Ssrc> {
        self.whom(user).map(|session| session.ssrc).collect()
    }

    fn conns(&self, user: Option<UserId>) -> Vec<ConnId> {
        self.whom(user).filter_map(|session| session.conn).collect()
    }

    fn tell(&mut self, user: UserId, event: &'static str, data: serde_json::Value) {
        self.outputs.push_back(Output::MainGateway(Dispatch { user, event, data }));
    }

    fn sever(&mut self, now: Instant, user: Option<UserId>) {
        for conn in self.conns(user) {
            self.outputs.push_back(Output::Sever { conn });
            self.handle_disconnect(now, conn, None);
        }
    }

    fn send_garbage(&mut self, user: Option<UserId>, len: usize) {
        let addresses: Vec<_> = self.whom(user).filter_map(|it| Some(it.transport.as_ref()?.address)).collect();
        for to in addresses {
            let mut bytes = vec![0; len];
            self.rng.fill(&mut bytes);
            self.outputs.push_back(Output::Datagram { to, bytes });
        }
    }

    fn rebind(&mut self, user: Option<UserId>) {
        let addresses: Vec<_> = self.whom(user).filter_map(|it| Some(it.transport.as_ref()?.address)).collect();
        for address in addresses {
            self.misbehaviour.cut_off(address);
        }
    }

    fn rekey(&mut self, user: Option<UserId>) {
        for ssrc in self.ssrcs(user) {
            let transport = self.sessions.get_mut(&ssrc).and_then(|session| session.transport.as_mut());
            if let Some(transport) = transport {
                *transport = Transport::new(&mut self.rng, transport.mode, transport.address);
            }
        }
    }

    fn describe_again(&mut self, now: Instant, user: Option<UserId>, fresh_key: bool) {
        // Op 4 has no number, hence no replay: whoever is away would never learn the key.
        let present: Vec<Ssrc> = self.whom(user).filter(|it| it.conn.is_some()).map(|it| it.ssrc).collect();
        for ssrc in present {
            let transport = self.sessions.get_mut(&ssrc).and_then(|session| session.transport.as_mut());
            if let Some(transport) = transport.filter(|_| fresh_key) {
                *transport = Transport::new(&mut self.rng, transport.mode, transport.address);
            }
            self.describe(now, ssrc);
        }
    }

    fn kick(&mut self, now: Instant, user: UserId) {
        for ssrc in self.ssrcs(Some(user)) {
            let Some(session) = self.sessions.get(&ssrc) else { continue };
            let state = voice_state(user, session.guild, None, &session.id);
            self.tell(user, "VOICE_STATE_UPDATE", state);
            self.disconnect(now, ssrc);
        }
    }

    fn relocate(&mut self, now: Instant, user: UserId, channel: ChannelId) {
        for ssrc in self.ssrcs(Some(user)) {
            let Some(session) = self.sessions.get(&ssrc) else { continue };
            let (guild, id) = (session.guild, session.id.clone());
            let updates = self.issue(user, guild, Some(channel), id);
            self.tell(user, "VOICE_STATE_UPDATE", updates.state);
            self.tell(user, "VOICE_SERVER_UPDATE", updates.server);
            self.disconnect(now, ssrc);
        }
    }

    fn change_endpoint(&mut self, guild: GuildId, endpoint: Option<String>) {
        if let Some(endpoint) = endpoint {
            self.config.endpoint = endpoint;
        }
        for (user, ssrc) in self.guests(guild) {
            let Some(session) = self.sessions.get(&ssrc) else { continue };
            let (channel, id) = (self.channel_of(session), session.id.clone());
            let updates = self.issue(user, guild, channel, id);
            self.tell(user, "VOICE_SERVER_UPDATE", updates.server);
        }
    }

    /// Who has a session in the guild.
    fn guests(&self, guild: GuildId) -> Vec<(UserId, Ssrc)> {
        self.whom(None).filter(|it| it.guild == guild).map(|it| (it.user, it.ssrc)).collect()
    }

    /// Close code 4014, and the end of the session whether or not it has a WebSocket.
    fn disconnect(&mut self, now: Instant, ssrc: Ssrc) {
        match self.sessions.get(&ssrc).and_then(|session| session.conn) {
            Some(conn) => self.close(now, conn, 4014, "disconnected"),
            None => self.remove(now, ssrc),
        }
    }
}
