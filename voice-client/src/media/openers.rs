use std::collections::BTreeMap;
use std::time::Instant;

use dave::{Media, Opened, Opener};
use model::UserId;

/// The end-to-end decryption of everybody who speaks. Fails closed: plain frames pass in the windows only that control
/// announced.
pub(super) struct Openers {
    /// Boxed: a map has room for eleven from the first one on, and most calls have one or two speakers.
    openers: BTreeMap<UserId, Box<Opener>>,
    /// For those without a secret: knows silence and plain frames.
    stranger: Opener,
    plain: Plain,
    /// A session is attached, and has its rule.
    attached: bool,
    /// When the older secrets of the latest epoch end: all of its members' are announced with the same moment.
    latest: Option<Instant>,
}

#[derive(Clone, Copy)]
enum Plain {
    Never,
    Always,
    Until(Instant),
}

impl Openers {
    pub(super) fn new() -> Self {
        Self { openers: BTreeMap::new(), stranger: Opener::new(), plain: Plain::Never, attached: false, latest: None }
    }

    /// A session was described. One that goes on under another transport key keeps its rules.
    pub(super) fn attach(&mut self, encrypted: bool) {
        if !self.attached {
            self.attached = true;
            self.plain = if encrypted { Plain::Never } else { Plain::Always };
        }
    }

    pub(super) fn detach(&mut self) {
        *self = Self::new();
    }

    /// Takes what concerns receiving; returns the user who has a secret that held frames may be tried with.
    pub(super) fn update(&mut self, now: Instant, update: &dave::Update) -> Option<UserId> {
        match update {
            dave::Update::Expect { user, secret, retire } => {
                if self.latest.replace(*retire) != Some(*retire) {
                    self.expire(now);
                }
                self.openers.entry(*user).or_default().expect(now, secret, *retire);
                return Some(*user);
            }
            dave::Update::Retire { user, at } => {
                if let Some(opener) = self.openers.get_mut(user) {
                    opener.retire(*at);
                }
            }
            dave::Update::AcceptPlain { until } => self.plain = until.map_or(Plain::Always, Plain::Until),
            _ => {}
        }
        None
    }

    /// Erases secrets whose time is over, and lets go of those who have no other. Called about once a second: nobody need
    /// speak for that.
    pub(super) fn expire(&mut self, now: Instant) {
        self.openers.retain(|_, opener| {
            opener.expire(now);
            opener.is_ready(now)
        });
    }

    /// Whether frames that are not sealed may pass.
    fn accepts_plain(&self, now: Instant) -> bool {
        match self.plain {
            Plain::Never => false,
            Plain::Always => true,
            Plain::Until(end) => now < end,
        }
    }

    /// Opens a frame of this user in place; a refused one is left as it is.
    pub(super) fn open(&mut self, now: Instant, user: UserId, frame: &mut [u8]) -> Opened {
        let plain = self.accepts_plain(now);
        let opener = self.openers.get_mut(&user).map_or(&mut self.stranger, |opener| &mut **opener);
        opener.open(now, Media::Audio, plain, frame)
    }

    /// The user, other than who is `known` to send the stream, whose key opens this frame; it is opened in place. A frame
    /// opens under one key only.
    pub(super) fn recognise(
        &mut self,
        now: Instant,
        known: Option<UserId>,
        frame: &mut [u8],
    ) -> Option<(UserId, usize)> {
        let mut others = self.openers.iter_mut().filter(|(user, _)| Some(**user) != known);
        others.find_map(|(user, opener)| sealed(opener, now, frame).map(|len| (*user, len)))
    }

    /// Opens a frame in place if it is sealed with this user's key.
    pub(super) fn try_open(&mut self, now: Instant, user: UserId, frame: &mut [u8]) -> Option<usize> {
        sealed(self.openers.get_mut(&user)?, now, frame)
    }
}

/// What is not sealed with this key says nothing about its sender.
fn sealed(opener: &mut Opener, now: Instant, frame: &mut [u8]) -> Option<usize> {
    match opener.open(now, Media::Audio, false, frame) {
        Opened::Sealed { len } => Some(len),
        _ => None,
    }
}
