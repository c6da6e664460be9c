//! One WebSocket, on a task of its own: dials, then carries messages until either side closes.

use std::sync::Arc;
use std::time::Duration;

use futures_channel::mpsc as post;
use futures_util::{SinkExt, StreamExt};
use gateway::Endpoint;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::control::Generation;
use crate::dialer::{Dialer, Dialing, Stream};

/// Read buffer; the default of 128 KiB is most of a connection's memory.
const READ_BUFFER: usize = 4 * 1024;
/// Longest message accepted.
const MAX_MESSAGE: usize = 1024 * 1024;
/// Messages read ahead of control: a slow control slows the socket down.
const INBOX: usize = 64;
/// How long the answer to a server's close frame may take to send.
const ANSWERING: Duration = Duration::from_secs(1);

/// What a WebSocket has to say, and which one.
pub(super) struct Incoming {
    pub(super) generation: Generation,
    pub(super) event: WsEvent,
}

pub(super) enum WsEvent {
    Open,
    Failed(String),
    Text(String),
    Binary(Bytes),
    Closed { code: Option<u16>, reason: String },
}

/// What a WebSocket is told.
enum Outgoing {
    Text(String),
    Binary(Vec<u8>),
    Close(u16),
}

/// A handle to a WebSocket; dropping it drops the socket without a close frame, after what was sent before.
pub(super) struct Ws {
    outbox: post::UnboundedSender<Outgoing>,
    task: tokio::task::JoinHandle<()>,
}

impl Ws {
    /// Starts to dial; every event carries `generation`.
    pub(super) fn dial(
        dialer: Arc<dyn Dialer>,
        endpoint: Endpoint,
        secure: bool,
        generation: Generation,
        mut inbox: post::Sender<Incoming>,
    ) -> Self {
        let (outbox, mut outgoing) = post::unbounded();
        let task = tokio::spawn(async move {
            let url = endpoint.url(secure);
            let dialing = dialer.dial(endpoint.host(), endpoint.port());
            // Boxed: a handshake's memory is given back after it.
            let opening = Box::pin(open(dialing, &url));
            let opened = tokio::select! {
                opened = opening => opened,
                // Nothing is sent before it is open: this is a close, or the handle was dropped.
                _ = outgoing.recv() => return,
            };
            let stream = match opened {
                Ok(stream) => stream,
                Err(text) => {
                    let event = WsEvent::Failed(text);
                    let _ = inbox.send(Incoming { generation, event }).await;
                    return;
                }
            };
            if inbox.send(Incoming { generation, event: WsEvent::Open }).await.is_ok() {
                carry(stream, generation, inbox, outgoing).await;
            }
        });
        Self { outbox, task }
    }

    pub(super) fn channel() -> (post::Sender<Incoming>, post::Receiver<Incoming>) {
        post::channel(INBOX)
    }

    pub(super) fn text(&self, text: String) {
        let _ = self.outbox.unbounded_send(Outgoing::Text(text));
    }

    pub(super) fn binary(&self, frame: Vec<u8>) {
        let _ = self.outbox.unbounded_send(Outgoing::Binary(frame));
    }

    /// Closes with `code`, after what was sent before; resolves when that is done, or `patience` ends.
    pub(super) async fn close(self, code: u16, patience: Duration) {
        let _ = self.outbox.unbounded_send(Outgoing::Close(code));
        let abort = self.task.abort_handle();
        if tokio::time::timeout(patience, self.task).await.is_err() {
            abort.abort();
        }
    }
}

async fn open(dialing: Dialing, url: &str) -> Result<WebSocketStream<Box<dyn Stream>>, String> {
    let stream = dialing.await.map_err(|error| format!("cannot reach {url}: {error}"))?;
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE));
    let (stream, _) = client_async_with_config(url, stream, Some(config))
        .await
        .map_err(|error| format!("{url} is no voice gateway: {error}"))?;
    Ok(stream)
}

#[expect(clippy::manual_async_fn, reason = "an async function would hold its arguments twice while it runs")]
fn carry(
    mut stream: WebSocketStream<Box<dyn Stream>>,
    generation: Generation,
    mut inbox: post::Sender<Incoming>,
    mut outgoing: post::UnboundedReceiver<Outgoing>,
) -> impl Future<Output = ()> {
    async move {
        let event = loop {
            tokio::select! {
                message = stream.next() => {
                    let event = match message {
                        Some(Ok(Message::Text(text))) => WsEvent::Text(text.as_str().to_owned()),
                        Some(Ok(Message::Binary(frame))) => WsEvent::Binary(frame),
                        Some(Ok(Message::Close(frame))) => {
                            let (code, reason) = match frame {
                                Some(frame) => (Some(u16::from(frame.code)), frame.reason.as_str().to_owned()),
                                None => (None, "closed without a code".to_owned()),
                            };
                            let event = WsEvent::Closed { code, reason };
                            let _ = inbox.send(Incoming { generation, event }).await;
                            // The answering close frame is queued; flushing sends it.
                            let _ = tokio::time::timeout(ANSWERING, stream.flush()).await;
                            return;
                        }
                        Some(Ok(_)) => continue,
                        Some(Err(error)) => break WsEvent::Closed { code: None, reason: error.to_string() },
                        None => break WsEvent::Closed { code: None, reason: "the stream ended".to_owned() },
                    };
                    // Nobody listens once the call is over; the close frame is still to be sent.
                    let _ = inbox.send(Incoming { generation, event }).await;
                }
                command = outgoing.recv() => {
                    let sent = match command {
                        Ok(Outgoing::Text(text)) => stream.send(Message::text(text)).await,
                        Ok(Outgoing::Binary(frame)) => stream.send(Message::binary(frame)).await,
                        Ok(Outgoing::Close(code)) => {
                            let frame = CloseFrame { code: CloseCode::from(code), reason: "".into() };
                            let _ = stream.close(Some(frame)).await;
                            // Until the server has answered, or the caller's patience ends.
                            while let Some(Ok(_)) = stream.next().await {}
                            return;
                        }
                        Err(_) => return,
                    };
                    if let Err(error) = sent {
                        break WsEvent::Closed { code: None, reason: error.to_string() };
                    }
                }
            }
        };
        let _ = inbox.send(Incoming { generation, event }).await;
    }
}
