use std::time::Duration;

use crate::Latency;

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
    /// Samples per channel recovered from the deep redundancy of a later packet (feature `deep`).
    pub dred_samples: u64,
    /// Samples per channel that were made up because their packet was missing.
    pub concealed_samples: u64,
    /// Those of them that were made up while the packet might still have come, and the stream stood still.
    pub held_samples: u64,
    /// Samples per channel taken out of speech to bring the delay down.
    pub accelerated_samples: u64,
    /// Samples per channel put into speech to bring the delay up.
    pub expanded_samples: u64,
    /// Samples per channel by which pauses were made shorter to bring the delay down.
    pub shortened_samples: u64,
    /// Samples per channel of silence given out: silence frames, pauses, and what exceeds the concealment.
    pub silence: u64,
    /// Samples per channel that arrived and were skipped: to bring the delay down, for want of room, or because the stream
    /// began anew before they were played.
    pub skipped_samples: u64,
    /// How often play-out went to another place of the stream: sender restarted, timestamp jumped, delay brought down.
    pub resyncs: u64,
    /// Ticks that gave out audio of this speaker; in packets mode, packets and places of lost ones.
    pub frames: u64,
    /// Audio buffered after the last tick.
    pub depth: Duration,
    /// What the delay is meant to be: how long the next packet is waited for after the fastest could have come.
    pub target: Duration,
    /// How long packets waited from their arrival to the tick that gave them out.
    pub delay: Latency,
    /// Longest stretch amid speech that no packet gave; of silence that was not announced, `idle_after` at most.
    pub longest_gap: Duration,
    /// Interarrival jitter (RFC 3550, section 6.4.1).
    pub jitter: Duration,
}

impl Stats {
    /// Adds the figures of another stream of the same person: counts add up; depth, target and jitter are the other's,
    /// when it has received anything; of the longest gaps the longer remains.
    pub fn merge(&mut self, later: &Stats) {
        self.received += later.received;
        self.duplicate += later.duplicate;
        self.late += later.late;
        self.lost += later.lost;
        self.malformed += later.malformed;
        self.fec += later.fec;
        self.fec_samples += later.fec_samples;
        self.dred_samples += later.dred_samples;
        self.concealed_samples += later.concealed_samples;
        self.held_samples += later.held_samples;
        self.accelerated_samples += later.accelerated_samples;
        self.expanded_samples += later.expanded_samples;
        self.shortened_samples += later.shortened_samples;
        self.silence += later.silence;
        self.skipped_samples += later.skipped_samples;
        self.resyncs += later.resyncs;
        self.frames += later.frames;
        self.delay.merge(&later.delay);
        self.longest_gap = self.longest_gap.max(later.longest_gap);
        if later.received > 0 {
            (self.depth, self.target, self.jitter) = (later.depth, later.target, later.jitter);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Stats;
    use crate::Latency;

    #[test]
    fn merging_adds_counts_and_keeps_the_latest_measurements() {
        let measured = |millis| [0_u64, 1, 2].map(|more| Duration::from_millis(millis + more));
        let delay = |millis: &[u64]| {
            let mut delay = Latency::default();
            millis.iter().for_each(|millis| delay.add(Duration::from_millis(*millis)));
            delay
        };
        let figures = |by: u64, [depth, target, jitter]: [Duration; 3], delay| Stats {
            received: by,
            duplicate: 2 * by,
            late: 3 * by,
            lost: 4 * by,
            malformed: 5 * by,
            fec: 6 * by,
            fec_samples: 7 * by,
            concealed_samples: 8 * by,
            dred_samples: 13 * by,
            held_samples: 14 * by,
            accelerated_samples: 15 * by,
            expanded_samples: 16 * by,
            shortened_samples: 17 * by,
            silence: 9 * by,
            skipped_samples: 10 * by,
            resyncs: 11 * by,
            frames: 12 * by,
            depth,
            target,
            delay,
            longest_gap: depth,
            jitter,
        };
        let mut sum = figures(1, measured(10), delay(&[5, 30]));
        sum.merge(&figures(100, measured(20), delay(&[7])));
        assert_eq!(sum, figures(101, measured(20), delay(&[5, 7, 30])));
        sum.merge(&Stats::default());
        assert_eq!(sum, figures(101, measured(20), delay(&[5, 7, 30])));
    }
}
