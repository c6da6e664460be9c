use std::sync::Arc;
use std::time::Instant;

use voice_dave::provider::Backend;
use voice_dave::{Config, Event, Identity, Output, Secret, Session, State, Trouble, Update};
use voice_model::UserId;

use super::{Seeded, channel, user};

/// A session, and all that it has put out since somebody looked.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) user: UserId,
    pub(crate) session: Session,
    pub(crate) outputs: Vec<Output>,
    /// The last key package, whatever became of the outputs.
    package: Vec<u8>,
}

impl Peer {
    pub(crate) fn new(id: u64, group: u64, seed: u64) -> Self {
        let entropy = Arc::new(Seeded::new(seed));
        let identity = Identity::generate(&*entropy);
        Self::with(id, group, identity, entropy)
    }

    pub(crate) fn with(id: u64, group: u64, identity: Identity, entropy: Arc<Seeded>) -> Self {
        let config = Config { user: user(id), channel: channel(group), identity, entropy, backend: Backend::default() };
        Self { user: user(id), session: Session::new(config), outputs: Vec::new(), package: Vec::new() }
    }

    /// Does something to the session, and collects what comes of it.
    pub(crate) fn act<T>(&mut self, act: impl FnOnce(&mut Session) -> T) -> T {
        let result = act(&mut self.session);
        while let Some(output) = self.session.poll_output() {
            if let Output::KeyPackage(bytes) = &output {
                self.package.clone_from(bytes);
            }
            self.outputs.push(output);
        }
        result
    }

    /// As [`act`](Self::act), of a session whose earlier outputs do not matter; returns the new ones.
    pub(crate) fn after(&mut self, act: impl FnOnce(&mut Session)) -> Vec<Output> {
        self.outputs.clear();
        self.act(act);
        self.outputs.clone()
    }

    /// Ops 25 and 4, and everybody recognised.
    pub(crate) fn enter(&mut self, now: Instant, external_sender: &[u8], others: &[u64]) {
        self.act(|session| {
            session.handle_connect(now, &others.iter().map(|&id| user(id)).collect::<Vec<_>>());
            session.handle_external_sender(now, external_sender);
            session.handle_version(now, 1);
        });
    }

    fn find<T>(&self, pick: impl Fn(&Output) -> Option<T>) -> Vec<T> {
        self.outputs.iter().filter_map(pick).collect()
    }

    pub(crate) fn key_packages(&self) -> Vec<Vec<u8>> {
        self.find(|output| match output {
            Output::KeyPackage(bytes) => Some(bytes.clone()),
            _ => None,
        })
    }

    /// The last key package.
    pub(crate) fn key_package(&self) -> Vec<u8> {
        assert!(!self.package.is_empty(), "an op 26 some time ago");
        self.package.clone()
    }

    pub(crate) fn commits(&self) -> Vec<Vec<u8>> {
        self.find(|output| match output {
            Output::CommitWelcome(bytes) => Some(bytes.clone()),
            _ => None,
        })
    }

    /// The last op 28.
    pub(crate) fn commit(&self) -> Vec<u8> {
        self.commits().pop().expect("an op 28")
    }

    pub(crate) fn ready(&self) -> Vec<u16> {
        self.find(|output| match output {
            Output::ReadyForTransition(id) => Some(*id),
            _ => None,
        })
    }

    pub(crate) fn invalid(&self) -> Vec<u16> {
        self.find(|output| match output {
            Output::InvalidCommitWelcome(id) => Some(*id),
            _ => None,
        })
    }

    pub(crate) fn updates(&self) -> Vec<Update> {
        self.find(|output| match output {
            Output::Update(update) => Some(update.clone()),
            _ => None,
        })
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        self.find(|output| match output {
            Output::Event(event) => Some(event.clone()),
            _ => None,
        })
    }

    pub(crate) fn states(&self) -> Vec<State> {
        self.events()
            .into_iter()
            .filter_map(|event| if let Event::State(state) = event { Some(state) } else { None })
            .collect()
    }

    pub(crate) fn troubles(&self) -> Vec<Trouble> {
        let pick = |event| if let Event::RecoveryStarted(trouble) = event { Some(trouble) } else { None };
        self.events().into_iter().filter_map(pick).collect()
    }

    /// The secrets to seal with, in order.
    pub(crate) fn sealed(&self) -> Vec<[u8; Secret::LEN]> {
        self.find(|output| match output {
            Output::Update(Update::Seal(secret)) => Some(*secret.expose()),
            _ => None,
        })
    }

    /// The secrets to expect of a user, with the end of the older ones, in order.
    pub(crate) fn expected(&self, of: UserId) -> Vec<([u8; Secret::LEN], Instant)> {
        self.find(|output| match output {
            Output::Update(Update::Expect { user, secret, retire }) if *user == of => Some((*secret.expose(), *retire)),
            _ => None,
        })
    }

    pub(crate) fn retired(&self) -> Vec<(UserId, Instant)> {
        self.find(|output| match output {
            Output::Update(Update::Retire { user, at }) => Some((*user, *at)),
            _ => None,
        })
    }

    /// What was said about plain frames, in order.
    pub(crate) fn plain(&self) -> Vec<Option<Instant>> {
        self.find(|output| match output {
            Output::Update(Update::AcceptPlain { until }) => Some(*until),
            _ => None,
        })
    }

    pub(crate) fn withheld(&self) -> usize {
        self.find(|output| matches!(output, Output::Update(Update::Withhold)).then_some(())).len()
    }

    pub(crate) fn sent_plain(&self) -> usize {
        self.find(|output| matches!(output, Output::Update(Update::SendPlain)).then_some(())).len()
    }

    /// The authenticator of the last epoch.
    pub(crate) fn authenticator(&self) -> [u8; 32] {
        let pick =
            |event| if let Event::Epoch { authenticator, .. } = event { Some(*authenticator.expose()) } else { None };
        self.events().into_iter().filter_map(pick).next_back().expect("an epoch")
    }
}
