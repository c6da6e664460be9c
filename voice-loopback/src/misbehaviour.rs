use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use model::UserId;

use crate::script::Trick;

/// What is to go wrong, and how often still.
#[derive(Debug, Default)]
pub(crate) struct Misbehaviour {
    withheld: BTreeMap<(Option<UserId>, u64), u32>,
    tricks: BTreeMap<(Option<UserId>, Trick), u32>,
    discoveries: u32,
    resumes: u32,
    pings: u32,
    /// Addresses that nothing comes from, nor goes to, any more.
    cut_off: BTreeSet<SocketAddr>,
}

impl Misbehaviour {
    pub(crate) fn withhold(&mut self, user: Option<UserId>, op: u64, times: u32) {
        self.withheld.insert((user, op), times);
    }

    pub(crate) fn trick(&mut self, user: Option<UserId>, trick: Trick, times: u32) {
        self.tricks.insert((user, trick), times);
    }

    pub(crate) fn ignore_discoveries(&mut self, times: u32) {
        self.discoveries = times;
    }

    pub(crate) fn refuse_resumes(&mut self, times: u32) {
        self.resumes = times;
    }

    /// Whether this message shall not be sent; counts it if so.
    pub(crate) fn withholds(&mut self, user: Option<UserId>, op: u64) -> bool {
        [user, None].into_iter().any(|user| self.withheld.get_mut(&(user, op)).is_some_and(spend))
    }

    /// Whether this user shall be played this trick now; counts it if so.
    pub(crate) fn plays(&mut self, user: UserId, trick: Trick) -> bool {
        [Some(user), None].into_iter().any(|user| self.tricks.get_mut(&(user, trick)).is_some_and(spend))
    }

    pub(crate) fn ignores_discovery(&mut self) -> bool {
        spend(&mut self.discoveries)
    }

    pub(crate) fn ignore_pings(&mut self, times: u32) {
        self.pings = times;
    }

    pub(crate) fn cut_off(&mut self, address: SocketAddr) {
        self.cut_off.insert(address);
    }

    pub(crate) fn ignores_ping(&mut self) -> bool {
        spend(&mut self.pings)
    }

    pub(crate) fn is_cut_off(&self, address: SocketAddr) -> bool {
        self.cut_off.contains(&address)
    }

    pub(crate) fn refuses_resume(&mut self) -> bool {
        spend(&mut self.resumes)
    }
}

/// Counts down to zero; `u32::MAX` lasts.
fn spend(times: &mut u32) -> bool {
    let some = *times > 0;
    if some && *times < u32::MAX {
        *times -= 1;
    }
    some
}
