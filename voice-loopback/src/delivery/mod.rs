//! DAVE's delivery service for one room: told who comes and goes and what they send, it says who gets what.
//!
//! ```text
//! external sender 25 ->  <- key package 26     everybody else gets the addition 27 ->  (no group yet)
//!                                              the members of the group get it 27 ->   (established)
//! <- commit 28: the first valid one wins       members 29 ->  new ones 30 ->  <- ready 23  execute 22 ->
//! who leaves, or cannot follow (31): removal 27 ->, or 27 -> that revokes an addition
//! one is left: new epoch 24, transition 0 21 ->
//! ```
//!
//! What is wanted follows from who is there; [`Delivery::settle`] proposes what is missing and revokes what is not wanted
//! any more. So whatever happens, in whatever order, proposals and presence agree again after each call.

mod authority;
mod candidate;
mod commit;
mod forgery;
mod group;
mod judge;
mod leaf;
mod proposal;
mod reader;
mod recovery;
mod transition;
mod version;
mod welcome;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use gateway::{binary, text};
use model::{ChannelId, Ssrc, UserId};

use self::candidate::Candidate;
use self::group::Group;
use self::proposal::{Change, Proposal, Proposals};
use self::transition::Transitions;
use crate::misbehaviour::Misbehaviour;
use crate::script::Trick;
use crate::server::DaveStats;

pub(crate) use self::authority::Authority;

/// The epoch that op 24 names for a new group.
const FIRST_EPOCH: u64 = 1;

/// The protocol version spoken here, when any.
const VERSION: u16 = 1;

/// What the server lends its delivery services for one call.
pub(crate) struct Context<'a> {
    pub(crate) now: Instant,
    pub(crate) authority: &'a Authority,
    /// Signs what is not to be believed.
    pub(crate) foreigner: &'a Authority,
    pub(crate) misbehaviour: &'a mut Misbehaviour,
    pub(crate) stats: &'a mut DaveStats,
    /// How long additions may wait for others to go with them.
    pub(crate) batch: Duration,
}

/// A message, and the session that shall get it.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) to: Ssrc,
    pub(crate) message: Message,
}

/// One of either kind.
#[derive(Debug)]
pub(crate) enum Message {
    Text(text::Message),
    Binary(binary::Message),
}

/// Somebody who comes into the room.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entrant {
    pub(crate) user: UserId,
    pub(crate) ssrc: Ssrc,
    /// The newest version that it speaks.
    pub(crate) max_version: u16,
    /// The version last told, when it has been here before.
    pub(crate) told: Option<u16>,
    /// It has got the external sender.
    pub(crate) knows_sender: bool,
}

#[derive(Debug)]
struct Participant {
    ssrc: Ssrc,
    max_version: u16,
    connected: bool,
    knows_sender: bool,
    /// Its place in the group; `None` while it is pending.
    leaf: Option<u32>,
    /// How it can be added; only while it is pending.
    candidate: Option<Candidate>,
    /// It was told to be in an established group, and has neither flagged that nor been told to make a new one.
    established: bool,
}

/// The delivery service of one room.
#[derive(Debug)]
pub(crate) struct Delivery {
    /// The version of calls that everybody can encrypt.
    offered: u16,
    /// The version of this call.
    version: u16,
    channel: Option<ChannelId>,
    group: Group,
    participants: BTreeMap<UserId, Participant>,
    proposals: Proposals,
    transitions: Transitions,
    /// When additions were last proposed, if others have to wait for that long.
    batch: Option<Instant>,
    /// Whose group it is, and who flagged its welcome before anybody got in with one.
    founder: Option<UserId>,
    doubts: u32,
    /// Founders of groups that nobody could join: they may not commit as long as others can.
    barred: BTreeSet<UserId>,
    /// Commits of this group, the latest two.
    history: VecDeque<Vec<u8>>,
    orders: VecDeque<Order>,
}

impl Delivery {
    /// Nobody is there. `offered` is 0 or 1.
    pub(crate) fn new(offered: u16, channel: Option<ChannelId>) -> Self {
        Self {
            offered,
            version: offered,
            channel,
            group: Group::default(),
            participants: BTreeMap::new(),
            proposals: Proposals::default(),
            transitions: Transitions::default(),
            batch: None,
            founder: None,
            doubts: 0,
            barred: BTreeSet::new(),
            history: VecDeque::new(),
            orders: VecDeque::new(),
        }
    }

    /// The version to tell a client in op 4.
    pub(crate) fn version_for(&self, max_version: u16) -> u16 {
        self.version.min(max_version)
    }

    /// The epoch of the group that this user is in.
    pub(crate) fn epoch_of(&self, user: UserId) -> Option<u64> {
        self.participants.get(&user)?.leaf.map(|_| self.group.epoch())
    }

    /// The next message to send.
    pub(crate) fn poll_order(&mut self) -> Option<Order> {
        self.orders.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.batch.into_iter().chain(self.transitions.poll_timeout()).min()
    }

    pub(crate) fn handle_timeout(&mut self, cx: &mut Context<'_>) {
        self.execute(cx);
        self.batch = self.batch.filter(|until| cx.now < *until);
        self.settle(cx);
    }

    /// The channel has become known: there can be a group.
    pub(crate) fn set_channel(&mut self, cx: &mut Context<'_>, channel: ChannelId) {
        if self.channel.is_none() {
            self.channel = Some(channel);
            self.settle(cx);
        }
    }

    /// Somebody has got op 4, or is back after the others have seen it leave.
    pub(crate) fn enter(&mut self, cx: &mut Context<'_>, entrant: Entrant) {
        let Entrant { user, ssrc, max_version, told, knows_sender } = entrant;
        if max_version == 0 {
            self.downgrade(cx);
        }
        let participant = Participant {
            ssrc,
            max_version,
            connected: true,
            knows_sender,
            leaf: None,
            candidate: None,
            established: false,
        };
        self.participants.insert(user, participant);
        match self.version_for(max_version) {
            0 if told.is_some_and(|version| version > 0) => self.prepare_transition(user, 0, 0),
            0 => {}
            _ => {
                self.introduce(user, cx.authority);
                if told.is_some() {
                    // What it knows of a group is out of date.
                    self.prepare_epoch(user);
                }
                self.catch_up(user);
            }
        }
        self.settle(cx);
    }

    /// Somebody left, or the others have been told so.
    pub(crate) fn leave(&mut self, cx: &mut Context<'_>, user: UserId) {
        let Some(left) = self.participants.remove(&user) else { return };
        self.barred.remove(&user);
        self.transitions.excuse(user);
        self.transitions.drop_recipient(user, None);
        if left.max_version == 0 && self.participants.values().all(|it| it.max_version > 0) {
            self.upgrade(cx);
        }
        self.reset_sole(cx);
        self.settle(cx);
        self.execute(cx);
    }

    /// Somebody's WebSocket was severed; the others have not been told yet.
    pub(crate) fn handle_severed(&mut self, cx: &mut Context<'_>, user: UserId) {
        if let Some(participant) = self.participants.get_mut(&user) {
            participant.connected = false;
        }
        self.transitions.excuse(user);
        self.execute(cx);
    }

    /// Op 26.
    pub(crate) fn handle_key_package(&mut self, cx: &mut Context<'_>, user: UserId, package: &[u8]) {
        let valid = cx.authority.validate(user, package).filter(|candidate| self.is_unique(user, candidate));
        let Some(candidate) = valid else {
            cx.stats.key_packages_refused += 1;
            return;
        };
        cx.stats.key_packages += 1;
        let Some(participant) = self.participants.get_mut(&user).filter(|_| self.version > 0) else { return };
        let present = participant.leaf.and_then(|leaf| self.group.leaf(leaf)?.package);
        let known = participant.candidate.as_ref().map(|candidate| candidate.reference).or(present);
        if known == Some(candidate.reference) {
            return;
        }
        participant.leaf = None;
        participant.candidate = Some(candidate);
        self.settle(cx);
    }

    /// Op 23; false when nothing waits for it.
    pub(crate) fn handle_ready(&mut self, cx: &mut Context<'_>, user: UserId, transition: u16) -> bool {
        let awaited = self.transitions.note_ready(user, transition);
        if awaited && self.group.is_established() && self.founder != Some(user) {
            self.founder = None;
        }
        self.execute(cx);
        awaited
    }

    /// Two members with one key would make every commit fail (RFC 9420, section 7.3).
    fn is_unique(&self, user: UserId, candidate: &Candidate) -> bool {
        let keys = [&candidate.signature_key, &candidate.encryption_key];
        let seated = self.group.leaves().filter(|(_, leaf)| leaf.user != user);
        let seated = seated.flat_map(|(_, leaf)| [&leaf.signature_key, &leaf.encryption_key]).flatten();
        let pending = self.participants.iter().filter(|(other, _)| **other != user);
        let pending = pending.filter_map(|(_, participant)| participant.candidate.as_ref());
        let mut taken = seated.chain(pending.flat_map(|other| [&other.signature_key, &other.encryption_key]));
        !taken.any(|key| keys.contains(&key))
    }

    /// Executes transitions whose time has come.
    fn execute(&mut self, cx: &mut Context<'_>) {
        while let Some((transition, late)) = self.transitions.pop(cx.now) {
            *(if late { &mut cx.stats.transitions_timed_out } else { &mut cx.stats.transitions_executed }) += 1;
            for user in transition.recipients {
                let execute = text::ExecuteTransition { transition: transition.id };
                let message = text::Message::ExecuteTransition(execute);
                if cx.misbehaviour.plays(user, Trick::DuplicateExecute) {
                    self.tell(user, message.clone());
                }
                self.tell(user, message);
            }
        }
    }

    /// Makes proposals agree with who is there.
    fn settle(&mut self, cx: &mut Context<'_>) {
        let Some(channel) = self.channel.filter(|_| self.version > 0) else { return };
        self.bury(cx);
        self.revoke(cx);
        self.propose(cx, channel);
    }

    /// Whether somebody has to be added who has this key package, or removed who sits there.
    fn is_wanted(&self, change: &Change) -> bool {
        match change {
            Change::Remove(leaf) => self.group.leaf(*leaf).is_some_and(|it| !self.sits(it.user, *leaf)),
            Change::Add(user, reference) => {
                let candidate = self.participants.get(user).and_then(|participant| participant.candidate.as_ref());
                candidate.is_some_and(|candidate| candidate.reference == *reference)
            }
        }
    }

    /// Whether the leaf is that user's rightful place.
    fn sits(&self, user: UserId, leaf: u32) -> bool {
        self.participants.get(&user).is_some_and(|participant| participant.leaf == Some(leaf))
    }

    /// Who gets the proposals of the epoch: the members of the group; before there is one, everybody.
    fn committers(&self) -> Vec<UserId> {
        let is_committer = |participant: &Participant| participant.leaf.is_some() || !self.group.is_established();
        self.participants.iter().filter(|(_, participant)| is_committer(participant)).map(|(user, _)| *user).collect()
    }

    /// Revokes what is not wanted any more, and with it all that stands, to be signed anew. Otherwise what is left might
    /// be what stood once before, and a commit to that, overtaken on its way here by the proposal that is now revoked,
    /// would win although its sender has made a later one.
    fn revoke(&mut self, cx: &mut Context<'_>) {
        if !self.proposals.standing().iter().all(|proposal| self.is_wanted(&proposal.change)) {
            self.revoke_all(cx);
        }
    }

    fn revoke_all(&mut self, cx: &mut Context<'_>) {
        let revoked = self.proposals.revoke();
        cx.stats.revoked += revoked.len() as u64;
        for user in self.committers() {
            if let Some(payload) = proposal::revoke(revoked.iter().filter(|it| !it.change.adds(user))) {
                self.tell_binary(user, binary::Message::Proposals(payload));
            }
        }
    }

    fn propose(&mut self, cx: &mut Context<'_>, channel: ChannelId) {
        let is_new = |change: &Change| self.proposals.standing().iter().all(|it| it.change != *change);
        let removals = self.group.leaves().map(|(leaf, _)| Change::Remove(leaf));
        let mut changes: Vec<Change> = removals.filter(|it| self.is_wanted(it) && is_new(it)).collect();
        let candidates = self.participants.iter().filter_map(|(user, it)| Some((*user, it.candidate.as_ref()?)));
        let additions = candidates.map(|(user, candidate)| Change::Add(user, candidate.reference)).filter(is_new);
        let additions: Vec<Change> = additions.collect();
        // Nobody may be welcomed into a group with somebody who has left: removals do not wait, and take all with them.
        if changes.is_empty() && self.batch.is_some_and(|until| cx.now < until) {
            return;
        }
        if !additions.is_empty() && !cx.batch.is_zero() {
            self.batch = Some(cx.now + cx.batch);
        }
        changes.extend(additions);
        let proposals = self.sign(cx.authority, channel, &changes);
        cx.stats.proposals += proposals.len() as u64;
        for user in self.committers() {
            let theirs = proposals.iter().filter(|it| !it.change.adds(user));
            let Some(payload) = proposal::append(theirs) else { continue };
            if cx.misbehaviour.plays(user, Trick::ForeignProposals) {
                let forged = self.sign(cx.foreigner, channel, &changes);
                let forged = proposal::append(forged.iter().filter(|it| !it.change.adds(user)));
                forged.into_iter().for_each(|payload| self.tell_binary(user, binary::Message::Proposals(payload)));
            }
            self.tell_binary(user, binary::Message::Proposals(payload));
        }
        self.proposals.append(proposals);
    }

    fn sign(&self, authority: &Authority, channel: ChannelId, changes: &[Change]) -> Vec<Proposal> {
        let candidate = |change: &Change| match change {
            Change::Add(user, _) => self.participants.get(user)?.candidate.as_ref(),
            Change::Remove(_) => None,
        };
        let (group, epoch) = (channel.get().to_be_bytes(), self.group.epoch());
        changes.iter().filter_map(|change| authority.propose(&group, epoch, *change, candidate(change))).collect()
    }

    /// Before there is a group, who comes later gets the additions that are under way.
    fn catch_up(&mut self, user: UserId) {
        if self.group.is_established() {
            return;
        }
        let theirs = self.proposals.standing().iter().filter(|it| !it.change.adds(user));
        if let Some(payload) = proposal::append(theirs) {
            self.tell_binary(user, binary::Message::Proposals(payload));
        }
    }

    /// Op 25, once.
    fn introduce(&mut self, user: UserId, authority: &Authority) {
        let Some(participant) = self.participants.get_mut(&user).filter(|it| !it.knows_sender) else { return };
        participant.knows_sender = true;
        self.tell_binary(user, binary::Message::ExternalSender(authority.external_sender().to_vec()));
    }

    fn tell(&mut self, user: UserId, message: text::Message) {
        self.order(user, Message::Text(message));
    }

    fn tell_binary(&mut self, user: UserId, message: binary::Message) {
        self.order(user, Message::Binary(message));
    }

    fn order(&mut self, user: UserId, message: Message) {
        if let Some(participant) = self.participants.get(&user) {
            self.orders.push_back(Order { to: participant.ssrc, message });
        }
    }
}
