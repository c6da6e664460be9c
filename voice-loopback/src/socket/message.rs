use bytes::Bytes;
use model::{ChannelId, GuildId, UserId};
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::outbox::Outbox;
use crate::script::Cue;
use crate::server::{ConnId, Member, Stats, Updates};

/// What happens to the server, beside datagrams and time.
pub(super) enum Event {
    Opened { conn: ConnId, query: String, orders: Outbox },
    Text { conn: ConnId, text: Utf8Bytes },
    Binary { conn: ConnId, frame: Bytes },
    Closed { conn: ConnId, code: Option<u16> },
    Updates { user: UserId, guild: GuildId, channel: ChannelId, reply: oneshot::Sender<Updates> },
    Cue { cue: Cue, reply: oneshot::Sender<()> },
    Stats { reply: oneshot::Sender<Stats> },
    Members { reply: oneshot::Sender<Vec<Member>> },
}

/// What the owner of the server tells a WebSocket's task.
pub(super) enum Order {
    Text(String),
    Binary(Vec<u8>),
    Close(u16, String),
}

impl Order {
    /// Bytes of the content.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Text(text) | Self::Close(_, text) => text.len(),
            Self::Binary(frame) => frame.len(),
        }
    }
}
