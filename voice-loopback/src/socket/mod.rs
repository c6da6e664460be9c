mod message;
mod outbox;
mod owner;
mod paths;
mod tls;
mod websocket;

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use model::{ChannelId, GuildId, UserId};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::JoinHandle;

use self::message::Event;
use self::owner::{BUFFER, Owner};
use self::paths::Paths;
use self::tls::Identity;
use crate::config::Config;
use crate::link::Impairment;
use crate::script::Cue;
use crate::server::{Dispatch, Member, Server, Stats, Updates};

/// Asked of the kernel for each direction; the default holds 166 packets.
const SOCKET_BUFFER: usize = 4 * 1_024 * 1_024;

/// Events waiting for the server's task; WebSockets that have more to say wait.
const EVENTS: usize = 1_024;

/// Dispatches kept for a receiver that is slow to take them.
const DISPATCHES: usize = 1_024;

/// Where a [`Loopback`] listens, and how it behaves. `Debug` leaves out the seed, from which every key follows.
#[derive(Clone)]
#[non_exhaustive]
pub struct Options {
    /// Where WebSockets are accepted. Default `127.0.0.1:0`, any free port.
    pub ws: SocketAddr,
    /// Where media is. Default `127.0.0.1:0`, any free port.
    pub udp: SocketAddr,
    /// `ws` instead of `wss`. Default off.
    pub plain: bool,
    /// How the server behaves. `udp`, `endpoint` and `seed` are overwritten with what holds here.
    pub server: Config,
    /// What happens to datagrams from clients. Default nothing.
    pub incoming: Impairment,
    /// What happens to datagrams to clients, discovery and reports included. Default nothing.
    pub outgoing: Impairment,
    /// Makes everything random repeatable. Default: the system's randomness.
    pub seed: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            ws: anywhere,
            udp: anywhere,
            plain: false,
            server: Config::default(),
            incoming: Impairment::default(),
            outgoing: Impairment::default(),
            seed: None,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("ws", &self.ws)
            .field("udp", &self.udp)
            .field("plain", &self.plain)
            .field("server", &self.server)
            .field("incoming", &self.incoming)
            .field("outgoing", &self.outgoing)
            .finish_non_exhaustive()
    }
}

impl Options {
    /// Sets [`ws`](Self::ws).
    #[must_use]
    pub fn ws(mut self, ws: SocketAddr) -> Self {
        self.ws = ws;
        self
    }

    /// Sets [`udp`](Self::udp).
    #[must_use]
    pub fn udp(mut self, udp: SocketAddr) -> Self {
        self.udp = udp;
        self
    }

    /// Sets [`plain`](Self::plain).
    #[must_use]
    pub fn plain(mut self, plain: bool) -> Self {
        self.plain = plain;
        self
    }

    /// Sets [`server`](Self::server).
    #[must_use]
    pub fn server(mut self, server: Config) -> Self {
        self.server = server;
        self
    }

    /// Sets [`incoming`](Self::incoming).
    #[must_use]
    pub fn incoming(mut self, incoming: Impairment) -> Self {
        self.incoming = incoming;
        self
    }

    /// Sets [`outgoing`](Self::outgoing).
    #[must_use]
    pub fn outgoing(mut self, outgoing: Impairment) -> Self {
        self.outgoing = outgoing;
        self
    }

    /// Sets [`seed`](Self::seed).
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }
}

/// A [`Server`] on real sockets. Dropping it ends it, and severs its clients.
pub struct Loopback {
    ws: SocketAddr,
    udp: SocketAddr,
    ca: Option<String>,
    events: mpsc::Sender<Event>,
    dispatches: broadcast::Sender<Dispatch>,
    tasks: [JoinHandle<()>; 2],
}

impl Loopback {
    /// Starts a server on the current tokio runtime, whose I/O and time drivers must be on.
    ///
    /// # Errors
    ///
    /// An address that cannot be bound, which the error names; a system without randomness.
    pub async fn start(options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind(options.ws).await.map_err(cannot_listen("TCP", options.ws))?;
        let udp = bind(options.udp).map_err(cannot_listen("UDP", options.udp))?;
        let (ws_addr, udp_addr) = (reachable(listener.local_addr()?), reachable(udp.local_addr()?));
        let identity = match options.plain {
            true => None,
            false => Some(Identity::generate(&ws_addr.ip().to_string()).map_err(io::Error::other)?),
        };
        let (ca, acceptor) = identity.map(|identity| (identity.ca, identity.acceptor)).unzip();
        let seed = match options.seed {
            Some(seed) => seed,
            None => getrandom::u64().map_err(io::Error::other)?,
        };
        let config = options.server.udp(udp_addr).endpoint(ws_addr.to_string()).seed(seed);

        let (events, inbox) = mpsc::channel(EVENTS);
        let (dispatches, _) = broadcast::channel(DISPATCHES);
        let max_connections = config.max_connections;
        let owner = Owner {
            server: Server::new(owner::now(), config),
            udp,
            events: inbox,
            clients: HashMap::new(),
            dispatches: dispatches.clone(),
            incoming: Paths::new(seed ^ 1, options.incoming),
            outgoing: Paths::new(!seed, options.outgoing),
            buffer: vec![0; BUFFER],
        };
        let accept = websocket::accept(listener, acceptor, events.clone(), max_connections);
        let tasks = [tokio::spawn(accept), tokio::spawn(owner.run())];
        Ok(Self { ws: ws_addr, udp: udp_addr, ca, events, dispatches, tasks })
    }

    /// Where WebSockets are accepted; a wildcard address is given as the loopback one.
    pub fn ws_addr(&self) -> SocketAddr {
        self.ws
    }

    /// Where media is; a wildcard address is given as the loopback one.
    pub fn udp_addr(&self) -> SocketAddr {
        self.udp
    }

    /// The certificate that clients must trust, PEM; `None` without TLS.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca.as_deref()
    }

    /// Plays the main gateway, see [`Server::updates`].
    pub async fn updates(&self, user: UserId, guild: GuildId, channel: ChannelId) -> Updates {
        self.ask(|reply| Event::Updates { user, guild, channel, reply }).await
    }

    /// Misbehaves, see [`Server::cue`]. When this returns, what is to be sent is on its way.
    pub async fn cue(&self, cue: Cue) {
        self.ask(|reply| Event::Cue { cue, reply }).await;
    }

    /// What the server has seen and done so far.
    pub async fn stats(&self) -> Stats {
        self.ask(|reply| Event::Stats { reply }).await
    }

    /// Every session that is in a room, or could come back to one.
    pub async fn members(&self) -> Vec<Member> {
        self.ask(|reply| Event::Members { reply }).await
    }

    /// The main-gateway dispatches that cues bring about, from now on.
    pub fn dispatches(&self) -> broadcast::Receiver<Dispatch> {
        self.dispatches.subscribe()
    }

    /// Ends the server: listeners are closed when this returns.
    pub async fn shutdown(mut self) {
        for task in &mut self.tasks {
            task.abort();
            _ = task.await;
        }
    }

    async fn ask<T>(&self, event: impl FnOnce(oneshot::Sender<T>) -> Event) -> T {
        let (reply, answer) = oneshot::channel();
        _ = self.events.send(event(reply)).await;
        answer.await.expect("invariant: the server's task lives as long as its handle")
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl fmt::Debug for Loopback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loopback").field("ws", &self.ws).field("udp", &self.udp).finish_non_exhaustive()
    }
}

fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    // A system that allows less gives what it allows, or refuses: both will do.
    _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
    _ = socket.set_send_buffer_size(SOCKET_BUFFER);
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

fn cannot_listen(protocol: &str, address: SocketAddr) -> impl FnOnce(io::Error) -> io::Error {
    move |cause| io::Error::new(cause.kind(), format!("cannot listen on {address} ({protocol}): {cause}"))
}

/// An address that clients on this machine can use.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
