//! The JSON opcodes of the voice gateway, both directions (Discord developer documentation, "Voice Connections").
//!
//! [`read`] is lenient and the same for both dialects: numbers may be strings or floats without a fraction, unknown
//! fields are passed over, a heartbeat may be a bare integer. [`write()`] is exact.

mod dave;
mod field;
mod media;
mod message;
mod people;
mod secret;
mod session;

use std::fmt;

use serde::ser::{Serialize, Serializer};
use serde::{Deserialize, Serialize as DeriveSerialize};
use serde_json::value::RawValue;

pub use crate::secret::SecretKey;
pub use dave::{ExecuteTransition, InvalidCommitWelcome, PrepareEpoch, PrepareTransition, ReadyForTransition};
pub use media::{BackendVersion, SessionUpdate, Speaking, Video};
pub use message::Message;
pub use people::{ClientDisconnect, ClientFlags, ClientPlatform, ClientsConnect};
pub use session::{Heartbeat, HeartbeatAck, Hello, Identify, Ready, Resume, SelectProtocol, SessionDescription};

/// Longest [`ParseError::reason`], in bytes: serde's reasons quote the input, which may be a megabyte.
const MAX_REASON: usize = 160;

/// What the peer speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Versions before 8: frames are `op` and `d` only, heartbeats and their acks bare integers, no `seq_ack`.
    V4,
    /// Version 8: frames may carry `seq`, heartbeats are `{t, seq_ack}`.
    V8,
}

/// A message with its place in the server's counter.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// The sequence number, modulo 2^16, which binary frames share; only servers since v8 send one, and not with
    /// every opcode.
    pub seq: Option<u16>,
    /// The message.
    pub message: Message,
}

/// Why a text message could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// The opcode, when at least that could be read.
    pub op: Option<u64>,
    /// What is wrong with it. Never quotes a token or key; at most a few hundred bytes.
    pub reason: String,
}

impl ParseError {
    fn new(op: Option<u64>, cause: &serde_json::Error) -> Self {
        let mut reason = cause.to_string();
        reason.truncate(reason.floor_char_boundary(MAX_REASON));
        Self { op, reason }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.op {
            Some(op) => write!(f, "malformed message of op {op}: {}", self.reason),
            None => write!(f, "malformed message: {}", self.reason),
        }
    }
}

impl std::error::Error for ParseError {}

#[derive(Deserialize)]
struct Incoming<'a> {
    op: u64,
    #[serde(default, deserialize_with = "field::or_default")]
    seq: Option<u64>,
    #[serde(default, borrow)]
    d: Option<&'a RawValue>,
}

#[derive(DeriveSerialize)]
struct Outgoing<'a> {
    op: u64,
    d: Payload<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u16>,
}

struct Payload<'a> {
    dialect: Dialect,
    message: &'a Message,
}

impl Serialize for Payload<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (self.dialect, self.message) {
            (Dialect::V4, Message::Heartbeat(heartbeat)) => heartbeat.nonce.serialize(serializer),
            (Dialect::V4, Message::HeartbeatAck(ack)) => ack.nonce.serialize(serializer),
            (Dialect::V4, Message::Resume(resume)) => Resume { seq_ack: None, ..resume.clone() }.serialize(serializer),
            (_, message) => message.serialize(serializer),
        }
    }
}

/// Reads a text message of either dialect and either side.
///
/// # Errors
///
/// When it is no JSON object with an integer `op`, or when its `d` lacks what the opcode needs.
pub fn read(text: &str) -> Result<Frame, ParseError> {
    read_counting(text, &mut 0)
}

/// [`read`] that adds the number of unknown fields in the payload to `unknown_fields`.
pub(crate) fn read_counting(text: &str, unknown_fields: &mut u64) -> Result<Frame, ParseError> {
    let Incoming { op, seq, d } =
        field::no_array(text).and_then(serde_json::from_str).map_err(|cause| ParseError::new(None, &cause))?;
    let message = Message::read(op, d.map_or("null", RawValue::get), unknown_fields)
        .map_err(|cause| ParseError::new(Some(op), &cause))?;
    // A server that does not wrap its JSON counter counts modulo 2^16 all the same, as far as binary frames go.
    Ok(Frame { seq: seq.map(|seq| seq as u16), message })
}

/// Writes a text message. `seq` is the server's, and left out in [`Dialect::V4`].
pub fn write(dialect: Dialect, seq: Option<u16>, message: &Message) -> String {
    let seq = seq.filter(|_| dialect == Dialect::V8);
    serde_json::to_string(&Outgoing { op: message.op(), d: Payload { dialect, message }, seq })
        .expect("invariant: every payload is an integer, null or an object with string keys")
}

#[cfg(test)]
mod tests;
