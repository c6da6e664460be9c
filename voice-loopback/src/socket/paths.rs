use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::link::{Impairment, Link};

/// More addresses than this at a time are not served: what they send is lost.
const MAX_LINKS: usize = 4_096;

/// Idle links are looked for this often at most: looking at them all for each datagram would be too dear.
const SWEEP: Duration = Duration::from_millis(100);

/// One direction of the network: a link of its own for each client address.
pub(super) struct Paths {
    impairment: Impairment,
    next_seed: u64,
    links: BTreeMap<SocketAddr, Link<Vec<u8>>>,
    due: BTreeSet<(Instant, SocketAddr)>,
    next_sweep: Option<Instant>,
    unserved: u64,
}

impl Paths {
    pub(super) fn new(seed: u64, impairment: Impairment) -> Self {
        Self {
            impairment,
            next_seed: seed,
            links: BTreeMap::new(),
            due: BTreeSet::new(),
            next_sweep: None,
            unserved: 0,
        }
    }

    /// True when datagrams need not take this way at all.
    pub(super) fn are_clean(&self) -> bool {
        self.impairment.is_none()
    }

    pub(super) fn push(&mut self, now: Instant, address: SocketAddr, datagram: Vec<u8>) {
        if !self.links.contains_key(&address) && !self.has_room(now) {
            self.unserved += 1;
            return;
        }
        let link = self.links.entry(address).or_insert_with(|| {
            self.next_seed = self.next_seed.wrapping_add(1);
            Link::new(self.next_seed, self.impairment)
        });
        let before = link.poll_timeout();
        link.push(now, datagram);
        let after = link.poll_timeout();
        self.reschedule(address, before, after);
    }

    pub(super) fn poll(&mut self, now: Instant) -> Option<(SocketAddr, Vec<u8>)> {
        let (at, address) = *self.due.first().filter(|(at, _)| *at <= now)?;
        let link = self.links.get_mut(&address)?;
        let datagram = link.poll(now);
        let after = link.poll_timeout();
        self.reschedule(address, Some(at), after);
        datagram.map(|datagram| (address, datagram))
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Datagrams dropped because all links were in use.
    pub(super) fn unserved(&self) -> u64 {
        self.unserved
    }

    /// Whether there can be one more link; idle ones make room.
    fn has_room(&mut self, now: Instant) -> bool {
        if self.links.len() >= MAX_LINKS && self.next_sweep.is_none_or(|next| next <= now) {
            self.next_sweep = Some(now + SWEEP);
            self.links.retain(|_, link| link.poll_timeout().is_some());
        }
        self.links.len() < MAX_LINKS
    }

    fn reschedule(&mut self, address: SocketAddr, before: Option<Instant>, after: Option<Instant>) {
        if before != after {
            before.map(|at| self.due.remove(&(at, address)));
            after.map(|at| self.due.insert((at, address)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::{Duration, Instant};

    use super::{MAX_LINKS, Paths, SWEEP};
    use crate::link::Impairment;

    #[expect(clippy::disallowed_methods, reason = "any instant will do as the start of virtual time")]
    fn start() -> Instant {
        Instant::now()
    }

    fn address(n: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 1_000 + n))
    }

    #[test]
    fn links_are_bounded_and_idle_ones_make_room() {
        let start = start();
        let latency = Duration::from_millis(20);
        let mut paths = Paths::new(3, Impairment { latency, ..Impairment::default() });
        for n in 0..MAX_LINKS as u16 + 5 {
            paths.push(start, address(n), vec![]);
        }
        assert_eq!(paths.unserved(), 5);
        while paths.poll(start + latency).is_some() {}
        paths.push(start + latency, address(9_999), vec![]);
        assert_eq!(paths.unserved(), 6, "the next look has its time");
        paths.push(start + SWEEP, address(9_999), vec![]);
        assert_eq!((paths.unserved(), paths.links.len()), (6, 1));
    }

    #[test]
    fn one_address_does_not_hold_up_another() {
        let start = start();
        let impairment = Impairment { jitter: Duration::from_millis(50), ..Impairment::default() };
        let mut paths = Paths::new(3, impairment);
        for round in 0..20_u8 {
            for n in 0..10 {
                paths.push(start + Duration::from_millis(20) * u32::from(round), address(n), vec![round]);
            }
        }
        let mut arrived: Vec<(SocketAddr, u8)> = Vec::new();
        while let Some(at) = paths.poll_timeout() {
            let (address, datagram) = paths.poll(at).expect("due");
            arrived.push((address, datagram[0]));
        }
        assert_eq!(arrived.len(), 200);
        assert!(!arrived.is_sorted_by_key(|(_, round)| *round), "links are independent");
        for n in 0..10 {
            assert!(arrived.iter().filter(|(from, _)| *from == address(n)).map(|(_, round)| round).is_sorted());
        }
    }
}
