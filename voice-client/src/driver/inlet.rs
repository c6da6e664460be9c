use std::io;
use std::net::UdpSocket as StdSocket;
use std::ops::Deref;
use std::sync::Arc;

/// The reading end of a media socket, which a clock thread sends on.
///
/// On Unix it waits for reading only: tokio's own UDP socket also waits for room to send, and would be woken by each
/// packet that the clock thread sends.
pub(super) struct Inlet {
    #[cfg(unix)]
    socket: tokio::io::unix::AsyncFd<Arc<StdSocket>>,
    #[cfg(not(unix))]
    socket: tokio::net::UdpSocket,
    std: Arc<StdSocket>,
}

impl Inlet {
    pub(super) fn new(std: Arc<StdSocket>) -> io::Result<Self> {
        // Deprecated for types whose descriptor can change or close while it is registered; this one's cannot. Its successor
        // is the same, marked unsafe.
        #[cfg(unix)]
        #[expect(deprecated, reason = "a UdpSocket keeps its descriptor as long as it lives")]
        let socket = tokio::io::unix::AsyncFd::with_interest(std.clone(), tokio::io::Interest::READABLE)?;
        #[cfg(not(unix))]
        let socket = tokio::net::UdpSocket::from_std(std.try_clone()?)?;
        Ok(Self { socket, std })
    }

    /// Resolves when there may be something to read.
    pub(super) async fn readable(&self) {
        // An error of the runtime shows in the reading that follows.
        let _ = self.socket.readable().await;
    }

    /// Reads a datagram that is there already.
    pub(super) fn try_recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        #[cfg(unix)]
        return self.socket.try_io(tokio::io::Interest::READABLE, |socket| socket.recv(buffer));
        #[cfg(not(unix))]
        return self.socket.try_recv(buffer);
    }
}

impl Deref for Inlet {
    type Target = StdSocket;

    fn deref(&self) -> &StdSocket {
        &self.std
    }
}
