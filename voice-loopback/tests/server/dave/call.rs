use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dave::provider::{Backend, Entropy};
use dave::{Identity, Output, Session, State, Update};
use gateway::binary::{self, Message as Binary};
use gateway::text::{self, Dialect, InvalidCommitWelcome, Message, ReadyForTransition};
use model::UserId;
use serde_json::Value;
use voice_loopback::{Config, Cue, DaveStats, Member, Trick};

use crate::world::{Client, Heard, World, address, channel, find, identify, resume, select, user};

/// The channel of these calls.
pub(crate) const CHANNEL: u64 = 940_403_663_430_647_849;

/// Repeatable numbers.
pub(crate) struct Drawn(AtomicU64);

impl Drawn {
    pub(crate) fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1))
    }
}

impl Entropy for Drawn {
    fn fill(&self, bytes: &mut [u8]) {
        for byte in bytes {
            let next = |state: u64| Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
            let state = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).expect("always some");
            *byte = (state >> 56) as u8;
        }
    }
}

/// One client: its connection, and its end of the encryption.
pub(crate) struct Peer {
    pub(crate) client: Client,
    pub(crate) conn: u64,
    pub(crate) session: Session,
    /// Opcodes heard, binary ones too, in their order; and of which transition, where it is told.
    pub(crate) ops: Vec<(u64, Option<u16>)>,
    /// Binary messages heard and said.
    pub(crate) heard: Vec<Binary>,
    pub(crate) said: Vec<Binary>,
    /// What it would say is kept back, or swallowed for good.
    pub(crate) is_silent: bool,
    pub(crate) kept: Vec<Output>,
    pub(crate) updates: Vec<Update>,
    pub(crate) state: Option<State>,
    token: Value,
    seq: Option<u16>,
}

/// A room of clients with end-to-end encryption.
pub(crate) struct Call {
    pub(crate) world: World,
    pub(crate) peers: BTreeMap<u64, Peer>,
    joins: u64,
}

impl Call {
    pub(crate) fn new(config: Config) -> Self {
        Self { world: World::new(config), peers: BTreeMap::new(), joins: 0 }
    }

    /// With these members, settled.
    pub(crate) fn of(config: Config, users: &[u64]) -> Self {
        let mut call = Self::new(config);
        for user in users {
            call.join(*user);
            call.run();
        }
        call
    }

    /// Joins, up to op 4, and has not listened yet.
    pub(crate) fn join(&mut self, id: u64) {
        let mut identify = identify(id);
        identify["d"]["channel_id"] = CHANNEL.to_string().into();
        identify["d"]["token"] = format!("token {}", self.joins).into();
        self.join_as(id, &identify);
    }

    pub(crate) fn join_as(&mut self, id: u64, identify: &Value) {
        self.joins += 1;
        let entropy = Arc::new(Drawn::new(1_000 * id + self.joins));
        let session = Session::new(dave::Config {
            user: user(id),
            channel: channel(CHANNEL),
            identity: Identity::generate(&*entropy),
            entropy,
            backend: Backend::AwsLc,
        });
        let conn = self.world.connect("v=8");
        self.world.say(conn, identify);
        assert_eq!(self.world.ended(conn), None, "refused");
        self.world.say(conn, &select(address(id), "aead_aes256_gcm_rtpsize"));
        let heard = self.world.heard(conn);
        let ssrc = find(&heard, 2)["ssrc"].as_u64().expect("an SSRC") as u32;
        let mut client = Client::new(conn, ssrc, address(id), crypto::Mode::Aes256GcmRtpsize);
        if let Some(description) = heard.iter().find(|message| message["op"] == 4) {
            client = client.with_key(&description["d"]);
        }
        let peer = Peer {
            client,
            conn,
            session,
            ops: Vec::new(),
            heard: Vec::new(),
            said: Vec::new(),
            is_silent: false,
            kept: Vec::new(),
            updates: Vec::new(),
            state: None,
            token: identify["d"]["token"].clone(),
            seq: None,
        };
        self.peers.insert(id, peer);
    }

    pub(crate) fn leave(&mut self, id: u64) {
        let peer = self.peers.remove(&id).expect("there");
        self.world.disconnect(peer.conn, Some(1000));
    }

    pub(crate) fn sever(&mut self, id: u64) {
        let conn = self.peer(id).conn;
        self.world.disconnect(conn, None);
    }

    /// Resumes a severed session, with what was heard so far acknowledged.
    pub(crate) fn resume(&mut self, id: u64) {
        let seq_ack = self.peer(id).seq.map(i64::from);
        let mut message = resume(id, seq_ack);
        message["d"]["token"] = self.peer(id).token.clone();
        let conn = self.world.connect("v=8");
        self.world.say(conn, &message);
        assert_eq!(self.world.ended(conn), None, "the resume was refused");
        self.peer(id).conn = conn;
    }

    /// Everybody listens and answers, until nobody has anything more to say.
    pub(crate) fn run(&mut self) {
        let mut rounds = 0;
        while self.step() {
            rounds += 1;
            assert!(rounds < 2_000, "they go on for ever");
        }
    }

    /// Everybody listens to one message and answers; false when there was none.
    pub(crate) fn step(&mut self) -> bool {
        let ids: Vec<u64> = self.peers.keys().copied().collect();
        ids.into_iter().filter(|id| self.listen(*id)).count() > 0
    }

    /// One peer listens to one message and answers.
    pub(crate) fn listen(&mut self, id: u64) -> bool {
        let Some(peer) = self.peers.get_mut(&id) else { return false };
        let Some(heard) = self.world.inbox.get_mut(&peer.conn).and_then(|inbox| inbox.pop_front()) else {
            return false;
        };
        peer.hear(self.world.now, &heard);
        for output in std::iter::from_fn(|| peer.session.poll_output()).collect::<Vec<_>>() {
            match output {
                Output::Update(update) => self.peer(id).updates.push(update),
                Output::Event(dave::Event::State(state)) => self.peer(id).state = Some(state),
                Output::Event(_) => {}
                output if self.peer(id).is_silent => self.peer(id).kept.push(output),
                output => self.say(id, output),
            }
        }
        true
    }

    pub(crate) fn say(&mut self, id: u64, output: Output) {
        let peer = self.peers.get_mut(&id).expect("there");
        let (text, frame) = match output {
            Output::KeyPackage(package) => (None, Some(Binary::KeyPackage(package))),
            Output::CommitWelcome(payload) => (None, Some(Binary::CommitWelcome(payload))),
            Output::ReadyForTransition(transition) => {
                (Some(Message::ReadyForTransition(ReadyForTransition { transition })), None)
            }
            Output::InvalidCommitWelcome(transition) => {
                (Some(Message::InvalidCommitWelcome(InvalidCommitWelcome { transition })), None)
            }
            other => panic!("nothing to send: {other:?}"),
        };
        let conn = peer.conn;
        if let Some(frame) = frame {
            peer.said.push(frame.clone());
            self.world.say_binary(conn, &binary::write_client(&frame));
        }
        if let Some(message) = text {
            self.world.say_raw(conn, &text::write(Dialect::V8, None, &message));
        }
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.world.pass(time);
        let now = self.world.now;
        for peer in self.peers.values_mut() {
            peer.session.handle_timeout(now);
        }
        self.run();
    }

    pub(crate) fn peer(&mut self, id: u64) -> &mut Peer {
        self.peers.get_mut(&id).expect("there")
    }

    pub(crate) fn cue(&mut self, cue: Cue) {
        self.world.server.cue(self.world.now, cue);
        self.world.drain();
    }

    pub(crate) fn trick(&mut self, id: u64, trick: Trick) {
        self.cue(Cue::Trick { user: Some(user(id)), trick, times: 1 });
    }

    pub(crate) fn stats(&self) -> DaveStats {
        self.world.server.stats().dave
    }

    pub(crate) fn member(&self, id: u64) -> Member {
        self.world.server.members().find(|member| member.user == user(id)).expect("there")
    }

    /// Forgets what was heard so far.
    pub(crate) fn forget(&mut self) {
        for peer in self.peers.values_mut() {
            peer.ops.clear();
            peer.heard.clear();
            peer.said.clear();
            peer.updates.clear();
        }
        self.world.frames.clear();
    }

    /// The opcodes that this peer heard, without the ones that have nothing to do with encryption.
    pub(crate) fn ops(&mut self, id: u64) -> Vec<u64> {
        let ops = self.peer(id).ops.iter().map(|(op, _)| *op);
        ops.filter(|op| matches!(op, 4 | 11 | 13 | 21..=31)).collect()
    }

    /// Everybody is in one group, sends with its keys, and sees the same code; gives the epoch.
    pub(crate) fn agree(&self) -> u64 {
        let everybody: BTreeSet<UserId> = self.peers.keys().map(|id| user(*id)).collect();
        let mut epochs = BTreeSet::new();
        let mut codes = BTreeSet::new();
        for (id, peer) in &self.peers {
            assert_eq!(peer.session.members().into_keys().collect::<BTreeSet<_>>(), everybody, "as {id} sees it");
            assert_eq!(peer.state, Some(State::On { version: 1 }), "{id}");
            epochs.insert(peer.session.epoch().expect("a group"));
            codes.insert(peer.session.privacy_code());
            let member = self.member(*id);
            assert_eq!((member.dave_version, member.dave_epoch), (Some(1), peer.session.epoch()), "{id}");
        }
        assert_eq!((epochs.len(), codes.len()), (1, 1), "one group");
        epochs.into_iter().next().expect("somebody")
    }
}

impl Peer {
    fn hear(&mut self, now: std::time::Instant, heard: &Heard) {
        match heard {
            Heard::Text(text) => {
                let frame = text::read(text).expect("well formed");
                self.seq = frame.seq.or(self.seq);
                self.hear_text(now, frame.message);
            }
            Heard::Binary(frame) => {
                let (seq, message) = binary::read_server(frame).expect("well formed");
                self.seq = Some(seq);
                self.hear_binary(now, message);
            }
        }
    }

    fn hear_text(&mut self, now: std::time::Instant, message: Message) {
        let transition = match &message {
            Message::PrepareTransition(it) => Some(it.transition),
            Message::ExecuteTransition(it) => Some(it.transition),
            _ => None,
        };
        self.ops.push((message.op(), transition));
        match message {
            Message::SessionDescription(it) => {
                self.session.handle_version(now, it.dave_protocol_version);
            }
            Message::ClientsConnect(it) => self.session.handle_connect(now, &it.users),
            Message::ClientDisconnect(it) => self.session.handle_disconnect(now, it.user),
            Message::PrepareTransition(it) => {
                self.session.handle_prepare_transition(now, it.transition, it.protocol_version);
            }
            Message::ExecuteTransition(it) => self.session.handle_execute_transition(now, it.transition),
            Message::PrepareEpoch(it) => {
                self.session.handle_prepare_epoch(now, it.epoch, it.protocol_version, it.transition);
            }
            _ => {}
        }
    }

    fn hear_binary(&mut self, now: std::time::Instant, message: Binary) {
        let transition = match &message {
            Binary::AnnounceCommit { transition, .. } | Binary::Welcome { transition, .. } => Some(*transition),
            _ => None,
        };
        self.ops.push((message.op().into(), transition));
        match &message {
            Binary::ExternalSender(payload) => self.session.handle_external_sender(now, payload),
            Binary::Proposals(payload) => self.session.handle_proposals(now, payload),
            Binary::AnnounceCommit { transition, commit } => self.session.handle_commit(now, *transition, commit),
            Binary::Welcome { transition, welcome } => self.session.handle_welcome(now, *transition, welcome),
            other => panic!("not a server's: {other:?}"),
        }
        self.heard.push(message);
    }
}
