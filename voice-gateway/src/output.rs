use std::fmt;
use std::time::Duration;

use crate::{binary, text};

/// What the owner of a [`Gateway`](crate::Gateway) is to do next. `Debug` shows lengths only: an identify holds the
/// token.
#[derive(Clone, PartialEq)]
pub enum Output {
    /// Send this text message.
    Text(String),
    /// Send this binary message.
    Binary(Vec<u8>),
    /// Something happened.
    Event(Event),
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Binary(frame) => write!(f, "Binary({} bytes)", frame.len()),
            Self::Event(event) => f.debug_tuple("Event").field(event).finish(),
        }
    }
}

/// What the server said.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Op 8: the WebSocket works.
    Hello {
        /// Time between heartbeats, brought into the range of 100 ms to 600 s.
        interval: Duration,
    },
    /// Op 2: discover the external address from this SSRC and media server, then
    /// [`select_protocol`](crate::Gateway::select_protocol). Again only when it says something new.
    Ready(text::Ready),
    /// Op 4: media may flow.
    Described {
        /// Mode, key and DAVE version.
        description: text::SessionDescription,
        /// Mode and key are those of the previous op 4: keep ciphers and nonce counters, look at the DAVE version only.
        repeated: bool,
    },
    /// Op 9: the session goes on with everything it had; what was missed follows.
    Resumed,
    /// Every other message of the server, unknown opcodes included.
    Message(text::Message),
    /// Every binary message of the server, unknown opcodes included.
    Dave(binary::Message),
    /// This WebSocket is of no more use: close it (with [`close::RESUMABLE`](crate::close::RESUMABLE)) and call
    /// [`handle_closed`](crate::Gateway::handle_closed). Nothing else comes until the next one is open.
    Lost(Loss),
}

/// Why a WebSocket was given up by this side.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Loss {
    /// So many heartbeats in a row were not acknowledged.
    #[error("{0} heartbeats in a row were not acknowledged")]
    MissedAcks(u32),
    /// A message without which the session cannot go on (op 2, 4 or 8) could not be read.
    #[error("op {op} could not be read: {reason}")]
    Malformed {
        /// The opcode.
        op: u64,
        /// What is wrong with it; holds no secret.
        reason: String,
    },
    /// A WebSocket was opened for a session that can neither identify (its token is used up) nor resume
    /// ([`can_open`](crate::Gateway::can_open) was false). Make a new gateway with a new token.
    #[error("the session cannot be resumed and its token is used up: join afresh")]
    TokenSpent,
}
