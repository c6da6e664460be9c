use std::time::Duration;

/// How a [`Receiver`](crate::Receiver) buffers and what it gives out. Values out of range are brought into it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// Fixed target depth of the jitter buffer: how long packets may be delayed or out of order without a gap.
    /// Default 60 ms, at most 2 s.
    pub depth: Duration,
    /// How much more than `depth` may be buffered before a pause is shortened. Default 40 ms.
    pub slack: Duration,
    /// Hard limit: when more is buffered, the oldest packets are skipped down to `depth`. Default 400 ms, at least
    /// `depth + slack`.
    pub max_depth: Duration,
    /// Longest stretch of lost or late audio that is concealed, fading out; silence follows. Default 120 ms.
    pub max_concealment: Duration,
    /// After this long without a packet to play, a speaker is idle: it yields nothing until its next packet. After
    /// silence frames it is idle at once. Default 200 ms.
    pub idle_after: Duration,
    /// Speakers kept, idle ones included; a further one evicts the one that has been quiet longest. Default 256.
    pub max_speakers: usize,
    /// Packets buffered per speaker, rounded up to a power of two from 16 to 1,024. Default 128.
    pub max_packets: usize,
    /// What comes out of a speaker for whom nothing else is [set](crate::Receiver::set_decode). Default PCM.
    pub decode: Decode,
}

/// What a speaker gives out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Decode {
    /// Nothing: packets are counted and dropped.
    Off,
    /// Opus packets, in order and when they are due, and the places of the lost ones; no decoder is made.
    Packets,
    /// Decoded audio: 960 samples per channel in every tick while the speaker is active.
    Pcm,
    /// In every tick the packets that became due, as with `Packets`, then the samples, as with `Pcm`.
    Both,
}

impl Decode {
    /// Samples are wanted.
    pub(crate) fn pcm(self) -> bool {
        matches!(self, Self::Pcm | Self::Both)
    }

    /// Packets are wanted.
    pub(crate) fn packets(self) -> bool {
        matches!(self, Self::Packets | Self::Both)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            depth: Duration::from_millis(60),
            slack: Duration::from_millis(40),
            max_depth: Duration::from_millis(400),
            max_concealment: Duration::from_millis(120),
            idle_after: Duration::from_millis(200),
            max_speakers: 256,
            max_packets: 128,
            decode: Decode::Pcm,
        }
    }
}

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident: $kind:ty,)*) => {
        $($(#[$doc])*
        #[must_use]
        pub fn $name(mut self, $name: $kind) -> Self {
            self.$name = $name;
            self
        })*
    };
}

impl Config {
    setters! {
        /// Sets [`depth`](Self#structfield.depth).
        depth: Duration,
        /// Sets [`slack`](Self#structfield.slack).
        slack: Duration,
        /// Sets [`max_depth`](Self#structfield.max_depth).
        max_depth: Duration,
        /// Sets [`max_concealment`](Self#structfield.max_concealment).
        max_concealment: Duration,
        /// Sets [`idle_after`](Self#structfield.idle_after).
        idle_after: Duration,
        /// Sets [`max_speakers`](Self#structfield.max_speakers).
        max_speakers: usize,
        /// Sets [`max_packets`](Self#structfield.max_packets).
        max_packets: usize,
        /// Sets [`decode`](Self#structfield.decode).
        decode: Decode,
    }

    /// The same settings, each inside its range.
    pub(crate) fn in_range(mut self) -> Self {
        let longest = Duration::from_secs(2);
        self.depth = self.depth.min(longest);
        self.slack = self.slack.min(longest);
        self.max_depth = self.max_depth.clamp(self.depth + self.slack, 2 * longest);
        self.max_concealment = self.max_concealment.min(longest);
        self.idle_after = self.idle_after.clamp(self.max_concealment, 2 * longest);
        self.max_speakers = self.max_speakers.max(1);
        self.max_packets = self.max_packets.clamp(16, 1024).next_power_of_two();
        self
    }
}
