use voice_model::Seq;

/// Sequence numbers further apart than this belong to a sender that restarted (`MAX_DROPOUT` in RFC 3550, appendix A.1).
const MAX_DISTANCE: i16 = 3000;

/// What is known of a stream whose packets nobody wants: which of them came.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Account {
    highest: Option<Seq>,
    /// Bit `i`: packet `highest - 1 - i` came, or is older than the stream.
    history: u64,
    /// The packet before this one, when it was far behind.
    suspect: Option<Seq>,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// It is the newest; so many before it are missing.
    New { missing: u16 },
    /// It had been missing.
    Found,
    /// It came before.
    Duplicate,
    /// It is far behind: a straggler, unless the following one confirms that the sender restarted.
    Suspect,
}

impl Account {
    pub(crate) fn enter(&mut self, seq: Seq) -> Entry {
        let ahead = self.highest.map(|highest| seq.since(highest));
        let confirmed = self.suspect.take().is_some_and(|suspect| suspect.next() == seq);
        match ahead {
            Some(0) => Entry::Duplicate,
            Some(ahead @ 1..=MAX_DISTANCE) => {
                let missing = ahead as u16 - 1;
                let shifted = self.history.checked_shl(u32::from(missing) + 1).unwrap_or(0);
                self.history = shifted | 1_u64.checked_shl(missing.into()).unwrap_or(0);
                self.highest = Some(seq);
                Entry::New { missing }
            }
            Some(behind @ -64..=-1) => {
                let bit = 1 << (behind.unsigned_abs() - 1);
                let known = self.history & bit != 0;
                self.history |= bit;
                if known { Entry::Duplicate } else { Entry::Found }
            }
            Some(ahead) if (-MAX_DISTANCE..0).contains(&ahead) && !confirmed => {
                self.suspect = Some(seq);
                Entry::Suspect
            }
            _ => {
                *self = Self { highest: Some(seq), history: u64::MAX, suspect: None };
                Entry::New { missing: 0 }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use voice_model::Seq;

    use super::{Account, Entry};

    #[test]
    fn what_is_missing_may_come_late_and_nothing_comes_twice() {
        let mut account = Account::default();
        let mut enter = |seq: u16| account.enter(Seq(seq));
        assert_eq!(enter(65_533), Entry::New { missing: 0 });
        assert_eq!(enter(65_532), Entry::Duplicate, "of before we came: no loss of ours");
        assert_eq!(enter(65_534), Entry::New { missing: 0 });
        assert_eq!(enter(2), Entry::New { missing: 3 });
        assert_eq!(enter(0), Entry::Found);
        assert_eq!(enter(0), Entry::Duplicate);
        assert_eq!(enter(2), Entry::Duplicate);
        assert_eq!(enter(65_533), Entry::Duplicate);
        assert_eq!(enter(102), Entry::New { missing: 99 });
        assert_eq!(enter(101), Entry::Found);
        assert_eq!(enter(50_000), Entry::New { missing: 0 }, "a sender that restarted");
        assert_eq!(enter(49_999), Entry::Duplicate);
    }

    #[test]
    fn a_straggler_changes_nothing_and_a_restart_close_behind_is_believed_at_its_second_packet() {
        let mut account = Account::default();
        let mut enter = |seq: u16| account.enter(Seq(seq));
        assert_eq!(enter(10), Entry::New { missing: 0 });
        assert_eq!(enter(2_010), Entry::New { missing: 1_999 });
        assert_eq!(enter(1_945), Entry::Suspect, "65 behind");
        assert_eq!(enter(2_011), Entry::New { missing: 0 });
        assert_eq!(enter(1_946), Entry::Suspect, "one that was not confirmed at once is forgotten");
        assert_eq!(enter(30), Entry::Suspect);
        assert_eq!(enter(31), Entry::New { missing: 0 });
        assert_eq!(enter(33), Entry::New { missing: 1 });
    }
}
