use std::time::Duration;

use voice_model::FRAME;

/// How a [`Receiver`](crate::Receiver) buffers and what it gives out. Values out of range are brought into it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// Least target delay, see [`covered`](Self::covered). Balanced: none, at most 2 s.
    pub min_delay: Duration,
    /// Greatest target delay. Balanced: 240 ms, at least `min_delay`, at most 2 s. Packets
    /// shorter than a tick are waited for until they fill one all the same.
    pub max_delay: Duration,
    /// How many of 1,000 packets the target delay is to wait for: it follows what the latest packets took longer than the
    /// fastest of the last 2 s. Balanced: 970, at most 1,000.
    pub covered: u16,
    /// What is waited beyond that. Balanced: 8 ms, at most 2 s.
    pub margin: Duration,
    /// Waits one packet longer while losses are recovered from the packets after them. Balanced: yes.
    pub await_redundancy: bool,
    /// Speech is made faster or slower, by 10 % at most, where the delay is wrong; otherwise pauses only are. Clocks that
    /// drift apart where there are no pauses are followed all the same: once the delay has been wrong for 10 s, speech
    /// becomes shorter or longer by at most 15 ms. In packets mode nothing is stretched; once the delay has been more than
    /// 20 ms too long for 10 s, one packet is skipped. Balanced: yes.
    pub stretch: bool,
    /// Hard limit: when more is buffered, the oldest packets are skipped down to the target. Balanced: 400 ms, at least
    /// 60 ms more than `max_delay`.
    pub max_depth: Duration,
    /// Longest stretch of lost or late audio that is concealed, fading out; silence follows. Default 120 ms.
    pub max_concealment: Duration,
    /// After this long without a packet to play, a speaker is idle: it yields nothing until its next packet. After
    /// silence frames it is idle at once. Default 200 ms.
    pub idle_after: Duration,
    /// Speakers kept, idle ones included; a further one evicts the one that has been quiet longest. Default 256.
    pub max_speakers: usize,
    /// Packets buffered per speaker, rounded up to a power of two from 16 to 1,024; the target delay is at most what three
    /// of four of them last, whatever `min_delay` says. Beyond, the oldest are skipped. Default 128.
    pub max_packets: usize,
    /// What comes out of a speaker for whom nothing else is [set](crate::Receiver::set_decode). Default PCM.
    pub decode: Decode,
    /// What the deep networks of libopus do. Default nothing: every decoder grows from 27 to about 200 KiB with them.
    #[cfg(feature = "deep")]
    pub deep: Deep,
}

/// Deep networks of libopus 1.6, of which each step includes the ones before it.
#[cfg(feature = "deep")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Deep {
    /// None.
    #[default]
    Off,
    /// Lost packets are concealed by a network, and brought back from the deep redundancy (DRED) of a later packet where
    /// it has any.
    Concealment,
    /// Speech of low bit rates (SILK) is enhanced as well (OSCE): several times the work for every packet.
    Enhancement,
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

/// What matters most about the delay; see [`Config::preset`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Preset {
    /// Conversation: on a clean link at most 20 ms between the arrival of a packet and the tick that gives it out.
    LowLatency,
    /// On a clean link at most 30 ms; a few packets of 1,000 are too late on a bad one.
    #[default]
    Balanced,
    /// Hardly a packet is too late, and nothing is stretched but where clocks drift apart: at least 100 ms.
    Recording,
}

impl Default for Config {
    /// That of [`Preset::Balanced`].
    fn default() -> Self {
        Self {
            min_delay: Duration::ZERO,
            max_delay: Duration::from_millis(240),
            covered: 970,
            margin: Duration::from_millis(8),
            await_redundancy: true,
            stretch: true,
            max_depth: Duration::from_millis(400),
            max_concealment: Duration::from_millis(120),
            idle_after: Duration::from_millis(200),
            max_speakers: 256,
            max_packets: 128,
            decode: Decode::Pcm,
            #[cfg(feature = "deep")]
            deep: Deep::Off,
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
    /// The defaults, but for what the preset says about the delay.
    pub fn preset(preset: Preset) -> Self {
        let (balanced, millis) = (Self::default(), Duration::from_millis);
        match preset {
            Preset::LowLatency => {
                balanced.max_delay(millis(120)).covered(900).margin(Duration::ZERO).await_redundancy(false)
            }
            Preset::Balanced => balanced,
            Preset::Recording => balanced
                .min_delay(millis(100))
                .max_delay(millis(1000))
                .covered(999)
                .margin(millis(40))
                .stretch(false)
                .max_depth(millis(2000)),
        }
    }

    /// A fixed target delay: sets [`min_delay`](Self#structfield.min_delay) and
    /// [`max_delay`](Self#structfield.max_delay).
    #[must_use]
    pub fn delay(self, delay: Duration) -> Self {
        self.min_delay(delay).max_delay(delay)
    }

    setters! {
        /// Sets [`min_delay`](Self#structfield.min_delay).
        min_delay: Duration,
        /// Sets [`max_delay`](Self#structfield.max_delay).
        max_delay: Duration,
        /// Sets [`covered`](Self#structfield.covered).
        covered: u16,
        /// Sets [`margin`](Self#structfield.margin).
        margin: Duration,
        /// Sets [`await_redundancy`](Self#structfield.await_redundancy).
        await_redundancy: bool,
        /// Sets [`stretch`](Self#structfield.stretch).
        stretch: bool,
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

    /// Sets [`deep`](Self#structfield.deep).
    #[cfg(feature = "deep")]
    #[must_use]
    pub fn deep(mut self, deep: Deep) -> Self {
        self.deep = deep;
        self
    }

    /// Of libopus' decoders.
    pub(crate) fn complexity(&self) -> u8 {
        #[cfg(feature = "deep")]
        return match self.deep {
            Deep::Off => 0,
            Deep::Concealment => 5,
            Deep::Enhancement => 10,
        };
        #[cfg(not(feature = "deep"))]
        0
    }

    /// The same settings, each inside its range.
    pub(crate) fn in_range(mut self) -> Self {
        let longest = Duration::from_secs(2);
        self.min_delay = self.min_delay.min(longest);
        self.max_delay = self.max_delay.clamp(self.min_delay, longest);
        self.covered = self.covered.min(1000);
        self.margin = self.margin.min(longest);
        self.max_depth = self.max_depth.clamp(self.max_delay + 3 * FRAME, 2 * longest);
        self.max_concealment = self.max_concealment.min(longest);
        self.idle_after = self.idle_after.clamp(self.max_concealment, 2 * longest);
        self.max_speakers = self.max_speakers.max(1);
        self.max_packets = self.max_packets.clamp(16, 1024).next_power_of_two();
        self
    }
}
