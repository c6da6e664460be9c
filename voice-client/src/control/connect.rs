//! The connection: from dialing to audio, and what comes over it.

use std::net::SocketAddr;
use std::time::Instant;

use crypto::{Key, Mode};
use gateway::{Gateway, Loss, binary, text};
use model::{RtpTime, Seq};
use udp::{Discovery, discovery};

use super::{Control, Dave, Generation, Live, Output, Phase, Told};
use crate::config::Deadlines;
use crate::encryption::{E2ee, Encryption};
use crate::error::{Cause, Closed, Stage};
use crate::event::Event;
use crate::info::ConnectionInfo;
use crate::media::{Session, Update};

impl Control {
    /// Starts a new voice session, in place of any other.
    pub(super) fn connect(&mut self, now: Instant, info: ConnectionInfo) {
        self.drop_session();
        self.channel = Some(info.channel);
        self.failed_resumes = 0;
        let endpoint = match info.endpoint.parse::<gateway::Endpoint>() {
            Ok(endpoint) => endpoint,
            Err(_) => {
                let cause = Cause::Endpoint(info.endpoint);
                return self.end(if self.joined {
                    Closed::Lost(cause)
                } else {
                    Closed::Join { stage: Stage::Dial, cause }
                });
            }
        };
        let mut config = gateway::Config::new(info.guild, info.user, info.session.clone(), info.token.clone());
        config.max_missed_acks = self.settings.max_missed_acks;
        config.nonce_seed = self.noise();
        config.channel = Some(info.channel);
        let dave = (self.settings.e2ee != E2ee::Off).then(|| {
            config.max_dave_protocol_version = dave::MAX_VERSION;
            Dave::new(self.generation + 1, info.user, info.channel, self.keys.clone())
        });
        self.encryption = Encryption::default();
        let gateway = Gateway::new(config);
        let (offered, ssrc, server, attached, mode) = (Vec::new(), None, None, None, None);
        self.live = Some(Live { info, endpoint, gateway, offered, ssrc, server, attached, mode, dave });
        self.dial(now);
    }

    fn dial(&mut self, now: Instant) {
        let Some(live) = &self.live else { return };
        self.generation += 1;
        self.dialed = true;
        self.phase = Phase::Dialing { deadline: now + self.settings.deadlines.dial };
        let (generation, endpoint) = (self.generation, live.endpoint.clone());
        self.outputs.push_back(Output::Dial { generation, endpoint });
    }

    /// The WebSocket that was asked for is open.
    pub(crate) fn handle_ws_open(&mut self, now: Instant, generation: Generation) {
        if generation != self.generation {
            return;
        }
        let (Phase::Dialing { .. }, Some(live)) = (&self.phase, &mut self.live) else { return };
        let deadlines = &self.settings.deadlines;
        self.phase = if live.gateway.is_described() {
            Phase::Resuming { deadline: now + deadlines.resume }
        } else {
            Phase::Identifying { deadline: now + deadlines.ready }
        };
        live.gateway.handle_open(now);
        self.pump(now);
    }

    /// The WebSocket that was asked for cannot be opened.
    pub(crate) fn handle_ws_failed(&mut self, now: Instant, generation: Generation, reason: String) {
        if generation == self.generation {
            self.lost(now, Cause::Dial(reason));
        }
    }

    /// The WebSocket is gone: with a close frame, or just gone.
    pub(crate) fn handle_ws_closed(&mut self, now: Instant, generation: Generation, code: Option<u16>, reason: String) {
        if generation == self.generation {
            let cause = match code {
                Some(code) => Cause::Closed { code, reason },
                None => Cause::Cut(reason),
            };
            self.lost(now, cause);
        }
    }

    /// A text message of the voice gateway.
    pub(crate) fn handle_text(&mut self, now: Instant, generation: Generation, text: &str) {
        if let (true, Some(live)) = (generation == self.generation, &mut self.live) {
            live.gateway.handle_text(now, text);
            self.pump(now);
        }
    }

    /// A binary message of the voice gateway.
    pub(crate) fn handle_binary(&mut self, now: Instant, generation: Generation, frame: &[u8]) {
        if let (true, Some(live)) = (generation == self.generation, &mut self.live) {
            live.gateway.handle_binary(now, frame);
            self.pump(now);
        }
    }

    /// The media socket that was asked for is open: discovery starts.
    pub(crate) fn handle_udp_open(&mut self, now: Instant, generation: Generation) {
        if let (true, Some(ssrc)) = (generation == self.generation, self.live.as_ref().and_then(|live| live.ssrc))
            && let Phase::Discovering { discovery, .. } = &mut self.phase
        {
            let Deadlines { discovery: deadline, discovery_retry, .. } = self.settings.deadlines;
            *discovery = Some(Discovery::new(now, ssrc, discovery_retry, deadline));
            self.pump_discovery(now);
        } else if generation == self.generation {
            self.rediscovery_open(now);
        }
    }

    /// The media socket cannot be opened.
    pub(crate) fn handle_udp_failed(&mut self, now: Instant, generation: Generation, reason: String) {
        if generation == self.generation && !self.rediscovery_failed(now) {
            self.lost(now, Cause::Udp(reason));
        }
    }

    /// A datagram for IP discovery, from the socket of that generation.
    pub(crate) fn handle_discovery(&mut self, now: Instant, generation: Generation, datagram: &[u8]) {
        if let (true, Phase::Discovering { discovery: Some(discovery), .. }) =
            (generation == self.generation, &mut self.phase)
        {
            discovery.handle_datagram(now, datagram);
            self.pump_discovery(now);
        } else if generation == self.generation {
            self.rediscovery_answered(now, datagram);
        }
    }

    /// A request of discovery could not be sent: it is repeated, and should none get through this is why.
    pub(crate) fn handle_unsent(&mut self, reason: String) {
        if let Phase::Discovering { fault, .. } = &mut self.phase {
            *fault = Some(reason);
        }
    }

    /// Time has come for something.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.joining.as_ref().is_some_and(|joining| now >= joining.deadline) {
            self.join_timed_out(now);
        }
        if let Phase::Discovering { discovery: Some(discovery), .. } = &mut self.phase {
            discovery.handle_timeout(now);
            self.pump_discovery(now);
        }
        self.rediscovery_timeout(now);
        if let Some(live) = &mut self.live
            && self.dialed
        {
            live.gateway.handle_timeout(now);
            self.pump(now);
        }
        if self.dave_due().is_some_and(|due| now >= due) {
            self.tell_dave(now, Told::Timeout);
        }
        if self.phase.deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        match std::mem::replace(&mut self.phase, Phase::Absent) {
            Phase::Redial { .. } => self.dial(now),
            Phase::Rejoin { .. } => {
                if let Some(channel) = self.channel {
                    self.ask(now, channel, true);
                }
            }
            Phase::AwaitUpdate { cause, named, .. } => self.await_timed_out(now, cause, named),
            Phase::Leaving { .. } => self.end(Closed::Left),
            phase => {
                if let Some(stage) = phase.stage() {
                    self.phase = phase;
                    let cause = self.timed_out(stage);
                    self.lost(now, cause);
                }
            }
        }
    }

    /// Passes on what the gateway machine has to say.
    pub(super) fn pump(&mut self, now: Instant) {
        while let Some(output) = self.live.as_mut().and_then(|live| live.gateway.poll_output()) {
            match output {
                gateway::Output::Text(text) => self.outputs.push_back(Output::Text(text)),
                gateway::Output::Binary(frame) => self.outputs.push_back(Output::Binary(frame)),
                gateway::Output::Event(event) => self.handle_event(now, event),
            }
        }
    }

    fn handle_event(&mut self, now: Instant, event: gateway::Event) {
        match event {
            // Nothing brings a call back that is leaving.
            gateway::Event::Ready(_) | gateway::Event::Described { .. } | gateway::Event::Resumed
                if matches!(self.phase, Phase::Leaving { .. }) => {}
            gateway::Event::Ready(ready) => self.handle_ready(now, &ready),
            gateway::Event::Described { description, repeated } => self.handle_described(now, &description, repeated),
            gateway::Event::Resumed => {
                self.up(now);
                self.outputs.push_back(Output::Event(Event::Resumed));
                self.tell_dave(now, Told::Resumed);
                self.path_resumed(now);
                self.answer();
            }
            gateway::Event::Message(message) => self.handle_message(now, message),
            gateway::Event::Lost(Loss::MissedAcks(missed)) => self.lost(now, Cause::MissedAcks(missed)),
            gateway::Event::Lost(Loss::Malformed { op, reason }) => self.lost(now, Cause::Malformed { op, reason }),
            gateway::Event::Lost(_) => self.lost(now, Cause::Spent),
            gateway::Event::Dave(binary::Message::Unknown { op, payload }) => {
                self.outputs.push_back(Output::Event(Event::OtherBinary { op, payload }));
            }
            gateway::Event::Dave(message) => self.tell_dave(now, Told::Binary(message)),
            gateway::Event::Hello { .. } => {}
        }
    }

    fn handle_ready(&mut self, now: Instant, ready: &text::Ready) {
        let Some(live) = &mut self.live else { return };
        match crypto::choose(&ready.modes, &self.settings.modes) {
            Ok(mode) => live.mode = Some(mode),
            Err(error) => return self.lost(now, Cause::NoCommonMode(error)),
        }
        live.ssrc = Some(ready.ssrc);
        live.offered = ready.modes.clone();
        // Discovery has the same deadline, counted from an open socket.
        let deadline = now + self.settings.deadlines.discovery + self.settings.deadlines.discovery_retry;
        self.phase = Phase::Discovering { deadline, discovery: None, fault: None };
        let server = SocketAddr::new(ready.ip, ready.port);
        live.server = Some(server);
        self.outputs.push_back(Output::OpenUdp { generation: self.generation, server });
    }

    fn pump_discovery(&mut self, now: Instant) {
        while let Phase::Discovering { discovery: Some(discovery), .. } = &mut self.phase {
            match discovery.poll_output() {
                None => return,
                Some(discovery::Output::Send(request)) => self.outputs.push_back(Output::Datagram(request)),
                Some(discovery::Output::Found(external)) => self.select(now, external),
                Some(discovery::Output::TimedOut { .. }) => {
                    let fault = match &mut self.phase {
                        Phase::Discovering { fault, .. } => fault.take(),
                        _ => None,
                    };
                    let cause = fault.map_or_else(|| self.timed_out(Stage::Discovery), Cause::Udp);
                    self.lost(now, cause);
                }
                Some(_) => {}
            }
        }
    }

    fn select(&mut self, now: Instant, external: SocketAddr) {
        let Some(Live { gateway, mode: Some(mode), .. }) = &mut self.live else { return };
        gateway.select_protocol(external, mode.name());
        self.phase = Phase::Selecting { deadline: now + self.settings.deadlines.description };
        self.pump(now);
    }

    fn handle_described(&mut self, now: Instant, description: &text::SessionDescription, repeated: bool) {
        let Some(Live { ssrc: Some(ssrc), mode: Some(selected), .. }) = &self.live else { return };
        let (ssrc, mode) = (*ssrc, *selected);
        let version = description.dave_protocol_version;
        self.described = Some((mode, version));
        if Mode::from_name(&description.mode) != Some(mode) {
            return self.lost(now, Cause::UnexpectedMode(description.mode.clone()));
        }
        if version == 0 && self.settings.e2ee == E2ee::Required {
            return self.lost(now, Cause::NotEncrypted);
        }
        let attached = self.live.as_mut().and_then(|live| live.attached.replace(ssrc));
        let first = !matches!(self.phase, Phase::Up);
        self.up(now);
        // Op 5 precedes the first audio of a session.
        self.pump(now);
        if !repeated || attached != Some(ssrc) {
            let key = Key::new(*description.secret_key.expose());
            let (seq, time) = (Seq(self.noise() as u16), RtpTime(self.noise() as u32));
            let encrypted = version > 0;
            if encrypted && self.encryption.state == dave::State::Off {
                // Before the session, or a frame could leave plain in between.
                self.update(Update::Dave(dave::Update::Withhold));
            }
            self.update(Update::Session(Session { ssrc, mode, key, seq, time, encrypted }));
        }
        self.describe_dave(now, version);
        if first {
            self.joined = true;
            let (mode, dave_version) = (mode.name().to_owned(), version);
            self.outputs.push_back(Output::Event(Event::Connected { ssrc, mode, dave_version }));
            self.answer();
        }
    }

    fn up(&mut self, now: Instant) {
        self.phase = Phase::Up;
        self.up_since.get_or_insert(now);
        // Needed before sending and before receiving; the machine repeats it after a resume by itself.
        if let Some(live) = &mut self.live {
            live.gateway.set_speaking(now, self.speaking);
        }
    }

    fn handle_message(&mut self, now: Instant, message: text::Message) {
        self.tell_dave_of(now, &message);
        match &message {
            text::Message::Speaking(text::Speaking { ssrc: Some(ssrc), user: Some(user), .. }) => {
                self.update(Update::Speaker { ssrc: *ssrc, user: *user });
            }
            text::Message::Video(text::Video { audio_ssrc: Some(ssrc), user: Some(user), .. }) => {
                self.update(Update::Speaker { ssrc: *ssrc, user: *user });
            }
            text::Message::ClientDisconnect(gone) => self.update(Update::Gone(gone.user)),
            _ => {}
        }
        self.outputs.push_back(Output::Event(Event::from_message(message)));
    }
}
