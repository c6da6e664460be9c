use std::future::Future;
use std::io;
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite};

/// A byte stream to a voice server, over which the WebSocket runs.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A dial under way.
pub type Dialing = Pin<Box<dyn Future<Output = io::Result<Box<dyn Stream>>> + Send>>;

/// Opens byte streams to voice servers: TCP and TLS by default; a proxy, another TLS stack or a test by your own.
pub trait Dialer: Send + Sync + 'static {
    /// Opens a stream to `host` (a name or an address without brackets), encrypted as far as is wanted.
    ///
    /// Has no deadline of its own: the client drops the future when the stage's deadline has passed.
    fn dial(&self, host: &str, port: u16) -> Dialing;
}
