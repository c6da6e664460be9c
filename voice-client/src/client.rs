use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, Weak};

use futures_channel::mpsc as post;
use mixer::broadcast;
use model::{ChannelId, GuildId, UserId};
use tokio::sync::{oneshot, watch};

use crate::broadcast::Broadcast;
use crate::call::{Call, Parts, Shared};
use crate::config::Config;
use crate::control::{Control, Keys, Settings};
use crate::dialer::Dialer;
use crate::driver::{
    self, CallTask, Clock, ClockStats, Decoders, Listeners, OnAir, Readers, Request, Station, Target, dialer, lock,
};
use crate::encryption::{Encryption, SystemEntropy};
use crate::error::{Cause, Closed, JoinError, Missing, Stage};
use crate::info::{ConnectionInfo, VoiceServerUpdate, VoiceStateCommand, VoiceStateUpdate};
use crate::link::MainGateway;
use crate::media::{Inbound, InboundSettings, Outbound, OutboundSettings};
use crate::player::Player;

/// Where calls come from: shares clock threads and reader threads among them, and keeps one call per user and guild.
///
/// Cheap to clone. Must be used inside a tokio runtime with its timer and I/O enabled.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    config: Arc<Config>,
    link: Option<Link>,
    dialer: Arc<dyn Dialer>,
    clock: Clock,
    readers: Arc<Readers>,
    decoders: Arc<Decoders>,
    ids: Arc<AtomicU64>,
    keys: Keys,
    calls: Mutex<HashMap<(UserId, GuildId), Entry>>,
    wanted: Mutex<HashMap<GuildId, Wanted>>,
}

/// A call, and when it is over.
struct Entry {
    call: Weak<Shared>,
    closed: watch::Receiver<Option<Closed>>,
}

struct Link {
    user: UserId,
    gateway: Arc<dyn MainGateway>,
}

/// Connection info that somebody waits for.
struct Wanted {
    channel: ChannelId,
    session: Option<String>,
    server: Option<VoiceServerUpdate>,
    reply: oneshot::Sender<ConnectionInfo>,
}

impl Client {
    /// A client that joins with [`ConnectionInfo`] only.
    pub fn new(config: Config) -> Self {
        Self::build(config, None)
    }

    /// A client that joins, moves, rejoins and leaves by itself, through the main gateway of `user`.
    pub fn with_link(config: Config, user: UserId, gateway: impl MainGateway) -> Self {
        Self::build(config, Some(Link { user, gateway: Arc::new(gateway) }))
    }

    fn build(config: Config, link: Option<Link>) -> Self {
        let inner = Inner {
            dialer: dialer(&config),
            clock: Clock::new(&config),
            readers: Arc::new(Readers::new(config.max_readers)),
            decoders: Arc::new(Decoders::new(config.max_decoders)),
            ids: Arc::default(),
            keys: Keys::new(config.identity.clone(), Arc::new(SystemEntropy)),
            config: Arc::new(config),
            link,
            calls: Mutex::default(),
            wanted: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Joins with connection info that came from elsewhere. The user's call in that guild, if there is one, goes on
    /// with its tracks on the new session; the info of the session that is up changes nothing.
    ///
    /// # Errors
    ///
    /// [`JoinError`] names the stage that failed.
    pub async fn join(&self, info: ConnectionInfo) -> Result<Call, JoinError> {
        let call = self.call_or_new(info.user, info.guild).await?;
        call.join(Target::Info(Box::new(info))).await?;
        Ok(call)
    }

    /// Joins a channel through the main-gateway link. In that channel already: nothing happens; in another one of the
    /// guild: a move that keeps tracks. Of concurrent joins of a guild the last one counts.
    ///
    /// # Errors
    ///
    /// [`JoinError`] names the stage that failed.
    pub async fn join_channel(&self, guild: GuildId, channel: ChannelId) -> Result<Call, JoinError> {
        let link = self.inner.link.as_ref().ok_or(JoinError::NoLink)?;
        let call = self.call_or_new(link.user, guild).await?;
        call.join(Target::Channel(channel)).await?;
        Ok(call)
    }

    /// Gets connection info through the main-gateway link, to hand to another node; joins nothing here. A user is in one
    /// channel of a guild at a time: this client's call in that guild, if there is one, ends.
    ///
    /// # Errors
    ///
    /// [`JoinError`] says which of the two updates did not come.
    pub async fn connection_info(&self, guild: GuildId, channel: ChannelId) -> Result<ConnectionInfo, JoinError> {
        let link = self.inner.link.as_ref().ok_or(JoinError::NoLink)?;
        let (reply, answer) = oneshot::channel();
        let wanted = Wanted { channel, session: None, server: None, reply };
        // An earlier one for the same guild loses its reply, and with it is told that it was superseded.
        lock(&self.inner.wanted).insert(guild, wanted);
        // In the channel already, the bot would get no answer: leave first.
        for channel in [None, Some(channel)] {
            let (self_mute, self_deaf) = (self.inner.config.mute, self.inner.config.deaf);
            let command = VoiceStateCommand { guild, channel, self_mute, self_deaf };
            if let Err(error) = link.gateway.update_voice_state(command) {
                lock(&self.inner.wanted).remove(&guild);
                return Err(failed(Cause::Link(error.to_string())));
            }
        }
        let deadline = self.inner.config.deadlines.updates;
        match tokio::time::timeout(deadline, answer).await {
            Ok(answer) => answer.map_err(|_| JoinError::Superseded),
            Err(_) => {
                let missing = match lock(&self.inner.wanted).remove(&guild) {
                    Some(Wanted { session: Some(_), .. }) => Missing::Server,
                    Some(Wanted { server: Some(_), .. }) => Missing::State,
                    _ => Missing::Both,
                };
                Err(failed(Cause::NoUpdates { missing, deadline }))
            }
        }
    }

    /// A mix that is encoded once and heard in any number of calls that [tune in](Call::tune_in): a radio.
    ///
    /// # Errors
    ///
    /// [`JoinError::System`]: no thread could be started for it.
    pub fn broadcast(&self) -> Result<Broadcast, JoinError> {
        let (inner, config) = (&self.inner, self.inner.config.clone());
        let (requests, inbox) = post::unbounded();
        let (orders, ordered) = post::unbounded();
        let (notify, notices) = post::unbounded();
        let (closed, closed_watch) = watch::channel(None);
        let (on_air, listeners) = (Arc::<OnAir>::default(), Listeners::default());
        let signal = on_air.clone();
        let station = broadcast::Station::new(Arc::new(move || signal.signal()));
        let tuner = station.tuner();
        let outbound = Outbound::on_air(&OutboundSettings::from(&*config), station);
        let place = inner.clock.add(outbound, notify).map_err(|error| JoinError::System(error.to_string()))?;
        let (beat, ids) = (place.beat().clone(), inner.ids.clone());
        let player = Player::new(config, beat, inner.readers.clone(), ids, orders, closed_watch.clone());
        let task = Station {
            player: player.clone(),
            place,
            on_air,
            listeners: listeners.clone(),
            requests: inbox,
            orders: ordered,
            notices,
            closed,
        };
        tokio::spawn(driver::air(task));
        Ok(Broadcast::new(player, tuner, listeners, requests, closed_watch))
    }

    /// The call in a guild, if there is one.
    pub fn call(&self, guild: GuildId) -> Option<Call> {
        self.calls().into_iter().find(|call| call.guild() == guild)
    }

    /// All calls.
    pub fn calls(&self) -> Vec<Call> {
        let mut calls = lock(&self.inner.calls);
        calls.retain(|_, entry| !entry.is_over());
        calls.values().filter_map(Entry::alive).map(Call::from_shared).collect()
    }

    /// Takes a VOICE_STATE_UPDATE of the main gateway; pass on all of them, of every user.
    pub fn voice_state_update(&self, update: &VoiceStateUpdate) {
        if let Some(call) = self.existing(update.user, update.guild) {
            call.tell(Request::VoiceState(Box::new(update.clone())));
        }
        if self.inner.link.as_ref().is_some_and(|link| link.user == update.user) {
            self.collect(update.guild, |wanted| {
                // Answers come in order: what came before another channel's answer is of an earlier request.
                (wanted.session, wanted.server) = match update.channel {
                    Some(channel) if channel == wanted.channel => (Some(update.session.clone()), wanted.server.take()),
                    _ => (None, None),
                };
            });
        }
    }

    /// Takes a VOICE_SERVER_UPDATE of the main gateway.
    ///
    /// It names no user: it goes to the call of the link's user, or, without a link, to the guild's only call.
    pub fn voice_server_update(&self, update: &VoiceServerUpdate) {
        let call = match &self.inner.link {
            Some(link) => self.existing(link.user, update.guild),
            None => {
                let mut calls = self.calls();
                calls.retain(|call| call.guild() == update.guild);
                if calls.len() == 1 { calls.pop() } else { None }
            }
        };
        if let Some(call) = call {
            call.tell(Request::VoiceServer(Box::new(update.clone())));
        }
        self.collect(update.guild, |wanted| {
            if update.endpoint.is_some() {
                wanted.server = Some(update.clone());
            }
        });
    }

    /// Figures of the clock threads: how punctual packets are.
    pub fn clock_stats(&self) -> ClockStats {
        self.inner.clock.stats()
    }

    /// Adds to the info that is wanted of a guild, and hands it over when it is complete.
    fn collect(&self, guild: GuildId, add: impl FnOnce(&mut Wanted)) {
        let mut all = lock(&self.inner.wanted);
        let Some(wanted) = all.get_mut(&guild) else { return };
        add(wanted);
        if let (Some(_), Some(_), Some(link)) = (&wanted.session, &wanted.server, &self.inner.link)
            && let Some(Wanted { channel, session: Some(session), server: Some(server), reply }) = all.remove(&guild)
        {
            let (user, endpoint, token) = (link.user, server.endpoint.unwrap_or_default(), server.token);
            let _ = reply.send(ConnectionInfo { endpoint, guild, channel, user, session, token });
        }
    }

    fn existing(&self, user: UserId, guild: GuildId) -> Option<Call> {
        lock(&self.inner.calls).get(&(user, guild)).and_then(Entry::alive).map(Call::from_shared)
    }

    /// The call of that user and guild; a new one when there is none, after one that is being left has ended.
    async fn call_or_new(&self, user: UserId, guild: GuildId) -> Result<Call, JoinError> {
        loop {
            let mut ending = {
                let mut calls = lock(&self.inner.calls);
                match calls.get(&(user, guild)) {
                    Some(entry) if let Some(call) = entry.alive() => return Ok(Call::from_shared(call)),
                    Some(entry) if !entry.is_over() => entry.closed.clone(),
                    _ => {
                        let call = self.start(user, guild)?;
                        let entry = Entry { call: Arc::downgrade(call.shared()), closed: call.shared().closed() };
                        calls.insert((user, guild), entry);
                        return Ok(call);
                    }
                }
            };
            let _ = ending.wait_for(Option::is_some).await;
        }
    }

    fn start(&self, user: UserId, guild: GuildId) -> Result<Call, JoinError> {
        let inner = &self.inner;
        let config = inner.config.clone();
        let gateway = inner.link.as_ref().filter(|link| link.user == user).map(|link| link.gateway.clone());
        let seed = getrandom::u64().map_err(|error| JoinError::System(format!("no randomness: {error}")))?;

        let (requests, inbox) = post::unbounded();
        let (notify, notices) = post::unbounded();
        let (closed, closed_watch) = watch::channel(None);
        let (events, last) = (Arc::default(), Arc::default());
        let (encryption, encryption_watch) = watch::channel(Encryption::default());
        let outbound = Outbound::new(&OutboundSettings::from(&*config));
        let place = inner.clock.add(outbound, notify).map_err(|error| JoinError::System(error.to_string()))?;
        let (orders, ordered) = post::unbounded();
        let (beat, ids) = (place.beat().clone(), inner.ids.clone());
        let player = Player::new(config.clone(), beat, inner.readers.clone(), ids, orders, closed_watch.clone());
        let task = CallTask {
            player: player.clone(),
            orders: ordered,
            control: Control::new(Settings::from(&*config), inner.keys.clone(), guild, user, gateway.is_some(), seed),
            inbound: Inbound::new(InboundSettings::from(&*config)),
            config: config.clone(),
            dialer: inner.dialer.clone(),
            link: gateway,
            decoders: inner.decoders.clone(),
            place,
            requests: inbox,
            notices,
            events: Arc::clone(&events),
            closed,
            encryption,
            last: Arc::clone(&last),
        };
        tokio::spawn(driver::run(task));
        Ok(Call::new(Parts {
            guild,
            user,
            config,
            requests,
            player,
            closed: closed_watch,
            encryption: encryption_watch,
            events,
            last,
        }))
    }
}

impl Entry {
    fn alive(&self) -> Option<Arc<Shared>> {
        self.call.upgrade().filter(|call| call.is_alive())
    }

    /// Whether it has ended, or its task is gone.
    fn is_over(&self) -> bool {
        self.closed.borrow().is_some() || self.closed.has_changed().is_err()
    }
}

fn failed(cause: Cause) -> JoinError {
    JoinError::Failed { stage: Stage::Updates, cause }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("config", &self.inner.config)
            .field("calls", &self.calls())
            .finish_non_exhaustive()
    }
}
