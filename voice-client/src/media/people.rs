use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use model::{Ssrc, UserId};
use receive::Heard;
use receive::speech::{Activity, Change, Sensitivity};

use super::packet::AudioPacket;

/// SSRCs that are attributed at a time; more than any channel has speakers.
const MAX_STREAMS: usize = 4_096;
/// How often those who speak are looked at, for who has stopped without a word.
const SWEEP: Duration = Duration::from_millis(100);

/// Who sends which stream, and whether they speak.
pub(super) struct People {
    streams: BTreeMap<u32, Person>,
    sensitivity: Sensitivity,
    /// Set while anybody speaks.
    next_sweep: Option<Instant>,
}

struct Person {
    user: UserId,
    activity: Activity,
}

/// Somebody starts or stops speaking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Speech {
    /// Who.
    pub user: UserId,
    /// In which stream.
    pub ssrc: Ssrc,
    /// What, on the clock of that stream.
    pub change: Change,
}

impl People {
    pub(super) fn new(sensitivity: Sensitivity) -> Self {
        Self { streams: BTreeMap::new(), sensitivity, next_sweep: None }
    }

    /// Who sends this stream.
    pub(super) fn user(&self, ssrc: Ssrc) -> Option<UserId> {
        self.streams.get(&ssrc.0).map(|person| person.user)
    }

    /// A stream that has to go before this one can be named.
    pub(super) fn oldest_to_make_room(&self, ssrc: Ssrc) -> Option<Ssrc> {
        let full = self.streams.len() >= MAX_STREAMS && !self.streams.contains_key(&ssrc.0);
        self.streams.keys().next().filter(|_| full).map(|oldest| Ssrc(*oldest))
    }

    /// Ties a stream to a user.
    pub(super) fn name(&mut self, ssrc: Ssrc, user: UserId) {
        if self.user(ssrc) != Some(user) {
            self.streams.insert(ssrc.0, Person { user, activity: Activity::new(self.sensitivity) });
        }
    }

    /// A stream of this user.
    pub(super) fn stream_of(&self, user: UserId) -> Option<Ssrc> {
        self.streams().find(|(_, of)| *of == user).map(|(ssrc, _)| ssrc)
    }

    /// Takes out a stream: whose it was, and the end of what they were saying in it.
    pub(super) fn remove(&mut self, ssrc: Ssrc) -> Option<(UserId, Option<Speech>)> {
        let Person { user, mut activity } = self.streams.remove(&ssrc.0)?;
        Some((user, activity.end().map(|change| Speech { user, ssrc, change })))
    }

    /// All streams.
    pub(super) fn streams(&self) -> impl Iterator<Item = (Ssrc, UserId)> {
        self.streams.iter().map(|(ssrc, person)| (Ssrc(*ssrc), person.user))
    }

    /// A packet has arrived.
    pub(super) fn packet(&mut self, packet: &AudioPacket<'_>) -> Option<Speech> {
        let AudioPacket { at, user, ssrc, time, frame, speaking, .. } = *packet;
        let change = self.streams.get_mut(&ssrc.0)?.activity.packet(at, time, frame, speaking)?;
        self.next_sweep.get_or_insert(at + SWEEP);
        Some(Speech { user, ssrc, change })
    }

    /// 20 ms are given out. Returns whose they are.
    pub(super) fn heard(&mut self, now: Instant, heard: &Heard<'_>) -> Option<(UserId, Option<Speech>)> {
        let person = self.streams.get_mut(&heard.ssrc.0)?;
        let (user, ssrc) = (person.user, heard.ssrc);
        let speech = person.activity.heard(now, heard).map(|change| Speech { user, ssrc, change });
        if speech.is_some() {
            self.next_sweep.get_or_insert(now + SWEEP);
        }
        Some((user, speech))
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.next_sweep
    }

    /// Notices who has stopped.
    pub(super) fn handle_timeout(&mut self, now: Instant, mut tell: impl FnMut(Speech)) {
        if self.next_sweep.is_none_or(|due| due > now) {
            return;
        }
        let mut speaking = false;
        for (ssrc, person) in &mut self.streams {
            if let Some(change) = person.activity.handle_timeout(now) {
                tell(Speech { user: person.user, ssrc: Ssrc(*ssrc), change });
            }
            speaking |= person.activity.is_speaking();
        }
        self.next_sweep = speaking.then_some(now + SWEEP);
    }
}
