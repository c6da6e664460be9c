//! The server on real sockets: TLS, WebSockets, UDP.

use std::sync::Arc;
use std::time::Duration;

use crypto::{Backend, Key, MAX_OVERHEAD, Mode, Opener, Sealer};
use futures_util::{SinkExt, StreamExt};
use model::{ChannelId, GuildId, RtpTime, Seq, Ssrc, UserId};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};
use udp::{discovery, keepalive, rtp};
use voice_loopback::{Config, Cue, Impairment, Loopback, Options};

/// What has not come by then was lost.
const PATIENCE: Duration = Duration::from_secs(10);

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A client that has joined.
struct Client {
    websocket: WebSocketStream<Box<dyn Stream>>,
    udp: UdpSocket,
    ssrc: Ssrc,
    sealer: Sealer,
    opener: Opener,
}

fn user(id: u64) -> UserId {
    UserId::new(id).expect("not zero")
}

/// For what has nothing to do with end-to-end encryption.
fn options() -> Options {
    Options::default().server(Config::default().dave_version(0))
}

async fn tls(loopback: &Loopback, name: &str) -> Box<dyn Stream> {
    let tcp = TcpStream::connect(loopback.ws_addr()).await.expect("connected");
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_slice(loopback.ca_pem().expect("a CA").as_bytes()).expect("PEM");
    roots.add(ca).expect("an authority");
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    Box::new(TlsConnector::from(Arc::new(config)).connect(name, tcp).await.expect("trusted"))
}

async fn recv(udp: &UdpSocket, buffer: &mut [u8]) -> usize {
    timeout(PATIENCE, udp.recv(buffer)).await.expect("in time").expect("a datagram")
}

async fn hear(websocket: &mut WebSocketStream<Box<dyn Stream>>, op: u64) -> Value {
    loop {
        let message = timeout(PATIENCE, websocket.next()).await.expect("in time").expect("open").expect("a message");
        let message: Value = serde_json::from_str(message.to_text().expect("text")).expect("JSON");
        if message["op"] == op {
            return message["d"].clone();
        }
    }
}

async fn join(loopback: &Loopback, id: u64, url: &str) -> Client {
    let stream: Box<dyn Stream> = match loopback.ca_pem() {
        Some(_) => tls(loopback, "127.0.0.1").await,
        None => Box::new(TcpStream::connect(loopback.ws_addr()).await.expect("connected")),
    };
    let (mut websocket, _) = client_async(url, stream).await.expect("a WebSocket");
    let (guild, channel) = (GuildId::new(2).expect("not zero"), ChannelId::new(3).expect("not zero"));
    let updates = loopback.updates(user(id), guild, channel).await;
    assert_eq!(updates.server["endpoint"], loopback.ws_addr().to_string());
    let identify = json!({ "op": 0, "d": {
        "server_id": "2", "user_id": id.to_string(), "session_id": updates.state["session_id"],
        "token": updates.server["token"],
    }});
    websocket.send(Message::text(identify.to_string())).await.expect("sent");
    assert_eq!(hear(&mut websocket, 8).await["v"], 8);
    let ready = hear(&mut websocket, 2).await;
    assert_eq!(ready["port"], loopback.udp_addr().port());
    let ssrc = Ssrc(ready["ssrc"].as_u64().expect("an SSRC") as u32);

    let udp = UdpSocket::bind("127.0.0.1:0").await.expect("bound");
    udp.connect(loopback.udp_addr()).await.expect("connected");
    udp.send(&discovery::request(ssrc)).await.expect("sent");
    let mut answer = [0; 100];
    let len = recv(&udp, &mut answer).await;
    let found = discovery::read_response(&answer[..len]).expect("a response");
    assert_eq!(found.address, udp.local_addr().expect("an address"));

    let mode = Mode::Aes256GcmRtpsize;
    let select = json!({ "op": 1, "d": { "protocol": "udp", "data": {
        "address": found.address.ip().to_string(), "port": found.address.port(), "mode": mode.name(),
    }}});
    websocket.send(Message::text(select.to_string())).await.expect("sent");
    let key: Vec<u8> = serde_json::from_value(hear(&mut websocket, 4).await["secret_key"].clone()).expect("bytes");
    let key = Key::new(key.try_into().expect("32 bytes"));
    let (sealer, opener) = (Sealer::new(mode, &key, Backend::AwsLc), Opener::new(mode, &key, Backend::AwsLc));
    Client { websocket, udp, ssrc, sealer, opener }
}

impl Client {
    async fn send(&mut self, seq: u16, payload: &[u8]) {
        let mut packet = vec![0; rtp::FIXED_LEN];
        rtp::Header::new(Seq(seq), RtpTime(0), self.ssrc).write(&mut packet);
        packet.extend_from_slice(payload);
        packet.resize(packet.len() + MAX_OVERHEAD, 0);
        let len = self.sealer.seal_rtp(&mut packet, rtp::FIXED_LEN, payload.len()).expect("sealed");
        self.udp.send(&packet[..len]).await.expect("sent");
    }

    async fn receive(&mut self) -> Vec<u8> {
        let mut packet = vec![0; 65_536];
        let len = recv(&self.udp, &mut packet).await;
        let header = rtp::Header::read(&packet[..len]).expect("RTP");
        self.opener.open(&mut packet[..len], header.clear_len()).expect("authentic").to_vec()
    }
}

#[tokio::test]
async fn two_clients_hear_each_other_over_tls() {
    let loopback =
        Loopback::start(options().server(Config::default().dave_version(0).issued_only(true))).await.expect("started");
    let mut first = join(&loopback, 1, "wss://127.0.0.1/?v=8").await;
    let mut second = join(&loopback, 2, "wss://127.0.0.1?v=8").await;
    first.send(1, b"there").await;
    assert_eq!(second.receive().await, b"there");
    second.send(1, b"back").await;
    assert_eq!(first.receive().await, b"back");
    assert_eq!(loopback.members().await.len(), 2);
    assert_eq!(loopback.stats().await.forwarded, 2);

    loopback.cue(Cue::Garbage { user: Some(user(1)), len: 1_000 }).await;
    let mut garbage = [0; 2_000];
    assert_eq!(recv(&first.udp, &mut garbage).await, 1_000);

    let mut dispatches = loopback.dispatches();
    loopback.cue(Cue::Kick { user: user(1) }).await;
    let dispatch = timeout(PATIENCE, dispatches.recv()).await.expect("in time");
    assert_eq!(dispatch.expect("a dispatch").event, "VOICE_STATE_UPDATE");
    let closed = loop {
        let message = timeout(PATIENCE, first.websocket.next()).await.expect("in time");
        match message.expect("a close frame first").expect("a message") {
            Message::Close(frame) => break frame.expect("a code"),
            _ => continue,
        }
    };
    assert_eq!(u16::from(closed.code), 4014);
    assert_eq!(hear(&mut second.websocket, 13).await["user_id"], "1");
    second.websocket.close(None).await.expect("closed");
    loopback.shutdown().await;
}

#[tokio::test]
async fn a_severed_connection_ends_without_a_close_frame() {
    let loopback = Loopback::start(options().plain(true)).await.expect("started");
    assert_eq!(loopback.ca_pem(), None);
    let mut client = join(&loopback, 1, "ws://127.0.0.1/?v=8").await;
    loopback.cue(Cue::Sever { user: None }).await;
    while let Some(Ok(message)) = timeout(PATIENCE, client.websocket.next()).await.expect("in time") {
        assert!(!message.is_close());
    }
    assert!(loopback.members().await.iter().all(|member| !member.connected));
}

#[tokio::test]
async fn a_closing_handshake_gives_the_session_up() {
    let loopback = Loopback::start(options().plain(true)).await.expect("started");
    let (mut first, mut second) =
        (join(&loopback, 1, "ws://127.0.0.1/?v=8").await, join(&loopback, 2, "ws://127.0.0.1/?v=8").await);
    let normal = tokio_tungstenite::tungstenite::protocol::CloseFrame { code: 1000.into(), reason: "".into() };
    first.websocket.close(Some(normal)).await.expect("closed");
    assert_eq!(hear(&mut second.websocket, 13).await["user_id"], "1");
    assert_eq!(loopback.members().await.len(), 1);
}

#[tokio::test]
async fn impairments_apply_in_the_direction_asked_for() {
    let doubled = Impairment { duplicate: 1.0, ..Impairment::default() };
    let loopback = Loopback::start(options().plain(true).outgoing(doubled).seed(1)).await.expect("started");
    let client = join(&loopback, 1, "ws://127.0.0.1/?v=8").await;
    let mut answer = [0; 100];
    recv(&client.udp, &mut answer).await; // the second answer to discovery
    client.udp.send(&keepalive::ping(7)).await.expect("sent");
    for _ in 0..2 {
        let len = recv(&client.udp, &mut answer).await;
        assert_eq!(keepalive::read_pong(&answer[..len]), Some(7));
    }
    assert_eq!(loopback.stats().await.pings, 1);

    let loopback = Loopback::start(options().plain(true).incoming(doubled)).await.expect("started");
    let udp = UdpSocket::bind("127.0.0.1:0").await.expect("bound");
    udp.send_to(&keepalive::ping(7), loopback.udp_addr()).await.expect("sent");
    for _ in 0..2 {
        let len = recv(&udp, &mut answer).await;
        assert_eq!(keepalive::read_pong(&answer[..len]), Some(7));
    }
    assert_eq!(loopback.stats().await.pings, 2);
}

#[tokio::test]
async fn what_is_no_websocket_is_refused() {
    let loopback = Loopback::start(options().plain(true)).await.expect("started");
    let mut tcp = TcpStream::connect(loopback.ws_addr()).await.expect("connected");
    tcp.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("sent");
    let mut answer = Vec::new();
    _ = timeout(PATIENCE, tcp.read_to_end(&mut answer)).await.expect("in time");
    assert!(!answer.starts_with(b"HTTP/1.1 101"));
    join(&loopback, 1, "ws://127.0.0.1/?v=8").await;
}

#[tokio::test]
async fn an_address_in_use_is_an_error() {
    let loopback = Loopback::start(options().plain(true)).await.expect("started");
    let (ws, udp) = (loopback.ws_addr(), loopback.udp_addr());
    let error = Loopback::start(options().plain(true).ws(ws)).await.expect_err("occupied").to_string();
    assert!(error.starts_with(&format!("cannot listen on {ws} (TCP): ")), "{error}");
    let error = Loopback::start(options().plain(true).udp(udp)).await.expect_err("occupied").to_string();
    assert!(error.starts_with(&format!("cannot listen on {udp} (UDP): ")), "{error}");
}
