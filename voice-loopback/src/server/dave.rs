use std::time::Instant;

use gateway::{binary, text};
use model::{Ssrc, UserId};

use super::room::RoomId;
use super::{ConnId, Server};
use crate::delivery::{Context, Delivery, Entrant, Message, Order};
use crate::script::Trick;

impl Server {
    /// A binary message of a client.
    pub(super) fn take_binary(&mut self, now: Instant, conn: ConnId, frame: &[u8]) {
        let session = self.connections.get(&conn).and_then(|connection| connection.session);
        let present = session.filter(|ssrc| self.sessions.get(ssrc).is_some_and(|it| it.visible && it.described));
        let present = present.filter(|_| self.config.offered() > 0);
        match (binary::read_client(frame), present) {
            (Ok(binary::Message::KeyPackage(package)), Some(ssrc)) => {
                self.delivery(now, ssrc, |delivery, cx, user| delivery.handle_key_package(cx, user, &package));
                self.announce_late(ssrc);
            }
            (Ok(binary::Message::CommitWelcome(payload)), Some(ssrc)) => {
                self.delivery(now, ssrc, |delivery, cx, user| delivery.handle_commit(cx, user, &payload));
            }
            _ => self.stats.binary_ignored += 1,
        }
    }

    /// Op 23.
    pub(super) fn take_ready(&mut self, now: Instant, ssrc: Ssrc, transition: u16) {
        let awaited = self.delivery(now, ssrc, |delivery, cx, user| delivery.handle_ready(cx, user, transition));
        if awaited != Some(true) {
            self.stats.messages_ignored += 1;
        }
    }

    /// Op 31.
    pub(super) fn recover(&mut self, now: Instant, ssrc: Ssrc, transition: u16) {
        self.delivery(now, ssrc, |delivery, cx, user| delivery.handle_invalid(cx, user, transition));
    }

    /// The session takes part in its room's encryption, as far as that goes.
    pub(super) fn enter(&mut self, now: Instant, ssrc: Ssrc) {
        let Some(session) = self.sessions.get_mut(&ssrc) else { return };
        // Told by this very op 4, there is nothing to tell it again.
        let told = session.told_version.filter(|_| session.entered);
        session.entered = true;
        let (user, max_version, knows_sender) = (session.user, session.max_version, session.knows_sender);
        let entrant = Entrant { user, ssrc, max_version, told, knows_sender };
        self.delivery(now, ssrc, |delivery, cx, _| delivery.enter(cx, entrant));
    }

    pub(super) fn repeat_commit(&mut self, now: Instant, user: Option<UserId>) {
        for room in self.rooms.keys().copied().collect::<Vec<_>>() {
            self.with_delivery(now, room, |delivery, _| delivery.repeat_commit(user));
        }
    }

    /// Transitions whose time is up.
    pub(super) fn pass_time_in_rooms(&mut self, now: Instant) {
        let due = self.rooms.iter().filter(|(_, room)| room.delivery.poll_timeout().is_some_and(|at| at <= now));
        for room in due.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.with_delivery(now, room, Delivery::handle_timeout);
        }
    }

    /// Asks the delivery service of the session's room, and sends what it says.
    pub(super) fn delivery<T>(
        &mut self,
        now: Instant,
        ssrc: Ssrc,
        ask: impl FnOnce(&mut Delivery, &mut Context<'_>, UserId) -> T,
    ) -> Option<T> {
        let session = self.sessions.get(&ssrc)?;
        let (room, user) = (session.room?, session.user);
        self.with_delivery(now, room, |delivery, cx| ask(delivery, cx, user))
    }

    pub(super) fn with_delivery<T>(
        &mut self,
        now: Instant,
        id: RoomId,
        ask: impl FnOnce(&mut Delivery, &mut Context<'_>) -> T,
    ) -> Option<T> {
        let delivery = &mut self.rooms.get_mut(&id)?.delivery;
        let mut cx = Context {
            now,
            authority: &self.authority,
            foreigner: &self.foreigner,
            misbehaviour: &mut self.misbehaviour,
            stats: &mut self.stats.dave,
            batch: self.config.dave_batch,
        };
        let answer = ask(delivery, &mut cx);
        while let Some(order) = self.rooms.get_mut(&id).and_then(|room| room.delivery.poll_order()) {
            self.carry_out(order);
        }
        Some(answer)
    }

    fn carry_out(&mut self, order: Order) {
        let Some(session) = self.sessions.get_mut(&order.to) else { return };
        match order.message {
            Message::Text(message) => {
                match &message {
                    text::Message::PrepareEpoch(epoch) => session.told_version = Some(epoch.protocol_version),
                    text::Message::PrepareTransition(it) => session.told_version = Some(it.protocol_version),
                    _ => {}
                }
                self.send(order.to, &message);
            }
            Message::Binary(binary::Message::ExternalSender(sender)) => {
                session.knows_sender = true;
                let foreign = self.misbehaviour.plays(session.user, Trick::ForeignSender);
                let sender = if foreign { self.foreigner.external_sender().to_vec() } else { sender };
                self.send_binary(order.to, &binary::Message::ExternalSender(sender));
            }
            Message::Binary(message) => self.send_binary(order.to, &message),
        }
    }

    /// As [`send`](Self::send), for binary messages.
    fn send_binary(&mut self, ssrc: Ssrc, message: &binary::Message) {
        let Some(session) = self.sessions.get_mut(&ssrc) else { return };
        if self.misbehaviour.withholds(Some(session.user), message.op().into()) {
            return;
        }
        let sent = session.write_binary(message);
        if let Some(conn) = session.conn {
            self.outputs.push_back(sent.on(conn));
        }
    }
}
