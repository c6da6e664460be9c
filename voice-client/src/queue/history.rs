use std::collections::VecDeque;

use super::entry::{Held, Item};

/// What was played, the latest last.
pub(super) struct History {
    past: VecDeque<Past>,
    most: usize,
}

/// An entry that had its turn.
pub(super) struct Past {
    pub(super) item: Item,
    pub(super) rest: Rest,
}

/// What is left of it.
pub(super) enum Rest {
    /// Everything.
    Kept(Box<Held>),
    /// It is in the queue again.
    Queued,
    /// Nothing: its source could be had only once.
    Spent,
}

impl History {
    pub(super) fn new(most: usize) -> Self {
        Self { past: VecDeque::new(), most }
    }

    pub(super) fn set_most(&mut self, most: usize) {
        self.most = most;
        self.trim();
    }

    pub(super) fn push(&mut self, item: Item, rest: Rest) {
        self.past.push_back(Past { item, rest });
        self.trim();
    }

    pub(super) fn pop(&mut self) -> Option<Past> {
        self.past.pop_back()
    }

    /// The latest first.
    pub(super) fn items(&self) -> impl Iterator<Item = &Item> {
        self.past.iter().rev().map(|past| &past.item)
    }

    fn trim(&mut self) {
        while self.past.len() > self.most {
            self.past.pop_front();
        }
    }
}
