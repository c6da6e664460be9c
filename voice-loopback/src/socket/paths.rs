use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Instant;

use crate::link::{Impairment, Link};

/// More addresses than this at a time are not served: what they send is lost.
const MAX_LINKS: usize = 4_096;

/// One direction of the network: a link of its own for each client address.
pub(super) struct Paths {
    impairment: Impairment,
    next_seed: u64,
    links: BTreeMap<SocketAddr, Link<Vec<u8>>>,
    due: BTreeSet<(Instant, SocketAddr)>,
}

impl Paths {
    pub(super) fn new(seed: u64, impairment: Impairment) -> Self {
        Self { impairment, next_seed: seed, links: BTreeMap::new(), due: BTreeSet::new() }
    }

    /// True when datagrams need not take this way at all.
    pub(super) fn are_clean(&self) -> bool {
        self.impairment.is_none()
    }

    pub(super) fn push(&mut self, now: Instant, address: SocketAddr, datagram: Vec<u8>) {
        if self.links.len() >= MAX_LINKS && !self.links.contains_key(&address) {
            self.links.retain(|_, link| link.poll_timeout().is_some());
            if self.links.len() >= MAX_LINKS {
                return;
            }
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

    use super::Paths;
    use crate::link::Impairment;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do as the start of virtual time")]
    fn one_address_does_not_hold_up_another() {
        let start = Instant::now();
        let impairment = Impairment { jitter: Duration::from_millis(50), ..Impairment::default() };
        let mut paths = Paths::new(3, impairment);
        let address = |n: u16| SocketAddr::from(([127, 0, 0, 1], 1_000 + n));
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
