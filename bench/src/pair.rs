//! A group of two: our session or davey's, each with its own kind, and the same delivery service.

use std::hint::black_box;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::{Duration, Instant};

use davey::{DaveSession, ProposalsOperationType};
use interop_delivery::{Delivery, Seeded, append, split};
use voice_client::layer::dave::provider::Backend;
use voice_client::layer::dave::{Config, Identity, Output, Session};
use voice_client::{ChannelId, UserId};

const CHANNEL: u64 = 300_000_000_000_000_001;
const FOUNDER: u64 = 200_000_000_000_000_001;
const JOINER: u64 = 200_000_000_000_000_002;
const TRANSITION: u16 = 1;

/// How long each step of making a group took.
#[derive(Default)]
pub struct Times {
    pub key_package: Duration,
    pub add_commit: Duration,
    pub own_commit: Duration,
    pub welcome: Duration,
}

/// One implementation of a member.
pub trait Member: Sized {
    /// A new one.
    fn new(user: u64) -> Self;
    /// Op 26, from nothing.
    fn key_package(&mut self) -> Vec<u8>;
    /// Op 25.
    fn external_sender(&mut self, package: &[u8]);
    /// Op 11 and op 27; what comes is op 28.
    fn proposals(&mut self, payload: &[u8]) -> Vec<u8>;
    /// Op 29, up to where frames of the new epoch can be opened.
    fn commit(&mut self, commit: &[u8]);
    /// Op 30, as far.
    fn welcome(&mut self, welcome: &[u8]);
    /// Op 22.
    fn execute(&mut self);
}

/// A group of two.
pub struct Pair<M> {
    pub founder: M,
    pub joiner: M,
}

impl<M: Member> Pair<M> {
    /// With keys in use.
    ///
    /// # Panics
    ///
    /// When they do not get there; so does [`make`](Self::make).
    pub fn established() -> Self {
        let (mut pair, _) = Self::make();
        pair.founder.execute();
        pair.joiner.execute();
        pair
    }

    /// Up to where frames can be opened.
    pub fn make() -> (Self, Times) {
        let mut times = Times::default();
        let mut delivery = Delivery::new(CHANNEL, 1);
        let package = delivery.external_sender();
        let (mut founder, mut joiner) = (M::new(FOUNDER), M::new(JOINER));
        founder.key_package();
        founder.external_sender(&package);
        let key_package = timed(&mut times.key_package, || joiner.key_package());
        joiner.external_sender(&package);

        let add = delivery.add(JOINER, &key_package).expect("a key package");
        let payload = append(&[&add]);
        let commit_welcome = timed(&mut times.add_commit, || founder.proposals(&payload));
        let (commit, welcome) = split(&commit_welcome).expect("an op 28");
        let welcome = welcome.expect("a welcome");
        timed(&mut times.own_commit, || founder.commit(&commit));
        timed(&mut times.welcome, || joiner.welcome(&welcome));
        (Self { founder, joiner }, times)
    }
}

fn timed<T>(time: &mut Duration, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = black_box(work());
    *time = start.elapsed();
    result
}

impl Member for Session {
    fn new(user: u64) -> Self {
        let entropy = Arc::new(Seeded::new(user));
        let user = UserId::new(user).expect("not 0");
        let channel = ChannelId::new(CHANNEL).expect("not 0");
        let identity = Identity::generate(&*entropy);
        Session::new(Config { user, channel, identity, entropy, backend: Backend::AwsLc })
    }

    fn key_package(&mut self) -> Vec<u8> {
        self.handle_version(Instant::now(), 1);
        outputs(self, |output| if let Output::KeyPackage(payload) = output { Some(payload) } else { None })
            .expect("a key package")
    }

    fn external_sender(&mut self, package: &[u8]) {
        self.handle_external_sender(Instant::now(), package);
    }

    fn proposals(&mut self, payload: &[u8]) -> Vec<u8> {
        let now = Instant::now();
        self.handle_connect(now, &[UserId::new(JOINER).expect("not 0")]);
        self.handle_proposals(now, payload);
        outputs(self, |output| if let Output::CommitWelcome(payload) = output { Some(payload) } else { None })
            .expect("an op 28")
    }

    fn commit(&mut self, commit: &[u8]) {
        self.handle_commit(Instant::now(), TRANSITION, commit);
        ready(self);
    }

    fn welcome(&mut self, welcome: &[u8]) {
        let now = Instant::now();
        self.handle_connect(now, &[UserId::new(FOUNDER).expect("not 0")]);
        self.handle_welcome(now, TRANSITION, welcome);
        ready(self);
    }

    fn execute(&mut self) {
        self.handle_execute_transition(Instant::now(), TRANSITION);
        outputs(self, |_| None::<()>);
    }
}

fn ready(session: &mut Session) {
    let ready = outputs(session, |output| matches!(output, Output::ReadyForTransition(_)).then_some(()));
    ready.expect("an op 23");
}

/// Drains the outputs; the last that `pick` takes.
fn outputs<T>(session: &mut Session, mut pick: impl FnMut(Output) -> Option<T>) -> Option<T> {
    let mut picked = None;
    while let Some(output) = session.poll_output() {
        picked = pick(black_box(output)).or(picked);
    }
    picked
}

impl Member for DaveSession {
    fn new(user: u64) -> Self {
        DaveSession::new(NonZeroU16::MIN, user, CHANNEL, None).expect("a session")
    }

    fn key_package(&mut self) -> Vec<u8> {
        self.create_key_package().expect("a key package")
    }

    fn external_sender(&mut self, package: &[u8]) {
        self.set_external_sender(package).expect("an external sender");
    }

    fn proposals(&mut self, payload: &[u8]) -> Vec<u8> {
        let users = [FOUNDER, JOINER];
        let answer = self.process_proposals(ProposalsOperationType::APPEND, &payload[1..], Some(&users));
        let answer = answer.expect("good proposals").expect("an op 28");
        [answer.commit, answer.welcome.unwrap_or_default()].concat()
    }

    fn commit(&mut self, commit: &[u8]) {
        assert!(self.process_commit(commit).expect("a good commit"));
        self.prepare_transition(TRANSITION, 1).expect("a transition");
    }

    fn welcome(&mut self, welcome: &[u8]) {
        self.process_welcome(welcome, Some(&[FOUNDER, JOINER])).expect("a good welcome");
        self.prepare_transition(TRANSITION, 1).expect("a transition");
    }

    fn execute(&mut self) {
        self.execute_transition(TRANSITION).expect("a transition");
    }
}
