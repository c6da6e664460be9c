//! A server, the main gateway beside it, and ways to wait for things.
#![allow(dead_code, reason = "each test binary uses its part")]

pub(crate) mod ears;

use std::collections::HashMap;
use std::error::Error;
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use loopback::{Config as Behaviour, Dispatch, Loopback, Member, Options};
use serde_json::Value;
use tokio::sync::mpsc;
use voice_client::layer::model::FRAME;
use voice_client::{
    Call, ChannelId, Client, Config, ConnectionInfo, Event, Events, GuildId, MainGateway, UserId, VoiceServerUpdate,
    VoiceStateCommand, VoiceStateUpdate,
};

/// How long a single thing may take before its test fails: far more than it ever needs.
pub(crate) const PATIENCE: u64 = 20;

pub(crate) fn user(id: u64) -> UserId {
    UserId::new(id).unwrap()
}

pub(crate) fn guild(id: u64) -> GuildId {
    GuildId::new(id).unwrap()
}

pub(crate) fn channel(id: u64) -> ChannelId {
    ChannelId::new(id).unwrap()
}

/// The future's output, or a panic that names what did not come.
pub(crate) async fn within<T>(secs: u64, what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(secs), future).await {
        Ok(output) => output,
        Err(_) => panic!("not within {secs} s: {what}"),
    }
}

/// Looks again and again until there is something.
pub(crate) async fn until<T, F>(what: &str, mut look: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(FRAME / 4).await;
        }
    };
    within(PATIENCE, what, looking).await
}

/// The next event that `pick` wants; others are passed over.
pub(crate) async fn event<T>(events: &mut Events, what: &str, mut pick: impl FnMut(Event) -> Option<T>) -> T {
    let looking = async {
        while let Some(event) = events.next().await {
            if let Some(picked) = pick(event) {
                return picked;
            }
        }
        panic!("the call is over before: {what}");
    };
    within(PATIENCE, what, looking).await
}

/// The events that are there already.
pub(crate) fn drain(events: &mut Events) -> Vec<Event> {
    std::iter::from_fn(|| events.try_next()).collect()
}

/// A server without TLS and DAVE.
pub(crate) async fn plain(behaviour: Behaviour) -> Arc<Loopback> {
    encrypted(behaviour.dave_version(0)).await
}

/// A server without TLS, with DAVE as it is by default.
pub(crate) async fn encrypted(behaviour: Behaviour) -> Arc<Loopback> {
    Arc::new(Loopback::start(Options::default().plain(true).server(behaviour)).await.unwrap())
}

/// What a client needs for that server.
pub(crate) fn config() -> Config {
    Config::default().plain_ws(true)
}

/// Fresh connection info, as a main gateway elsewhere would give it.
pub(crate) async fn info(server: &Loopback, user: UserId, guild: GuildId, channel: ChannelId) -> ConnectionInfo {
    let updates = server.updates(user, guild, channel).await;
    let state = VoiceStateUpdate::from_json(&updates.state).unwrap();
    let server = VoiceServerUpdate::from_json(&updates.server).unwrap();
    ConnectionInfo {
        endpoint: server.endpoint.unwrap(),
        guild,
        channel,
        user,
        session: state.session,
        token: server.token,
    }
}

/// Two users in a call of their own: the first one talks, the second one listens.
pub(crate) async fn pair(server: &Loopback, client: &Client, place: u64) -> (Call, Call) {
    let (guild, channel) = (guild(place), channel(place));
    let talker = info(server, user(1), guild, channel).await;
    let listener = info(server, user(2), guild, channel).await;
    let talker = within(PATIENCE, "the talker's join", client.join(talker)).await.unwrap();
    let listener = within(PATIENCE, "the listener's join", client.join(listener)).await.unwrap();
    (talker, listener)
}

pub(crate) async fn member(server: &Loopback, user: UserId) -> Option<Member> {
    server.members().await.into_iter().find(|member| member.user == user)
}

/// RTP packets that the call has sent and the silence frames among them.
pub(crate) async fn sent(call: &Call) -> (u64, u64) {
    let sent = call.stats().await.expect("the call is on").sent;
    (sent.packets, sent.silence)
}

/// A file of the repository's `assets`.
pub(crate) fn asset(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../assets").join(name)
}

/// Every audio file of `assets`.
pub(crate) fn assets() -> Vec<PathBuf> {
    let audio = |path: &PathBuf| {
        let extension = path.extension().and_then(|it| it.to_str()).unwrap_or_default().to_owned();
        ["wav", "flac", "mp3", "ogg", "m4a", "webm"].contains(&extension.as_str())
    };
    let mut files: Vec<_> =
        std::fs::read_dir(asset("")).unwrap().map(|entry| entry.unwrap().path()).filter(audio).collect();
    files.sort();
    assert!(files.len() >= 7, "one of each format: {files:?}");
    files
}

/// The commands that a client has sent to the main gateway so far.
#[derive(Clone, Default)]
pub(crate) struct Commands(Arc<Mutex<Vec<VoiceStateCommand>>>);

impl Commands {
    pub(crate) fn all(&self) -> Vec<VoiceStateCommand> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn last(&self) -> Option<VoiceStateCommand> {
        self.0.lock().unwrap().last().copied()
    }
}

/// The client's side of the main-gateway connection.
pub(crate) struct Link {
    commands: Commands,
    queue: mpsc::UnboundedSender<VoiceStateCommand>,
}

impl Link {
    pub(crate) fn new() -> (Self, Commands, mpsc::UnboundedReceiver<VoiceStateCommand>) {
        let (queue, commands) = mpsc::unbounded_channel();
        let log = Commands::default();
        (Self { commands: log.clone(), queue }, log, commands)
    }
}

impl MainGateway for Link {
    fn update_voice_state(&self, command: VoiceStateCommand) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.commands.0.lock().unwrap().push(command);
        Ok(self.queue.send(command)?)
    }
}

/// A client of `user` whose main gateway is played by `server`.
pub(crate) fn linked(server: &Arc<Loopback>, user: UserId, config: Config) -> (Client, Commands) {
    let (link, log, mut commands) = Link::new();
    let client = Client::with_link(config, user, link);
    let (server, dispatcher) = (server.clone(), client.clone());
    let mut dispatches = server.dispatches();
    tokio::spawn(async move {
        // Where the user is, and how it looks from outside.
        let mut states = HashMap::<GuildId, Value>::new();
        loop {
            tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => answer(&server, &dispatcher, user, command, &mut states).await,
                    None => return,
                },
                Ok(dispatch) = dispatches.recv() => {
                    if dispatch.user == user {
                        pass_on(&dispatcher, &dispatch, &mut states);
                    }
                }
            }
        }
    });
    (client, log)
}

/// As Discord answers op 4: both updates for another channel, a voice state alone for the same one or for none, nothing
/// for leaving when in none.
async fn answer(
    server: &Loopback,
    client: &Client,
    user: UserId,
    command: VoiceStateCommand,
    states: &mut HashMap<GuildId, Value>,
) {
    let VoiceStateCommand { guild, channel, .. } = command;
    let Some(channel) = channel else {
        if let Some(mut state) = states.remove(&guild) {
            state["channel_id"] = Value::Null;
            client.voice_state_update(&VoiceStateUpdate::from_json(&state).unwrap());
        }
        return;
    };
    let here = states.get(&guild).filter(|state| state["channel_id"] == channel.to_string().as_str());
    if let Some(state) = here {
        return client.voice_state_update(&VoiceStateUpdate::from_json(state).unwrap());
    }
    let updates = server.updates(user, guild, channel).await;
    client.voice_state_update(&VoiceStateUpdate::from_json(&updates.state).unwrap());
    client.voice_server_update(&VoiceServerUpdate::from_json(&updates.server).unwrap());
    states.insert(guild, updates.state);
}

fn pass_on(client: &Client, dispatch: &Dispatch, states: &mut HashMap<GuildId, Value>) {
    match dispatch.event {
        "VOICE_STATE_UPDATE" => {
            let update = VoiceStateUpdate::from_json(&dispatch.data).unwrap();
            match update.channel {
                Some(_) => states.insert(update.guild, dispatch.data.clone()),
                None => states.remove(&update.guild),
            };
            client.voice_state_update(&update);
        }
        "VOICE_SERVER_UPDATE" => client.voice_server_update(&VoiceServerUpdate::from_json(&dispatch.data).unwrap()),
        other => panic!("the main gateway has no {other} here"),
    }
}
