//! A world in virtual time: real control and media of any number of clients, the real server, seeded links between them.
//! Ten seconds of a call take a fraction of one.

use std::time::{Duration, Instant};

use loopback::{ConnId, Cue, Impairment, Server};
use mixer::prefetch;
use mixer::{Source, TrackId};
use model::{ChannelId, GuildId, UserId};

use super::peer::{Peer, Said};
use crate::config::Config;
use crate::control::Output;
use crate::info::{ConnectionInfo, VoiceServerUpdate, VoiceStateUpdate};
use crate::media::Command;

pub(super) const GUILD: u64 = 1_000;
pub(super) const CHANNEL: u64 = 2_000;

pub(super) struct World {
    pub(super) now: Instant,
    pub(super) server: Server,
    pub(super) peers: Vec<Peer>,
    next_conn: u64,
    /// How many of the next dials nobody answers.
    pub(super) dead_dials: u32,
    pub(super) udp_refused: bool,
}

pub(super) fn user(id: u64) -> UserId {
    UserId::new(id).unwrap()
}

pub(super) fn guild() -> GuildId {
    GuildId::new(GUILD).unwrap()
}

pub(super) fn channel(id: u64) -> ChannelId {
    ChannelId::new(id).unwrap()
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        Self::with(loopback::Config::default().seed(seed).dave_version(0))
    }

    #[allow(clippy::disallowed_methods)]
    pub(super) fn with(config: loopback::Config) -> Self {
        // The one look at a clock: time goes on from here by itself.
        let now = Instant::now();
        let server = Server::new(now, config);
        Self { now, server, peers: Vec::new(), next_conn: 0, dead_dials: 0, udp_refused: false }
    }

    /// A DAVE call.
    pub(super) fn encrypted(seed: u64) -> Self {
        Self::with(loopback::Config::default().seed(seed))
    }

    /// Messages of this peer's WebSocket, both ways, and its group's work take up to this long from now on.
    pub(super) fn lag(&mut self, peer: usize, lag: Duration) {
        let peer = &mut self.peers[peer];
        (peer.said.lag, peer.heard.lag, peer.work.lag) = (lag, lag, lag / 2);
    }

    /// Adds a client with a main-gateway link; returns its index.
    pub(super) fn add(&mut self, id: u64, config: &Config, link: Impairment) -> usize {
        self.add_peer(id, config, link, true)
    }

    /// Adds a client without one.
    pub(super) fn add_bare(&mut self, id: u64, config: &Config) -> usize {
        self.add_peer(id, config, Impairment::default(), false)
    }

    fn add_peer(&mut self, id: u64, config: &Config, link: Impairment, linked: bool) -> usize {
        let index = self.peers.len();
        self.peers.push(Peer::new(self.now, index, id, config, link, linked));
        index
    }

    /// Lets a client join the usual channel, and runs until it has, or has not.
    pub(super) fn join(&mut self, peer: usize) {
        let now = self.now;
        self.peers[peer].control.join_channel(now, channel(CHANNEL));
        self.settle();
        self.run(Duration::from_millis(200));
    }

    /// Lets a client join the usual channel.
    pub(super) fn start_join(&mut self, peer: usize) {
        let now = self.now;
        self.peers[peer].control.join_channel(now, channel(CHANNEL));
        self.settle();
    }

    /// As [`join`](Self::join), of a client whose dials succeed while those of others do not.
    pub(super) fn join_in_spite(&mut self, peer: usize) {
        let dead = std::mem::take(&mut self.dead_dials);
        self.join(peer);
        self.dead_dials = dead;
    }

    /// As [`add`](Self::add), in the place of a client whose call is over, if there is one.
    pub(super) fn add_or_replace(&mut self, id: u64, config: &Config) -> usize {
        let Some(index) = self.peers.iter().position(Peer::is_gone) else {
            return self.add(id, config, Impairment::default());
        };
        self.peers[index] = Peer::new(self.now, index, id, config, Impairment::default(), true);
        index
    }

    /// Info for a join without a link.
    pub(super) fn info(&mut self, id: u64) -> ConnectionInfo {
        let updates = self.server.updates(user(id), guild(), channel(CHANNEL));
        let state = VoiceStateUpdate::from_json(&updates.state).unwrap();
        let server = VoiceServerUpdate::from_json(&updates.server).unwrap();
        ConnectionInfo {
            endpoint: server.endpoint.unwrap(),
            guild: guild(),
            channel: channel(CHANNEL),
            user: user(id),
            session: state.session,
            token: server.token,
        }
    }

    pub(super) fn play(&mut self, peer: usize, source: impl Source + 'static) -> TrackId {
        let (reader, feed) = prefetch::pipe(Box::new(source), prefetch::Config::default());
        let peer = &mut self.peers[peer];
        peer.next_track += 1;
        let id = TrackId(peer.next_track);
        peer.outbound.command(Command::Add { id, track: Box::new(mixer::Track::new(feed)) });
        peer.readers.push(reader);
        id
    }

    pub(super) fn cue(&mut self, cue: Cue) {
        self.server.cue(self.now, cue);
        self.settle();
    }

    /// Lets virtual time pass.
    pub(super) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        self.settle();
        while let Some(next) = self.next_event().filter(|next| *next <= end) {
            // A deadline in the past would be served at once, and for ever: it must move on.
            self.now = next.max(self.now);
            self.fire();
            self.settle();
        }
        self.now = end;
    }

    fn next_event(&self) -> Option<Instant> {
        let peers = self.peers.iter().flat_map(|peer| {
            let links = [peer.up.poll_timeout(), peer.down.poll_timeout()];
            let wires = [peer.said.poll_timeout(), peer.heard.poll_timeout(), peer.work.poll_timeout()];
            let machines =
                [peer.control.poll_timeout(), peer.inbound.poll_timeout(), peer.inbound.poll_tick(), Some(peer.beat)];
            links.into_iter().chain(wires).chain(machines).flatten()
        });
        peers.chain(self.server.poll_timeout()).min()
    }

    fn fire(&mut self) {
        let now = self.now;
        if self.server.poll_timeout().is_some_and(|at| at <= now) {
            self.server.handle_timeout(now);
        }
        for peer in &mut self.peers {
            peer.fire(now);
            while let Some(mut datagram) = peer.up.poll(now) {
                self.server.handle_datagram(now, peer.address, &mut datagram);
            }
        }
    }

    /// Carries messages until nobody has anything to say at this moment.
    pub(super) fn settle(&mut self) {
        loop {
            let mut quiet = true;
            for index in 0..self.peers.len() {
                quiet &= !self.arrive(index);
                while let Some(output) = self.peers[index].control.poll_output() {
                    quiet = false;
                    self.carry(index, output);
                }
            }
            while let Some(output) = self.server.poll_output() {
                quiet = false;
                self.deliver(output);
            }
            if quiet {
                return;
            }
        }
    }

    fn carry(&mut self, index: usize, output: Output) {
        let now = self.now;
        let peer = &mut self.peers[index];
        match output {
            Output::Dial { generation, .. } => {
                peer.dials += 1;
                if let Some(left) = self.dead_dials.checked_sub(1) {
                    self.dead_dials = left;
                    peer.control.handle_ws_failed(now, generation, "connection refused".into());
                    return;
                }
                self.next_conn += 1;
                let conn = ConnId(self.next_conn);
                peer.conn = Some((conn, generation));
                peer.control.handle_ws_open(now, generation);
                self.server.handle_connect(now, conn, "v=8");
            }
            Output::Text(text) => peer.say(now, Said::Text(text)),
            Output::Binary(frame) => peer.say(now, Said::Binary(frame)),
            Output::HangUp { code } => {
                peer.say(now, Said::Close(code));
                peer.conn = None;
                peer.heard.cut();
            }
            Output::OpenUdp { generation, .. } if self.udp_refused => {
                peer.control.handle_udp_failed(now, generation, "no route".into());
            }
            Output::OpenUdp { generation, .. } => {
                peer.ports += 1;
                peer.address.set_port(peer.ports);
                peer.socket = generation;
                peer.control.handle_udp_open(now, generation);
            }
            Output::Datagram(datagram) => peer.up.push(now, datagram.to_vec()),
            Output::Work(work) => peer.work.push(now, work.run()),
            Output::Update(update) => peer.update(now, &update),
            Output::MainGateway(command) => {
                peer.commands.push(command.channel);
                if peer.main_gateway
                    && let Some(channel) = command.channel
                {
                    let updates = self.server.updates(peer.user, command.guild, channel);
                    peer.control.handle_voice_state(now, VoiceStateUpdate::from_json(&updates.state).unwrap());
                    peer.control.handle_voice_server(now, VoiceServerUpdate::from_json(&updates.server).unwrap());
                }
            }
            Output::Event(event) => peer.events.push(event),
            Output::Joined => peer.answers.push(Ok(())),
            Output::JoinFailed(error) => peer.answers.push(Err(error)),
            Output::Ended(closed) => peer.closed = Some(closed),
        }
    }

    /// What is under way to or from this peer, and due; says whether there was any.
    fn arrive(&mut self, index: usize) -> bool {
        let now = self.now;
        let mut some = false;
        while let Some((conn, message)) = self.peers[index].said.pop(now) {
            some = true;
            match message {
                Said::Text(text) => self.server.handle_text(now, conn, &text),
                Said::Binary(frame) => self.server.handle_binary(now, conn, &frame),
                Said::Close(code) => self.server.handle_disconnect(now, conn, Some(code)),
            }
        }
        while let Some(output) = self.peers[index].heard.pop(now) {
            some = true;
            self.hand_over(output);
        }
        while let Some(done) = self.peers[index].work.pop(now) {
            some = true;
            self.peers[index].control.handle_done(now, done);
        }
        some
    }

    /// Sends on its way what the server says.
    fn deliver(&mut self, output: loopback::Output) {
        use loopback::Output::{Binary, Close, Sever, Text};
        let now = self.now;
        match output {
            Text { conn, .. } | Binary { conn, .. } | Close { conn, .. } | Sever { conn } => {
                if let Some((peer, _)) = self.owner(conn) {
                    peer.heard.push(now, output);
                }
            }
            output => self.hand_over(output),
        }
    }

    fn hand_over(&mut self, output: loopback::Output) {
        let now = self.now;
        match output {
            loopback::Output::Text { conn, text } => {
                if let Some((peer, generation)) = self.owner(conn) {
                    peer.control.handle_text(now, generation, &text);
                }
            }
            loopback::Output::Binary { conn, frame } => {
                if let Some((peer, generation)) = self.owner(conn) {
                    peer.control.handle_binary(now, generation, &frame);
                }
            }
            loopback::Output::Close { conn, code, reason } => {
                if let Some((peer, generation)) = self.owner(conn) {
                    peer.conn = None;
                    peer.control.handle_ws_closed(now, generation, Some(code), reason);
                }
            }
            loopback::Output::Sever { conn } => {
                if let Some((peer, generation)) = self.owner(conn) {
                    peer.conn = None;
                    peer.control.handle_ws_closed(now, generation, None, "severed".into());
                }
            }
            loopback::Output::Datagram { to, bytes } => {
                if let Some(peer) = self.peers.iter_mut().find(|peer| peer.address == to) {
                    peer.down.push(now, bytes);
                }
            }
            loopback::Output::MainGateway(dispatch) => {
                let Some(peer) = self.peers.iter_mut().find(|peer| peer.user == dispatch.user) else { return };
                match dispatch.event {
                    "VOICE_STATE_UPDATE" => {
                        let update = VoiceStateUpdate::from_json(&dispatch.data).unwrap();
                        peer.control.handle_voice_state(now, update);
                    }
                    _ => peer.control.handle_voice_server(now, VoiceServerUpdate::from_json(&dispatch.data).unwrap()),
                }
            }
            other => panic!("the world does not know {other:?}"),
        }
    }

    fn owner(&mut self, conn: ConnId) -> Option<(&mut Peer, u64)> {
        let peer = self.peers.iter_mut().find(|peer| peer.conn.is_some_and(|(own, _)| own == conn))?;
        let (_, generation) = peer.conn?;
        Some((peer, generation))
    }
}

/// The frequency of a stereo signal by its zero crossings, in Hz.
pub(super) fn pitch(pcm: &[f32]) -> f64 {
    let left: Vec<f32> = pcm.iter().step_by(2).copied().collect();
    let crossings = left.windows(2).filter(|pair| pair[0] < 0.0 && pair[1] >= 0.0).count();
    crossings as f64 * 48_000.0 / left.len() as f64
}
