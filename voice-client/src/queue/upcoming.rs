use std::collections::VecDeque;
use std::time::Duration;

use mixer::TrackId;

use super::entry::{Element, EntryId, Held};
use super::marker::Marker;

/// How much there is left to play. Repeats do not count.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Remaining {
    /// The sum of all known lengths.
    pub known: Duration,
    /// Entries of unknown length: live streams, and those that nobody has opened yet.
    pub unknown: usize,
}

/// What is to come, with its sums.
#[derive(Default)]
pub(super) struct Upcoming {
    slots: VecDeque<Slot>,
    entries: usize,
    /// In nanoseconds: what a `Duration` can hold, times what memory can hold, fits.
    known: u128,
    unknown: usize,
}

pub(super) enum Slot {
    Entry(Box<Held>),
    Marker(EntryId, Marker),
}

impl Upcoming {
    pub(super) fn entries(&self) -> usize {
        self.entries
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter()
    }

    /// What is left after `rest` nanoseconds (or an unknown time) of something before it.
    pub(super) fn remaining(&self, rest: Option<Option<Duration>>) -> Remaining {
        let (rest, open) = match rest {
            Some(Some(rest)) => (rest.as_nanos(), 0),
            Some(None) => (0, 1),
            None => (0, 0),
        };
        let nanos = self.known + rest;
        let seconds = u64::try_from(nanos / 1_000_000_000);
        let known = seconds.map_or(Duration::MAX, |seconds| Duration::new(seconds, (nanos % 1_000_000_000) as u32));
        Remaining { known, unknown: self.unknown + open }
    }

    /// Beyond the end is at the end.
    pub(super) fn insert(&mut self, index: usize, slot: Slot) {
        if let Slot::Entry(held) = &slot {
            self.entries += 1;
            match held.duration {
                Some(duration) => self.known += duration.as_nanos(),
                None => self.unknown += 1,
            }
        }
        self.slots.insert(index.min(self.slots.len()), slot);
    }

    pub(super) fn push(&mut self, slot: Slot) {
        self.insert(usize::MAX, slot);
    }

    pub(super) fn pop(&mut self) -> Option<Slot> {
        self.remove(0)
    }

    pub(super) fn remove(&mut self, index: usize) -> Option<Slot> {
        let slot = self.slots.remove(index)?;
        if let Slot::Entry(held) = &slot {
            self.entries -= 1;
            match held.duration {
                Some(duration) => self.known -= duration.as_nanos(),
                None => self.unknown -= 1,
            }
        }
        Some(slot)
    }

    pub(super) fn drain(&mut self) -> VecDeque<Slot> {
        std::mem::take(self).slots
    }

    pub(super) fn position(&self, id: EntryId) -> Option<usize> {
        self.slots.iter().position(|slot| slot.id() == id)
    }

    pub(super) fn marker(&self) -> Option<usize> {
        self.slots.iter().position(|slot| matches!(slot, Slot::Marker(..)))
    }

    /// Takes out the entry of this name.
    pub(super) fn take(&mut self, id: EntryId) -> Option<Box<Held>> {
        let index = self.position(id)?;
        self.take_at(index)
    }

    fn take_at(&mut self, index: usize) -> Option<Box<Held>> {
        if !matches!(self.slots.get(index), Some(Slot::Entry(_))) {
            return None;
        }
        match self.remove(index)? {
            Slot::Entry(held) => Some(held),
            Slot::Marker(..) => None,
        }
    }

    /// Takes out the entry whose waiting track this is.
    pub(super) fn take_by_track(&mut self, track: TrackId) -> Option<Box<Held>> {
        let index = self.slots.iter().position(|slot| slot.plays(track))?;
        self.take_at(index)
    }

    /// The entry of this name.
    pub(super) fn get_mut(&mut self, id: EntryId) -> Option<&mut Held> {
        self.slots.iter_mut().find_map(|slot| slot.held_mut().filter(|held| held.id == id))
    }

    /// The entry whose waiting track this is.
    pub(super) fn by_track(&mut self, track: TrackId) -> Option<&mut Held> {
        self.slots.iter_mut().find(|slot| slot.plays(track)).and_then(Slot::held_mut)
    }

    /// The entry that plays next.
    pub(super) fn next_mut(&mut self) -> Option<&mut Held> {
        self.slots.iter_mut().find_map(Slot::held_mut)
    }

    pub(super) fn next(&self) -> Option<&Held> {
        self.slots.iter().find_map(Slot::held)
    }

    /// Says how long the entry is whose waiting track this is.
    pub(super) fn set_duration(&mut self, track: TrackId, duration: Duration) {
        let Some(held) = self.by_track(track) else { return };
        let before = held.duration.replace(duration);
        self.known += duration.as_nanos();
        match before {
            Some(before) => self.known -= before.as_nanos(),
            None => self.unknown -= 1,
        }
    }

    /// Changes places among the entries; markers keep theirs.
    pub(super) fn shuffle(&mut self, seed: u64) {
        let places: Vec<usize> =
            (0..self.slots.len()).filter(|index| matches!(self.slots[*index], Slot::Entry(_))).collect();
        let mut state = seed;
        for last in (1..places.len()).rev() {
            let other = (u128::from(random(&mut state)) * (last as u128 + 1)) >> 64;
            self.slots.swap(places[last], places[other as usize]);
        }
    }
}

impl Slot {
    pub(super) fn id(&self) -> EntryId {
        match self {
            Self::Entry(held) => held.id,
            Self::Marker(id, _) => *id,
        }
    }

    pub(super) fn element(&self) -> Element {
        match self {
            Self::Entry(held) => Element::Entry(held.item()),
            Self::Marker(id, marker) => Element::Marker(*id, marker.clone()),
        }
    }

    fn held(&self) -> Option<&Held> {
        match self {
            Self::Entry(held) => Some(held),
            Self::Marker(..) => None,
        }
    }

    fn held_mut(&mut self) -> Option<&mut Held> {
        match self {
            Self::Entry(held) => Some(held),
            Self::Marker(..) => None,
        }
    }

    fn plays(&self, track: TrackId) -> bool {
        self.held().and_then(|held| held.live).is_some_and(|live| live.track == track)
    }
}

/// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}
