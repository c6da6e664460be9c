use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU16;

use davey::{DaveSession, MediaType, ProposalsOperationType};
use voice_dave::Codec;

use crate::{CHANNEL, Member};

const VERSION: NonZeroU16 = NonZeroU16::MIN;

/// A session of the `davey` crate, wired as its documentation says.
pub struct Davey {
    session: DaveSession,
    connected: Vec<u64>,
    key_package: Vec<u8>,
    /// davey has no plain mode for sending: whether its owner goes round it.
    plain: bool,
    /// The version that each prepared transition leads to.
    prepared: BTreeMap<u16, u16>,
}

impl Davey {
    /// In a call of version 1.
    pub fn new(user: u64) -> Self {
        let mut session = DaveSession::new(VERSION, user, CHANNEL, None).expect("a session");
        let key_package = session.create_key_package().expect("a key package");
        Self { session, connected: Vec::new(), key_package, plain: false, prepared: BTreeMap::new() }
    }

    fn prepared(&mut self, transition: u16, version: u16) {
        self.session.prepare_transition(transition, version).expect("the transition is prepared");
        if version == 0 {
            self.session.set_passthrough_mode(true, None);
        }
        self.prepared.insert(transition, version);
        if transition == 0 {
            self.executed(0);
        }
    }

    fn executed(&mut self, transition: u16) {
        if let Some(version) = self.prepared.remove(&transition) {
            self.plain = version == 0;
        }
    }
}

impl Member for Davey {
    fn user(&self) -> u64 {
        self.session.user_id()
    }

    fn name(&self) -> &'static str {
        "davey"
    }

    fn external_sender(&mut self, package: &[u8]) {
        self.session.set_external_sender(package).expect("an external sender");
    }

    fn connected(&mut self, users: &BTreeSet<u64>) {
        self.connected = users.iter().copied().collect();
    }

    fn key_package(&mut self) -> Vec<u8> {
        self.key_package.clone()
    }

    fn proposals(&mut self, payload: &[u8]) -> Option<Vec<u8>> {
        let (operation, proposals) = payload.split_first().expect("an operation");
        let operation = match operation {
            0 => ProposalsOperationType::APPEND,
            _ => ProposalsOperationType::REVOKE,
        };
        let answer = self.session.process_proposals(operation, proposals, Some(&self.connected));
        let answer = answer.expect("good proposals")?;
        Some([answer.commit, answer.welcome.unwrap_or_default()].concat())
    }

    fn commit(&mut self, transition: u16, commit: &[u8]) {
        assert!(self.session.process_commit(commit).expect("a good commit"), "a commit was ignored");
        self.prepared(transition, 1);
    }

    fn welcome(&mut self, transition: u16, welcome: &[u8]) {
        self.session.process_welcome(welcome, Some(&self.connected)).expect("a good welcome");
        self.prepared(transition, 1);
    }

    fn prepare(&mut self, transition: u16, version: u16) {
        self.prepared(transition, version);
    }

    fn execute(&mut self, transition: u16) {
        if transition != 0 {
            assert!(self.session.execute_transition(transition).expect("the transition is executed"));
        }
        self.executed(transition);
    }

    fn start_over(&mut self, version: u16) {
        let version = NonZeroU16::new(version).expect("a version of the protocol");
        let (user, channel) = (self.session.user_id(), self.session.channel_id());
        self.session.reinit(version, user, channel, None).expect("a new group");
        self.key_package = self.session.create_key_package().expect("a key package");
    }

    fn authenticator(&mut self) -> Vec<u8> {
        let group = self.session.epoch().is_some_and(|epoch| epoch.as_u64() > 0);
        let authenticator = self.session.get_epoch_authenticator().filter(|_| group);
        authenticator.map(|authenticator| authenticator.as_slice().to_vec()).unwrap_or_default()
    }

    fn privacy_code(&mut self) -> String {
        self.session.voice_privacy_code().unwrap_or_default().to_owned()
    }

    fn keys(&mut self) -> BTreeMap<u64, Vec<u8>> {
        let Some(group) = self.session.group() else { return BTreeMap::new() };
        let key = |(credential, key): (&[u8], Vec<u8>)| {
            (u64::from_be_bytes(credential.try_into().expect("8 bytes of identity")), key)
        };
        group
            .members()
            .map(|member| key((member.credential.serialized_content(), member.signature_key.clone())))
            .collect()
    }

    fn pair_fingerprint(&mut self, other: u64) -> Vec<u8> {
        self.session.get_pairwise_fingerprint(0, other).expect("a member of the group")
    }

    fn pair_code(&mut self, other: u64) -> String {
        self.session.get_verification_code(other).expect("a member of the group")
    }

    fn seal(&mut self, codec: Codec, frame: &[u8]) -> Option<Vec<u8>> {
        if self.plain {
            return Some(frame.to_vec());
        }
        self.session.encrypt(media(codec), theirs(codec), frame).ok().map(std::borrow::Cow::into_owned)
    }

    fn open(&mut self, from: u64, codec: Codec, frame: &[u8]) -> Option<Vec<u8>> {
        self.session.decrypt(from, media(codec), frame).ok()
    }
}

fn media(codec: Codec) -> MediaType {
    if codec == Codec::Opus { MediaType::AUDIO } else { MediaType::VIDEO }
}

fn theirs(codec: Codec) -> davey::Codec {
    match codec {
        Codec::Opus => davey::Codec::OPUS,
        Codec::Vp8 => davey::Codec::VP8,
        Codec::Vp9 => davey::Codec::VP9,
        Codec::H264 => davey::Codec::H264,
        Codec::H265 => davey::Codec::H265,
        Codec::Av1 => davey::Codec::AV1,
        _ => davey::Codec::UNKNOWN,
    }
}
