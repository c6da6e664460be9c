//! The rules of a queue, word for word, without tracks: what `Machine` must come to however early it prepares things.

use std::collections::HashMap;

use super::sim::Tune;
use crate::queue::{How, QueueEvent, Repeat};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Slot {
    Entry(u64),
    Marker(u64),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Rest {
    Kept,
    Queued,
    Spent,
}

#[derive(Default)]
pub(super) struct Model {
    pub(super) current: Option<u64>,
    pub(super) upcoming: Vec<Slot>,
    past: Vec<(u64, Rest)>,
    pub(super) repeat: Repeat,
    pub(super) tunes: HashMap<u64, Tune>,
    stuck: bool,
    most: usize,
}

impl Slot {
    pub(super) fn id(self) -> u64 {
        match self {
            Self::Entry(id) | Self::Marker(id) => id,
        }
    }
}

impl Model {
    pub(super) fn new(most: usize) -> Self {
        Self { most, ..Self::default() }
    }

    pub(super) fn history(&self) -> Vec<u64> {
        self.past.iter().rev().map(|past| past.0).collect()
    }

    pub(super) fn insert(&mut self, index: usize, slot: Slot) {
        self.upcoming.insert(index.min(self.upcoming.len()), slot);
        if matches!(slot, Slot::Entry(_)) {
            self.stuck = false;
        }
        if !self.stuck {
            self.advance();
        }
    }

    pub(super) fn move_to(&mut self, id: u64, index: usize) -> bool {
        let Some(from) = self.find(id) else { return false };
        let slot = self.upcoming.remove(from);
        self.upcoming.insert(index.min(self.upcoming.len()), slot);
        true
    }

    pub(super) fn remove(&mut self, id: u64) -> bool {
        if self.current == Some(id) {
            self.leave(false);
            self.go_on();
            return true;
        }
        self.find(id).map(|index| self.upcoming.remove(index)).is_some()
    }

    pub(super) fn skip(&mut self) {
        self.leave(self.repeat == Repeat::Queue);
        self.go_on();
    }

    pub(super) fn skip_to(&mut self, id: u64) -> bool {
        let Some(index) = self.upcoming.iter().position(|slot| *slot == Slot::Entry(id)) else { return false };
        self.leave(self.repeat == Repeat::Queue);
        self.pass_over(index);
        self.go_on();
        true
    }

    pub(super) fn skip_to_marker(&mut self) -> Option<u64> {
        let Some(index) = self.upcoming.iter().position(|slot| matches!(slot, Slot::Marker(_))) else {
            self.stop();
            return None;
        };
        self.leave(self.repeat == Repeat::Queue);
        self.pass_over(index);
        let marker = self.upcoming.remove(0);
        self.go_on();
        Some(marker.id())
    }

    pub(super) fn stop(&mut self) {
        self.leave(false);
        self.upcoming.clear();
        self.stuck = false;
    }

    pub(super) fn resume(&mut self) {
        self.go_on();
    }

    pub(super) fn restart(&mut self) -> Option<u64> {
        self.current.filter(|id| !self.tunes[id].once)
    }

    pub(super) fn back(&mut self) -> Option<u64> {
        while let Some((id, rest)) = self.past.pop() {
            match rest {
                Rest::Spent => continue,
                Rest::Queued if self.current == Some(id) => return self.restart(),
                Rest::Queued => match self.find(id) {
                    Some(index) => _ = self.upcoming.remove(index),
                    None => continue,
                },
                Rest::Kept => {}
            }
            if let Some(current) = self.current.replace(id) {
                self.upcoming.insert(0, Slot::Entry(current));
            }
            self.stuck = false;
            return Some(id);
        }
        None
    }

    /// Follows what happened by itself.
    pub(super) fn follow(&mut self, events: &[QueueEvent]) {
        for (index, event) in events.iter().enumerate() {
            let stuck = events[index + 1..]
                .iter()
                .take_while(|event| !matches!(event, QueueEvent::Started { .. }))
                .any(|event| matches!(event, QueueEvent::Stuck));
            let again = self.repeat == Repeat::Queue;
            match event {
                QueueEvent::Ended { item, how } if self.current == Some(item.id.0) => {
                    let repeats = self.repeat == Repeat::Track && *how == How::Finished;
                    let before = events[..index].last();
                    let refused = matches!(before, Some(QueueEvent::Unrepeatable { item: it, .. }) if it.id == item.id);
                    if repeats {
                        let tune = self.tunes[&item.id.0];
                        assert!(refused || !(tune.once || tune.len == 0), "what cannot be repeated is told");
                    }
                    if !repeats || refused {
                        self.leave(again);
                        self.stuck = stuck;
                        self.advance();
                    }
                }
                QueueEvent::Failed { item, .. } if self.current == Some(item.id.0) => {
                    self.current = None;
                    self.put_last(item.id.0);
                    self.stuck = stuck;
                    self.advance();
                }
                QueueEvent::Ended { item, .. } | QueueEvent::Failed { item, .. } => {
                    let index = self.find(item.id.0).expect("what ends is in the queue");
                    self.upcoming.remove(index);
                    self.put_last(item.id.0);
                }
                _ => {}
            }
        }
    }

    fn put_last(&mut self, id: u64) {
        if self.repeat == Repeat::Queue && !self.tunes[&id].once {
            self.upcoming.push(Slot::Entry(id));
        }
    }

    fn leave(&mut self, again: bool) {
        let Some(id) = self.current.take() else { return };
        let rest = match (self.tunes[&id].once, again) {
            (true, _) => Rest::Spent,
            (false, true) => Rest::Queued,
            (false, false) => Rest::Kept,
        };
        if rest == Rest::Queued {
            self.upcoming.push(Slot::Entry(id));
        }
        self.past.push((id, rest));
        if self.past.len() > self.most {
            self.past.remove(0);
        }
    }

    fn go_on(&mut self) {
        self.stuck = false;
        self.advance();
    }

    fn advance(&mut self) {
        while self.current.is_none() && !self.stuck && !self.upcoming.is_empty() {
            if let Slot::Entry(id) = self.upcoming.remove(0) {
                self.current = Some(id);
            }
        }
    }

    fn pass_over(&mut self, count: usize) {
        for slot in self.upcoming.drain(..count).collect::<Vec<_>>() {
            if self.repeat == Repeat::Queue && matches!(slot, Slot::Entry(_)) {
                self.upcoming.push(slot);
            }
        }
    }

    fn find(&self, id: u64) -> Option<usize> {
        self.upcoming.iter().position(|slot| slot.id() == id)
    }
}
