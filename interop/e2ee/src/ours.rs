use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use interop_delivery::Seeded;
use voice_dave::provider::Backend;
use voice_dave::{Codec, Config, Event, Identity, Media, Opened, Opener, Output, Sealer, Session, Update};
use voice_model::{ChannelId, UserId};

use crate::{CHANNEL, Member};

/// Our session, sealer and openers, wired as the client does it.
pub struct Ours {
    user: UserId,
    now: Instant,
    session: Session,
    sending: Sending,
    sealer: Sealer,
    openers: BTreeMap<u64, Opener>,
    /// Whether plain frames pass, and until when if that is known.
    plain: Option<Option<Instant>>,
    connected: BTreeSet<u64>,
    key_package: Vec<u8>,
    commit_welcome: Option<Vec<u8>>,
    ready: Vec<u16>,
    authenticator: Vec<u8>,
}

enum Sending {
    Nothing,
    Sealed,
    Plain,
}

impl Ours {
    /// In a call of version 1.
    pub fn new(user: u64) -> Self {
        let (entropy, user) = (Arc::new(Seeded::new(user)), id(user));
        let identity = Identity::generate(&*entropy);
        let channel = ChannelId::new(CHANNEL).expect("not 0");
        let config = Config { user, channel, identity, entropy, backend: Backend::AwsLc };
        let mut ours = Self {
            user,
            now: Instant::now(),
            session: Session::new(config),
            sending: Sending::Nothing,
            sealer: Sealer::new(),
            openers: BTreeMap::new(),
            plain: None,
            connected: BTreeSet::new(),
            key_package: Vec::new(),
            commit_welcome: None,
            ready: Vec::new(),
            authenticator: Vec::new(),
        };
        ours.session.handle_version(ours.now, 1);
        ours.drain();
        ours
    }

    /// So much time passes.
    pub fn wait(&mut self, time: Duration) {
        self.now += time;
        self.session.handle_timeout(self.now);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::KeyPackage(payload) => self.key_package = payload,
                Output::CommitWelcome(payload) => self.commit_welcome = Some(payload),
                Output::ReadyForTransition(transition) => self.ready.push(transition),
                Output::InvalidCommitWelcome(transition) => panic!("transition {transition} was refused"),
                Output::Update(update) => self.update(update),
                Output::Event(Event::Epoch { authenticator, .. }) => {
                    self.authenticator = authenticator.expose().to_vec();
                }
                _ => {}
            }
        }
    }

    fn update(&mut self, update: Update) {
        match update {
            Update::Seal(secret) => {
                self.sealer.install(&secret);
                self.sending = Sending::Sealed;
            }
            Update::Withhold => {
                self.sealer.suspend();
                self.sending = Sending::Nothing;
            }
            Update::SendPlain => self.sending = Sending::Plain,
            Update::Expect { user, secret, retire } => {
                self.openers.entry(user.get()).or_default().expect(self.now, &secret, retire);
            }
            Update::Retire { user, at } => {
                if let Some(opener) = self.openers.get_mut(&user.get()) {
                    opener.retire(at);
                }
            }
            Update::AcceptPlain { until } => self.plain = Some(until),
            update => panic!("{update:?} is not known here"),
        }
    }

    /// Takes the answer to an op 21, 29 or 30.
    fn confirmed(&mut self, transition: u16) {
        let ready = std::mem::take(&mut self.ready);
        let wanted = if transition == 0 { Vec::new() } else { vec![transition] };
        assert_eq!(ready, wanted, "op 23 for {transition}");
    }
}

impl Member for Ours {
    fn user(&self) -> u64 {
        self.user.get()
    }

    fn name(&self) -> &'static str {
        "ours"
    }

    fn external_sender(&mut self, package: &[u8]) {
        self.session.handle_external_sender(self.now, package);
        self.drain();
    }

    fn connected(&mut self, users: &BTreeSet<u64>) {
        let others: BTreeSet<u64> = users.iter().copied().filter(|&user| user != self.user.get()).collect();
        let came: Vec<UserId> = others.difference(&self.connected).copied().map(id).collect();
        if !came.is_empty() {
            self.session.handle_connect(self.now, &came);
        }
        for &user in self.connected.difference(&others) {
            self.session.handle_disconnect(self.now, id(user));
        }
        self.connected = others;
        self.drain();
    }

    fn key_package(&mut self) -> Vec<u8> {
        self.key_package.clone()
    }

    fn proposals(&mut self, payload: &[u8]) -> Option<Vec<u8>> {
        self.session.handle_proposals(self.now, payload);
        self.drain();
        self.commit_welcome.take()
    }

    fn commit(&mut self, transition: u16, commit: &[u8]) {
        self.session.handle_commit(self.now, transition, commit);
        self.drain();
        self.confirmed(transition);
    }

    fn welcome(&mut self, transition: u16, welcome: &[u8]) {
        self.session.handle_welcome(self.now, transition, welcome);
        self.drain();
        self.confirmed(transition);
    }

    fn prepare(&mut self, transition: u16, version: u16) {
        self.session.handle_prepare_transition(self.now, transition, version);
        self.drain();
        self.confirmed(transition);
    }

    fn execute(&mut self, transition: u16) {
        self.session.handle_execute_transition(self.now, transition);
        self.drain();
    }

    fn start_over(&mut self, version: u16) {
        self.session.handle_prepare_epoch(self.now, 1, version, None);
        self.drain();
    }

    fn authenticator(&mut self) -> Vec<u8> {
        if self.session.epoch().is_some() { self.authenticator.clone() } else { Vec::new() }
    }

    fn privacy_code(&mut self) -> String {
        self.session.privacy_code().unwrap_or_default()
    }

    fn keys(&mut self) -> BTreeMap<u64, Vec<u8>> {
        self.session.members().into_iter().map(|(user, member)| (user.get(), member.key)).collect()
    }

    fn pair_fingerprint(&mut self, other: u64) -> Vec<u8> {
        self.session.pair(id(other)).expect("a member of the group").fingerprint().to_vec()
    }

    fn pair_code(&mut self, other: u64) -> String {
        self.session.pair(id(other)).expect("a member of the group").code()
    }

    fn seal(&mut self, codec: Codec, frame: &[u8]) -> Option<Vec<u8>> {
        match self.sending {
            Sending::Nothing => None,
            Sending::Plain => Some(frame.to_vec()),
            Sending::Sealed => {
                let mut buffer = frame.to_vec();
                buffer.resize(Sealer::max_len(codec, frame.len()), 0);
                let len = self.sealer.seal(codec, &mut buffer, frame.len()).expect("the frame can be sealed");
                buffer.truncate(len);
                Some(buffer)
            }
        }
    }

    fn open(&mut self, from: u64, codec: Codec, frame: &[u8]) -> Option<Vec<u8>> {
        let media = if codec == Codec::Opus { Media::Audio } else { Media::Video };
        let plain = self.plain.is_some_and(|until| until.is_none_or(|until| self.now < until));
        let mut frame = frame.to_vec();
        match self.openers.entry(from).or_default().open(self.now, media, plain, &mut frame) {
            Opened::Sealed { len } => frame.truncate(len),
            Opened::Silence | Opened::Plain => {}
            Opened::Refused(_) => return None,
        }
        Some(frame)
    }
}

fn id(user: u64) -> UserId {
    UserId::new(user).expect("not 0")
}
