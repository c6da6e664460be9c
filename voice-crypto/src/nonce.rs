//! RTP and RTCP share one key, so their nonces must never meet: each counts in its own half of the 32-bit space.

/// Bytes of the longest nonce (XChaCha20, XSalsa20); AES-GCM uses the first 12 (NIST SP 800-38D, section 8.2.1).
pub(crate) const NONCE_LEN: usize = 24;

/// Half of the nonce counters of a key. Discord's own client splits them in the same way.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Half {
    /// Counters from 0 up to 2^31 - 1.
    Rtp,
    /// Counters from 2^31 up to 2^32 - 1.
    Rtcp,
}

impl Half {
    /// The half that this counter belongs to.
    pub const fn of(counter: u32) -> Half {
        if counter < Half::Rtcp.start() { Half::Rtp } else { Half::Rtcp }
    }

    const fn start(self) -> u32 {
        match self {
            Half::Rtp => 0,
            Half::Rtcp => 1 << 31,
        }
    }

    const fn end(self) -> u64 {
        self.start() as u64 + (1 << 31)
    }
}

/// The counters not used yet. Wider than the counters themselves, so that the end of a half is a value too.
#[derive(Debug)]
pub(crate) struct Nonces {
    rtp: u64,
    rtcp: u64,
}

impl Nonces {
    pub(crate) const fn new() -> Self {
        Self { rtp: Half::Rtp.start() as u64, rtcp: Half::Rtcp.start() as u64 }
    }

    /// Uses up the next counter of `half`, for ever; `None` when all are.
    pub(crate) fn take(&mut self, half: Half) -> Option<u32> {
        let next = self.next_mut(half);
        let counter = (*next < half.end()).then_some(*next as u32)?;
        *next += 1;
        Some(counter)
    }

    /// Skips the counters before this one, in its half. Counters never move back.
    pub(crate) fn skip_to(&mut self, counter: u32) {
        let next = self.next_mut(Half::of(counter));
        *next = u64::from(counter).max(*next);
    }

    fn next_mut(&mut self, half: Half) -> &mut u64 {
        match half {
            Half::Rtp => &mut self.rtp,
            Half::Rtcp => &mut self.rtcp,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Half, Nonces};

    #[test]
    fn each_half_starts_at_its_own_end() {
        let mut nonces = Nonces::new();
        assert_eq!(nonces.take(Half::Rtp), Some(0));
        assert_eq!(nonces.take(Half::Rtcp), Some(0x8000_0000));
        assert_eq!(nonces.take(Half::Rtp), Some(1));
        assert_eq!(nonces.take(Half::Rtcp), Some(0x8000_0001));
    }

    #[test]
    fn rtp_never_enters_the_rtcp_half() {
        let mut nonces = Nonces::new();
        nonces.skip_to(0x7FFF_FFFF);
        assert_eq!(nonces.take(Half::Rtp), Some(0x7FFF_FFFF));
        assert_eq!(nonces.take(Half::Rtp), None);
        assert_eq!(nonces.take(Half::Rtp), None);
        assert_eq!(nonces.take(Half::Rtcp), Some(0x8000_0000));
    }

    #[test]
    fn rtcp_never_wraps_into_the_rtp_half() {
        let mut nonces = Nonces::new();
        nonces.skip_to(u32::MAX);
        assert_eq!(nonces.take(Half::Rtcp), Some(u32::MAX));
        assert_eq!(nonces.take(Half::Rtcp), None);
        assert_eq!(nonces.take(Half::Rtp), Some(0));
    }

    #[test]
    fn counters_never_move_back() {
        let mut nonces = Nonces::new();
        nonces.skip_to(10);
        nonces.skip_to(5);
        assert_eq!(nonces.take(Half::Rtp), Some(10));
        nonces.skip_to(10);
        assert_eq!(nonces.take(Half::Rtp), Some(11));
    }
}
