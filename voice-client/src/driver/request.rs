use std::sync::Arc;

use tokio::sync::oneshot;

use super::Tapped;
use crate::error::JoinError;
use crate::event::Queue;
use crate::info::{ConnectionInfo, VoiceServerUpdate, VoiceStateUpdate};
use crate::stats::Stats;

/// What handles of a call say to its task. Large ones are boxed: the channel has room for 32 from the start.
pub(crate) enum Request {
    Join { target: Target, reply: oneshot::Sender<Result<(), JoinError>> },
    VoiceState(Box<VoiceStateUpdate>),
    VoiceServer(Box<VoiceServerUpdate>),
    Mute { mute: bool, hold: bool },
    Deaf(bool),
    Speaking(u32),
    Send(Box<gateway::text::Message>),
    Events(Arc<Queue>),
    Tap(Tapped),
    Stats(oneshot::Sender<Stats>),
    Leave,
}

/// Where a join goes.
pub(crate) enum Target {
    Channel(model::ChannelId),
    Info(Box<ConnectionInfo>),
}
