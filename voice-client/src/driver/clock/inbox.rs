use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;

use super::thread::Message;

/// Where the messages of a clock thread arrive, for the thread that made it.
///
/// It is tokio's channel, not the standard library's: there a receiver spins while a sender is about to write its message. A
/// receiver with real-time priority would spin on the very core that the sender waits for.
pub(super) struct Inbox {
    messages: UnboundedReceiver<Message>,
    waker: Waker,
}

/// Why there is no message.
pub(super) enum Nothing {
    Yet,
    /// Every sender is gone.
    Ever,
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

impl Inbox {
    pub(super) fn new(messages: UnboundedReceiver<Message>) -> Self {
        Self { messages, waker: Waker::from(Arc::new(Unpark(thread::current()))) }
    }

    /// A message that is there already.
    pub(super) fn try_recv(&mut self) -> Result<Message, Nothing> {
        match self.messages.poll_recv(&mut Context::from_waker(&self.waker)) {
            Poll::Ready(Some(message)) => Ok(message),
            Poll::Ready(None) => Err(Nothing::Ever),
            Poll::Pending => Err(Nothing::Yet),
        }
    }

    /// Waits for a message, for this long at most, or for ever; perhaps shorter.
    pub(super) fn recv(&mut self, longest: Option<Duration>) -> Result<Message, Nothing> {
        match self.try_recv() {
            Err(Nothing::Yet) => {
                match longest {
                    Some(longest) => thread::park_timeout(longest),
                    None => thread::park(),
                }
                self.try_recv()
            }
            message => message,
        }
    }
}
