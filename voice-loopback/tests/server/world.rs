use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crypto::{Backend, Key, MAX_OVERHEAD, Mode, Opener, Sealer};
use model::{ChannelId, GuildId, RtpTime, Seq, Ssrc, UserId};
use serde_json::{Value, json};
use udp::rtp::{self, Header};
use voice_loopback::{Config, ConnId, Dispatch, Output, Server};

pub(crate) const GUILD: u64 = 100;

/// A server in virtual time, and everything it has said.
pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) now: Instant,
    texts: BTreeMap<u64, Vec<String>>,
    ended: BTreeMap<u64, Ended>,
    datagrams: BTreeMap<SocketAddr, Vec<Vec<u8>>>,
    pub(crate) dispatches: Vec<Dispatch>,
    pub(crate) frames: Vec<(u64, Vec<u8>)>,
    /// Both kinds of messages of each connection, in their order.
    pub(crate) inbox: BTreeMap<u64, VecDeque<Heard>>,
    next_conn: u64,
}

#[derive(Clone, Debug)]
pub(crate) enum Heard {
    Text(String),
    Binary(Vec<u8>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Closed(u16),
    Severed,
}

impl World {
    #[expect(clippy::disallowed_methods, reason = "any instant will do as the start of virtual time")]
    pub(crate) fn new(config: Config) -> Self {
        let now = Instant::now();
        Self {
            server: Server::new(now, config),
            now,
            texts: BTreeMap::new(),
            ended: BTreeMap::new(),
            datagrams: BTreeMap::new(),
            dispatches: Vec::new(),
            frames: Vec::new(),
            inbox: BTreeMap::new(),
            next_conn: 0,
        }
    }

    /// Takes whatever the server has to say.
    pub(crate) fn drain(&mut self) {
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Text { conn, text } => {
                    self.inbox.entry(conn.0).or_default().push_back(Heard::Text(text.clone()));
                    self.texts.entry(conn.0).or_default().push(text);
                }
                Output::Binary { conn, frame } => {
                    self.inbox.entry(conn.0).or_default().push_back(Heard::Binary(frame.clone()));
                    self.frames.push((conn.0, frame));
                }
                Output::Close { conn, code, reason } => {
                    assert!(reason.len() <= 123, "no close frame can hold this: {reason}");
                    self.ended.insert(conn.0, Ended::Closed(code));
                }
                Output::Sever { conn } => _ = self.ended.insert(conn.0, Ended::Severed),
                Output::Datagram { to, bytes } => self.datagrams.entry(to).or_default().push(bytes),
                Output::MainGateway(dispatch) => self.dispatches.push(dispatch),
                other => panic!("unexpected: {other:?}"),
            }
        }
    }

    pub(crate) fn connect(&mut self, query: &str) -> u64 {
        self.next_conn += 1;
        self.server.handle_connect(self.now, ConnId(self.next_conn), query);
        self.drain();
        self.next_conn
    }

    pub(crate) fn say(&mut self, conn: u64, message: &Value) {
        self.say_raw(conn, &message.to_string());
    }

    pub(crate) fn say_raw(&mut self, conn: u64, text: &str) {
        self.server.handle_text(self.now, ConnId(conn), text);
        self.drain();
    }

    pub(crate) fn say_binary(&mut self, conn: u64, frame: &[u8]) {
        self.server.handle_binary(self.now, ConnId(conn), frame);
        self.drain();
    }

    pub(crate) fn disconnect(&mut self, conn: u64, code: Option<u16>) {
        self.server.handle_disconnect(self.now, ConnId(conn), code);
        self.drain();
    }

    /// What the connection heard since it was last asked, as raw text.
    pub(crate) fn raw(&mut self, conn: u64) -> Vec<String> {
        self.texts.remove(&conn).unwrap_or_default()
    }

    pub(crate) fn heard(&mut self, conn: u64) -> Vec<Value> {
        self.raw(conn).iter().map(|text| serde_json::from_str(text).expect("JSON")).collect()
    }

    pub(crate) fn ops(&mut self, conn: u64) -> Vec<u64> {
        self.heard(conn).iter().map(|message| message["op"].as_u64().expect("an opcode")).collect()
    }

    pub(crate) fn ended(&self, conn: u64) -> Option<Ended> {
        self.ended.get(&conn).copied()
    }

    pub(crate) fn closed(&self, conn: u64) -> u16 {
        match self.ended(conn) {
            Some(Ended::Closed(code)) => code,
            other => panic!("not closed but {other:?}"),
        }
    }

    /// Lets time pass, in the server's own steps.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(next) = self.server.poll_timeout().filter(|next| *next <= end) {
            assert!(next > self.now, "a deadline in the past");
            self.now = next;
            self.server.handle_timeout(next);
            self.drain();
        }
        self.now = end;
    }

    pub(crate) fn datagram(&mut self, from: SocketAddr, bytes: &[u8]) {
        self.server.handle_datagram(self.now, from, &mut bytes.to_vec());
        self.drain();
    }

    /// What arrived at the address since it was last asked.
    pub(crate) fn arrived(&mut self, at: SocketAddr) -> Vec<Vec<u8>> {
        self.datagrams.remove(&at).unwrap_or_default()
    }

    /// A client of `?v=8` that has identified.
    pub(crate) fn identified(&mut self, user: u64) -> u64 {
        let conn = self.connect("v=8");
        self.say(conn, &identify(user));
        conn
    }

    /// A client of `?v=8` in the room, which has heard everything up to op 4.
    pub(crate) fn joined(&mut self, user: u64) -> Client {
        self.joined_with(user, Mode::Aes256GcmRtpsize)
    }

    pub(crate) fn joined_with(&mut self, user: u64, mode: Mode) -> Client {
        let conn = self.identified(user);
        let address = address(user);
        self.say(conn, &select(address, mode.name()));
        let heard = self.heard(conn);
        let ssrc = find(&heard, 2)["ssrc"].as_u64().expect("an SSRC") as u32;
        let client = Client::new(conn, ssrc, address, mode);
        match heard.iter().find(|message| message["op"] == 4) {
            Some(description) => client.with_key(&description["d"]),
            None => client,
        }
    }
}

/// For what has nothing to do with end-to-end encryption.
pub(crate) fn plain() -> Config {
    Config::default().dave_version(0)
}

/// The payload of the first message with this opcode.
pub(crate) fn find(heard: &[Value], op: u64) -> &Value {
    let message = heard.iter().find(|message| message["op"] == op);
    &message.unwrap_or_else(|| panic!("no op {op} in {heard:?}"))["d"]
}

pub(crate) fn identify(user: u64) -> Value {
    json!({ "op": 0, "d": {
        "server_id": GUILD.to_string(), "user_id": user.to_string(), "session_id": format!("session-{user}"),
        "token": format!("token-{user}"), "max_dave_protocol_version": 1,
        "video": false, "a_field_of_tomorrow": [1, 2],
    }})
}

pub(crate) fn select(address: SocketAddr, mode: &str) -> Value {
    json!({ "op": 1, "d": {
        "protocol": "udp",
        "data": { "address": address.ip().to_string(), "port": address.port(), "mode": mode },
        "codecs": [{ "name": "opus", "type": "audio", "priority": 1000, "payload_type": 120 }],
        "rtc_connection_id": "b4e7a8f0",
    }})
}

pub(crate) fn resume(user: u64, seq_ack: Option<i64>) -> Value {
    let mut message = json!({ "op": 7, "d": {
        "server_id": GUILD.to_string(), "session_id": format!("session-{user}"), "token": format!("token-{user}"),
    }});
    if let Some(seq_ack) = seq_ack {
        message["d"]["seq_ack"] = json!(seq_ack);
    }
    message
}

/// Where user `n` is.
pub(crate) fn address(user: u64) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 10_000 + user as u16))
}

pub(crate) fn user(id: u64) -> UserId {
    UserId::new(id).expect("not zero")
}

pub(crate) fn guild(id: u64) -> GuildId {
    GuildId::new(id).expect("not zero")
}

pub(crate) fn channel(id: u64) -> ChannelId {
    ChannelId::new(id).expect("not zero")
}

/// What a client needs for media.
pub(crate) struct Client {
    pub(crate) conn: u64,
    pub(crate) ssrc: Ssrc,
    pub(crate) address: SocketAddr,
    mode: Mode,
    pub(crate) sealer: Sealer,
    pub(crate) opener: Opener,
}

impl Client {
    pub(crate) fn new(conn: u64, ssrc: u32, address: SocketAddr, mode: Mode) -> Self {
        let key = Key::new([0; 32]);
        let (sealer, opener) = (Sealer::new(mode, &key, Backend::Portable), Opener::new(mode, &key, Backend::Portable));
        Self { conn, ssrc: Ssrc(ssrc), address, mode, sealer, opener }
    }

    /// With the key of this session description. The portable back end, so that the server's own is checked.
    pub(crate) fn with_key(mut self, description: &Value) -> Self {
        assert_eq!(description["mode"], self.mode.name());
        let key: Vec<u8> = serde_json::from_value(description["secret_key"].clone()).expect("bytes");
        let key = Key::new(key.try_into().expect("32 bytes"));
        self.sealer = Sealer::new(self.mode, &key, Backend::Portable);
        self.opener = Opener::new(self.mode, &key, Backend::Portable);
        self
    }

    /// A sealed packet; `edit` changes its header, `plaintext` is what follows it.
    pub(crate) fn packet(&mut self, seq: u16, plaintext: &[u8], edit: impl FnOnce(&mut Header)) -> Vec<u8> {
        let mut header = Header::new(Seq(seq), RtpTime(960 * u32::from(seq)), self.ssrc);
        edit(&mut header);
        let clear_len = header.clear_len();
        let mut packet = vec![0; clear_len];
        header.write(&mut packet);
        if header.extension {
            packet[clear_len - 4..].copy_from_slice(&[0xBE, 0xDE, 0, 1]);
        }
        packet.extend_from_slice(plaintext);
        packet.resize(clear_len + plaintext.len() + MAX_OVERHEAD, 0);
        let len = self.sealer.seal_rtp(&mut packet, clear_len, plaintext.len()).expect("sealed");
        packet.truncate(len);
        packet
    }

    /// Opens a packet that the server sent.
    pub(crate) fn open(&mut self, packet: &[u8]) -> Opened {
        let header = Header::read(packet).expect("RTP");
        let words = rtp::extension_words(packet, &header);
        let mut packet = packet.to_vec();
        let plaintext = self.opener.open(&mut packet, header.clear_len()).expect("authentic");
        let body = rtp::body(&header, words, plaintext).expect("well formed");
        Opened {
            header,
            extension: plaintext[body.extension].to_vec(),
            payload: plaintext[body.payload].to_vec(),
            padding: body.padding,
        }
    }
}

pub(crate) struct Opened {
    pub(crate) header: Header,
    pub(crate) extension: Vec<u8>,
    pub(crate) payload: Vec<u8>,
    pub(crate) padding: usize,
}
