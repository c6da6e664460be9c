//! How a test of your bot's voice code looks: the server plays the main gateway and the voice server, and misbehaves on
//! cue. Run it with `cargo run -p voice-loopback --example your_bot_test`.

use futures_util::{SinkExt, StreamExt};
use model::{ChannelId, GuildId, UserId};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};
use voice_loopback::{Cue, Loopback, Options};

type Error = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let loopback = Loopback::start(Options::default().plain(true)).await?;
    let user = UserId::new(1).ok_or("an id is never zero")?;
    let (guild, channel) = (GuildId::new(2).ok_or("as above")?, ChannelId::new(3).ok_or("as above")?);

    // Your bot asks to join; give it these two as the main gateway's VOICE_STATE_UPDATE and VOICE_SERVER_UPDATE.
    let updates = loopback.updates(user, guild, channel).await;
    let mut bot = YourBot::join(&updates.state, &updates.server).await?;

    // What the server knows of it.
    let members = loopback.members().await;
    assert_eq!(members.iter().map(|member| member.user).collect::<Vec<_>>(), [user]);

    // Somebody kicks it: the main gateway says so, then the voice gateway closes.
    let mut dispatches = loopback.dispatches();
    loopback.cue(Cue::Kick { user }).await;
    let dispatch = dispatches.recv().await?;
    assert_eq!((dispatch.event, &dispatch.data["channel_id"]), ("VOICE_STATE_UPDATE", &Value::Null));
    assert_eq!(bot.closed().await, Some(4014));

    loopback.shutdown().await;
    Ok(())
}

/// Stands for your bot: it identifies and waits for the end.
struct YourBot(WebSocketStream<TcpStream>);

impl YourBot {
    async fn join(state: &Value, server: &Value) -> Result<Self, Error> {
        let endpoint = server["endpoint"].as_str().ok_or("no endpoint")?;
        let (mut websocket, _) =
            client_async(format!("ws://{endpoint}/?v=8"), TcpStream::connect(endpoint).await?).await?;
        let identify = json!({ "op": 0, "d": {
            "server_id": server["guild_id"], "user_id": state["user_id"], "session_id": state["session_id"],
            "token": server["token"], "max_dave_protocol_version": 1,
        }});
        websocket.send(Message::text(identify.to_string())).await?;
        for expected in [8, 2] {
            let message = websocket.next().await.ok_or("closed")??;
            let message: Value = serde_json::from_str(message.to_text()?)?;
            assert_eq!(message["op"], expected);
        }
        Ok(Self(websocket))
    }

    async fn closed(&mut self) -> Option<u16> {
        while let Some(Ok(message)) = self.0.next().await {
            if let Message::Close(frame) = message {
                return frame.map(|frame| frame.code.into());
            }
        }
        None
    }
}
