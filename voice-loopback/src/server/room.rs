use std::time::Instant;

use gateway::text::{ClientDisconnect, ClientFlags, ClientPlatform, ClientsConnect, Message, Speaking, Video};
use model::{ChannelId, GuildId, Ssrc, UserId};

use super::Server;
use super::replay::RESUMABLE;
use super::session::Session;
use crate::delivery::Delivery;
use crate::script::Trick;

/// A room, numbered in the order of their making.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RoomId(u64);

/// Who hears whom: one channel of a guild, as far as it is known.
#[derive(Debug)]
pub(super) struct Room {
    guild: GuildId,
    /// `None` until somebody comes who names one.
    pub(super) channel: Option<ChannelId>,
    pub(super) members: Vec<Ssrc>,
    pub(super) delivery: Delivery,
    /// When somebody joined last, counted in joins.
    joined: u64,
}

impl Server {
    /// Puts the session into its room, once: it learns who is there, they learn of it.
    pub(super) fn join(&mut self, now: Instant, ssrc: Ssrc) {
        let Some(session) = self.sessions.get(&ssrc).filter(|session| session.room.is_none()) else { return };
        let (user, guild, channel) = (session.user, session.guild, session.channel);
        let id = self.room_for(guild, channel);
        self.joins += 1;
        let Some(room) = self.rooms.get_mut(&id) else { return };
        room.members.push(ssrc);
        room.joined = self.joins;
        let adopted = channel.filter(|_| room.channel.is_none());
        let has_delivery = room.delivery.version_for(1) > 0;
        if let Some(session) = self.sessions.get_mut(&ssrc) {
            session.room = Some(id);
            session.unannounced = has_delivery && self.misbehaviour.plays(user, Trick::LateConnect);
        }
        if let Some(channel) = adopted {
            room.channel = adopted;
            self.with_delivery(now, id, |delivery, cx| delivery.set_channel(cx, channel));
        }
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

    /// The room of that channel; failing that, one of the guild whose channel nobody has named; failing that, a new one.
    /// Who names no channel meets whoever joined the guild last.
    fn room_for(&mut self, guild: GuildId, channel: Option<ChannelId>) -> RoomId {
        let rooms = self.rooms.iter().filter(|(_, room)| room.guild == guild);
        let found = match channel {
            None => rooms.max_by_key(|(_, room)| room.joined),
            Some(_) => rooms
                .filter(|(_, room)| room.channel == channel || room.channel.is_none())
                .max_by_key(|(_, room)| room.channel),
        };
        if let Some((id, _)) = found {
            return *id;
        }
        let channel = channel.or(self.config.channel);
        let id = RoomId(self.joins);
        let delivery = Delivery::new(self.config.offered(), channel);
        self.rooms.insert(id, Room { guild, channel, members: Vec::new(), delivery, joined: self.joins });
        id
    }

    /// The channel of a session, as far as it is known.
    pub(super) fn channel_of(&self, session: &Session) -> Option<ChannelId> {
        session.channel.or_else(|| self.rooms.get(&session.room?)?.channel)
    }

    /// Tells the others that the session is there, unless they know.
    pub(super) fn show_up(&mut self, ssrc: Ssrc) {
        let Some(session) = self.sessions.get_mut(&ssrc).filter(|session| !session.visible) else { return };
        session.visible = true;
        if !session.unannounced {
            self.announce(ssrc);
        }
    }

    /// Tells the others of a session that they have not been told of, on cue.
    pub(super) fn announce_late(&mut self, ssrc: Ssrc) {
        if self.sessions.get_mut(&ssrc).is_some_and(|session| std::mem::take(&mut session.unannounced)) {
            self.announce(ssrc);
        }
    }

    fn announce(&mut self, ssrc: Ssrc) {
        let Some(user) = self.sessions.get(&ssrc).map(|session| session.user) else { return };
        self.broadcast(ssrc, &Message::ClientsConnect(ClientsConnect { users: vec![user] }));
        for message in self.particulars(ssrc, user) {
            self.broadcast(ssrc, &message);
        }
    }

    /// Tells the others that the session has gone, unless they know.
    fn hide(&mut self, now: Instant, ssrc: Ssrc) {
        let Some(session) = self.sessions.get_mut(&ssrc).filter(|session| session.visible) else { return };
        session.visible = false;
        let user = session.user;
        if !std::mem::take(&mut session.unannounced) {
            self.broadcast(ssrc, &Message::ClientDisconnect(ClientDisconnect { user }));
        }
        self.delivery(now, ssrc, |delivery, cx, user| delivery.leave(cx, user));
    }

    /// The session has lost its WebSocket. One that was never described cannot be resumed, and ends.
    pub(super) fn detach(&mut self, now: Instant, ssrc: Ssrc) {
        let Some(session) = self.sessions.get_mut(&ssrc) else { return };
        session.conn = None;
        session.severed = Some(now);
        if !session.described {
            self.remove(now, ssrc);
        } else if self.config.grace.is_zero() {
            self.hide(now, ssrc);
        } else {
            self.delivery(now, ssrc, |delivery, cx, user| delivery.handle_severed(cx, user));
        }
    }

    /// The session ends.
    pub(super) fn remove(&mut self, now: Instant, ssrc: Ssrc) {
        self.hide(now, ssrc);
        let Some(id) = self.sessions.remove(&ssrc).and_then(|session| session.room) else { return };
        let Some(room) = self.rooms.get_mut(&id) else { return };
        room.members.retain(|member| *member != ssrc);
        if room.members.is_empty() {
            self.rooms.remove(&id);
        }
    }

    /// Hides sessions that were severed longer than the grace, ends those that can no longer be resumed.
    pub(super) fn end_lapsed(&mut self, now: Instant) {
        let away = |severed: Option<Instant>| severed.map(|severed| now.duration_since(severed));
        let severed: Vec<_> = self.sessions.values().filter_map(|it| Some((it.ssrc, away(it.severed)?))).collect();
        for (ssrc, away) in severed {
            if away >= self.config.grace.max(RESUMABLE) {
                self.remove(now, ssrc);
            } else if away >= self.config.grace {
                self.hide(now, ssrc);
            }
        }
    }

    /// Op 5 of a client goes to everybody else, with its user and SSRC.
    pub(super) fn speak(&mut self, ssrc: Ssrc, flags: u32) {
        let Some(session) = self.sessions.get_mut(&ssrc) else { return };
        session.speaking = Some(flags);
        let (user, visible) = (session.user, session.visible && !session.unannounced);
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
        for other in self.others(from) {
            self.send(other, message);
        }
    }

    /// Everybody else in the room, wherever they are at present.
    pub(super) fn others(&self, ssrc: Ssrc) -> Vec<Ssrc> {
        let room = self.sessions.get(&ssrc).and_then(|session| self.rooms.get(&session.room?));
        let members = room.into_iter().flat_map(|room| &room.members);
        members.copied().filter(|member| *member != ssrc).collect()
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
        let others = self.others(ssrc).into_iter().filter_map(|other| self.sessions.get(&other));
        others.filter(|other| other.visible).map(|other| (other.ssrc, other.user)).collect()
    }
}

fn speaking(ssrc: Ssrc, user: UserId, flags: u32) -> Message {
    Message::Speaking(Speaking::server(flags, ssrc, user))
}
