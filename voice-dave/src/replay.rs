use std::collections::VecDeque;
use std::ops::Range;

/// How many nonces that did not come are remembered, and may come later (libdave, `kMaxMissingNonces`).
pub const MAX_MISSING: u64 = 1_000;

/// Which nonces of one secret may still come: those after the newest, and the last 1,000 that are missing before it,
/// however far back (DAVE protocol, "Truncated synchronization nonce"; libdave from 1.2 on). Nonces are counted with 64
/// bits: [`big_nonce`](super::primitive::big_nonce).
//
// Missing nonces are kept as gaps, oldest first. In order, nothing is kept and nothing is touched but a counter; a burst of
// loss is one entry. A bitmap would be smaller under heavy loss, but forgets by distance: a nonce missing for longer than its
// length would be refused although the rule allows it. At worst each gap is one nonce: 1,000 entries of 16 bytes.
#[derive(Clone, Debug, Default)]
pub struct ReplayWindow {
    next: u64,
    gaps: VecDeque<Range<u64>>,
    missing: u64,
}

impl ReplayWindow {
    /// Nothing came yet; everything may come.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether this nonce may be accepted: it was not yet, and is not too old to tell.
    pub fn may_accept(&self, nonce: u64) -> bool {
        nonce >= self.next || self.gap_of(nonce).is_some()
    }

    /// An authentic frame came with this nonce.
    pub fn accept(&mut self, nonce: u64) {
        if nonce == self.next {
            self.next = self.next.saturating_add(1);
        } else if nonce > self.next {
            self.skip_to(nonce);
        } else if let Some(index) = self.gap_of(nonce) {
            self.fill(index, nonce);
        }
    }

    fn gap_of(&self, nonce: u64) -> Option<usize> {
        let index = self.gaps.partition_point(|gap| gap.end <= nonce);
        self.gaps.get(index).filter(|gap| gap.contains(&nonce)).map(|_| index)
    }

    fn skip_to(&mut self, nonce: u64) {
        let new = (nonce - self.next).min(MAX_MISSING);
        while self.missing + new > MAX_MISSING {
            let excess = self.missing + new - MAX_MISSING;
            let Some(oldest) = self.gaps.front_mut() else { break };
            let len = oldest.end - oldest.start;
            if len > excess {
                oldest.start += excess;
                self.missing -= excess;
            } else {
                self.gaps.pop_front();
                self.missing -= len;
            }
        }
        self.gaps.push_back(nonce - new..nonce);
        self.missing += new;
        self.next = nonce.saturating_add(1);
    }

    fn fill(&mut self, index: usize, nonce: u64) {
        let Some(gap) = self.gaps.get_mut(index) else { return };
        let rest = nonce.saturating_add(1)..gap.end;
        gap.end = nonce;
        self.missing -= 1;
        match (gap.is_empty(), rest.is_empty()) {
            (true, true) => drop(self.gaps.remove(index)),
            (true, false) => *gap = rest,
            (false, true) => {}
            (false, false) => self.gaps.insert(index + 1, rest),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::{MAX_MISSING, ReplayWindow};

    /// The rule, word for word.
    #[derive(Default)]
    struct Model {
        newest: Option<u64>,
        missing: VecDeque<u64>,
    }

    impl Model {
        fn may_accept(&self, nonce: u64) -> bool {
            self.newest.is_none_or(|newest| nonce > newest) || self.missing.contains(&nonce)
        }

        fn accept(&mut self, nonce: u64) {
            let next = self.newest.map_or(0, |newest| newest + 1);
            if nonce < next {
                self.missing.retain(|missing| *missing != nonce);
                return;
            }
            self.missing.extend(next.max(nonce.saturating_sub(MAX_MISSING))..nonce);
            while self.missing.len() as u64 > MAX_MISSING {
                self.missing.pop_front();
            }
            self.newest = Some(nonce);
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_rule(steps in prop::collection::vec((0_u64..3_000, 0_u64..50), 1..300)) {
            let (mut window, mut model) = (ReplayWindow::new(), Model::default());
            let mut base = 0;
            for (offset, ahead) in steps {
                base += ahead;
                let nonce = (base + offset).saturating_sub(2_000);
                prop_assert_eq!(window.may_accept(nonce), model.may_accept(nonce), "{}", nonce);
                if model.may_accept(nonce) {
                    window.accept(nonce);
                    model.accept(nonce);
                    prop_assert!(!window.may_accept(nonce));
                }
                prop_assert_eq!(window.missing, model.missing.len() as u64);
                prop_assert!(window.gaps.iter().all(|gap| !gap.is_empty()));
            }
            for nonce in 0..base + 3_000 {
                prop_assert_eq!(window.may_accept(nonce), model.may_accept(nonce), "{}", nonce);
            }
        }
    }

    #[test]
    fn nothing_is_kept_in_order_and_a_bound_holds_at_worst() {
        let mut window = ReplayWindow::new();
        (0..5_000).for_each(|nonce| window.accept(nonce));
        assert!(window.gaps.capacity() == 0);
        (5_000..50_000).step_by(2).for_each(|nonce| window.accept(nonce));
        assert_eq!((window.gaps.len(), window.missing), (1_000, MAX_MISSING));
    }

    #[test]
    fn the_last_nonce_of_all_overflows_nothing() {
        let mut window = ReplayWindow::new();
        window.accept(u64::MAX);
        window.accept(u64::MAX);
        assert!(window.may_accept(u64::MAX - 1) && !window.may_accept(0));
    }

    #[test]
    fn a_nonce_missing_for_long_may_still_come() {
        let mut window = ReplayWindow::new();
        (0..100_000).filter(|nonce| *nonce != 7).for_each(|nonce| window.accept(nonce));
        assert!(window.may_accept(7));
        window.accept(7);
        assert!(!window.may_accept(7));
    }
}
