//! One member and what must hold of them after every operation.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use interop_delivery::Seeded;
use voice_dave::provider::Backend;
use voice_dave::verify::privacy_code;
use voice_dave::{
    Codec, Config, Event, Identity, MAX_VERSION, Media, Opened, Opener, Output, Sealer, Secret, Session, Update,
};
use voice_model::{ChannelId, UserId};

use super::world::{CHANNEL, USERS, id};

/// Outputs of one call: a few for each user, and a few besides.
const MOST_OUTPUTS: usize = 64 + 8 * USERS;
/// How long keys of the past are kept (DAVE protocol, "Protocol Version Changes").
const RETENTION: Duration = Duration::from_secs(10);
/// How long an announced downgrade lets plain frames in.
const ANNOUNCED: Duration = Duration::from_secs(120);

/// What media was last told to do with our frames.
enum Sending {
    Nothing,
    Sealed,
    Plain,
}

/// A member: session and media.
pub(super) struct Member {
    pub(super) user: u64,
    pub(super) session: Session,
    pub(super) sealer: Sealer,
    sending: Sending,
    /// Plain frames may come in without an end.
    open: bool,
    openers: BTreeMap<UserId, Opener>,
    /// All secrets that were sealed with, the current one last.
    secrets: Vec<[u8; Secret::LEN]>,
    used: BTreeSet<([u8; Secret::LEN], Vec<u8>)>,
}

/// What the gateway gets of a member.
#[derive(Default)]
pub(super) struct Sent {
    pub(super) key_package: Option<Vec<u8>>,
    pub(super) commit_welcome: Option<Vec<u8>>,
}

impl Member {
    pub(super) fn new(index: usize) -> Self {
        let (user, entropy) = (id(index), Arc::new(Seeded::new(index as u64)));
        let config = Config {
            user: UserId::new(user).expect("not 0"),
            channel: ChannelId::new(CHANNEL).expect("not 0"),
            identity: identities()[index].clone(),
            entropy,
            backend: Backend::AwsLc,
        };
        Self {
            user,
            session: Session::new(config),
            sealer: Sealer::new(),
            sending: Sending::Nothing,
            open: false,
            openers: BTreeMap::new(),
            secrets: Vec::new(),
            used: BTreeSet::new(),
        }
    }

    /// Time has come, if it has.
    pub(super) fn wait(&mut self, now: Instant) -> Sent {
        if self.session.poll_timeout().is_none_or(|due| due > now) {
            return Sent::default();
        }
        self.session.handle_timeout(now);
        let due = self.session.poll_timeout();
        assert!(due.is_none_or(|due| due > now), "a timeout that is no future one: it would spin");
        self.drain(now)
    }

    /// Takes what the session says, and judges it.
    pub(super) fn drain(&mut self, now: Instant) -> Sent {
        let (mut sent, mut count) = (Sent::default(), 0);
        while let Some(output) = self.session.poll_output() {
            count += 1;
            assert!(count <= MOST_OUTPUTS, "more than {MOST_OUTPUTS} outputs of one call");
            match output {
                Output::KeyPackage(payload) => sent.key_package = Some(payload),
                Output::CommitWelcome(payload) => sent.commit_welcome = Some(payload),
                Output::ReadyForTransition(transition) => assert_ne!(transition, 0, "transition 0 is not confirmed"),
                Output::Update(update) => self.update(now, update),
                Output::Event(Event::Epoch { epoch, privacy_code: code, authenticator }) => {
                    assert!(epoch > 0);
                    assert_eq!(code, privacy_code(authenticator.expose()));
                }
                _ => {}
            }
        }
        self.check();
        sent
    }

    fn update(&mut self, now: Instant, update: Update) {
        match update {
            Update::Seal(secret) => {
                let bytes = *secret.expose();
                match self.secrets.iter().position(|&known| known == bytes) {
                    Some(at) => assert_eq!(at + 1, self.secrets.len(), "an older secret is back: its nonces would be"),
                    None => self.secrets.push(bytes),
                }
                self.sealer.install(&secret);
                self.sending = Sending::Sealed;
            }
            Update::Withhold => {
                self.sealer.suspend();
                self.sending = Sending::Nothing;
            }
            Update::SendPlain => {
                assert_eq!(self.session.version(), 0, "plain frames in an encrypted call");
                self.sending = Sending::Plain;
            }
            Update::Expect { user, secret, retire } => {
                assert!(retire <= now + RETENTION, "keys are kept for too long");
                self.openers.entry(user).or_default().expect(now, &secret, retire);
            }
            Update::Retire { user, at } => {
                assert!(at <= now + RETENTION, "keys are kept for too long");
                if let Some(opener) = self.openers.get_mut(&user) {
                    opener.retire(at);
                }
            }
            Update::AcceptPlain { until } => {
                assert!(until.is_none_or(|until| until <= now + ANNOUNCED), "plain frames pass for too long");
                self.open = until.is_none();
            }
            _ => {}
        }
    }

    fn check(&self) {
        let session = &self.session;
        let version = session.version();
        assert!(version <= MAX_VERSION || matches!(self.sending, Sending::Nothing), "frames of version {version}");
        assert!(version == 0 || !matches!(self.sending, Sending::Plain), "plain frames in an encrypted call");
        assert!(!self.open || !matches!(self.sending, Sending::Sealed), "sealing, and plain frames pass for ever");
        assert_eq!(session.epoch().is_some(), session.privacy_code().is_some());
        let members = session.members();
        assert_eq!(session.epoch().is_some(), !members.is_empty());
        if let Some(epoch) = session.epoch() {
            assert!(epoch > 0);
            assert!(members.keys().any(|user| user.get() == self.user), "a group without ourselves");
        }
        assert!(members.iter().all(|(user, member)| *user == member.user && member.key.len() == 65));
        let stats = session.stats();
        assert!(stats.recoveries < 1 << 16 && stats.ignored < 1 << 32);
    }

    /// Seals a frame, if frames are sealed; the nonce must be new.
    pub(super) fn speak(&mut self) -> Option<Vec<u8>> {
        if !matches!(self.sending, Sending::Sealed) {
            return None;
        }
        let frame = [0x5A; 20];
        let mut buffer = vec![0; Sealer::max_len(Codec::Opus, frame.len())];
        buffer[..frame.len()].copy_from_slice(&frame);
        let len = self.sealer.seal(Codec::Opus, &mut buffer, frame.len()).expect("there is a secret");
        buffer.truncate(len);
        let secret = *self.secrets.last().expect("there is a secret");
        // Equal frames differ by their nonce alone.
        assert!(self.used.insert((secret, buffer.clone())), "a nonce was used twice");
        Some(buffer)
    }

    /// Opens somebody's frame; whether that worked.
    pub(super) fn hear(&mut self, now: Instant, from: u64, sealed: &[u8]) -> bool {
        let from = UserId::new(from).expect("not 0");
        let Some(opener) = self.openers.get_mut(&from) else { return false };
        let mut frame = sealed.to_vec();
        let Opened::Sealed { len } = opener.open(now, Media::Audio, false, &mut frame) else { return false };
        assert_eq!(frame[..len], [0x5A; 20]);
        true
    }
}

/// Made once: they are the slow part of a session.
fn identities() -> &'static [Identity] {
    static IDENTITIES: OnceLock<Vec<Identity>> = OnceLock::new();
    IDENTITIES.get_or_init(|| (0..USERS).map(|index| Identity::generate(&Seeded::new(1_000 + index as u64))).collect())
}
