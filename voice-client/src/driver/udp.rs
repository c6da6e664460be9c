//! The receive task of a call: owns its [`Inbound`], reads the media socket, plays out.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket as StdSocket};
use std::sync::Arc;
use std::time::Duration;

use futures_channel::mpsc as post;
use model::UserId;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::oneshot;

use super::decode::PlayOut;
use super::inlet::Inlet;
use super::taps::{Tapped, Taps};
use super::time::{now, ntp, sleep_until};
use super::{Beat, Sending};
use crate::control::Generation;
use crate::media::{Inbound, OwnStream, Speech, Update, Vital};
use crate::stats::{Received, SendQuality};

/// The system's default holds some 166 packets.
const RECEIVE_BUFFER: usize = 4 * 1024 * 1024;
/// Room for a datagram: media stays below the usual MTU. A longer one is cut, does not open, and is counted as noise.
const DATAGRAM: usize = 2_048;
/// Datagrams read in a row before timers get their turn.
const BURST: usize = 64;

/// What the receive task is told.
pub(super) enum Message {
    /// Receive from this socket from now on.
    Socket {
        generation: Generation,
        socket: Arc<StdSocket>,
    },
    Update(Update),
    Tap(Tapped),
    Figures(oneshot::Sender<Figures>),
}

/// What the receive task tells control.
pub(super) struct Incoming {
    /// Of the socket.
    pub(super) generation: Generation,
    pub(super) said: Said,
}

pub(super) enum Said {
    /// A datagram of IP discovery.
    Discovery(Vec<u8>),
    /// The socket cannot be read.
    Failed(io::Error),
    /// Nobody's frames can be opened end to end.
    Hopeless,
    /// So many percent of what we send are lost.
    Loss(u8),
    /// Somebody starts or stops speaking.
    Speech(Speech),
    /// What has become of the media path.
    Vital(Vital),
}

/// What the receive task has counted.
pub(super) struct Figures {
    pub(super) received: Received,
    pub(super) heard: BTreeMap<UserId, receive::Stats>,
    pub(super) round_trip: Option<Duration>,
    pub(super) send_quality: Option<SendQuality>,
}

/// Opens the media socket: connected, so that only the voice server is heard.
pub(super) fn open(bind: IpAddr, server: SocketAddr) -> io::Result<StdSocket> {
    let bind = match (bind, server) {
        (IpAddr::V4(any), SocketAddr::V6(_)) if any.is_unspecified() => IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED),
        (IpAddr::V6(any), SocketAddr::V4(_)) if any.is_unspecified() => IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
        (bind, _) => bind,
    };
    let socket = Socket::new(Domain::for_address(server), Type::DGRAM, Some(Protocol::UDP))?;
    // A wish: systems grant what they allow.
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::new(bind, 0).into())?;
    socket.connect(&server.into())?;
    Ok(socket.into())
}

/// Runs until every sender of messages is gone.
#[expect(clippy::manual_async_fn, reason = "an async function would hold its arguments twice while it runs")]
pub(super) fn run(
    mut inbound: Inbound,
    mut play_out: PlayOut,
    mut messages: post::UnboundedReceiver<Message>,
    control: post::UnboundedSender<Incoming>,
    beat: Beat,
) -> impl Future<Output = ()> {
    async move {
        let mut socket: Option<Inlet> = None;
        let mut generation = 0;
        let mut taps = Taps::default();
        let mut sending = None;
        loop {
            let deadline = [inbound.poll_timeout(), inbound.poll_tick()].into_iter().flatten().min();
            tokio::select! {
                message = messages.recv() => match message {
                    Err(_) => return,
                    Ok(Message::Socket { generation: new, socket: opened }) => {
                        generation = new;
                        socket = match Inlet::new(opened) {
                            Ok(socket) => Some(socket),
                            Err(error) => {
                                let _ = control.unbounded_send(Incoming { generation, said: Said::Failed(error) });
                                None
                            }
                        };
                    }
                    Ok(Message::Update(update)) => inbound.update(now(), &update, &mut taps),
                    Ok(Message::Tap(tap)) => {
                        taps.add(tap);
                        inbound.refresh(now(), &taps);
                    }
                    Ok(Message::Figures(reply)) => {
                        let received = Received { consumer_lost: taps.lost(), ..inbound.received() };
                        let (heard, round_trip) = (inbound.heard(), inbound.round_trip());
                        let send_quality = inbound.send_quality();
                        let _ = reply.send(Figures { received, heard, round_trip, send_quality });
                    }
                },
                // An error on a connected socket (refused, unreachable) is the network's, and passes.
                _ = readable(socket.as_ref()) => {
                    let Some(socket) = &socket else { continue };
                    read(socket, &mut inbound, &mut taps, |datagram| {
                        let _ = control.unbounded_send(Incoming { generation, said: Said::Discovery(datagram) });
                    });
                }
                own = asked(&mut sending) => {
                    sending = None;
                    // A report goes where media goes; one that is refused is lost like any other packet.
                    if let (Some(report), Some(socket)) = (inbound.report(now(), ntp(), own), &socket) {
                        let _ = socket.send(report);
                    }
                }
                () = sleep_until(deadline) => {}
            }
            taps.set_up(inbound.can_hear());
            let now = now();
            if inbound.poll_timeout().is_some_and(|deadline| deadline <= now) {
                inbound.handle_timeout(now, &mut taps);
            }
            if inbound.poll_tick().is_some_and(|due| due <= now) {
                play_out.tick(&mut inbound, now, &mut taps).await;
            }
            if inbound.poll_hopeless() {
                let _ = control.unbounded_send(Incoming { generation, said: Said::Hopeless });
            }
            if let Some(percent) = inbound.poll_loss() {
                let _ = control.unbounded_send(Incoming { generation, said: Said::Loss(percent) });
            }
            for speech in taps.speech() {
                let _ = control.unbounded_send(Incoming { generation, said: Said::Speech(speech) });
            }
            if inbound.poll_report_due(now) {
                sending = Some(beat.figures());
            }
            while let Some(vital) = inbound.poll_vital() {
                let _ = control.unbounded_send(Incoming { generation, said: Said::Vital(vital) });
            }
            while let Some(ping) = inbound.poll_ping() {
                if let Some(socket) = &socket {
                    let _ = socket.send(&ping);
                }
            }
        }
    }
}

/// Reads what is there. The buffer is needed no longer than that, so that no call holds one.
fn read(socket: &Inlet, inbound: &mut Inbound, taps: &mut Taps, mut discovery: impl FnMut(Vec<u8>)) {
    let mut datagram = [0; DATAGRAM];
    for _ in 0..BURST {
        let Ok(len) = socket.try_recv(&mut datagram) else { break };
        if inbound.handle_datagram(now(), &mut datagram[..len], taps) {
            discovery(datagram[..len].to_vec());
        }
    }
}

/// Resolves to what the clock thread says of our stream, once it was asked.
async fn asked(sending: &mut Option<oneshot::Receiver<Sending>>) -> Option<OwnStream> {
    match sending {
        Some(answer) => answer.await.ok()?.stream,
        None => std::future::pending().await,
    }
}

/// Resolves when there may be something to read; never when there is no socket.
async fn readable(socket: Option<&Inlet>) {
    match socket {
        Some(socket) => socket.readable().await,
        None => std::future::pending().await,
    }
}
