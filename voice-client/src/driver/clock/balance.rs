use std::time::Duration;

/// When calls move from one clock thread to another, and where to. Shares are of one core, 1.0 being all of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Balance {
    /// How long load is measured before it is judged.
    pub(super) period: Duration,
    /// A thread that is busier than this gives calls away.
    pub(super) full: f64,
    /// A thread that is not full gives calls away too when more than this share of its packets is late...
    pub(super) late: f64,
    /// ...and it is at least this busy: the lateness of a thread with little to do is not of its own making.
    pub(super) late_from: f64,
    /// Up to here a thread takes calls, and down to here a full one gives them away.
    pub(super) room: f64,
    /// Where no thread has room and none can be started, calls move only to one that stays this much less busy.
    pub(super) gap: f64,
    /// A thread that is less busy than this...
    pub(super) quiet: f64,
    /// ...for this long gives all of its calls back, and ends.
    pub(super) quiet_for: Duration,
}

impl Default for Balance {
    fn default() -> Self {
        Self {
            period: Duration::from_secs(1),
            full: 0.55,
            late: 0.01,
            late_from: 0.2,
            room: 0.4,
            gap: 0.1,
            quiet: 0.05,
            quiet_for: Duration::from_secs(60),
        }
    }
}

/// A busy thread cannot show how much more it has to do.
const SATURATED: f64 = 0.9;

/// What a thread measured of itself over a period.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Load {
    /// Share of the time in which it did not wait.
    pub(super) busy: f64,
    /// Share of its packets that was late.
    pub(super) late: f64,
    /// Calls that do not rest.
    pub(super) beating: usize,
}

impl Balance {
    /// The load that a thread should give away; `None` when it is fine, or has only one call.
    pub(super) fn excess(&self, load: &Load) -> Option<f64> {
        let full = load.busy > self.full;
        let late = load.late > self.late && load.busy >= self.late_from;
        if load.beating < 2 || !(full || late) {
            return None;
        }
        let least = if late || load.busy >= SATURATED { load.busy / 2.0 } else { 0.0 };
        Some((load.busy - self.room).max(least))
    }

    /// Where the calls go that thread `from` offers, given what each costs: an index into `busy`, one beyond it is a new
    /// thread, of which there may be `max` in all; `None` when a call had better stay.
    pub(super) fn place(&self, from: usize, busy: &[f64], costs: &[f64], max: usize) -> Vec<Option<usize>> {
        let mut busy = busy.to_vec();
        let mut place = |cost: f64| {
            let others = (0..busy.len()).filter(|other| *other != from);
            let quietest = others.min_by(|a, b| busy[*a].total_cmp(&busy[*b]));
            let to = match quietest {
                Some(to) if busy[to] <= 0.0 || busy[to] + cost <= self.room => Some(to),
                _ if busy.len() < max => {
                    busy.push(0.0);
                    Some(busy.len() - 1)
                }
                quietest => quietest.filter(|to| busy[*to] + cost + self.gap < busy[from] - cost),
            };
            if let Some(to) = to {
                busy[to] += cost;
                busy[from] -= cost;
            }
            to
        };
        costs.iter().map(|cost| place(*cost)).collect()
    }

    /// Whether a thread that was quiet for long ends, given how busy it and the one are that its calls go back to.
    pub(super) fn ends(&self, busy: f64, home: f64) -> bool {
        busy <= 0.0 || busy + home <= self.room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(busy: f64, late: f64, beating: usize) -> Load {
        Load { busy, late, beating }
    }

    #[test]
    fn a_thread_gives_away_when_it_is_full_or_late_and_not_alone() {
        let balance = Balance::default();
        assert_eq!(balance.excess(&load(0.5, 0.0, 1_000)), None);
        assert_eq!(balance.excess(&load(0.99, 1.0, 1)), None, "one call cannot be split");
        assert!(balance.excess(&load(0.6, 0.0, 2)).is_some_and(|excess| (excess - 0.2).abs() < 1e-9));
        assert_eq!(balance.excess(&load(1.0, 0.0, 2)), Some(0.6));
        assert_eq!(balance.excess(&load(0.3, 0.02, 2)), Some(0.15), "late");
        assert_eq!(balance.excess(&load(0.1, 0.5, 2)), None, "late for lack of a core, not of a thread");
    }

    #[test]
    fn calls_fill_threads_with_room_first_then_new_ones() {
        let balance = Balance::default();
        let calls = [0.1; 6];
        let placed = balance.place(0, &[1.0, 0.25], &calls, 3);
        assert_eq!(placed, [Some(1), Some(2), Some(2), Some(2), Some(2), None], "there is no room for the last one");
        assert_eq!(balance.place(0, &[1.0], &calls[..2], 8), [Some(1), Some(1)]);
        assert_eq!(balance.place(0, &[0.9], &[0.6], 8), [Some(1)], "one that fits nowhere gets a thread of its own");
    }

    #[test]
    fn without_room_calls_move_only_to_where_it_is_much_quieter() {
        let balance = Balance::default();
        assert_eq!(balance.place(0, &[0.7, 0.6], &[0.05], 2), [None]);
        assert_eq!(balance.place(0, &[0.9, 0.5], &[0.04; 5], 2), [Some(1), Some(1), Some(1), None, None]);
        assert_eq!(balance.place(0, &[0.9], &[0.05], 1), [None], "one thread is all there may be");
    }

    /// Many calls that all start at once on one thread, of which nobody knows how much they need in all.
    #[test]
    fn any_load_spreads_in_a_few_periods_and_then_stays() {
        let balance = Balance::default();
        let max = 12;
        for (calls, cost) in [(3_000, 0.0001), (3_000, 0.001), (100, 0.009), (40, 0.05), (7, 0.3)] {
            let mut threads = vec![vec![cost; calls]];
            let mut last_move = 0;
            for period in 1..60 {
                for from in 0..threads.len() {
                    let needs: Vec<f64> = threads.iter().map(|calls| calls.iter().sum::<f64>()).collect();
                    // What needs more than a core shows as a busy one.
                    let busy: Vec<f64> = needs.iter().map(|need| need.min(1.0)).collect();
                    let Some(excess) = balance.excess(&load(busy[from], 0.0, threads[from].len())) else { continue };
                    let offered = ((excess / cost).ceil() as usize).min(threads[from].len() - 1);
                    for to in balance.place(from, &busy, &vec![cost; offered], max).into_iter().flatten() {
                        last_move = period;
                        if to == threads.len() {
                            threads.push(Vec::new());
                        }
                        let call = threads[from].pop().unwrap();
                        threads[to].push(call);
                    }
                }
            }
            assert!(last_move < 20, "{calls} calls of {cost} still move in period {last_move}");
            assert_eq!(threads.iter().map(Vec::len).sum::<usize>(), calls);
            assert!(threads.len() <= max);
            for calls in &threads {
                let busy = calls.iter().sum::<f64>();
                assert!(calls.len() == 1 || busy <= balance.full + 1e-9 || threads.len() == max, "{busy} of {cost}");
            }
        }
    }

    #[test]
    fn a_quiet_thread_ends_when_its_calls_find_room() {
        let balance = Balance::default();
        assert!(balance.ends(0.03, 0.3));
        assert!(balance.ends(0.0, 0.9), "there is nothing to give back");
        assert!(!balance.ends(0.03, 0.5));
    }
}
