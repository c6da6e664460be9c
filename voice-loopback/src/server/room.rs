use std::time::Instant;

use gateway::text::{ClientDisconnect, ClientFlags, ClientPlatform, ClientsConnect, Message, Speaking, Video};
use model::{ChannelId, GuildId, Ssrc, UserId};

use super::Server;
use super::replay::RESUMABLE;

/// Who hears whom. Identify names no channel, so one is known only for tokens that `updates` has issued; everybody else
/// of the guild meets in the room without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Room {
    pub(super) guild: GuildId,
    pub(super) channel: Option<ChannelId>,
}

impl Server {
    /// Puts the session into its room, once: it learns who is there, they learn of it.
    pub(super) fn join(&mut self, ssrc: Ssrc) {
        let Some(session) = self.sessions.get(&ssrc) else { return };
        let members = self.rooms.entry(session.room).or_default();
        if members.contains(&ssrc) {
            return;
        }
        members.push(ssrc);
        let others: Vec<(Ssrc, UserId)> = self.visible_others(ssrc);
        if !others.is_empty() {
            let users = others.iter().map(|(_, user)| *user).collect();
            self.send(ssrc, &Message::ClientsConnect(ClientsConnect { users }));
            for (other, user) in others {
                for message in self.particulars(other, user) {
                    self.send(ssrc, &message);
                }
            }
        }
        self.show_up(ssrc);
    }

    /// Tells the others that the session is there, unless they know.
    pub(super) fn show_up(&mut self, ssrc: Ssrc) {
        let Some(session) = self.sessions.get_mut(&ssrc).filter(|session| !session.visible) else { return };
        session.visible = true;
        let user = session.user;
        self.broadcast(ssrc, &Message::ClientsConnect(ClientsConnect { users: vec![user] }));
        for message in self.particulars(ssrc, user) {
            self.broadcast(ssrc, &message);
        }
    }

    /// Tells the others that the session has gone, unless they know.
    fn hide(&mut self, ssrc: Ssrc) {
        let Some(session) = self.sessions.get_mut(&ssrc).filter(|session| session.visible) else { return };
        session.visible = false;
        let user = session.user;
        self.broadcast(ssrc, &Message::ClientDisconnect(ClientDisconnect { user }));
    }

    /// The session has lost its WebSocket. One that was never described cannot be resumed, and ends.
    pub(super) fn detach(&mut self, now: Instant, ssrc: Ssrc) {
        let Some(session) = self.sessions.get_mut(&ssrc) else { return };
        session.conn = None;
        session.severed = Some(now);
        if !session.described {
            self.remove(ssrc);
        } else if self.config.grace.is_zero() {
            self.hide(ssrc);
        }
    }

    /// The session ends.
    pub(super) fn remove(&mut self, ssrc: Ssrc) {
        self.hide(ssrc);
        let Some(session) = self.sessions.remove(&ssrc) else { return };
        if let Some(members) = self.rooms.get_mut(&session.room) {
            members.retain(|member| *member != ssrc);
            if members.is_empty() {
                self.rooms.remove(&session.room);
            }
        }
    }

    /// Hides sessions that were severed longer than the grace, ends those that can no longer be resumed.
    pub(super) fn end_lapsed(&mut self, now: Instant) {
        let away = |severed: Option<Instant>| severed.map(|severed| now.duration_since(severed));
        let severed: Vec<_> = self.sessions.values().filter_map(|it| Some((it.ssrc, away(it.severed)?))).collect();
        for (ssrc, away) in severed {
            if away >= self.config.grace.max(RESUMABLE) {
                self.remove(ssrc);
            } else if away >= self.config.grace {
                self.hide(ssrc);
            }
        }
    }

    /// Op 5 of a client goes to everybody else, with its user and SSRC.
    pub(super) fn speak(&mut self, ssrc: Ssrc, flags: u32) {
        let Some(session) = self.sessions.get_mut(&ssrc) else { return };
        session.speaking = Some(flags);
        let (user, visible) = (session.user, session.visible);
        if visible {
            self.broadcast(ssrc, &speaking(ssrc, user, flags));
        }
    }

    /// Op 12 of a client goes to everybody else, with its user.
    pub(super) fn show(&mut self, ssrc: Ssrc, mut video: Video) {
        let Some(session) = self.sessions.get(&ssrc) else { return };
        video.user = Some(session.user);
        if session.visible {
            self.broadcast(ssrc, &Message::Video(video));
        }
    }

    /// Sends `message` to everybody else in the room; who is away gets it on resume.
    fn broadcast(&mut self, from: Ssrc, message: &Message) {
        let Some(room) = self.sessions.get(&from).map(|session| session.room) else { return };
        let others = self.rooms.get(&room).into_iter().flatten().copied().filter(|member| *member != from);
        for other in others.collect::<Vec<_>>() {
            self.send(other, message);
        }
    }

    /// What Discord says of a member, beside that it is there.
    fn particulars(&self, ssrc: Ssrc, user: UserId) -> Vec<Message> {
        let flags = self.sessions.get(&ssrc).and_then(|session| session.speaking);
        let speaking = flags.map(|flags| speaking(ssrc, user, flags));
        let flags = Message::ClientFlags(ClientFlags { user, flags: Some(0) });
        let platform = Message::ClientPlatform(ClientPlatform { user, platform: Some(0) });
        speaking.into_iter().chain([flags, platform]).collect()
    }

    fn visible_others(&self, ssrc: Ssrc) -> Vec<(Ssrc, UserId)> {
        let Some(session) = self.sessions.get(&ssrc) else { return Vec::new() };
        let members = self.rooms.get(&session.room).into_iter().flatten();
        members
            .filter_map(|member| self.sessions.get(member))
            .filter(|other| other.ssrc != ssrc && other.visible)
            .map(|other| (other.ssrc, other.user))
            .collect()
    }
}

fn speaking(ssrc: Ssrc, user: UserId, flags: u32) -> Message {
    Message::Speaking(Speaking::server(flags, ssrc, user))
}
