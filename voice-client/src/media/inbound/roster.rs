use std::collections::BTreeMap;

use model::{Ssrc, UserId};
use receive::Receiver;

use super::super::people::People;
use super::super::reports::Reports;
use super::super::sink::Sink;

/// Users whose figures are kept when they are gone; more than any channel has speakers.
const MAX_PEOPLE: usize = 4_096;

/// Who sends what, and all that is kept of a stream.
pub(super) struct Roster<'a> {
    pub(super) people: &'a mut People,
    pub(super) receiver: &'a mut Receiver,
    pub(super) reports: &'a mut Reports,
    pub(super) past: &'a mut BTreeMap<UserId, receive::Stats>,
}

impl Roster<'_> {
    /// Ties a stream to a user. What was buffered and counted of it was somebody else's, if it was.
    pub(super) fn name(&mut self, ssrc: Ssrc, user: UserId, sink: &mut impl Sink) {
        if self.people.user(ssrc).is_some_and(|known| known != user) {
            self.release(ssrc, sink);
        }
        if let Some(oldest) = self.people.oldest_to_make_room(ssrc) {
            self.release(oldest, sink);
        }
        self.people.name(ssrc, user);
    }

    /// Ends a stream. Its figures stay.
    pub(super) fn release(&mut self, ssrc: Ssrc, sink: &mut impl Sink) {
        let Some((user, speech)) = self.people.remove(ssrc) else { return };
        if let Some(speech) = speech {
            sink.speech(speech);
        }
        if let Some(stats) = self.receiver.stats(ssrc) {
            self.past.entry(user).or_default().merge(&stats);
            if self.past.len() > MAX_PEOPLE {
                self.past.pop_first();
            }
        }
        self.receiver.forget(ssrc);
        self.reports.forget(ssrc);
        sink.forget(ssrc);
    }
}
