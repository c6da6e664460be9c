//! Playing out: a clock of its own, beside what arrives.

use std::time::Instant;

use model::{FRAME, Ssrc};
use receive::{Heard, Rendered, Speaker};

use super::super::people::People;
use super::super::sink::Sink;
use super::Inbound;

/// A steady tick that comes later than so many frames after its time begins anew instead of being caught up.
const MAX_CATCH_UP: u32 = 5;

impl Inbound {
    /// When the next 20 ms are to be played out, by [`tick`](Self::tick) or by [`take_due`](Self::take_due) and what
    /// follows it.
    pub fn poll_tick(&self) -> Option<Instant> {
        self.steady.or_else(|| self.receiver.poll_timeout())
    }

    /// Plays out the next 20 ms of everybody who is active.
    pub fn tick(&mut self, now: Instant, sink: &mut impl Sink) {
        let people = &mut self.people;
        self.receiver.tick(now, &mut |heard| deliver(people, sink, now, &heard));
        self.end_tick(now, sink);
    }

    /// Takes out who is to be played out now, to be ticked elsewhere: see
    /// [`Receiver::take_due`](receive::Receiver::take_due).
    pub fn take_due(&mut self, now: Instant, due: &mut Vec<Speaker>) {
        self.receiver.take_due(now, due);
    }

    /// Hands on what they gave out there.
    pub fn deliver(&mut self, now: Instant, rendered: &Rendered, sink: &mut impl Sink) {
        rendered.iter().for_each(|heard| deliver(&mut self.people, sink, now, &heard));
    }

    /// Takes them back. Those of `names` who do not come back are made anew with their next packet.
    pub fn give_back(&mut self, now: Instant, speakers: impl ExactSizeIterator<Item = Speaker>, names: &[Ssrc]) {
        if speakers.len() < names.len() {
            names.iter().for_each(|ssrc| self.receiver.forget(*ssrc));
        }
        self.receiver.give_back(now, speakers);
    }

    /// All of them are back, and have been heard.
    pub fn end_tick(&mut self, now: Instant, sink: &mut impl Sink) {
        sink.tick(now);
        self.steady = self.steady.map(|due| if now > due + MAX_CATCH_UP * FRAME { now + FRAME } else { due + FRAME });
    }

    /// Does from now on what the sink wants now: asked when that has changed.
    pub fn refresh(&mut self, now: Instant, sink: &impl Sink) {
        self.steady = sink.is_continuous().then(|| self.steady.unwrap_or(now + FRAME));
        for (ssrc, user) in self.people.streams() {
            if self.receiver.knows(ssrc)
                && let Some(decode) = sink.wants(user)
            {
                self.receiver.set_decode(ssrc, decode);
            }
        }
    }
}

/// Hands 20 ms of somebody on.
fn deliver(people: &mut People, sink: &mut impl Sink, now: Instant, heard: &Heard<'_>) {
    let Some((user, speech)) = people.heard(now, heard) else { return };
    speech.into_iter().for_each(|speech| sink.speech(speech));
    sink.audio(now, user, heard);
}
