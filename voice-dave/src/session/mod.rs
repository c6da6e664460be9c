//! The control side of end-to-end encryption:
//!
//! ```text
//! < 4 version, > 26 key package, < 25 external sender (before or after), < 11 who is expected
//! < 27 proposals, > 28 commit, then < 29 our own commit won, or < 30 welcome: secrets to receive with, > 23 ready
//! < 22 execute: the secret to send with.  Somebody comes or goes: 27, 28, 29, 23, 22 again
//! alone again: < 24 epoch 1, > 26, < 21 transition 0.   downgrade: < 21 version 0, > 23, < 22.   upgrade: < 24, as above
//! something is wrong: > 31, > 26, and wait for < 30
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use voice_model::{ChannelId, UserId};

use crate::Identity;
use crate::provider::{Backend, Entropy};
use crate::transition::Transitions;
use crate::verify::{Pair, privacy_code};

mod commit;
mod group;
mod guard;
mod handshake;
mod output;
mod policy;
mod proposals;
mod recovery;
mod roster;
mod tree;
mod versions;
mod welcome;
mod wire;

pub use output::{Event, Member, Output, State, Stats, Trouble, Update};

use group::Group;
use policy::Policy;
use recovery::Recovery;
use roster::Roster;

/// The longest MLS payload that is looked at. A welcome to a group of a hundred has some 40 KiB.
const MAX_MESSAGE: usize = 256 * 1_024;

/// What a session is told once.
#[derive(Clone)]
pub struct Config {
    /// Who we are.
    pub user: UserId,
    /// The channel of the call, or the id of the stream: the MLS group's id.
    pub channel: ChannelId,
    /// Our signature key; the same for all sessions of the user at a time.
    pub identity: Identity,
    /// Randomness for key material.
    pub entropy: Arc<dyn Entropy>,
    /// Cryptography of MLS.
    pub backend: Backend,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").field("user", &self.user).field("channel", &self.channel).finish_non_exhaustive()
    }
}

/// The end-to-end encryption of one voice session. A control machine: after each `handle_*` drain
/// [`poll_output`](Self::poll_output) and look at [`poll_timeout`](Self::poll_timeout).
///
/// However the server or a member behaves, a session holds at most: 4,096 recognised users, the keys of 1,024 users
/// who left, 256 proposals (16 batches and 64 KiB of them waiting for op 11, with one commit), 16 transitions, and a group
/// whose tree had up to 8,192 nodes when it was joined. Payloads above 256 KiB are not looked at; one takes up to some
/// 64 times its size while it is read.
///
/// The work of one message is at most: reading the payload, verifying 256 proposals or the tree of one welcome, and one
/// commit to all that is queued, with a path through the tree; a second one if MLS refuses the first. Each op 27 costs such
/// a commit, so that filling the queue one by one costs its square. One message makes at most a few outputs per member.
#[derive(Debug)]
pub struct Session {
    user: UserId,
    /// Op 4, or the latest op 24: what groups are made for. `None` before op 4, and for a version that we do not speak.
    announced: Option<u16>,
    group: Group,
    roster: Roster,
    transitions: Transitions,
    policy: Policy,
    recovery: Recovery,
    /// Op 24 said that the group is to be made anew, and nothing was executed since.
    recreating: bool,
    /// The transition that was mentioned last: what op 31 names when no message is to blame.
    last_transition: u16,
    state: Option<State>,
    outputs: VecDeque<Output>,
    stats: Stats,
}

impl Session {
    /// Knows nothing yet: the first thing to tell it is the version of op 4, or what came before that.
    #[expect(clippy::needless_pass_by_value, reason = "the session keeps the identity and the entropy")]
    pub fn new(config: Config) -> Self {
        Self {
            user: config.user,
            announced: None,
            group: Group::new(&config),
            roster: Roster::new(config.user),
            transitions: Transitions::default(),
            policy: Policy::new(),
            recovery: Recovery::new(),
            recreating: false,
            last_transition: 0,
            state: None,
            outputs: VecDeque::new(),
            stats: Stats::default(),
        }
    }

    /// Op 4: the version of this session, 0 for no encryption. Come again after a resume, it changes only what it changes.
    pub fn handle_version(&mut self, now: Instant, version: u16) {
        self.describe(now, version);
        self.settle(now);
    }

    /// Op 11.
    pub fn handle_connect(&mut self, now: Instant, users: &[UserId]) {
        self.stats.ignored += self.roster.connect(users);
        self.retry_held(now);
        self.settle(now);
    }

    /// Op 13.
    pub fn handle_disconnect(&mut self, _now: Instant, user: UserId) {
        self.roster.disconnect(user);
    }

    /// Op 21.
    pub fn handle_prepare_transition(&mut self, now: Instant, transition: u16, version: u16) {
        self.prepare_transition(now, transition, version);
        self.settle(now);
    }

    /// Op 22.
    pub fn handle_execute_transition(&mut self, now: Instant, transition: u16) {
        self.execute(now, transition);
        self.settle(now);
    }

    /// Op 24.
    pub fn handle_prepare_epoch(&mut self, now: Instant, epoch: u64, version: u16, transition: Option<u16>) {
        self.prepare_epoch(epoch, version, transition);
        self.settle(now);
    }

    /// Op 25: the payload behind the opcode.
    pub fn handle_external_sender(&mut self, _now: Instant, payload: &[u8]) {
        self.set_external_sender(payload);
    }

    /// Op 27: the payload behind the opcode, operation byte included.
    pub fn handle_proposals(&mut self, now: Instant, payload: &[u8]) {
        self.take_proposals(now, payload);
        self.settle(now);
    }

    /// Op 29.
    pub fn handle_commit(&mut self, now: Instant, transition: u16, commit: &[u8]) {
        self.take_commit(now, transition, commit);
        self.settle(now);
    }

    /// Op 30.
    pub fn handle_welcome(&mut self, now: Instant, transition: u16, welcome: &[u8]) {
        self.take_welcome(now, transition, welcome);
        self.settle(now);
    }

    /// Op 9: the session is resumed. What we sent last may have been lost with the old WebSocket: the key package that is
    /// to bring us into a group is sent again, as it was, and so is the op 23 of every transition that is under way.
    pub fn handle_resumed(&mut self, _now: Instant) {
        self.repeat();
    }

    /// Media cannot open anybody's frames any more, and has not for a while: a commit must have been missed. Leads to
    /// recovery, but not more often than every 10 s, and less and less often while that does not help.
    pub fn handle_undecryptable(&mut self, now: Instant) {
        // Before our first secret is in force, others may well seal for an epoch that we are not in.
        if (self.policy.is_sealing() || self.recovery.is_active()) && self.recovery.permits(now) {
            self.recover(now, Trouble::Undecryptable, Some(self.last_transition));
        }
    }

    /// Time has come for something.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(id) = self.transitions.overdue(now) {
            self.execute(now, id);
        }
        self.give_up_held(now);
        self.offer(now);
        self.settle(now);
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let deadlines = [self.transitions.deadline(), self.group.held.deadline(), self.recovery.offer_due()];
        deadlines.into_iter().flatten().min()
    }

    /// Drain until `None`.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The version in force: that of the last executed transition.
    pub fn version(&self) -> u16 {
        self.policy.version()
    }

    /// The epoch of the group, from 1; `None` without an established group.
    pub fn epoch(&self) -> Option<u64> {
        self.group.epoch()
    }

    /// The 30 digits of the latest epoch.
    pub fn privacy_code(&self) -> Option<String> {
        self.group.authenticator().map(|authenticator| privacy_code(authenticator.expose()))
    }

    /// The group, ourselves included; empty without an established group.
    pub fn members(&self) -> BTreeMap<UserId, Member> {
        self.group.members()
    }

    /// Ourselves and another member, for their common code.
    pub fn pair(&self, user: UserId) -> Option<Pair> {
        let members = self.members();
        let (own, other) = (members.get(&self.user)?, members.get(&user)?);
        Pair::new(0, (&own.key, own.user), (&other.key, other.user)).ok().filter(|_| user != self.user)
    }

    /// Figures.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Tells media and the application what has changed by all that was done.
    fn settle(&mut self, now: Instant) {
        let adjusted = self.policy.adjust(now, self.transitions.downgrade());
        self.update(adjusted);
        let state = self.policy.state();
        if let Some(new) = state.filter(|_| state != self.state) {
            self.state = state;
            self.tell(Event::State(new));
        }
    }

    fn send(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    fn tell(&mut self, event: Event) {
        self.send(Output::Event(event));
    }

    fn update(&mut self, updates: impl IntoIterator<Item = Update>) {
        self.outputs.extend(updates.into_iter().map(Output::Update));
    }
}
