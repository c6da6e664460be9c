use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use atomic_waker::AtomicWaker;
use mixer::opus::OpusError;
use mixer::prefetch::{Push, Pusher};
use tokio::sync::watch;

use crate::driver::Beat;
use crate::end::{Ending, TrackEnd};
use crate::error::Closed;

/// A raw Opus sink: packets of your own encoder go to the wire as they are, as long as nothing else plays.
///
/// One [`write`](Self::write) resolves per packet sent, so that a loop around it is paced by the call. Dropping the
/// sink ends it. It does not keep its call alive.
pub struct OpusSink {
    /// Set until it is dropped.
    pusher: Option<Pusher>,
    waker: Arc<AtomicWaker>,
    beat: Beat,
    ended: Arc<Ending>,
    closed: watch::Receiver<Option<Closed>>,
}

/// Why a packet was not taken.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SinkError {
    /// It is no legal Opus packet; the next one may be.
    #[error(transparent)]
    Packet(#[from] OpusError),
    /// Its track was stopped.
    #[error("the track of this sink was stopped; make another sink to go on")]
    Stopped,
    /// The call is over.
    #[error("the call has ended: {0}")]
    Closed(Closed),
}

impl OpusSink {
    pub(crate) fn new(
        pusher: Pusher,
        waker: Arc<AtomicWaker>,
        beat: Beat,
        ended: Arc<Ending>,
        closed: watch::Receiver<Option<Closed>>,
    ) -> Self {
        Self { pusher: Some(pusher), waker, beat, ended, closed }
    }

    /// Queues one Opus packet of any legal duration (2.5 to 120 ms), waiting until there is room: about one packet is
    /// queued ahead. Waits through reconnects.
    ///
    /// # Errors
    ///
    /// [`SinkError`]: the packet is illegal, its track was stopped, or the call has ended.
    pub async fn write(&mut self, packet: &[u8]) -> Result<(), SinkError> {
        let push = poll_fn(|context| {
            let Some(pusher) = &mut self.pusher else { return Poll::Ready(Ok(Push::Closed)) };
            let mut pushed = pusher.push(packet);
            if let Ok(Push::Full) = pushed {
                self.waker.register(context.waker());
                // Tried again, for what was taken in between.
                pushed = pusher.push(packet);
            }
            match pushed {
                Ok(Push::Full) => Poll::Pending,
                other => Poll::Ready(other),
            }
        });
        match push.await? {
            Push::Closed => {
                if let TrackEnd::Stopped = self.ended.wait().await {
                    return Err(SinkError::Stopped);
                }
                let closed = self.closed.wait_for(Option::is_some).await;
                Err(SinkError::Closed(closed.ok().and_then(|closed| closed.clone()).unwrap_or(Closed::Aborted)))
            }
            _ => {
                self.beat.wake();
                Ok(())
            }
        }
    }
}

impl Drop for OpusSink {
    fn drop(&mut self) {
        // A call at rest would not notice the end of its track.
        self.pusher = None;
        self.beat.wake();
    }
}

impl fmt::Debug for OpusSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpusSink").field("pusher", &self.pusher).finish_non_exhaustive()
    }
}
