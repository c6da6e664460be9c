use std::error::Error;

use crate::info::VoiceStateCommand;

/// The way back to Discord's main gateway: how the client joins, moves and leaves channels by itself.
///
/// Implement it for whatever owns the bot's gateway connection, and feed that connection's VOICE_STATE_UPDATE and
/// VOICE_SERVER_UPDATE dispatches to [`Client::voice_state_update`](crate::Client::voice_state_update) and
/// [`Client::voice_server_update`](crate::Client::voice_server_update).
pub trait MainGateway: Send + Sync + 'static {
    /// Sends Update Voice State (op 4) for this bot. Must not block: queue it when the shard is down.
    ///
    /// # Errors
    ///
    /// What stopped the command from being queued; the join that wanted it fails with this cause.
    fn update_voice_state(&self, command: VoiceStateCommand) -> Result<(), Box<dyn Error + Send + Sync>>;
}
