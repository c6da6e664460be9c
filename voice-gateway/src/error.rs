use crate::{binary, text};

/// What can go wrong outside the machine, which is infallible.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The endpoint is no `host`, `host:port` or `[address]:port`; pass on what VOICE_SERVER_UPDATE said, unchanged.
    #[error("{0:?} is no voice endpoint: expected host, host:port or [address]:port as VOICE_SERVER_UPDATE has it")]
    Endpoint(String),
    /// The peer sent a text message that cannot be read.
    #[error(transparent)]
    Text(#[from] text::ParseError),
    /// The peer sent a binary message that cannot be read.
    #[error(transparent)]
    Binary(#[from] binary::ParseError),
}
