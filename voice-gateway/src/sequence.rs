/// How far behind the last one a number counts as a replay. More than any server keeps; a number from farther back is a
/// counter that started anew.
const REPLAY: u16 = 1_024;

/// The server's counter, shared by text and binary messages, modulo 2^16: what `seq_ack` says, and what is a replay.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sequence {
    last: Option<u16>,
    /// A resume was asked for, and nothing newer than before it has come since. Only then are there replays; at any other
    /// time a number that goes back is a counter that started anew, and must not silence the connection.
    replaying: bool,
}

impl Sequence {
    /// What follows may have been seen before.
    pub(crate) fn expect_replay(&mut self) {
        self.replaying = true;
    }

    /// Takes note of a number; false when it is the last one again, or one of a replay that has been seen before.
    pub(crate) fn accept(&mut self, seq: u16) -> bool {
        let reach = if self.replaying { REPLAY } else { 1 };
        if self.last.is_some_and(|last| last.wrapping_sub(seq) < reach) {
            return false;
        }
        (self.last, self.replaying) = (Some(seq), false);
        true
    }

    /// The last number, -1 before the first.
    pub(crate) fn ack(self) -> i64 {
        self.last.map_or(-1, i64::from)
    }
}

#[cfg(test)]
mod tests {
    use super::{REPLAY, Sequence};

    #[test]
    fn counts_through_the_wrap() {
        let mut sequence = Sequence::default();
        assert_eq!(sequence.ack(), -1);
        for seq in [0, 1, 2, 40_000, 65_535, 0, 1] {
            assert!(sequence.accept(seq), "{seq}");
            assert_eq!(sequence.ack(), i64::from(seq));
        }
    }

    #[test]
    fn replays_are_seen_across_the_wrap() {
        let mut sequence = Sequence::default();
        assert!(sequence.accept(3));
        sequence.expect_replay();
        for seq in [65_000, 65_535, 0, 2, 3] {
            assert!(!sequence.accept(seq), "{seq}");
            assert_eq!(sequence.ack(), 3);
        }
        assert!(sequence.accept(4));
    }

    #[test]
    fn a_counter_that_starts_anew_is_followed() {
        let mut sequence = Sequence::default();
        for last in [300, REPLAY] {
            assert!(sequence.accept(last));
            assert!(sequence.accept(0));
            assert!(!sequence.accept(0), "the same one again");
            assert!(sequence.accept(1));
        }
        assert!(sequence.accept(2 * REPLAY));
        sequence.expect_replay();
        assert!(sequence.accept(0), "too far back for a replay");
    }
}
