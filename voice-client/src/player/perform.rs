//! What a queue wants done, and what it must know of its tracks.

use mixer::prefetch::Loops;
use mixer::{Cue, TimerId, TrackEvent, TrackId, When};

use super::{Order, Player, options};
use crate::end::TrackEnd;
use crate::event::Event;
use crate::media::Command;
use crate::queue::{self, Action, Machine};

/// Names of timers that queues ask for: one per track, told apart from those of the application by this bit.
const WAKE: u64 = 1 << 63;

impl Player {
    pub(super) fn perform(&self, machine: &mut Machine) {
        while let Some(action) = machine.poll_action() {
            let beat = &self.shared.beat;
            match action {
                Action::Play { track, source, volume, data, cue, paused, loops, .. } => {
                    let (loops, cue) = (self::loops(loops), self::cue(cue));
                    let ready = options::Ready { volume, paused, cue, loops, ..options::Ready::default() };
                    self.start(track, source, ready, data);
                }
                Action::Cue { track, cue } => beat.command(Command::Cue { id: track, cue: self::cue(cue) }),
                Action::Stop { track, fade } => beat.command(Command::Stop { id: track, ramp: fade }),
                Action::Pause { track, paused } => beat.command(Command::Pause { id: track, paused }),
                Action::Loops { track, loops } => {
                    if let Some(track) = self.track(track) {
                        track.set_loops(self::loops(loops));
                    }
                }
                Action::Wake { track, at } => {
                    let (timer, when) = (TimerId(WAKE | track.0), Some(When::From(at)));
                    beat.command(Command::Timer { id: track, timer, when });
                }
                Action::Emit(event) => self.order(Order::Emit(Event::Queue(event))),
            }
        }
    }

    /// Something has happened to a track; `true` when it is nobody's business but the queue's.
    pub(crate) fn handle_event(&self, id: TrackId, event: &TrackEvent) -> bool {
        let track = self.track(id);
        match event {
            TrackEvent::Playable | TrackEvent::Started => {
                // What the reader says of the source may come a moment after the source can be played.
                let mut info = track.as_ref().and_then(|track| track.info());
                if let (Some(info), Some(latest)) = (&mut info, track.and_then(|track| track.metadata())) {
                    info.metadata = latest;
                }
                self.queued(|machine| {
                    if let Some(info) = &info {
                        machine.handle_info(id, info);
                    }
                    if *event == TrackEvent::Started {
                        machine.handle_started(id);
                    }
                });
            }
            TrackEvent::Metadata(metadata) => self.queued(|machine| machine.handle_metadata(id, metadata)),
            TrackEvent::Seeked { position } => self.queued(|machine| machine.handle_seeked(id, *position)),
            TrackEvent::Timer(timer) if timer.0 & WAKE != 0 => {
                let position = track.map(|track| track.position()).unwrap_or_default();
                self.queued(|machine| machine.handle_wake(id, position));
                return true;
            }
            _ => {}
        }
        self.shared.tracks.tell(id, event);
        false
    }

    /// A track has ended; `false` when that was known.
    pub(crate) fn handle_ended(&self, id: TrackId, end: &TrackEnd) -> bool {
        // The queue first: who waits for the end asks it what comes next.
        self.queued(|machine| machine.handle_ended(id, end));
        self.shared.tracks.end(id, end)
    }

    /// Everything is over; returns the tracks that ended with it.
    pub(crate) fn close(&self) -> Vec<TrackId> {
        let mut ended = self.shared.tracks.close();
        // The queue first, as with any other end.
        self.queued(|machine| {
            for id in &ended {
                machine.handle_ended(*id, &TrackEnd::CallClosed);
            }
            machine.close();
        });
        ended.retain(|id| self.shared.tracks.end(*id, &TrackEnd::CallClosed));
        ended
    }
}

/// Closes a player when the task that it belongs to goes away, however that happens: whoever waits for a track hears of it.
pub(crate) struct Closing(pub(crate) Player);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
    }
}

fn loops(loops: bool) -> Loops {
    if loops { Loops::Forever } else { Loops::default() }
}

fn cue(cue: queue::Cue) -> Cue {
    match cue {
        queue::Cue::Now => Cue::Now,
        queue::Cue::Held => Cue::Held,
        queue::Cue::After { track, overlap } => Cue::After { track, crossfade: overlap },
    }
}
