//! End-to-end encryption in control: what the gateway says about it goes to the [`Session`] in order, and what that
//! answers goes out. MLS takes milliseconds, so the session works elsewhere: [`Work`] takes it along, and [`Done`] brings
//! it back. What comes meanwhile waits.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use dave::provider::{Backend, Entropy};
use dave::{Identity, Session, State};
use gateway::{binary, text};
use model::{ChannelId, UserId};

use super::{Control, Generation, Output};
use crate::encryption::{E2ee, Encryption, EncryptionEvent};
use crate::error::Cause;
use crate::event::Event;
use crate::media::Update;

/// Messages that wait for a session at work, and their bytes; far more than a resume replays. With more the session is given
/// up: what was dropped could be anything.
const MAX_WAITING: usize = 1_024;
const MAX_WAITING_BYTES: usize = 1_024 * 1_024;
/// Users whose key is remembered over sessions, to notice when it changes.
const MAX_SEEN: usize = 4_096;
/// The session looks at nothing that is longer.
const MAX_PAYLOAD: usize = 256 * 1_024;

/// Who the users of a client are to the members of their calls: one signature key each, the same in all calls.
#[derive(Clone)]
pub(crate) struct Keys {
    given: Option<Identity>,
    made: Arc<Mutex<BTreeMap<UserId, Identity>>>,
    entropy: Arc<dyn Entropy>,
}

impl Keys {
    pub(crate) fn new(given: Option<Identity>, entropy: Arc<dyn Entropy>) -> Self {
        Self { given, made: Arc::default(), entropy }
    }

    fn identity(&self, user: UserId) -> Identity {
        if let Some(identity) = &self.given {
            return identity.clone();
        }
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.entry(user).or_insert_with(|| Identity::generate(&*self.entropy)).clone()
    }
}

/// The encryption of one voice session.
pub(super) struct Dave {
    generation: Generation,
    /// `None` while it is at work.
    stage: Option<Stage>,
    waiting: VecDeque<(Instant, Told)>,
    waiting_bytes: usize,
    due: Option<Instant>,
    /// How often op 4 has come, and what it said last.
    described: (u32, u16),
}

enum Stage {
    New { user: UserId, channel: ChannelId, keys: Keys },
    Open(Box<Session>),
}

/// What a session is told.
#[derive(Clone, Debug)]
pub(super) enum Told {
    Version(u16),
    Resumed,
    Connect(Vec<UserId>),
    Disconnect(UserId),
    PrepareTransition { transition: u16, version: u16 },
    ExecuteTransition(u16),
    PrepareEpoch { epoch: u64, version: u16, transition: Option<u16> },
    Binary(binary::Message),
    Undecryptable,
    Timeout,
}

/// Work for a thread that may take its time.
pub(crate) struct Work {
    generation: Generation,
    stage: Stage,
    told: VecDeque<(Instant, Told)>,
    /// How many op 4 the session knows of when this is done.
    descriptions: u32,
}

/// Work that was done.
pub(crate) struct Done {
    generation: Generation,
    descriptions: u32,
    /// `None` when the session broke down.
    result: Option<Answer>,
}

/// A session, what it said, and how it stands.
struct Answer {
    session: Box<Session>,
    outputs: Vec<dave::Output>,
    encryption: Encryption,
}

impl Work {
    /// Does it: some milliseconds of public-key cryptography.
    pub(crate) fn run(self) -> Done {
        let (generation, descriptions) = (self.generation, self.descriptions);
        // With debug assertions the MLS library takes some malformed secrets of other members for mistakes of its own.
        let result = catch_unwind(AssertUnwindSafe(|| self.perform())).ok();
        Done { generation, descriptions, result }
    }

    fn perform(self) -> Answer {
        let mut session = match self.stage {
            Stage::Open(session) => session,
            Stage::New { user, channel, keys } => {
                let (identity, entropy, backend) = (keys.identity(user), keys.entropy, Backend::default());
                Box::new(Session::new(dave::Config { user, channel, identity, entropy, backend }))
            }
        };
        let mut outputs = Vec::new();
        for (now, told) in self.told {
            tell(&mut session, now, told);
            outputs.extend(std::iter::from_fn(|| session.poll_output()));
        }
        let encryption = Encryption {
            epoch: session.epoch(),
            privacy_code: session.privacy_code(),
            members: session.members(),
            stats: session.stats(),
            ..Encryption::default()
        };
        Answer { session, outputs, encryption }
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Work").field("generation", &self.generation).field("told", &self.told.len()).finish()
    }
}

fn tell(session: &mut Session, now: Instant, told: Told) {
    match told {
        Told::Version(version) => session.handle_version(now, version),
        Told::Resumed => session.handle_resumed(now),
        Told::Connect(users) => session.handle_connect(now, &users),
        Told::Disconnect(user) => session.handle_disconnect(now, user),
        Told::PrepareTransition { transition, version } => session.handle_prepare_transition(now, transition, version),
        Told::ExecuteTransition(transition) => session.handle_execute_transition(now, transition),
        Told::PrepareEpoch { epoch, version, transition } => {
            session.handle_prepare_epoch(now, epoch, version, transition);
        }
        Told::Binary(binary::Message::ExternalSender(payload)) => session.handle_external_sender(now, &payload),
        Told::Binary(binary::Message::Proposals(payload)) => session.handle_proposals(now, &payload),
        Told::Binary(binary::Message::AnnounceCommit { transition, commit }) => {
            session.handle_commit(now, transition, &commit);
        }
        Told::Binary(binary::Message::Welcome { transition, welcome }) => {
            session.handle_welcome(now, transition, &welcome);
        }
        Told::Binary(_) => {}
        Told::Undecryptable => session.handle_undecryptable(now),
        Told::Timeout => session.handle_timeout(now),
    }
}

impl Dave {
    pub(super) fn new(generation: Generation, user: UserId, channel: ChannelId, keys: Keys) -> Self {
        let stage = Some(Stage::New { user, channel, keys });
        Self { generation, stage, waiting: VecDeque::new(), waiting_bytes: 0, due: None, described: (0, 0) }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        // Who is at work says afterwards when that is.
        self.due.filter(|_| self.stage.is_some())
    }

    fn start(&mut self) -> Option<Work> {
        if self.waiting.is_empty() {
            return None;
        }
        let stage = self.stage.take()?;
        let told = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        Some(Work { generation: self.generation, stage, told, descriptions: self.described.0 })
    }
}

impl Control {
    /// Tells the session of encryption something, as soon as it has time.
    pub(super) fn tell_dave(&mut self, now: Instant, told: Told) {
        let Some(dave) = self.live.as_mut().and_then(|live| live.dave.as_mut()) else { return };
        let bytes = told.bytes();
        if bytes > MAX_PAYLOAD {
            tracing::debug!(bytes, "dropped a message of end-to-end encryption: no group needs one of this length");
            return;
        }
        if dave.waiting.len() >= MAX_WAITING || dave.waiting_bytes + bytes > MAX_WAITING_BYTES {
            return self.lost(now, Cause::Encryption);
        }
        dave.waiting_bytes += bytes;
        dave.waiting.push_back((now, told));
        if let Some(work) = dave.start() {
            self.outputs.push_back(Output::Work(work));
        }
    }

    /// Op 4. What it says of encryption holds before the session has had time for it: nothing leaves plain meanwhile.
    pub(super) fn describe_dave(&mut self, now: Instant, version: u16) {
        if version > 0 && self.encryption.state == State::Off {
            self.update(Update::Dave(dave::Update::Withhold));
        }
        if let Some(dave) = self.live.as_mut().and_then(|live| live.dave.as_mut()) {
            dave.described = (dave.described.0.wrapping_add(1), version);
        }
        self.tell_dave(now, Told::Version(version));
    }

    /// When the session wants to be told the time, unless it is at work.
    pub(super) fn dave_due(&self) -> Option<Instant> {
        self.live.as_ref()?.dave.as_ref()?.poll_timeout()
    }

    /// What a message of the gateway means for encryption.
    pub(super) fn tell_dave_of(&mut self, now: Instant, message: &text::Message) {
        let told = match message {
            text::Message::ClientsConnect(it) => Told::Connect(it.users.clone()),
            text::Message::ClientDisconnect(it) => Told::Disconnect(it.user),
            text::Message::PrepareTransition(it) => {
                Told::PrepareTransition { transition: it.transition, version: it.protocol_version }
            }
            text::Message::ExecuteTransition(it) => Told::ExecuteTransition(it.transition),
            text::Message::PrepareEpoch(it) => {
                Told::PrepareEpoch { epoch: it.epoch, version: it.protocol_version, transition: it.transition }
            }
            _ => return,
        };
        if let (E2ee::Required, Told::PrepareTransition { version: 0, .. } | Told::PrepareEpoch { version: 0, .. }) =
            (self.settings.e2ee, &told)
        {
            return self.lost(now, Cause::NotEncrypted);
        }
        self.tell_dave(now, told);
    }

    /// Work that was asked for is done.
    pub(crate) fn handle_done(&mut self, now: Instant, done: Done) {
        let Done { generation, descriptions, result } = done;
        let Some(dave) = self.live.as_mut().and_then(|live| live.dave.as_mut()) else { return };
        if dave.generation != generation {
            return;
        }
        let Some(Answer { session, mut outputs, encryption }) = result else {
            return self.lost(now, Cause::Encryption);
        };
        // An op 4 that came meanwhile is newer than what was decided without it.
        if matches!(dave.described, (count, 1..) if count != descriptions) {
            outputs.retain(|output| !matches!(output, dave::Output::Update(dave::Update::SendPlain)));
        }
        dave.due = session.poll_timeout();
        self.encryption = Encryption { state: self.encryption.state, ..encryption };
        dave.stage = Some(Stage::Open(session));
        for output in outputs {
            self.handle_dave_output(now, output);
        }
        // An output may have ended the session.
        let Some(dave) = self.live.as_mut().and_then(|live| live.dave.as_mut()) else { return };
        if let Some(work) = dave.start() {
            self.outputs.push_back(Output::Work(work));
        }
        self.pump(now);
    }

    fn handle_dave_output(&mut self, now: Instant, output: dave::Output) {
        let Some(live) = &mut self.live else { return };
        let gateway = &mut live.gateway;
        match output {
            dave::Output::KeyPackage(payload) => gateway.send_binary(&binary::Message::KeyPackage(payload)),
            dave::Output::CommitWelcome(payload) => gateway.send_binary(&binary::Message::CommitWelcome(payload)),
            dave::Output::ReadyForTransition(transition) => {
                gateway.send(&text::Message::ReadyForTransition(text::ReadyForTransition { transition }));
            }
            dave::Output::InvalidCommitWelcome(transition) => {
                gateway.send(&text::Message::InvalidCommitWelcome(text::InvalidCommitWelcome { transition }));
            }
            dave::Output::Update(dave::Update::AcceptPlain { .. } | dave::Update::SendPlain)
                if self.settings.e2ee == E2ee::Required => {}
            dave::Output::Update(update) => self.update(Update::Dave(update)),
            dave::Output::Event(event) => self.handle_dave_event(now, event),
            _ => {}
        }
    }

    fn handle_dave_event(&mut self, now: Instant, event: dave::Event) {
        let event = match event {
            dave::Event::State(state) => {
                self.encryption.state = state;
                if (state, self.settings.e2ee) == (State::Off, E2ee::Required) {
                    return self.lost(now, Cause::NotEncrypted);
                }
                EncryptionEvent::State(state)
            }
            dave::Event::Epoch { epoch, privacy_code, .. } => {
                EncryptionEvent::PrivacyCode { epoch, code: privacy_code }
            }
            dave::Event::Joined(member) => self.recognise(member),
            // Told with the joining, unless the member was there all along.
            dave::Event::KeyChanged { member, .. } if self.seen_keys.get(&member.user) == Some(&member.key) => return,
            dave::Event::KeyChanged { member, .. } => self.recognise(member),
            dave::Event::Left(user) => EncryptionEvent::Left(user),
            dave::Event::RecoveryStarted(trouble) => EncryptionEvent::RecoveryStarted(trouble),
            dave::Event::RecoveryEnded => EncryptionEvent::RecoveryEnded,
            _ => return,
        };
        self.outputs.push_back(Output::Event(Event::Encryption(event)));
    }

    /// A member's key against the one that the application knows, or that they had earlier in this call.
    fn recognise(&mut self, member: dave::Member) -> EncryptionEvent {
        let seen = self.seen_keys.insert(member.user, member.key.clone());
        if self.seen_keys.len() > MAX_SEEN {
            self.seen_keys.pop_first();
        }
        let known = self.settings.known_keys.get(&member.user);
        match known.cloned().or(seen) {
            Some(key) if key != member.key => EncryptionEvent::KeyChanged { member, known: key },
            Some(_) if known.is_some() => EncryptionEvent::Verified(member),
            _ => EncryptionEvent::Joined(member),
        }
    }

    /// The session of encryption ends with its voice session. Nothing is sent until there is another.
    pub(super) fn drop_dave(&mut self) {
        let state = if self.settings.e2ee == E2ee::Off { State::Off } else { State::Pending };
        let before = std::mem::replace(&mut self.encryption, Encryption { state, ..Encryption::default() });
        if matches!(before.state, State::On { .. }) {
            self.outputs.push_back(Output::Event(Event::Encryption(EncryptionEvent::State(state))));
        }
    }
}

impl Told {
    /// What it holds of the server's bytes.
    fn bytes(&self) -> usize {
        match self {
            Told::Connect(users) => size_of_val(&users[..]),
            Told::Binary(
                binary::Message::ExternalSender(payload)
                | binary::Message::Proposals(payload)
                | binary::Message::AnnounceCommit { commit: payload, .. }
                | binary::Message::Welcome { welcome: payload, .. },
            ) => payload.len(),
            _ => 0,
        }
    }
}
