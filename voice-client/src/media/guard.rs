use dave::{Codec, SealError, Sealer};

/// What sealing adds to an Opus frame at most: tag, nonce, two lengths, marker.
pub(super) const OVERHEAD: usize = 32;

/// Whether, and how, our frames leave. Fails closed: in an encrypted call no frame leaves unsealed.
pub(super) struct Guard {
    rule: Rule,
    sealer: Sealer,
    /// A session is attached, and has its rule.
    attached: bool,
    /// Beats that tracks still wait for the first key of the session.
    wait: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Rule {
    Plain,
    Sealed,
    Withheld,
}

/// What became of a frame.
pub(super) enum Guarded {
    /// It may leave, with this length.
    Ready(usize),
    /// There is no key for it.
    NoKey,
    /// It cannot be sealed.
    Failed,
}

impl Guard {
    pub(super) fn new() -> Self {
        Self { rule: Rule::Withheld, sealer: Sealer::new(), attached: false, wait: 0 }
    }

    /// A session was described. One that goes on under another transport key keeps its rule. Tracks wait at most
    /// `wait` parts of 10 ms for the first key.
    pub(super) fn attach(&mut self, encrypted: bool, wait: u32) {
        if !self.attached {
            self.attached = true;
            self.rule = if encrypted { Rule::Withheld } else { Rule::Plain };
            self.wait = if encrypted { wait } else { 0 };
        }
    }

    pub(super) fn detach(&mut self) {
        self.attached = false;
        self.withhold();
    }

    pub(super) fn update(&mut self, update: &dave::Update) {
        match update {
            dave::Update::Seal(secret) => {
                self.sealer.install(secret);
                self.rule = Rule::Sealed;
                self.wait = 0;
            }
            dave::Update::SendPlain => {
                self.sealer.suspend();
                self.rule = Rule::Plain;
                self.wait = 0;
            }
            dave::Update::Withhold => self.withhold(),
            _ => {}
        }
    }

    fn withhold(&mut self) {
        self.sealer.suspend();
        self.rule = Rule::Withheld;
    }

    /// Whether tracks are to wait.
    pub(super) fn waits(&self) -> bool {
        self.wait > 0 && self.rule == Rule::Withheld
    }

    /// They have waited for so many parts of 10 ms.
    pub(super) fn has_waited(&mut self, parts: u32) {
        self.wait = self.wait.saturating_sub(parts);
    }

    /// Makes the frame `buffer[..len]` fit to leave.
    pub(super) fn seal(&mut self, buffer: &mut [u8], len: usize) -> Guarded {
        match self.rule {
            Rule::Plain => Guarded::Ready(len),
            Rule::Withheld => Guarded::NoKey,
            Rule::Sealed => match self.sealer.seal(Codec::Opus, buffer, len) {
                Ok(len) => Guarded::Ready(len),
                Err(SealError::NoSecret) => Guarded::NoKey,
                Err(_) => Guarded::Failed,
            },
        }
    }

    pub(super) fn sealed(&self) -> u64 {
        self.sealer.stats().sealed
    }
}
