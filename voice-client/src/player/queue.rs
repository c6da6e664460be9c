use std::fmt;
use std::time::Duration;

use super::Player;
use crate::queue::{Back, Element, Entry, EntryId, Item, Join, Low, Machine, Marker, QueueError, Remaining, Repeat};
use crate::track::Track;

/// What plays one after the other. Cheap to clone; every player has one. It goes on through reconnects and moves.
///
/// What happens in it comes as [`Event::Queue`](crate::Event::Queue).
///
/// It does not keep its [`Call`](crate::Call) or [`Broadcast`](crate::Broadcast): `client.join(..).await?.queue()` drops the only
/// handle of the call, which is left at once. When that is over, the queue still tells what was to come, and takes in nothing
/// more.
#[derive(Clone)]
pub struct Queue {
    player: Player,
}

impl Queue {
    pub(super) fn new(player: Player) -> Self {
        Self { player }
    }

    /// Adds an entry at the end. It plays at once when nothing else does.
    ///
    /// In a call that is over the entry is dropped, as are those that are [inserted](Self::insert), and markers; the name that is
    /// returned is of nothing then. [`Call::closed`](crate::Call::closed) tells when that is.
    pub fn add(&self, entry: impl Into<Entry>) -> EntryId {
        self.take_in(entry.into(), Machine::add)
    }

    /// Adds an entry at this place among what is to come: 0 plays next, beyond the end is at the end.
    pub fn insert(&self, index: usize, entry: impl Into<Entry>) -> EntryId {
        self.take_in(entry.into(), |queue, entry| queue.insert(index, entry))
    }

    /// Adds a marker at the end. It is reached at once when nothing plays.
    pub fn add_marker(&self, marker: Marker) -> EntryId {
        self.take_in(marker, Machine::add_marker)
    }

    /// Adds a marker at this place among what is to come; beyond the end is at the end.
    pub fn insert_marker(&self, index: usize, marker: Marker) -> EntryId {
        self.take_in(marker, |queue, marker| queue.insert_marker(index, marker))
    }

    fn take_in<T>(&self, element: T, add: impl FnOnce(&mut Machine, T) -> EntryId) -> EntryId {
        // What is not taken is dropped here: that is code of the application's, and may ask the queue something.
        let mut element = Some(element);
        self.player.queued(|queue| match element.take_if(|_| !queue.is_closed()) {
            Some(element) => add(queue, element),
            None => queue.name(),
        })
    }

    /// Moves an entry or a marker that is to come to this place; beyond the end is at the end.
    ///
    /// # Errors
    ///
    /// It is not to come.
    pub fn move_to(&self, id: EntryId, index: usize) -> Result<(), QueueError> {
        self.player.queued(|queue| queue.move_to(id, index))
    }

    /// Takes out an entry or a marker, for good. An entry that plays ends, and the next one follows.
    ///
    /// # Errors
    ///
    /// It is not in the queue.
    pub fn remove(&self, id: EntryId) -> Result<(), QueueError> {
        self.player.queued(|queue| queue.remove(id))
    }

    /// Puts the entries to come in a random order; markers keep their places.
    pub fn shuffle(&self) {
        // Without randomness of the system the order is a poor one, but another one.
        let seed = getrandom::u64().unwrap_or(self.len() as u64 + 1);
        self.player.queued(|queue| queue.shuffle(seed));
    }

    /// Takes out all that is to come, markers too; what plays goes on.
    pub fn clear(&self) {
        self.player.queued(|queue| queue.clear());
    }

    /// Ends what plays and takes out all that is to come. History and settings stay; a pause is over.
    pub fn stop(&self) {
        self.player.queued(|queue| queue.stop());
    }

    /// Holds everything where it is. What begins while paused waits at its beginning.
    pub fn pause(&self) {
        self.player.queued(|queue| queue.pause());
    }

    /// Lets everything go on.
    pub fn resume(&self) {
        self.player.queued(|queue| queue.resume());
    }

    /// Goes on with the next entry, also when the current one repeats; returns which one ended. A pause stays one.
    pub fn skip(&self) -> Option<EntryId> {
        self.player.queued(|queue| queue.skip())
    }

    /// Goes on with this entry. Those before it are taken out, or go to the end of a repeating queue; markers are taken out.
    ///
    /// # Errors
    ///
    /// It is not to come.
    pub fn skip_to(&self, id: EntryId) -> Result<(), QueueError> {
        self.player.queued(|queue| queue.skip_to(id))
    }

    /// Goes on behind the next marker, which is reached and returned; entries before it go as with
    /// [`skip_to`](Self::skip_to). Without a marker this is [`stop`](Self::stop), and yields `None`.
    pub fn skip_to_marker(&self) -> Option<(EntryId, Marker)> {
        self.player.queued(|queue| queue.skip_to_marker())
    }

    /// Goes back to what was played before; what plays now comes after it. Returns which one plays.
    ///
    /// # Errors
    ///
    /// There is nothing to go back to.
    pub fn back(&self, back: Back) -> Result<EntryId, QueueError> {
        let position = self.position();
        self.player.queued(|queue| queue.back(back, position))
    }

    /// What is played again by itself.
    pub fn set_repeat(&self, repeat: Repeat) {
        self.player.queued(|queue| queue.set_repeat(repeat));
    }

    /// How one entry follows the other.
    pub fn set_join(&self, join: Join) {
        self.player.queued(|queue| queue.set_join(join));
    }

    /// How long what is cut off in the middle takes to fade out; 10 ms by default.
    pub fn set_fade(&self, fade: Duration) {
        self.player.queued(|queue| queue.set_fade(fade));
    }

    /// How long before its turn an entry is made ready; 10 s by default.
    pub fn set_preload(&self, preload: Duration) {
        self.player.queued(|queue| queue.set_preload(preload));
    }

    /// How many entries the history keeps; 100 by default.
    pub fn set_history(&self, most: usize) {
        self.player.queued(|queue| queue.set_history(most));
    }

    /// When to tell that little is left, by [`QueueEvent::Low`](crate::QueueEvent::Low).
    pub fn set_low(&self, low: Option<Low>) {
        self.player.queued(|queue| queue.set_low(low));
    }

    /// What is played again by itself.
    pub fn repeat(&self) -> Repeat {
        self.player.queued(|queue| queue.repeat())
    }

    /// Whether it is paused.
    pub fn is_paused(&self) -> bool {
        self.player.queued(|queue| queue.is_paused())
    }

    /// The entry that plays, and its track.
    pub fn current(&self) -> Option<(Item, Track)> {
        let (item, track) = self.player.queued(|queue| queue.current())?;
        Some((item, self.player.track(track)?))
    }

    /// Where the entry that plays is in its source.
    pub fn position(&self) -> Duration {
        self.current().map(|(_, track)| track.position()).unwrap_or_default()
    }

    /// What is to come, in order.
    pub fn upcoming(&self) -> Vec<Element> {
        self.player.queued(|queue| queue.upcoming())
    }

    /// The markers to come, in order.
    pub fn markers(&self) -> Vec<(EntryId, Marker)> {
        self.player.queued(|queue| queue.markers())
    }

    /// What had its turn, the latest first.
    pub fn history(&self) -> Vec<Item> {
        self.player.queued(|queue| queue.history())
    }

    /// How many entries play or are to come. Markers do not count.
    pub fn len(&self) -> usize {
        self.player.queued(|queue| queue.len())
    }

    /// Whether nothing plays and nothing is to come.
    pub fn is_empty(&self) -> bool {
        self.player.queued(|queue| queue.is_empty())
    }

    /// How much is left to be played, from where the current entry is. Takes no longer for a long queue than for a short one.
    pub fn remaining(&self) -> Remaining {
        let position = self.position();
        self.player.queued(|queue| queue.remaining(position))
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("current", &self.current()).field("len", &self.len()).finish_non_exhaustive()
    }
}
