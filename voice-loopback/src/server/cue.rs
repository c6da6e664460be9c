use std::collections::BTreeMap;
use std::time::Instant;

use gateway::text::{Heartbeat, Message};
use model::{ChannelId, Ssrc, UserId};

use super::credentials::{voice_server, voice_state};
use super::session::{Session, Transport};
use super::{Dispatch, Output, Server};
use crate::script::Cue;

/// The largest UDP payload over IPv4.
const MAX_DATAGRAM: usize = 65_507;

/// What is to go wrong, and how often still.
#[derive(Debug, Default)]
pub(super) struct Misbehaviour {
    withheld: BTreeMap<(Option<UserId>, u64), u32>,
    discoveries: u32,
    resumes: u32,
}

impl Misbehaviour {
    /// Whether this message shall not be sent; counts it if so.
    pub(super) fn withholds(&mut self, user: Option<UserId>, op: u64) -> bool {
        !self.withheld.is_empty()
            && (spend_entry(&mut self.withheld, (user, op)) || spend_entry(&mut self.withheld, (None, op)))
    }

    pub(super) fn ignores_discovery(&mut self) -> bool {
        spend(&mut self.discoveries)
    }

    pub(super) fn refuses_resume(&mut self) -> bool {
        spend(&mut self.resumes)
    }
}

fn spend_entry(withheld: &mut BTreeMap<(Option<UserId>, u64), u32>, key: (Option<UserId>, u64)) -> bool {
    withheld.get_mut(&key).is_some_and(spend)
}

/// Counts down to zero; `u32::MAX` lasts.
fn spend(times: &mut u32) -> bool {
    let some = *times > 0;
    if some && *times < u32::MAX {
        *times -= 1;
    }
    some
}

impl Server {
    /// Misbehaves, now or at the next occasion.
    pub fn cue(&mut self, now: Instant, cue: Cue) {
        match cue {
            Cue::Close { user, code, reason } => {
                for conn in self.whom(user).filter_map(|session| session.conn).collect::<Vec<_>>() {
                    self.close(now, conn, code, &reason);
                }
            }
            Cue::Sever { user } => self.sever(now, user),
            Cue::Withhold { user, op, times } => _ = self.misbehaviour.withheld.insert((user, op), times),
            Cue::IgnoreDiscovery { times } => self.misbehaviour.discoveries = times,
            Cue::RefuseResume { times } => self.misbehaviour.resumes = times,
            Cue::Garbage { user, len } => self.send_garbage(user, len.min(MAX_DATAGRAM)),
            Cue::Text { user, text } => {
                let frames = self.whom(user).filter_map(|it| Some(Output::Text { conn: it.conn?, text: text.clone() }));
                let frames: Vec<_> = frames.collect();
                self.outputs.extend(frames);
            }
            Cue::Binary { user, frame } => {
                let frames =
                    self.whom(user).filter_map(|it| Some(Output::Binary { conn: it.conn?, frame: frame.clone() }));
                let frames: Vec<_> = frames.collect();
                self.outputs.extend(frames);
            }
            Cue::AskHeartbeat { user } => {
                for ssrc in self.ssrcs(user) {
                    self.send(ssrc, &Message::Heartbeat(Heartbeat { nonce: 0, seq_ack: None }));
                }
            }
            Cue::Describe { user, fresh_key } => self.describe_again(user, fresh_key),
            Cue::Kick { user } => self.kick(now, user),
            Cue::Move { user, channel } => self.relocate(now, user, channel),
            Cue::ChangeEndpoint { guild, endpoint } => {
                self.config.endpoint = endpoint.unwrap_or_else(|| self.config.endpoint.clone());
                for ssrc in self.ssrcs(None) {
                    let Some(session) = self.sessions.get(&ssrc).filter(|it| it.guild == guild) else { continue };
                    let (user, channel, id) = (session.user, session.room.channel, session.id.clone());
                    let updates = self.issue(user, guild, channel, id);
                    self.tell(user, "VOICE_SERVER_UPDATE", updates.server);
                }
            }
            Cue::NullEndpoint { guild } => {
                let users: Vec<_> = self.whom(None).filter(|it| it.guild == guild).map(|it| it.user).collect();
                for user in users {
                    let token = self.rng.hex();
                    self.tell(user, "VOICE_SERVER_UPDATE", voice_server(&token, guild, None));
                }
            }
        }
    }

    fn whom(&self, user: Option<UserId>) -> impl Iterator<Item = &Session> {
        self.sessions.values().filter(move |session| user.is_none_or(|user| user == session.user))
    }

    fn ssrcs(&self, user: Option<UserId>) -> Vec<Ssrc> {
        self.whom(user).map(|session| session.ssrc).collect()
    }

    fn tell(&mut self, user: UserId, event: &'static str, data: serde_json::Value) {
        self.outputs.push_back(Output::MainGateway(Dispatch { user, event, data }));
    }

    fn sever(&mut self, now: Instant, user: Option<UserId>) {
        for ssrc in self.ssrcs(user) {
            if let Some(conn) = self.sessions.get(&ssrc).and_then(|session| session.conn) {
                self.connections.remove(&conn);
                self.outputs.push_back(Output::Sever { conn });
                self.detach(now, ssrc);
            }
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

    fn describe_again(&mut self, user: Option<UserId>, fresh_key: bool) {
        for ssrc in self.ssrcs(user) {
            let transport = self.sessions.get_mut(&ssrc).and_then(|session| session.transport.as_mut());
            if let Some(transport) = transport.filter(|_| fresh_key) {
                *transport = Transport::new(&mut self.rng, transport.mode, transport.address);
            }
            self.describe(ssrc);
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

    /// Close code 4014, and the end of the session whether or not it has a WebSocket.
    fn disconnect(&mut self, now: Instant, ssrc: Ssrc) {
        match self.sessions.get(&ssrc).and_then(|session| session.conn) {
            Some(conn) => self.close(now, conn, 4014, "disconnected"),
            None => self.remove(ssrc),
        }
    }
}
