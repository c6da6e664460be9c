use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{self, AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::{Message, WebSocketConfig};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config};

use super::message::{Event, Order};
use super::outbox::{Inbox, outbox};
use crate::server::ConnId;

/// TLS and HTTP handshakes, and any one send, take at most this long.
const PATIENCE: Duration = Duration::from_secs(10);

/// A peer gets this long to answer a close frame.
const CLOSING: Duration = Duration::from_secs(1);

/// The largest message taken.
const MAX_MESSAGE: usize = 1 << 20;

/// The default of 128 KiB would be most of a connection's memory.
const READ_BUFFER: usize = 4 * 1_024;

/// How the request of a client starts whose URL has no path.
const SLASHLESS: &[u8; 5] = b"GET ?";

/// Accepts WebSockets, each served by a task of its own. Never returns.
pub(super) async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    events: mpsc::Sender<Event>,
    max_connections: usize,
) {
    // A few more than the server admits, so that those beyond get their close frame.
    let room = Arc::new(Semaphore::new(max_connections.saturating_add(64).min(Semaphore::MAX_PERMITS)));
    for number in 0.. {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        let stream = loop {
            match listener.accept().await {
                Ok((stream, _)) => break stream,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(Duration::from_millis(50)).await;
                }
            }
        };
        let (tls, events) = (tls.clone(), events.clone());
        tokio::spawn(async move {
            serve(stream, tls, events, ConnId(number)).await;
            drop(permit);
        });
    }
}

async fn serve(stream: TcpStream, tls: Option<TlsAcceptor>, events: mpsc::Sender<Event>, conn: ConnId) {
    _ = stream.set_nodelay(true);
    match tls {
        None => upgrade(stream, events, conn).await,
        Some(tls) => match timeout(PATIENCE, tls.accept(stream)).await {
            Ok(Ok(stream)) => upgrade(stream, events, conn).await,
            Ok(Err(error)) => tracing::info!(%error, "TLS handshake failed"),
            Err(_) => tracing::info!("TLS handshake timed out"),
        },
    }
}

async fn upgrade<S: AsyncRead + AsyncWrite + Unpin>(stream: S, events: mpsc::Sender<Event>, conn: ConnId) {
    let Ok(Ok(stream)) = timeout(PATIENCE, with_slash(stream)).await else {
        tracing::info!("no request on a new connection");
        return;
    };
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE));
    let mut query = String::new();
    #[expect(clippy::result_large_err, reason = "tungstenite's type")]
    let callback = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
        query = request.uri().query().unwrap_or_default().to_owned();
        Ok(response)
    };
    let handshake = accept_hdr_async_with_config(stream, callback, Some(config));
    match timeout(PATIENCE, handshake).await {
        Ok(Ok(websocket)) => {
            let (orders, inbox) = outbox();
            if events.send(Event::Opened { conn, query, orders }).await.is_ok() {
                let code = converse(websocket, inbox, &events, conn).await;
                _ = events.send(Event::Closed { conn, code }).await;
            }
        }
        Ok(Err(error)) => tracing::info!(%error, "WebSocket handshake failed"),
        Err(_) => tracing::info!("WebSocket handshake timed out"),
    }
}

/// Clients whose URL lacks the slash before the query (`wss://host?v=8`) ask for `?v=8`, which is no HTTP; Discord takes
/// it. Here it gets its slash before anything else looks at it.
async fn with_slash<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
) -> io::Result<impl AsyncRead + AsyncWrite + Unpin> {
    let mut start = [0; SLASHLESS.len()];
    stream.read_exact(&mut start).await?;
    let start: &[u8] = if &start == SLASHLESS { b"GET /?" } else { &start };
    let (reader, writer) = io::split(stream);
    Ok(io::join(Cursor::new(start.to_vec()).chain(reader), writer))
}

/// Carries messages both ways until either side ends it; returns the client's close code.
async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    mut websocket: WebSocketStream<S>,
    mut orders: Inbox,
    events: &mpsc::Sender<Event>,
    conn: ConnId,
) -> Option<u16> {
    loop {
        tokio::select! {
            order = orders.next() => {
                let message = match order? {
                    Order::Text(text) => Message::text(text),
                    Order::Binary(frame) => Message::binary(frame),
                    Order::Close(code, reason) => {
                        let frame = CloseFrame { code: code.into(), reason: reason.into() };
                        _ = timeout(CLOSING, finish(&mut websocket, Some(frame))).await;
                        return None;
                    }
                };
                timeout(PATIENCE, websocket.send(message)).await.ok()?.ok()?;
            }
            message = websocket.next() => {
                let event = match message?.ok()? {
                    Message::Text(text) => Event::Text { conn, text },
                    Message::Binary(frame) => Event::Binary { conn, frame },
                    Message::Close(frame) => {
                        _ = timeout(CLOSING, finish(&mut websocket, None)).await;
                        return frame.map(|frame| frame.code.into());
                    }
                    _ => continue,
                };
                events.send(event).await.ok()?;
            }
        }
    }
}

/// Sends our half of the closing handshake and waits for the other half.
async fn finish<S: AsyncRead + AsyncWrite + Unpin>(websocket: &mut WebSocketStream<S>, frame: Option<CloseFrame>) {
    _ = websocket.close(frame).await;
    while let Some(Ok(_)) = websocket.next().await {}
}
