//! One client in virtual time: its control, its media, its links.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use loopback::{ConnId, Impairment, Link};
use mixer::TrackId;
use mixer::prefetch::{Reader, Step};
use model::{ChannelId, FRAME, UserId};
use receive::{Heard, Kind};

use super::wire::{self, Wire};
use super::world::{guild, user};
use crate::config::Config;
use crate::control::{Control, Done, Keys, Settings};
use crate::error::{Closed, JoinError};
use crate::event::Event;
use crate::media::{
    Arrival, AudioPacket, Inbound, InboundSettings, Outbound, OutboundSettings, Prepared, Sink, Speech, Update,
};

pub(super) struct Peer {
    pub(super) user: UserId,
    pub(super) control: Control,
    pub(super) outbound: Outbound,
    pub(super) inbound: Inbound,
    pub(super) ears: Ears,
    pub(super) events: Vec<Event>,
    pub(super) answers: Vec<Result<(), JoinError>>,
    pub(super) closed: Option<Closed>,
    pub(super) ended: Vec<TrackId>,
    /// Datagrams as they left: `(when, bytes)`.
    pub(super) wire: Vec<(Instant, Vec<u8>)>,
    /// op 4 to the main gateway.
    pub(super) commands: Vec<Option<ChannelId>>,
    /// Whether the main gateway answers.
    pub(super) main_gateway: bool,
    pub(super) dials: u32,
    pub(super) linked: bool,
    pub(super) conn: Option<(ConnId, u64)>,
    pub(super) socket: u64,
    pub(super) address: SocketAddr,
    pub(super) ports: u16,
    pub(super) up: Link<Vec<u8>>,
    pub(super) down: Link<Vec<u8>>,
    pub(super) said: Wire<(ConnId, Said)>,
    pub(super) heard: Wire<loopback::Output>,
    pub(super) work: Wire<Done>,
    pub(super) beat: Instant,
    wall: Wall,
    pub(super) readers: Vec<Reader>,
    pub(super) next_track: u64,
}

/// Key material of a virtual world: repeatable, and good for nothing else.
struct Seeded(AtomicU64);

impl dave::provider::Entropy for Seeded {
    fn fill(&self, bytes: &mut [u8]) {
        let mut noise = self.0.fetch_add(1 << 32, Ordering::Relaxed);
        for byte in bytes {
            *byte = wire::next(&mut noise) as u8;
        }
    }
}

/// A wall clock of its own, right or wrong: it began then.
struct Wall(Instant);

impl Wall {
    fn ntp(&self, now: Instant) -> u64 {
        let passed = now - self.0;
        ((0xE957_A59B + passed.as_secs()) << 32) | ((u64::from(passed.subsec_nanos()) << 32) / 1_000_000_000)
    }
}

/// What a peer says on its WebSocket.
pub(super) enum Said {
    Text(String),
    Binary(Vec<u8>),
    Close(u16),
}

/// What a peer hears.
#[derive(Default)]
pub(super) struct Ears {
    pub(super) pcm: BTreeMap<UserId, Vec<f32>>,
    pub(super) kinds: BTreeMap<UserId, Vec<Kind>>,
    pub(super) arrivals: Vec<Arrival>,
    pub(super) speech: Vec<Speech>,
}

impl Sink for Ears {
    fn audio(&mut self, _now: Instant, user: UserId, heard: &Heard<'_>) {
        self.pcm.entry(user).or_default().extend_from_slice(heard.pcm);
        self.kinds.entry(user).or_default().push(heard.kind);
    }

    fn packet(&mut self, packet: &AudioPacket<'_>) {
        self.arrivals.push(packet.into());
    }

    fn speech(&mut self, speech: Speech) {
        self.speech.push(speech);
    }
}

impl Peer {
    pub(super) fn new(now: Instant, index: usize, id: u64, config: &Config, link: Impairment, linked: bool) -> Self {
        let port = 10_000 + 100 * index as u16;
        Self {
            user: user(id),
            control: Control::new(
                Settings::from(config),
                Keys::new(config.identity.clone(), Arc::new(Seeded(AtomicU64::new(id)))),
                guild(),
                user(id),
                linked,
                id,
            ),
            outbound: Outbound::new(&OutboundSettings::from(config)),
            inbound: Inbound::new(InboundSettings::from(config)),
            ears: Ears::default(),
            events: Vec::new(),
            answers: Vec::new(),
            closed: None,
            ended: Vec::new(),
            wire: Vec::new(),
            commands: Vec::new(),
            main_gateway: true,
            dials: 0,
            linked,
            conn: None,
            socket: 0,
            address: SocketAddr::from(([10, 0, 0, 1], port)),
            ports: port,
            up: Link::new(2 * id, Impairment::default()),
            down: Link::new(2 * id + 1, link),
            said: Wire::new(3 * id),
            heard: Wire::new(3 * id + 1),
            work: Wire::new(3 * id + 2),
            beat: now + Duration::from_micros(1_300 * index as u64),
            wall: Wall(now),
            readers: Vec::new(),
            next_track: 0,
        }
    }

    pub(super) fn say(&mut self, now: Instant, message: Said) {
        if let Some((conn, _)) = self.conn {
            self.said.push(now, (conn, message));
        }
    }

    pub(super) fn update(&mut self, now: Instant, update: &Update) {
        self.outbound.update(update);
        self.inbound.update(now, update, &mut self.ears);
    }

    pub(super) fn fire(&mut self, now: Instant) {
        if self.control.poll_timeout().is_some_and(|at| at <= now) {
            self.control.handle_timeout(now);
        }
        while let Some(mut datagram) = self.down.poll(now) {
            if self.inbound.handle_datagram(now, &mut datagram, &mut self.ears) {
                self.control.handle_discovery(now, self.socket, &datagram);
            }
        }
        if self.inbound.poll_timeout().is_some_and(|at| at <= now) {
            self.inbound.handle_timeout(now, &mut self.ears);
        }
        if self.inbound.poll_tick().is_some_and(|at| at <= now) {
            self.inbound.tick(now, &mut self.ears);
        }
        while let Some(ping) = self.inbound.poll_ping() {
            self.up.push(now, ping.to_vec());
        }
        if self.inbound.poll_report_due(now) {
            let own = self.outbound.stream(self.beat - FRAME);
            if let Some(report) = self.inbound.report(now, self.wall.ntp(now), own) {
                self.up.push(now, report.to_vec());
            }
        }
        while let Some(vital) = self.inbound.poll_vital() {
            self.control.handle_vital(now, vital);
        }
        if self.beat <= now {
            self.beat += FRAME;
            self.tick(now);
        }
    }

    pub(super) fn tick(&mut self, now: Instant) {
        self.readers.retain_mut(|reader| {
            loop {
                match reader.step() {
                    Step::Progress => {}
                    Step::Abandoned => return false,
                    _ => return true,
                }
            }
        });
        let mut buffer = [0; _];
        let mut prepared = self.outbound.prepare(1, &mut buffer);
        while let Prepared::Packet(len) = prepared {
            let packet = buffer[..len].to_vec();
            self.wire.push((now, packet.clone()));
            self.up.push(now, packet);
            prepared = self.outbound.finish(true, &mut buffer);
        }
        while let Some((id, _, _)) = self.outbound.pop_ended() {
            self.ended.push(id);
        }
        if self.outbound.farewelled() {
            self.control.handle_farewelled();
        }
        if self.inbound.poll_hopeless() {
            self.control.handle_hopeless(now);
        }
    }

    /// Whether its call is over, and the server has heard of that.
    pub(super) fn is_gone(&self) -> bool {
        self.closed.is_some() && self.said.poll_timeout().is_none()
    }

    pub(super) fn is_up(&self) -> bool {
        self.control.is_up()
    }

    pub(super) fn is_linked(&self) -> bool {
        self.linked
    }
}
