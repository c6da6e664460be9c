//! The client's side of one voice session:
//!
//! ```text
//! WebSocket open > 0 identify, < 8 hello (heartbeats begin), < 2 ready
//! (address discovery by the owner), > 1 select protocol, < 4 session description, > 5 speaking
//! WebSocket lost, another open > 7 resume, < 8 hello, < 9 resumed, > 5 speaking, < what was missed
//! ```

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use voice_model::Ssrc;

use crate::binary;
use crate::heartbeat::{Heartbeat, Pulse};
use crate::sequence::Sequence;
use crate::speaking::Speaking;
use crate::text::{self, Dialect, Message, Ready, SecretKey, SelectProtocol, SessionDescription};
use crate::{Config, Event, Loss, Output, Stats};

/// Outputs waiting to be polled. The owner polls them after every call, and no call makes more than a few.
const MAX_QUEUED: usize = 1_024;

/// Messages of the owner's that wait for a session to be resumed.
const MAX_HELD: usize = 64;

/// The control machine of one voice session. It outlives its WebSockets by resuming.
///
/// After every call, poll [`poll_output`](Gateway::poll_output) until it is empty; outputs beyond 1,024 are dropped and
/// counted. Call [`handle_timeout`](Gateway::handle_timeout) when [`poll_timeout`](Gateway::poll_timeout) says so.
///
/// A gateway identifies exactly once, as its token allows: when [`can_open`](Gateway::can_open) says no, join
/// afresh and make another gateway from the new token.
#[derive(Debug)]
pub struct Gateway {
    config: Config,
    socket: Socket,
    session: Session,
    sequence: Sequence,
    heartbeat: Heartbeat,
    speaking: Speaking,
    outputs: VecDeque<Output>,
    held: VecDeque<Output>,
    stats: Stats,
}

/// The WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Socket {
    Closed,
    Open,
    /// Open; op 7 is sent, op 9 has not come.
    Resuming,
    /// Given up by us; the owner is about to close it.
    Lost,
}

/// The session at the server.
#[derive(Debug)]
enum Session {
    New,
    Identified,
    Ready(Ready),
    Described {
        ready: Ready,
        mode: String,
        key: SecretKey,
    },
    /// A resume was refused.
    Ended,
}

impl Gateway {
    /// A session yet to be opened.
    pub fn new(config: Config) -> Self {
        Self {
            heartbeat: Heartbeat::new(config.nonce_seed, config.max_missed_acks),
            config,
            socket: Socket::Closed,
            session: Session::New,
            sequence: Sequence::default(),
            speaking: Speaking::default(),
            outputs: VecDeque::new(),
            held: VecDeque::new(),
            stats: Stats::default(),
        }
    }

    /// Whether another WebSocket is of use: to identify, once, or to resume. False means: join afresh.
    pub const fn can_open(&self) -> bool {
        matches!(self.session, Session::New | Session::Described { .. })
    }

    /// A WebSocket is open: queues an identify, or a resume when the session was described. When neither is possible
    /// ([`can_open`](Gateway::can_open)) the answer is [`Loss::TokenSpent`]. One that is still open counts as closed.
    pub fn handle_open(&mut self, now: Instant) {
        self.handle_closed(now);
        match self.session {
            Session::New => {
                self.socket = Socket::Open;
                self.session = Session::Identified;
                self.queue_text(&self.identify());
            }
            Session::Described { .. } => {
                self.socket = Socket::Resuming;
                self.sequence.expect_replay();
                self.queue_text(&self.resume());
            }
            Session::Identified | Session::Ready(_) | Session::Ended => self.lose(Loss::TokenSpent),
        }
    }

    /// The WebSocket is gone. What was queued for it is dropped. If a resume was under way, it was refused, and the
    /// session has ended.
    pub fn handle_closed(&mut self, _now: Instant) {
        self.leave_socket(Socket::Closed);
        self.outputs.retain(|output| matches!(output, Output::Event(_)));
    }

    /// A text message arrived.
    pub fn handle_text(&mut self, now: Instant, text: &str) {
        if !self.is_open() {
            self.stats.unexpected += 1;
            return;
        }
        match text::read_counting(text, &mut self.stats.unknown_fields) {
            Ok(text::Frame { seq: Some(seq), message }) if message.is_numbered() && !self.sequence.accept(seq) => {
                self.stats.duplicates += 1;
            }
            Ok(frame) => self.handle_message(now, frame.message),
            Err(error) => self.handle_malformed(error),
        }
    }

    /// A binary message arrived.
    pub fn handle_binary(&mut self, _now: Instant, frame: &[u8]) {
        if !self.is_open() {
            self.stats.unexpected += 1;
            return;
        }
        match binary::read_server(frame) {
            // Its sequence number is not believed: JSON in a binary frame would look like one.
            Ok((_, message @ binary::Message::Unknown { .. })) => {
                self.stats.unknown += 1;
                self.queue_event(Event::Dave(message));
            }
            Ok((_, binary::Message::KeyPackage(_) | binary::Message::CommitWelcome(_))) => self.stats.unexpected += 1,
            Ok((seq, _)) if !self.sequence.accept(seq) => self.stats.duplicates += 1,
            Ok((_, message)) => self.queue_event(Event::Dave(message)),
            Err(error) => {
                self.stats.malformed += 1;
                tracing::debug!(%error, "dropped a binary message");
            }
        }
    }

    /// Time has come to what [`poll_timeout`](Gateway::poll_timeout) said.
    pub fn handle_timeout(&mut self, now: Instant) {
        match self.heartbeat.handle_timeout(now) {
            Pulse::Quiet => {}
            Pulse::Beat => self.beat(now),
            Pulse::Missed(count) => self.lose(Loss::MissedAcks(count)),
        }
        self.announce(now);
    }

    /// What to do next; `None` when nothing is left for now.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call [`handle_timeout`](Gateway::handle_timeout); `None` while no WebSocket is open.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let speaking = self.speaker().and_then(|_| self.speaking.due());
        self.heartbeat.due().into_iter().chain(speaking).min()
    }

    /// Tells the server the external UDP address that discovery found, and the mode chosen from those in op 2.
    pub fn select_protocol(&mut self, external: SocketAddr, mode: &str) {
        if self.socket == Socket::Open && self.ssrc().is_some() {
            self.queue_text(&Message::SelectProtocol(SelectProtocol::udp(external, mode)));
        } else {
            self.stats.unsent += 1;
        }
    }

    /// Sets the speaking flags, see [`text::Speaking`]. Op 5 goes out once the session is described, again after each
    /// op 4 and resume, and when the flags change; at most one per 250 ms, the last flags win.
    pub fn set_speaking(&mut self, now: Instant, flags: u32) {
        self.speaking.set(flags);
        self.announce(now);
    }

    /// Sends a message, for what the machine does not send by itself: ops 12, 14, 15, 16, 23, 31.
    ///
    /// While a described session has no working WebSocket, up to 64 messages wait until it is resumed.
    pub fn send(&mut self, message: &Message) {
        self.transmit(Output::Text(text::write(Dialect::V8, None, message)));
    }

    /// Sends a binary message, as [`send`](Gateway::send) does.
    pub fn send_binary(&mut self, message: &binary::Message) {
        self.transmit(Output::Binary(binary::write_client(message)));
    }

    /// Whether op 4 has been seen, so that the session can be resumed. False again once a resume was refused.
    pub const fn is_described(&self) -> bool {
        matches!(self.session, Session::Described { .. })
    }

    /// Our SSRC, from op 2.
    pub const fn ssrc(&self) -> Option<Ssrc> {
        match &self.session {
            Session::Ready(ready) | Session::Described { ready, .. } => Some(ready.ssrc),
            Session::New | Session::Identified | Session::Ended => None,
        }
    }

    /// How long the last heartbeat's ack took.
    pub const fn round_trip(&self) -> Option<Duration> {
        self.heartbeat.round_trip()
    }

    /// Noise seen so far.
    pub const fn stats(&self) -> Stats {
        self.stats
    }

    fn handle_message(&mut self, now: Instant, message: Message) {
        match message {
            Message::Hello(hello) => {
                let interval = self.heartbeat.start(now, hello.heartbeat_interval);
                self.queue_event(Event::Hello { interval });
            }
            Message::Ready(ready) => self.handle_ready(now, ready),
            Message::SessionDescription(description) => self.handle_description(now, description),
            Message::Resumed => self.handle_resumed(now),
            Message::Heartbeat(_) => self.beat(now),
            Message::HeartbeatAck(ack) => {
                if !self.heartbeat.acknowledge(now, ack.nonce) {
                    self.stats.unexpected += 1;
                }
            }
            Message::Identify(_)
            | Message::SelectProtocol(_)
            | Message::Resume(_)
            | Message::ReadyForTransition(_)
            | Message::InvalidCommitWelcome(_) => self.stats.unexpected += 1,
            message => {
                self.stats.unknown += u64::from(matches!(message, Message::Unknown { .. }));
                self.queue_event(Event::Message(message));
            }
        }
    }

    fn handle_ready(&mut self, now: Instant, ready: Ready) {
        match &mut self.session {
            Session::Ready(known) | Session::Described { ready: known, .. } if *known == ready => {
                self.stats.duplicates += 1;
                return;
            }
            Session::Described { ready: known, .. } => known.clone_from(&ready),
            Session::Identified | Session::Ready(_) => self.session = Session::Ready(ready.clone()),
            Session::New | Session::Ended => {
                self.stats.unexpected += 1;
                return;
            }
        }
        self.queue_event(Event::Ready(ready));
        self.speaking.forget();
        self.announce(now);
    }

    fn handle_description(&mut self, now: Instant, description: SessionDescription) {
        let SessionDescription { mode, secret_key: key, .. } = description.clone();
        let (ready, repeated) = match &self.session {
            Session::Ready(ready) => (ready.clone(), false),
            Session::Described { ready, mode: known_mode, key: known_key } => {
                (ready.clone(), mode == *known_mode && key == *known_key)
            }
            Session::New | Session::Identified | Session::Ended => {
                self.stats.unexpected += 1;
                return;
            }
        };
        self.session = Session::Described { ready, mode, key };
        self.queue_event(Event::Described { description, repeated });
        self.speaking.forget();
        self.announce(now);
    }

    fn handle_resumed(&mut self, now: Instant) {
        if self.socket != Socket::Resuming {
            self.stats.unexpected += 1;
            return;
        }
        self.socket = Socket::Open;
        self.queue_event(Event::Resumed);
        self.speaking.forget();
        self.announce(now);
        while let Some(output) = self.held.pop_front() {
            self.queue(output);
        }
    }

    fn handle_malformed(&mut self, error: text::ParseError) {
        self.stats.malformed += 1;
        tracing::debug!(%error, "dropped a text message");
        if let Some(op @ (2 | 4 | 8)) = error.op {
            self.lose(Loss::Malformed { op, reason: error.reason });
        }
    }

    fn identify(&self) -> Message {
        let Config { server, channel, user, session, token, max_dave_protocol_version, .. } = self.config.clone();
        let identify = text::Identify::new(server, user, session, token);
        Message::Identify(text::Identify { channel, max_dave_protocol_version, ..identify })
    }

    fn resume(&self) -> Message {
        let Config { server, session, token, .. } = self.config.clone();
        Message::Resume(text::Resume { server, session, token, seq_ack: Some(self.sequence.ack()) })
    }

    fn beat(&mut self, now: Instant) {
        let heartbeat = text::Heartbeat { nonce: self.heartbeat.nonce(now), seq_ack: Some(self.sequence.ack()) };
        self.queue_text(&Message::Heartbeat(heartbeat));
    }

    /// Our SSRC, while op 5 may be sent.
    fn speaker(&self) -> Option<Ssrc> {
        self.ssrc().filter(|_| self.socket == Socket::Open && self.is_described())
    }

    fn announce(&mut self, now: Instant) {
        let Some(ssrc) = self.speaker() else { return };
        if let Some(flags) = self.speaking.tell(now) {
            self.queue_text(&Message::Speaking(text::Speaking::client(flags, ssrc)));
        }
    }

    fn is_open(&self) -> bool {
        matches!(self.socket, Socket::Open | Socket::Resuming)
    }

    fn lose(&mut self, loss: Loss) {
        tracing::debug!(%loss, "gave the WebSocket up");
        self.leave_socket(Socket::Lost);
        self.queue_event(Event::Lost(loss));
    }

    fn leave_socket(&mut self, next: Socket) {
        if self.socket == Socket::Resuming {
            self.session = Session::Ended;
            self.held.clear();
        }
        self.socket = next;
        self.heartbeat.stop();
    }

    fn transmit(&mut self, output: Output) {
        if self.socket == Socket::Open {
            self.queue(output);
        } else if self.is_described() && self.held.len() < MAX_HELD {
            self.held.push_back(output);
        } else {
            self.stats.unsent += 1;
        }
    }

    fn queue_text(&mut self, message: &Message) {
        self.queue(Output::Text(text::write(Dialect::V8, None, message)));
    }

    fn queue_event(&mut self, event: Event) {
        self.queue(Output::Event(event));
    }

    fn queue(&mut self, output: Output) {
        if self.outputs.len() >= MAX_QUEUED {
            self.stats.overflowed += 1;
            // Without the loss the owner would wait for ever; anything else it has missed already.
            if !matches!(output, Output::Event(Event::Lost(_))) {
                return;
            }
            self.outputs.pop_back();
        }
        // It is emptied after every call: what one call says is little.
        if self.outputs.is_empty() {
            self.outputs.reserve_exact(1);
        }
        self.outputs.push_back(output);
    }
}

#[cfg(test)]
mod tests;
