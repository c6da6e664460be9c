//! Opening, keeping and resuming a session: ops 0, 1, 2, 3, 4, 6, 7, 8.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use voice_model::{ChannelId, GuildId, Ssrc, UserId};

use super::{field, secret};
use crate::Token;
use crate::secret::SecretKey;

/// Op 0, client: opens a session. A token is good for one identify.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Identify {
    /// The guild whose call is joined.
    #[serde(rename = "server_id", with = "field")]
    pub server: GuildId,
    /// The channel of the call, which gateway version 9 wants to know; earlier ones ignore it.
    #[serde(rename = "channel_id", default, skip_serializing_if = "Option::is_none", with = "field::lenient")]
    pub channel: Option<ChannelId>,
    /// Who joins.
    #[serde(rename = "user_id", with = "field")]
    pub user: UserId,
    /// `session_id` of the user's VOICE_STATE_UPDATE.
    #[serde(rename = "session_id")]
    pub session: String,
    /// `token` of VOICE_SERVER_UPDATE.
    #[serde(with = "secret::token")]
    pub token: Token,
    /// The newest DAVE protocol version that the client speaks; 0 (also when absent) for none.
    #[serde(default, with = "field")]
    pub max_dave_protocol_version: u16,
    /// Whether the client can do video.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "field::or_default")]
    pub video: Option<bool>,
    /// The video streams that the client would send; kept as they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "field::or_default")]
    pub streams: Vec<Value>,
}

impl Identify {
    /// An audio-only identify without DAVE that names no channel.
    pub const fn new(server: GuildId, user: UserId, session: String, token: Token) -> Self {
        Self {
            server,
            channel: None,
            user,
            session,
            token,
            max_dave_protocol_version: 0,
            video: None,
            streams: Vec::new(),
        }
    }
}

/// Op 1, client: where the server is to send media, and the encryption mode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "SelectProtocolWire", into = "SelectProtocolWire")]
pub struct SelectProtocol {
    /// `udp`; Discord also knows `webrtc`.
    pub protocol: String,
    /// The client's external IP address, as discovery found it, in text form.
    pub address: String,
    /// The client's external UDP port.
    pub port: u16,
    /// One of the modes offered in op 2.
    pub mode: String,
    /// The codecs that the client offers; kept as they are.
    pub codecs: Vec<Value>,
    /// A UUID that the client made up for this connection.
    pub rtc_connection_id: Option<String>,
}

impl SelectProtocol {
    /// UDP media to this external address.
    pub fn udp(external: SocketAddr, mode: &str) -> Self {
        Self {
            protocol: "udp".to_owned(),
            address: external.ip().to_string(),
            port: external.port(),
            mode: mode.to_owned(),
            codecs: Vec::new(),
            rtc_connection_id: None,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct SelectProtocolWire {
    protocol: String,
    data: SelectProtocolData,
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "field::or_default")]
    codecs: Vec<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "field::or_default")]
    rtc_connection_id: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct SelectProtocolData {
    address: String,
    #[serde(with = "field")]
    port: u16,
    mode: String,
}

impl From<SelectProtocolWire> for SelectProtocol {
    fn from(wire: SelectProtocolWire) -> Self {
        let SelectProtocolWire { protocol, data, codecs, rtc_connection_id } = wire;
        let SelectProtocolData { address, port, mode } = data;
        Self { protocol, address, port, mode, codecs, rtc_connection_id }
    }
}

impl From<SelectProtocol> for SelectProtocolWire {
    fn from(select: SelectProtocol) -> Self {
        let SelectProtocol { protocol, address, port, mode, codecs, rtc_connection_id } = select;
        Self { protocol, data: SelectProtocolData { address, port, mode }, codecs, rtc_connection_id }
    }
}

/// Op 2, server: the session's SSRC and the media server's address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ready {
    /// The SSRC of our audio.
    #[serde(with = "field")]
    pub ssrc: Ssrc,
    /// Address of the UDP media server.
    pub ip: IpAddr,
    /// Its port.
    #[serde(with = "field")]
    pub port: u16,
    /// Names of the encryption modes on offer.
    pub modes: Vec<String>,
    /// Names of experiments that are on.
    #[serde(default, deserialize_with = "field::or_default")]
    pub experiments: Vec<String>,
    /// Video streams granted; kept as they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "field::or_default")]
    pub streams: Vec<Value>,
}

impl Ready {
    /// A ready without experiments and video streams.
    pub const fn new(ssrc: Ssrc, media: SocketAddr, modes: Vec<String>) -> Self {
        Self { ssrc, ip: media.ip(), port: media.port(), modes, experiments: Vec::new(), streams: Vec::new() }
    }
}

/// Op 4, server: the agreed mode and its key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionDescription {
    /// The encryption mode.
    pub mode: String,
    /// The transport key.
    #[serde(with = "secret::key")]
    pub secret_key: SecretKey,
    /// The call's DAVE protocol version; 0 (also when absent) for none.
    #[serde(default, with = "field")]
    pub dave_protocol_version: u16,
    /// `opus`.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "field::or_default")]
    pub audio_codec: Option<String>,
    /// The agreed video codec.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "field::or_default")]
    pub video_codec: Option<String>,
    /// Names the media session in Discord's logs.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "field::or_default")]
    pub media_session_id: Option<String>,
    /// The session description of the `webrtc` protocol.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "field::or_default")]
    pub sdp: Option<String>,
    /// Milliseconds between video key frames.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "field::or_default")]
    pub keyframe_interval: Option<u64>,
}

impl SessionDescription {
    /// A description with the fields that audio needs.
    pub const fn new(mode: String, secret_key: SecretKey, dave_protocol_version: u16) -> Self {
        Self {
            mode,
            secret_key,
            dave_protocol_version,
            audio_codec: None,
            video_codec: None,
            media_session_id: None,
            sdp: None,
            keyframe_interval: None,
        }
    }
}

/// Op 3, both directions: I am alive. From the server: send a heartbeat now.
///
/// Read from `{t, seq_ack}` (v8), from a bare integer (before v8) and from nothing at all (nonce 0).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Heartbeat {
    /// Echoed in the ack. At most 2^53-1, so that every JSON implementation keeps it.
    #[serde(rename = "t")]
    pub nonce: u64,
    /// The last sequence number received; -1 or absent before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq_ack: Option<i64>,
}

#[derive(Deserialize)]
struct HeartbeatFields {
    #[serde(rename = "t", default, with = "field")]
    nonce: u64,
    #[serde(default, deserialize_with = "field::or_default")]
    seq_ack: Option<i64>,
}

impl<'de> Deserialize<'de> for Heartbeat {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let HeartbeatFields { nonce, seq_ack } = deserializer.deserialize_any(Beat)?;
        Ok(Self { nonce, seq_ack })
    }
}

/// Op 6, server: the echo of a heartbeat, read from `{t}` (v8) and from a bare integer (before v8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct HeartbeatAck {
    /// The heartbeat's nonce.
    #[serde(rename = "t")]
    pub nonce: u64,
}

impl<'de> Deserialize<'de> for HeartbeatAck {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let HeartbeatFields { nonce, .. } = deserializer.deserialize_any(Beat)?;
        Ok(Self { nonce })
    }
}

/// Either form of a heartbeat.
struct Beat;

impl<'de> Visitor<'de> for Beat {
    type Value = HeartbeatFields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a heartbeat: an integer or {\"t\": integer}")
    }

    fn visit_u64<E: serde::de::Error>(self, nonce: u64) -> Result<Self::Value, E> {
        Ok(HeartbeatFields { nonce, seq_ack: None })
    }

    fn visit_f64<E: serde::de::Error>(self, nonce: f64) -> Result<Self::Value, E> {
        field::deserialize(serde::de::value::F64Deserializer::<E>::new(nonce)).and_then(|nonce| self.visit_u64(nonce))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        HeartbeatFields::deserialize(MapAccessDeserializer::new(map))
    }
}

/// Op 7, client: goes on with a session over a new WebSocket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resume {
    /// As in the identify.
    #[serde(rename = "server_id", with = "field")]
    pub server: GuildId,
    /// As in the identify.
    #[serde(rename = "session_id")]
    pub session: String,
    /// As in the identify.
    #[serde(with = "secret::token")]
    pub token: Token,
    /// The last sequence number received; -1 or absent before the first, absent before v8.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "field::or_default")]
    pub seq_ack: Option<i64>,
}

/// Op 8, server: the first message on a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The gateway's version.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "field::or_default")]
    pub v: Option<u8>,
    /// Time between heartbeats; whole milliseconds on the wire, a float is accepted.
    #[serde(with = "milliseconds")]
    pub heartbeat_interval: Duration,
}

mod milliseconds {
    use super::{Deserialize, Deserializer, Duration};
    use serde::de::Error;
    use serde::ser::Serializer;

    pub(super) fn serialize<S: Serializer>(interval: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(interval.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let milliseconds = f64::deserialize(deserializer)?;
        Duration::try_from_secs_f64(milliseconds / 1_000.0).map_err(D::Error::custom)
    }
}
