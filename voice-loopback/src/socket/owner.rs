use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Instant;

use tokio::net::UdpSocket;
use tokio::sync::{broadcast, mpsc};
use tokio::time::sleep_until;

use super::message::{Event, Order};
use super::outbox::Outbox;
use super::paths::Paths;
use crate::server::{ConnId, Dispatch, Output, Server, Stats};

/// Datagrams read before others get their turn.
const BURST: usize = 64;

/// Any UDP datagram fits.
pub(super) const BUFFER: usize = 65_536;

/// The one task that owns the server and its UDP socket.
pub(super) struct Owner {
    pub(super) server: Server,
    pub(super) udp: UdpSocket,
    pub(super) events: mpsc::Receiver<Event>,
    pub(super) clients: HashMap<ConnId, Outbox>,
    pub(super) dispatches: broadcast::Sender<Dispatch>,
    pub(super) incoming: Paths,
    pub(super) outgoing: Paths,
    pub(super) buffer: Vec<u8>,
}

impl Owner {
    /// Runs until every sender of events is gone.
    pub(super) async fn run(mut self) {
        loop {
            let deadlines = [self.server.poll_timeout(), self.incoming.poll_timeout(), self.outgoing.poll_timeout()];
            let deadline = deadlines.into_iter().flatten().min();
            tokio::select! {
                event = self.events.recv() => match event {
                    Some(event) => self.handle(event),
                    None => return,
                },
                _ = self.udp.readable() => self.read(),
                () = sleep_until(deadline.unwrap_or_else(now).into()), if deadline.is_some() => {}
            }
            self.pass_time();
            self.drain();
        }
    }

    fn handle(&mut self, event: Event) {
        let now = now();
        match event {
            Event::Opened { conn, query, orders } => {
                self.clients.insert(conn, orders);
                self.server.handle_connect(now, conn, &query);
            }
            Event::Text { conn, text } => {
                tracing::debug!(conn = conn.0, op = opcode(&text), "text from a client");
                self.server.handle_text(now, conn, &text);
            }
            Event::Binary { conn, frame } => self.server.handle_binary(now, conn, &frame),
            Event::Closed { conn, code } => {
                tracing::debug!(conn = conn.0, code, "a client's WebSocket is gone");
                self.clients.remove(&conn);
                self.server.handle_disconnect(now, conn, code);
            }
            Event::Updates { user, guild, channel, reply } => {
                _ = reply.send(self.server.updates(user, guild, channel));
            }
            Event::Cue { cue, reply } => {
                self.server.cue(now, cue);
                self.drain();
                _ = reply.send(());
            }
            Event::Stats { reply } => _ = reply.send(self.stats()),
            Event::Members { reply } => _ = reply.send(self.server.members().collect()),
        }
    }

    fn stats(&self) -> Stats {
        let mut stats = self.server.stats().clone();
        stats.unserved = self.incoming.unserved() + self.outgoing.unserved();
        stats
    }

    /// Errors of a UDP socket belong to some earlier datagram: they are passed over.
    fn read(&mut self) {
        let mut buffer = std::mem::take(&mut self.buffer);
        for _ in 0..BURST {
            match self.udp.try_recv_from(&mut buffer) {
                Ok((len, from)) => self.receive(from, &mut buffer[..len]),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                Err(error) => tracing::trace!(%error, "UDP receive"),
            }
        }
        self.buffer = buffer;
    }

    fn receive(&mut self, from: SocketAddr, datagram: &mut [u8]) {
        if self.incoming.are_clean() {
            self.server.handle_datagram(now(), from, datagram);
            self.drain();
        } else {
            self.incoming.push(now(), from, datagram.to_vec());
        }
    }

    fn pass_time(&mut self) {
        let now = now();
        while let Some((from, mut datagram)) = self.incoming.poll(now) {
            self.server.handle_datagram(now, from, &mut datagram);
        }
        while let Some((to, datagram)) = self.outgoing.poll(now) {
            self.transmit(to, &datagram);
        }
        if self.server.poll_timeout().is_some_and(|deadline| deadline <= now) {
            self.server.handle_timeout(now);
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Datagram { to, bytes } if self.outgoing.are_clean() => self.transmit(to, &bytes),
                Output::Datagram { to, bytes } => self.outgoing.push(now(), to, bytes),
                Output::Text { conn, text } => self.order(conn, Order::Text(text)),
                Output::Binary { conn, frame } => self.order(conn, Order::Binary(frame)),
                Output::Close { conn, code, reason } => {
                    // Without the reason, which may quote what the client sent.
                    tracing::info!(conn = conn.0, code, "closing");
                    self.order(conn, Order::Close(code, reason));
                    self.clients.remove(&conn);
                }
                Output::Sever { conn } => _ = self.clients.remove(&conn),
                // Nobody need be listening.
                Output::MainGateway(dispatch) => _ = self.dispatches.send(dispatch),
            }
        }
    }

    /// A full or failing socket loses the datagram, as networks do.
    fn transmit(&self, to: SocketAddr, datagram: &[u8]) {
        if let Err(error) = self.udp.try_send_to(datagram, to) {
            tracing::trace!(%error, %to, "UDP send");
        }
    }

    /// A client that does not read is dropped rather than waited for.
    fn order(&mut self, conn: ConnId, order: Order) {
        if self.clients.get(&conn).is_some_and(|orders| !orders.push(order)) {
            self.clients.remove(&conn);
        }
    }
}

/// For the log only: the opcode of a message, whose content may be secret.
fn opcode(text: &str) -> Option<u64> {
    gateway::text::read(text).ok().map(|frame| frame.message.op())
}

#[expect(clippy::disallowed_methods, reason = "the socket half reads the clock for the server")]
pub(super) fn now() -> Instant {
    Instant::now()
}
