use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use futures_channel::mpsc as post;
use mixer::Source;
use model::{ChannelId, GuildId, UserId};
use tokio::sync::{oneshot, watch};

use crate::audio::{self, Audio, Stream};
use crate::broadcast::Broadcast;
use crate::config::Config;
use crate::driver::{Request, Tapped, Target, lock};
use crate::encryption::{CodeError, Encryption};
use crate::error::{Closed, JoinError};
use crate::event::{self, Events};
use crate::listen::{ListenError, ListenOptions, Listener, MediaTap, RawMedia, Rtcp, UtteranceOptions, Utterances};
use crate::media::{Arrival, Command};
use crate::player::{Player, Queue};
use crate::sink::OpusSink;
use crate::stats::Stats;
use crate::track::Track;

/// One user's call in one guild. Cheap to clone; dropping the last clone leaves.
#[derive(Clone)]
pub struct Call {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    guild: GuildId,
    user: UserId,
    config: Arc<Config>,
    requests: post::UnboundedSender<Request>,
    player: Player,
    closed: watch::Receiver<Option<Closed>>,
    encryption: watch::Receiver<Encryption>,
    /// The figures of the call when it was over.
    last: Arc<OnceLock<Box<Stats>>>,
    /// Somebody has asked to leave.
    leaving: AtomicBool,
    /// Events since the call began, until somebody asks for them.
    events: Mutex<Option<Arc<event::Queue>>>,
}

/// What a [`Call`] is made of.
pub(crate) struct Parts {
    pub(crate) guild: GuildId,
    pub(crate) user: UserId,
    pub(crate) config: Arc<Config>,
    pub(crate) requests: post::UnboundedSender<Request>,
    pub(crate) player: Player,
    pub(crate) closed: watch::Receiver<Option<Closed>>,
    pub(crate) encryption: watch::Receiver<Encryption>,
    pub(crate) events: Arc<event::Queue>,
    pub(crate) last: Arc<OnceLock<Box<Stats>>>,
}

impl Call {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { guild, user, config, requests, player, closed, encryption, events, last } = parts;
        let shared = Shared {
            guild,
            user,
            config,
            requests,
            player,
            closed,
            encryption,
            last,
            leaving: AtomicBool::new(false),
            events: Mutex::new(Some(events)),
        };
        Self { shared: Arc::new(shared) }
    }

    pub(crate) fn from_shared(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The guild it is in.
    pub fn guild(&self) -> GuildId {
        self.shared.guild
    }

    /// The user who is in it.
    pub fn user(&self) -> UserId {
        self.shared.user
    }

    /// What plays in it: tracks, groups, effects, the queue and the encoder.
    pub fn player(&self) -> &Player {
        &self.shared.player
    }

    /// Plays a source, from now, beside whatever plays already: [`Player::play`].
    pub fn play(&self, source: impl Source + 'static) -> Track {
        self.shared.player.play(source)
    }

    /// The queue, for what plays one after the other: [`Player::queue`].
    pub fn queue(&self) -> Queue {
        self.shared.player.queue()
    }

    /// Plays a broadcast, from what is on the air now: this call only seals and sends it.
    pub fn tune_in(&self, broadcast: &Broadcast) -> Track {
        broadcast.tune(&self.shared.player)
    }

    /// A raw sink for Opus packets of your own encoder: [`Player::opus_sink`].
    pub fn opus_sink(&self) -> OpusSink {
        self.shared.player.opus_sink()
    }

    /// The bitrate of the channel, which encoders follow that are [told to](crate::Bitrate::Channel): the `bitrate` of the
    /// main gateway's channel object.
    pub fn set_channel_bitrate(&self, bits: u32) {
        self.shared.player.beat().command(Command::ChannelBitrate(bits));
    }

    /// Mutes or unmutes ourselves: nothing is sent meanwhile. What tracks do then, [`Config::mute_holds`] says.
    pub fn set_mute(&self, mute: bool) {
        self.tell(Request::Mute { mute, hold: self.shared.config.mute_holds });
    }

    /// Mutes ourselves; tracks run on unheard, or stand still until we are unmuted.
    pub fn mute_tracks(&self, hold: bool) {
        self.tell(Request::Mute { mute: true, hold });
    }

    /// Deafens or undeafens ourselves: incoming audio is dropped.
    pub fn set_deaf(&self, deaf: bool) {
        self.tell(Request::Deaf(deaf));
    }

    /// Sets the flags of op 5, such as [`gateway::text::Speaking::SOUNDSHARE`]. The microphone flag is the default;
    /// 0 forbids sending, and the server may stop sending to us as well.
    pub fn set_speaking(&self, flags: u32) {
        self.tell(Request::Speaking(flags));
    }

    /// Sends a message of the voice gateway as it is, such as op 15 (media sink wants). Dropped when not connected.
    pub fn send(&self, message: gateway::text::Message) {
        self.tell(Request::Send(Box::new(message)));
    }

    /// Goes to another channel of the guild; tracks and their positions are kept. In the channel already: nothing.
    ///
    /// # Errors
    ///
    /// [`JoinError`]. When the move fails, the call stays where it was if it can.
    pub async fn move_to(&self, channel: ChannelId) -> Result<(), JoinError> {
        self.join(Target::Channel(channel)).await
    }

    pub(crate) async fn join(&self, target: Target) -> Result<(), JoinError> {
        let (reply, answer) = oneshot::channel();
        self.tell(Request::Join { target, reply });
        match answer.await {
            Ok(result) => result,
            Err(_) => Err(JoinError::Ended(self.closed().await)),
        }
    }

    /// Leaves: ends speech properly, closes the connection, tells the main gateway when there is a link. Resolves when
    /// everything of the call has ended.
    pub async fn leave(&self) -> Closed {
        self.shared.leaving.store(true, Ordering::Relaxed);
        self.tell(Request::Leave);
        self.closed().await
    }

    /// Resolves when the call is over, at once if it is already: the one place that tells why.
    pub async fn closed(&self) -> Closed {
        let mut closed = self.shared.closed.clone();
        match closed.wait_for(Option::is_some).await {
            Ok(closed) => closed.clone().unwrap_or(Closed::Left),
            Err(_) => Closed::Aborted,
        }
    }

    /// Why the call is over, `None` while it is not.
    pub fn is_closed(&self) -> Option<Closed> {
        self.shared.closed.borrow().clone()
    }

    /// The events of this call. The first caller gets all since the call began, later ones those from now on.
    pub fn events(&self) -> Events {
        let closed = self.shared.closed.clone();
        if let Some(queue) = lock(&self.shared.events).take() {
            return Events::new(queue, closed);
        }
        self.later_events()
    }

    /// The events from now on, whoever has asked for those before.
    pub(crate) fn later_events(&self) -> Events {
        let queue = Arc::<event::Queue>::default();
        self.tell(Request::Events(queue.clone()));
        Events::new(queue, self.shared.closed.clone())
    }

    /// The audio of everybody who speaks, from now on, in 48 kHz stereo. Several streams are independent.
    pub fn audio(&self) -> Audio {
        Audio::new(Listener::begin(self, self.shared.config.audio_queue, ListenOptions::default()))
    }

    /// Another listener, from now on: whom it hears, in which form, how loud, one by one or mixed. Several are independent.
    ///
    /// # Errors
    ///
    /// [`ListenError`]: the call is over, or the options contradict each other.
    pub fn listen(&self, options: ListenOptions) -> Result<Listener, ListenError> {
        Listener::checked(self, self.shared.config.audio_queue, options)
    }

    /// What everybody says, cut into utterances, for recognisers of speech: from now on.
    ///
    /// # Errors
    ///
    /// [`ListenError::CallClosed`].
    pub fn utterances(&self, options: UtteranceOptions) -> Result<Utterances, ListenError> {
        Utterances::new(self, options)
    }

    /// RTP packets of payload types other than Opus audio (video), from now on. They are opened for it only.
    pub fn raw_media(&self) -> Stream<RawMedia> {
        let (tap, stream) = audio::stream(self.shared.config.audio_queue.saturating_mul(8));
        self.tell(Request::Tap(Tapped::Media(MediaTap::new(tap))));
        stream
    }

    /// RTCP packets: sender and receiver reports, descriptions, goodbyes, feedback, from now on. They are parsed for it.
    pub fn rtcp(&self) -> Stream<Rtcp> {
        let (tap, stream) = audio::stream(self.shared.config.audio_queue);
        self.tell(Request::Tap(Tapped::Rtcp(tap)));
        stream
    }

    /// When and how each audio packet comes, from now on.
    pub fn arrivals(&self) -> Stream<Arrival> {
        let (tap, stream) = audio::stream(self.shared.config.audio_queue.saturating_mul(8));
        self.tell(Request::Tap(Tapped::Arrivals(tap)));
        stream
    }

    /// End-to-end encryption as it is now, the last of it when the call is over. Changes come as
    /// [`Event::Encryption`](crate::Event::Encryption).
    pub fn encryption(&self) -> Encryption {
        self.shared.encryption.borrow().clone()
    }

    /// Resolves when the call is end-to-end encrypted: it is in a group, and sends with the group's keys. `None` when it
    /// ends before. Who is alone in a call waits for company, who is in one without encryption for its upgrade.
    pub async fn encrypted(&self) -> Option<Encryption> {
        let mut encryption = self.shared.encryption.clone();
        let encrypted = encryption.wait_for(|it| it.version() > 0).await;
        encrypted.ok().map(|it| it.clone())
    }

    /// The 45 digits that this user and we see of each other's keys, for both to compare. Takes tens of milliseconds, on
    /// a thread of its own (scrypt).
    ///
    /// # Errors
    ///
    /// [`CodeError`], when either is not in the group.
    pub async fn verification_code(&self, user: UserId) -> Result<String, CodeError> {
        let members = self.encryption().members;
        let member = |user| members.get(&user).ok_or(CodeError::NotAMember(user));
        let (own, other) = (member(self.shared.user)?, member(user)?);
        let pair = dave::verify::Pair::new(0, (&own.key, own.user), (&other.key, other.user))?;
        tokio::task::spawn_blocking(move || pair.code()).await.map_err(|_| CodeError::Aborted)
    }

    /// Figures since the call began, the last ones when it is over; `None` when its runtime took it down.
    pub async fn stats(&self) -> Option<Stats> {
        let (reply, answer) = oneshot::channel();
        self.tell(Request::Stats(reply));
        match answer.await {
            Ok(stats) => Some(stats),
            Err(_) => {
                self.closed().await;
                self.shared.last.get().map(|stats| (**stats).clone())
            }
        }
    }

    pub(crate) fn tell(&self, request: Request) {
        self.shared.tell(request);
    }
}

impl Shared {
    pub(crate) fn tell(&self, request: Request) {
        // A call that is over hears nothing, and its handles find that out by `closed`.
        let _ = self.requests.unbounded_send(request);
    }

    pub(crate) fn closed(&self) -> watch::Receiver<Option<Closed>> {
        self.closed.clone()
    }

    /// Where the figures will be when it is over.
    #[cfg(feature = "metrics")]
    pub(crate) fn last(&self) -> Arc<OnceLock<Box<Stats>>> {
        self.last.clone()
    }

    /// Whether it can be joined again: nobody leaves it, and it is not over.
    pub(crate) fn is_alive(&self) -> bool {
        !self.leaving.load(Ordering::Relaxed) && !self.requests.is_closed() && self.closed.borrow().is_none()
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("guild", &self.shared.guild)
            .field("user", &self.shared.user)
            .field("closed", &*self.shared.closed.borrow())
            .finish_non_exhaustive()
    }
}
