use std::sync::Arc;
use std::time::Duration;

use super::action::{Action, Cue};
use super::entry::{Entry, EntryId, Held, Live};
use super::error::QueueError;
use super::event::{How, QueueEvent, Reason};
use super::history::Rest;
use super::machine::{Back, Current, Machine, Repeat};
use super::marker::Marker;
use super::upcoming::Slot;

/// What the application does to a queue.
impl Machine {
    /// Adds an entry at the end. It plays at once when nothing else does.
    pub(crate) fn add(&mut self, entry: Entry) -> EntryId {
        self.insert(usize::MAX, entry)
    }

    /// Adds an entry at this place among what is to come: 0 plays next, beyond the end is at the end.
    pub(crate) fn insert(&mut self, index: usize, entry: Entry) -> EntryId {
        let id = self.name();
        self.upcoming.insert(index, Slot::Entry(Held::new(id, entry)));
        self.kick();
        id
    }

    /// Adds a marker at the end. It is reached at once when nothing plays.
    pub(crate) fn add_marker(&mut self, marker: Marker) -> EntryId {
        self.insert_marker(usize::MAX, marker)
    }

    /// Adds a marker at this place among what is to come; beyond the end is at the end.
    pub(crate) fn insert_marker(&mut self, index: usize, marker: Marker) -> EntryId {
        let id = self.name();
        self.upcoming.insert(index, Slot::Marker(id, marker));
        if !self.stuck {
            self.advance();
        }
        self.settle();
        id
    }

    /// Moves an entry or a marker that is to come to this place; beyond the end is at the end.
    pub(crate) fn move_to(&mut self, id: EntryId, index: usize) -> Result<(), QueueError> {
        let from = self.find(id)?;
        if let Some(slot) = self.upcoming.remove(from) {
            self.upcoming.insert(index, slot);
        }
        self.settle();
        Ok(())
    }

    /// Takes out an entry or a marker, for good. An entry that plays ends, and the next one follows.
    pub(crate) fn remove(&mut self, id: EntryId) -> Result<(), QueueError> {
        if self.is_current(id) {
            let left = self.leave(How::Removed, false);
            self.go_on(left);
            return Ok(());
        }
        let index = self.find(id)?;
        if let Some(slot) = self.upcoming.remove(index) {
            self.discard(slot);
        }
        self.settle();
        Ok(())
    }

    /// Puts the entries to come in another order, told by `seed`; markers keep their places.
    pub(crate) fn shuffle(&mut self, seed: u64) {
        self.upcoming.shuffle(seed);
        self.settle();
    }

    /// Takes out all that is to come, markers too; what plays goes on.
    pub(crate) fn clear(&mut self) {
        for slot in self.upcoming.drain() {
            self.discard(slot);
        }
        self.settle();
    }

    /// Ends what plays and takes out all that is to come. History and settings stay; a pause is over.
    pub(crate) fn stop(&mut self) {
        let was_empty = self.is_empty();
        let left = self.leave(How::Stopped, false);
        for slot in self.upcoming.drain() {
            self.discard(slot);
        }
        self.cut(left);
        (self.paused, self.stuck) = (false, false);
        if !was_empty {
            self.tell_empty();
        }
        self.settle();
    }

    /// Holds everything where it is. What begins while paused waits at its beginning.
    pub(crate) fn pause(&mut self) {
        self.set_paused(true);
    }

    /// Lets everything go on.
    pub(crate) fn resume(&mut self) {
        self.set_paused(false);
        self.kick();
    }

    /// Goes on with the next entry, also when the current one repeats; returns which one ended. A pause stays one.
    pub(crate) fn skip(&mut self) -> Option<EntryId> {
        let skipped = self.current.as_ref().map(|current| current.held.id);
        let left = self.leave(How::Skipped, self.repeat == Repeat::Queue);
        self.go_on(left);
        skipped
    }

    /// Goes on with this entry. Those before it are taken out, or go to the end of a repeating queue; markers are taken out.
    pub(crate) fn skip_to(&mut self, id: EntryId) -> Result<(), QueueError> {
        let index = self.find(id)?;
        if self.upcoming.get_mut(id).is_none() {
            return Err(QueueError::IsMarker { id });
        }
        let left = self.leave(How::Skipped, self.repeat == Repeat::Queue);
        self.pass_over(index);
        self.go_on(left);
        Ok(())
    }

    /// Goes on behind the next marker, which is reached and returned; entries before it go as with
    /// [`skip_to`](Self::skip_to). Without a marker this is [`stop`](Self::stop), and yields `None`.
    pub(crate) fn skip_to_marker(&mut self) -> Option<(EntryId, Marker)> {
        let Some(index) = self.upcoming.marker() else {
            self.stop();
            return None;
        };
        let left = self.leave(How::Skipped, self.repeat == Repeat::Queue);
        self.pass_over(index);
        let reached = match self.upcoming.pop() {
            Some(Slot::Marker(id, marker)) => Some((id, marker)),
            _ => None,
        };
        if let Some((id, marker)) = reached.clone() {
            self.emit(QueueEvent::Marker { id, marker });
        }
        self.go_on(left);
        reached
    }

    /// Goes back to what was played before; what plays now comes after it, from its beginning, or from where it is when its
    /// source can be had only once. `position` is where the current entry is. Returns which one plays.
    ///
    /// Entries that can be had only once are passed over, each with [`QueueEvent::Unrepeatable`], and forgotten.
    pub(crate) fn back(&mut self, back: Back, position: Duration) -> Result<EntryId, QueueError> {
        if let Back::RestartAfter(after) = back
            && self.current.is_some()
            && position > after
        {
            return self.restart();
        }
        while let Some(past) = self.history.pop() {
            let id = past.item.id;
            let held = match past.rest {
                Rest::Kept(held) => held,
                Rest::Queued if self.is_current(id) => return self.restart(),
                // Somebody may have taken it out since.
                Rest::Queued => match self.upcoming.take(id) {
                    Some(held) => held,
                    None => continue,
                },
                Rest::Spent => {
                    let item = Arc::new(past.item);
                    self.emit(QueueEvent::Unrepeatable { item, reason: Reason::OnlyOnce });
                    continue;
                }
            };
            let left = self.put_back();
            self.rouse();
            self.begin(held);
            self.settle();
            self.cut(left);
            return Ok(id);
        }
        Err(QueueError::NoHistory)
    }

    /// Plays the current entry from its beginning.
    fn restart(&mut self) -> Result<EntryId, QueueError> {
        let Some(Current { held, .. }) = &self.current else { return Err(QueueError::NoHistory) };
        let (entry, item) = (held.id, held.shared());
        if held.source.is_none() {
            self.emit(QueueEvent::Unrepeatable { item, reason: Reason::OnlyOnce });
            return Err(QueueError::Unrepeatable { entry });
        }
        self.emit(QueueEvent::Ended { item, how: How::Skipped });
        let before = self.replay();
        self.settle();
        self.cut(before);
        Ok(entry)
    }

    /// Puts the current entry before all others; returns its track when that is needed no more.
    fn put_back(&mut self) -> Option<Live> {
        let Current { mut held, mut live, .. } = self.current.take()?;
        self.emit(QueueEvent::Ended { item: held.shared(), how: How::Skipped });
        let mut left = Some(live);
        if held.source.is_none() {
            self.actions.push_back(Action::Cue { track: live.track, cue: Cue::Held });
            (live.cue, live.recalled) = (Cue::Held, true);
            held.live = Some(live);
            left = None;
        }
        self.upcoming.insert(0, Slot::Entry(held));
        left
    }

    /// Begins with what comes next, and cuts off what was left.
    fn go_on(&mut self, left: Option<Live>) {
        self.rouse();
        self.advance();
        if left.is_some() {
            self.tell_empty();
        }
        // What follows is cued anew before that which it followed goes.
        self.settle();
        self.cut(left);
    }

    /// Fades out what was left and what still sounded before it.
    fn cut(&mut self, left: Option<Live>) {
        for track in std::mem::take(&mut self.tails).into_iter().chain(left.map(|live| live.track)) {
            self.stop_track(track);
        }
    }

    /// Passes over the first `count` elements.
    fn pass_over(&mut self, count: usize) {
        for _ in 0..count {
            match self.upcoming.pop() {
                Some(slot @ Slot::Entry(_)) if self.repeat == Repeat::Queue => self.upcoming.push(slot),
                Some(slot) => self.discard(slot),
                None => {}
            }
        }
    }

    /// Drops an element, and what was made of it.
    fn discard(&mut self, slot: Slot) {
        if let Slot::Entry(held) = slot {
            self.cued = self.cued.filter(|cued| *cued != held.id);
            if let Some(live) = held.live {
                self.stop_track(live.track);
            }
        }
    }

    fn set_paused(&mut self, paused: bool) {
        if self.paused == paused {
            return;
        }
        self.paused = paused;
        if let Some(current) = &mut self.current {
            current.live.paused = paused;
        }
        let current = self.current.as_ref().map(|current| current.live.track);
        for track in self.tails.iter().copied().chain(current) {
            self.actions.push_back(Action::Pause { track, paused });
        }
        // The next one too: it may have begun, and nobody has told us yet.
        self.settle();
    }

    /// Begins if nothing plays.
    fn kick(&mut self) {
        self.rouse();
        self.advance();
        self.settle();
    }

    /// Gives those another chance that have failed.
    fn rouse(&mut self) {
        (self.stuck, self.barren) = (false, 0);
    }

    /// A name for an element.
    pub(crate) fn name(&mut self) -> EntryId {
        self.ids += 1;
        EntryId(self.ids)
    }

    fn is_current(&self, id: EntryId) -> bool {
        self.current.as_ref().is_some_and(|current| current.held.id == id)
    }

    /// The place of an element that is to come.
    fn find(&self, id: EntryId) -> Result<usize, QueueError> {
        match self.upcoming.position(id) {
            Some(index) => Ok(index),
            None if self.is_current(id) => Err(QueueError::Playing { entry: id }),
            None => Err(QueueError::NotQueued { id }),
        }
    }
}
