use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use atomic_waker::AtomicWaker;
use model::{RtpTime, Seq, Ssrc, UserId};
use receive::Kind;

use crate::listen::{Block, Content, Listener, Sound, Who};

/// Most items that a stream holds.
const MAX_CAPACITY: usize = 1 << 16;

/// 20 ms of one user's audio.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Frame {
    /// Who is heard.
    pub user: UserId,
    /// The stream.
    pub ssrc: Ssrc,
    /// When it was given out, which is when it would sound.
    pub at: Instant,
    /// RTP timestamp of the first sample.
    pub time: RtpTime,
    /// Sequence number of the packet it begins with, when it begins with one.
    pub seq: Option<Seq>,
    /// Received, recovered, concealed or silence.
    pub kind: Kind,
    /// How much more of this user is buffered.
    pub depth: Duration,
    /// 960 samples per channel at 48 kHz, interleaved left, right, full scale at 1.0.
    pub pcm: Block<f32>,
}

impl Frame {
    fn new(sound: Sound) -> Option<Self> {
        let Sound { who: Who::User { user, ssrc }, at, time, seq, kind, depth, content: Content::F32(_, pcm), .. } =
            sound
        else {
            return None;
        };
        Some(Self { user, ssrc, at, time, seq, kind, depth, pcm })
    }
}

/// The audio of a call: frames of everybody who speaks, as they play out. Bounded, lossy, and lossy for its own reader only.
///
/// It is a [`Listener`] that hears everybody in 48 kHz stereo; one of your own hears less, or otherwise.
pub struct Audio {
    listener: Listener,
}

impl Audio {
    pub(crate) fn new(listener: Listener) -> Self {
        Self { listener }
    }

    /// The next frame; `None` when the call is over.
    ///
    /// What the reader is too slow for is dropped, newest first, and counted in
    /// [`Received::consumer_lost`](crate::Received::consumer_lost).
    pub async fn next(&mut self) -> Option<Frame> {
        Frame::new(self.listener.next().await?)
    }

    /// The next frame if there is one already.
    pub fn try_next(&mut self) -> Option<Frame> {
        Frame::new(self.listener.try_next()?)
    }
}

/// A stream of what a call receives: bounded, lossy, and lossy for its own reader only.
///
/// There is one of [`Arrival`](crate::Arrival)s, one of [`RawMedia`](crate::listen::RawMedia), and one of
/// [`Rtcp`](crate::listen::Rtcp); audio has [`Listener`]s.
pub struct Stream<T> {
    consumer: rtrb::Consumer<T>,
    waker: Arc<AtomicWaker>,
}

impl<T> Stream<T> {
    /// The next item; `None` when the call is over.
    ///
    /// What the reader is too slow for is dropped, newest first.
    pub async fn next(&mut self) -> Option<T> {
        poll_fn(|context| {
            if let Ok(item) = self.consumer.pop() {
                return Poll::Ready(Some(item));
            }
            self.waker.register(context.waker());
            // Looked at again, for what came in between; the end first, for what came before it.
            let over = self.consumer.is_abandoned();
            match self.consumer.pop() {
                Ok(item) => Poll::Ready(Some(item)),
                Err(_) if over => Poll::Ready(None),
                Err(_) => Poll::Pending,
            }
        })
        .await
    }

    /// The next item if there is one already.
    pub fn try_next(&mut self) -> Option<T> {
        self.consumer.pop().ok()
    }
}

/// The writing half of a [`Stream`], owned by the receive task.
pub(crate) struct Tap<T> {
    producer: Option<rtrb::Producer<T>>,
    waker: Arc<AtomicWaker>,
}

impl<T> Tap<T> {
    /// Adds an item; `false` when there is no room, and the item is lost.
    pub(crate) fn push_with(&mut self, item: impl FnOnce() -> T) -> bool {
        let Some(producer) = &mut self.producer else { return false };
        if producer.is_full() {
            return false;
        }
        let pushed = producer.push(item()).is_ok();
        self.waker.wake();
        pushed
    }

    /// Whether nobody reads any more.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.producer.as_ref().is_none_or(rtrb::Producer::is_abandoned)
    }
}

impl<T> Drop for Tap<T> {
    fn drop(&mut self) {
        // First the ring, so that the reader that wakes finds it abandoned.
        self.producer = None;
        self.waker.wake();
    }
}

/// A stream with room for `capacity` items.
pub(crate) fn stream<T>(capacity: usize) -> (Tap<T>, Stream<T>) {
    let (producer, consumer) = rtrb::RingBuffer::new(capacity.clamp(1, MAX_CAPACITY));
    let waker = Arc::new(AtomicWaker::new());
    (Tap { producer: Some(producer), waker: waker.clone() }, Stream { consumer, waker })
}
