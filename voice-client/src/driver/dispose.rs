use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::end::TrackEnd;
use crate::event::Event;
use crate::media::{Notice, Removed};
use crate::player::Player;

/// Drops what the clock thread is done with; returns the end that is to be told, if it is one.
pub(super) fn let_go(player: &Player, notice: Notice) -> Option<Event> {
    let (track, end, removed) = match notice {
        Notice::TrackEnded { id, ended, track } => (id, TrackEnd::from(ended), Removed::Track(id, track)),
        Notice::Dispose(Removed::Track(id, track)) => (id, TrackEnd::Stopped, Removed::Track(id, track)),
        Notice::Dispose(removed) => {
            dispose(removed);
            return None;
        }
        _ => return None,
    };
    dispose(removed);
    player.handle_ended(track, &end).then_some(Event::TrackEnded { track, end })
}

/// Dropping a sink wakes who waits for it: code of the application.
fn dispose(removed: Removed) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(removed)));
}
