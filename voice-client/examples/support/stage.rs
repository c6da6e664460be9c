//! What stands in for Discord in the examples: a voice server on this machine, and somebody who listens.
//!
//! A bot of yours has its own way to a [`Call`]: see `call.rs`, and the README.
#![allow(dead_code, reason = "each example uses its part")]

mod sound;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use loopback::{Loopback, Options};
pub(crate) use sound::Sound;
use voice_client::source::Source;
use voice_client::source::file::File;
use voice_client::source::hls::Hls;
use voice_client::source::http::Http;
use voice_client::source::ytdlp::YtDlp;
use voice_client::{
    Arrival, Audio, Call, ChannelId, Client, Config, ConnectionInfo, GuildId, Stream, UserId, VoiceServerUpdate,
    VoiceStateUpdate,
};

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error>>;

const BOT: u64 = 200_000_000_000_000_001;
const LISTENER: u64 = 200_000_000_000_000_002;
/// How long a thing may take before the example fails.
const PATIENCE: Duration = Duration::from_secs(10);

/// A voice server, a bot and a listener.
pub(crate) struct Stage {
    server: Loopback,
    bot: Client,
    listener: Client,
    channels: u64,
}

impl Stage {
    /// Starts the server, and a client for the bot.
    pub(crate) async fn open() -> Result<Self> {
        let server = Loopback::start(Options::default()).await?;
        let config = Config::default().ca(server.ca_pem().map(|pem| pem.as_bytes().to_vec()));
        let (bot, listener) = (Client::new(config.clone()), Client::new(config.audio_queue(1_024)));
        Ok(Self { server, bot, listener, channels: 0 })
    }

    /// The bot's client.
    pub(crate) fn client(&self) -> &Client {
        &self.bot
    }

    /// The bot joins a channel of another guild, in which somebody listens.
    pub(crate) async fn join(&mut self) -> Result<(Call, Ears)> {
        self.channels += 1;
        let call = self.bot.join(self.info(BOT).await?).await?;
        let listener = self.listener.join(self.info(LISTENER).await?).await?;
        for call in [&call, &listener] {
            tokio::time::timeout(PATIENCE, call.encrypted()).await?.ok_or("the call ended before it was encrypted")?;
        }
        let ears = Ears { audio: listener.audio(), arrivals: listener.arrivals(), _call: listener };
        Ok((call, ears))
    }

    /// Somebody else joins the channel that was joined last.
    pub(crate) async fn join_as(&self, user: u64) -> Result<Call> {
        let call = self.bot.join(self.info(user).await?).await?;
        tokio::time::timeout(PATIENCE, call.encrypted()).await?.ok_or("the call ended before it was encrypted")?;
        Ok(call)
    }

    /// Everybody leaves.
    pub(crate) async fn close(self) {
        for call in self.bot.calls().into_iter().chain(self.listener.calls()) {
            call.leave().await;
        }
        self.server.shutdown().await;
    }

    /// Plays the main gateway's part: what a bot is told when it asks to join.
    async fn info(&self, user: u64) -> Result<ConnectionInfo> {
        let user = UserId::new(user).ok_or("no user")?;
        let guild = GuildId::new(self.channels).ok_or("no guild")?;
        let channel = ChannelId::new(self.channels).ok_or("no channel")?;
        let updates = self.server.updates(user, guild, channel).await;
        let state = VoiceStateUpdate::from_json(&updates.state)?;
        let update = VoiceServerUpdate::from_json(&updates.server)?;
        let endpoint = update.endpoint.ok_or("no endpoint")?;
        Ok(ConnectionInfo { endpoint, guild, channel, user, session: state.session, token: update.token })
    }
}

/// Somebody else in the bot's channel, who hears it.
pub(crate) struct Ears {
    audio: Audio,
    arrivals: Stream<Arrival>,
    _call: Call,
}

impl Ears {
    /// What is heard from now on, for so long.
    pub(crate) async fn listen(&mut self, time: Duration) -> Sound {
        while self.audio.try_next().is_some() {}
        while self.arrivals.try_next().is_some() {}
        let mut sound = Sound::default();
        let over = tokio::time::sleep(time);
        tokio::pin!(over);
        loop {
            tokio::select! {
                Some(frame) = self.audio.next() => sound.pcm.extend_from_slice(&frame.pcm),
                Some(arrival) = self.arrivals.next() => sound.packets.push(arrival.len),
                () = &mut over => break,
            }
        }
        // Where nothing came there was silence.
        let samples = (time.as_secs_f64() * 48_000.0) as usize;
        sound.pcm.resize(sound.pcm.len().max(2 * samples), 0.0);
        sound
    }

    /// Listens until a tenth of a second is as wanted.
    pub(crate) async fn until(&mut self, what: &str, wanted: impl Fn(&Sound) -> bool) -> Result<Sound> {
        let listening = async {
            loop {
                let sound = self.listen(Duration::from_millis(100)).await;
                if wanted(&sound) {
                    return sound;
                }
            }
        };
        let heard = tokio::time::timeout(PATIENCE, listening).await;
        heard.map_err(|_| format!("within {PATIENCE:?} was not heard: {what}").into())
    }
}

/// Fails the example when it does not do what it says.
pub(crate) fn promise(kept: bool, what: &str) -> Result<()> {
    if kept { Ok(()) } else { Err(format!("broken promise: {what}").into()) }
}

/// A piece of music that comes with the repository.
pub(crate) fn asset(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets").join(name)
}

/// What the first argument of the program names (a file, a URL, or words to search for), else a piece of ours.
pub(crate) fn argument_or(name: &str) -> Box<dyn Source> {
    match std::env::args().nth(1) {
        None => Box::new(File::new(asset(name))),
        Some(url) if url.starts_with("http") && url.contains(".m3u8") => Box::new(Hls::new(url)),
        Some(url) if url.starts_with("http://") || url.starts_with("https://") => Box::new(Http::new(url)),
        Some(path) if Path::new(&path).exists() => Box::new(File::new(path)),
        Some(words) => Box::new(YtDlp::new(words)),
    }
}

/// Whole and thousandth seconds.
pub(crate) fn secs(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

/// So many milliseconds.
pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
