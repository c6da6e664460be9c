use std::fmt;
use std::ops::{Add, AddAssign};

/// Synchronization source: which stream an RTP packet belongs to (RFC 3550, section 3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ssrc(pub u32);

impl fmt::Display for Ssrc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// RTP sequence number, modulo 2^16 (RFC 3550, section 5.1).
///
/// Not `Ord`: order on a circle is a question of distance, see [`Seq::since`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Seq(pub u16);

impl Seq {
    /// How many packets `self` comes after `earlier`; negative when it comes before. Exact up to half the circle.
    pub const fn since(self, earlier: Seq) -> i16 {
        self.0.wrapping_sub(earlier.0) as i16
    }

    /// The following number.
    #[must_use]
    pub const fn next(self) -> Seq {
        Seq(self.0.wrapping_add(1))
    }
}

impl Add<u16> for Seq {
    type Output = Seq;

    fn add(self, packets: u16) -> Seq {
        Seq(self.0.wrapping_add(packets))
    }
}

/// RTP timestamp in samples at 48 kHz, modulo 2^32 (RFC 3550, section 5.1; RFC 7587, section 4.1).
///
/// Not `Ord`: order on a circle is a question of distance, see [`RtpTime::since`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct RtpTime(pub u32);

impl RtpTime {
    /// How many samples `self` comes after `earlier`; negative when it comes before. Exact up to half the circle.
    pub const fn since(self, earlier: RtpTime) -> i32 {
        self.0.wrapping_sub(earlier.0) as i32
    }
}

impl Add<u32> for RtpTime {
    type Output = RtpTime;

    fn add(self, samples: u32) -> RtpTime {
        RtpTime(self.0.wrapping_add(samples))
    }
}

impl AddAssign<u32> for RtpTime {
    fn add_assign(&mut self, samples: u32) {
        *self = *self + samples;
    }
}

#[cfg(test)]
mod tests {
    use super::{RtpTime, Seq};

    #[test]
    fn sequence_numbers_wrap() {
        assert_eq!(Seq(u16::MAX).next(), Seq(0));
        assert_eq!(Seq(5).since(Seq(65_530)), 11);
        assert_eq!(Seq(65_530).since(Seq(5)), -11);
        assert_eq!(Seq(7).since(Seq(7)), 0);
    }

    #[test]
    fn half_the_circle_is_the_limit() {
        assert_eq!(Seq(0x7FFF).since(Seq(0)), i16::MAX);
        assert_eq!(Seq(0x8000).since(Seq(0)), i16::MIN);
        assert_eq!(RtpTime(0x8000_0000).since(RtpTime(0)), i32::MIN);
    }

    #[test]
    fn timestamps_wrap() {
        let mut time = RtpTime(u32::MAX - 100);
        time += 960;
        assert_eq!(time, RtpTime(859));
        assert_eq!(time.since(RtpTime(u32::MAX - 100)), 960);
    }
}
