use std::time::Duration;

/// What one speaker's stream went through since its first packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Packets that arrived, late and malformed ones included, duplicates not.
    pub received: u64,
    /// Packets that arrived again.
    pub duplicate: u64,
    /// Packets that arrived after their time and were dropped.
    pub late: u64,
    /// Packets that were missing at their time and have not arrived since.
    pub lost: u64,
    /// Packets that are no Opus: too long and ignored, or concealed.
    pub malformed: u64,
    /// Frames recovered from the forward error correction of the packet after them.
    pub fec: u64,
    /// Samples per channel recovered by forward error correction.
    pub fec_samples: u64,
    /// Samples per channel that were made up because their packet was missing.
    pub concealed_samples: u64,
    /// Samples per channel of silence given out: silence frames, pauses, and what exceeds the concealment.
    pub silence: u64,
    /// Samples per channel that arrived and were skipped to bring the delay down.
    pub skipped_samples: u64,
    /// How often play-out went to another place of the stream: sender restarted, timestamp jumped, delay brought down.
    pub resyncs: u64,
    /// Ticks that gave out audio of this speaker; in packets mode, packets and places of lost ones.
    pub frames: u64,
    /// Audio buffered after the last tick.
    pub depth: Duration,
    /// Interarrival jitter (RFC 3550, section 6.4.1).
    pub jitter: Duration,
}

impl Stats {
    /// Adds the figures of another stream of the same person: counts add up; depth and jitter are the other's, when it
    /// has received anything.
    pub fn merge(&mut self, later: &Stats) {
        self.received += later.received;
        self.duplicate += later.duplicate;
        self.late += later.late;
        self.lost += later.lost;
        self.malformed += later.malformed;
        self.fec += later.fec;
        self.fec_samples += later.fec_samples;
        self.concealed_samples += later.concealed_samples;
        self.silence += later.silence;
        self.skipped_samples += later.skipped_samples;
        self.resyncs += later.resyncs;
        self.frames += later.frames;
        if later.received > 0 {
            (self.depth, self.jitter) = (later.depth, later.jitter);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Stats;

    #[test]
    fn merging_adds_counts_and_keeps_the_latest_measurements() {
        let measured = |millis| (Duration::from_millis(millis), Duration::from_millis(millis + 1));
        let figures = |by: u64, (depth, jitter)| Stats {
            received: by,
            duplicate: 2 * by,
            late: 3 * by,
            lost: 4 * by,
            malformed: 5 * by,
            fec: 6 * by,
            fec_samples: 7 * by,
            concealed_samples: 8 * by,
            silence: 9 * by,
            skipped_samples: 10 * by,
            resyncs: 11 * by,
            frames: 12 * by,
            depth,
            jitter,
        };
        let mut sum = figures(1, measured(10));
        sum.merge(&figures(100, measured(20)));
        assert_eq!(sum, figures(101, measured(20)));
        sum.merge(&Stats::default());
        assert_eq!(sum, figures(101, measured(20)));
    }
}
