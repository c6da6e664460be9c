/// How far behind the last one a number still counts as a replay. More than any server keeps for replay; a number from
/// farther back is a counter that started anew, and must not silence the connection.
const REPLAY: u16 = 1_024;

/// The server's counter, shared by text and binary messages, modulo 2^16: what `seq_ack` says, and what is a replay.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sequence {
    last: Option<u16>,
}

impl Sequence {
    /// Takes note of a number; false when it has been seen before.
    pub(crate) fn accept(&mut self, seq: u16) -> bool {
        let replayed = self.last.is_some_and(|last| last.wrapping_sub(seq) < REPLAY);
        if !replayed {
            self.last = Some(seq);
        }
        !replayed
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
        for seq in [3, 2, 0, 65_535, 65_000] {
            assert!(!sequence.accept(seq), "{seq}");
            assert_eq!(sequence.ack(), 3);
        }
        assert!(sequence.accept(4));
    }

    #[test]
    fn a_counter_that_starts_anew_is_followed() {
        let mut sequence = Sequence::default();
        assert!(sequence.accept(REPLAY));
        assert!(sequence.accept(0));
        assert!(sequence.accept(1));
    }
}
