use std::fmt;
use std::time::Duration;

use voice_model::{CHANNELS, FRAME_SAMPLES, SAMPLE_RATE};

use crate::decode::Decode;
use crate::gain::Gain;
use crate::opus;
use crate::prefetch::{Feed, Record, Ring};
use crate::source::sample;

/// Loudest a track can be made: 40 dB above what it is.
const MAX_VOLUME: f32 = 100.0;

/// The name of a track in a [`Mixer`](crate::Mixer), given by whoever adds it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TrackId(pub u64);

/// A feed with its settings and its place, as a [`Mixer`](crate::Mixer) plays it.
pub struct Track {
    feed: Feed,
    volume: f32,
    paused: bool,
    gain: Gain,
    base: Duration,
    /// Samples of the audio that left the feed since `base`; some of them may still be in `decode`.
    left: u64,
    started: bool,
    decode: Option<Box<Decode>>,
    /// The packet that was sent last, unmixed, since then nothing was decoded.
    passed: Vec<u8>,
    pub(crate) stats: TrackStats,
}

/// What one track has gone through.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct TrackStats {
    /// Ticks in which audio was missing that the source had not delivered in time.
    pub underruns: u64,
    /// Packets dropped because they were longer than the buffer they had to go to.
    pub oversized: u64,
    /// Packets that libopus refused to decode, played as silence.
    pub undecodable: u64,
}

/// What a track has to say to this tick.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Activity {
    /// Nothing: paused, not ready yet, or an idle sink.
    Silent,
    /// It runs, at volume zero.
    Muted,
    /// It must be mixed.
    Mixed,
    /// It can pass through if nothing else sounds.
    Passing,
    /// It has ended and all of it was played.
    Over,
}

impl Track {
    /// A track that plays `feed` from its beginning, at full volume.
    pub fn new(feed: Feed) -> Self {
        Self {
            feed,
            volume: 1.0,
            paused: false,
            gain: Gain::new(1.0),
            base: Duration::ZERO,
            left: 0,
            started: false,
            decode: None,
            // The largest packet that a datagram takes, so that the audio thread need not grow it.
            passed: Vec::with_capacity(opus::MAX_FRAME + 1),
            stats: TrackStats::default(),
        }
    }

    /// At this volume: 1.0 is as loud as the source, 0.0 silent.
    #[must_use]
    pub fn volume(mut self, volume: f32) -> Self {
        self.volume = limited(volume);
        self.gain = Gain::new(if self.paused { 0.0 } else { self.volume });
        self
    }

    /// Paused or not.
    #[must_use]
    pub fn paused(mut self, paused: bool) -> Self {
        self.paused = paused;
        self.gain = Gain::new(if paused { 0.0 } else { self.volume });
        self
    }

    /// With a feed that begins at this position of the source.
    #[must_use]
    pub fn position(mut self, position: Duration) -> Self {
        self.base = position;
        self
    }

    /// Its feed, for instance to drop it where that may take a while.
    pub fn into_feed(self) -> Feed {
        self.feed
    }

    pub(crate) fn set_volume(&mut self, volume: f32, ramp: Duration) {
        self.volume = limited(volume);
        if !self.paused {
            self.gain.ramp(self.volume, sample(ramp, SAMPLE_RATE));
        }
    }

    /// PCM fades in and out over a few milliseconds; packets, which may be on their way unmixed, stop and go.
    pub(crate) fn set_paused(&mut self, paused: bool) {
        if self.paused == paused {
            return;
        }
        self.paused = paused;
        let level = if paused { 0.0 } else { self.volume };
        match self.feed.ring() {
            Some(Ring::Pcm(_)) if self.started => self.gain.ramp(level, 0),
            _ => self.gain = Gain::new(level),
        }
    }

    /// Goes on with another feed; returns the one before.
    pub(crate) fn replace(&mut self, feed: Feed, position: Duration) -> Feed {
        (self.base, self.left, self.started) = (position, 0, false);
        self.passed.clear();
        if let Some(decode) = &mut self.decode {
            decode.resume(&[]);
        }
        if self.paused {
            self.gain = Gain::new(0.0);
        }
        std::mem::replace(&mut self.feed, feed)
    }

    /// The place in the source that is heard next.
    pub(crate) fn place(&self) -> Duration {
        self.base + opus::time(self.left.saturating_sub(self.decoded() as u64))
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.paused && self.gain.is_steady()
    }

    /// Paused, or a sink that nobody has pushed anything into.
    pub(crate) fn is_resting(&self) -> bool {
        self.is_paused() || (self.feed.is_idle_sink() && self.decoded() == 0)
    }

    /// A sink that is not paused, and has packets.
    pub(crate) fn is_pushed(&self) -> bool {
        self.feed.is_sink() && !self.is_resting()
    }

    pub(crate) fn feed(&mut self) -> &mut Feed {
        &mut self.feed
    }

    /// Decoded frames that were not played yet.
    fn decoded(&self) -> usize {
        self.decode.as_ref().map_or(0, |decode| decode.frames())
    }

    /// What to do with it in this tick.
    pub(crate) fn activity(&mut self) -> Activity {
        if self.is_paused() {
            return Activity::Silent;
        }
        let ended = self.feed.end().is_some();
        let (sink, decoded, started) = (self.feed.is_sink(), self.decoded(), self.started);
        let (ready, empty, packets) = match self.feed.ring() {
            None => (false, true, false),
            Some(Ring::Pcm(ring)) => (ring.slots() >= FRAME_SAMPLES * CHANNELS, ring.is_empty(), false),
            Some(Ring::Opus(ring)) => (!ring.is_empty(), ring.is_empty() && decoded == 0, true),
        };
        if ended && empty {
            Activity::Over
        } else if (sink && empty) || !(started || ready || ended) {
            Activity::Silent
        } else if self.gain.is_silent() {
            Activity::Muted
        } else if packets && decoded == 0 && self.gain.is_unity() {
            Activity::Passing
        } else {
            Activity::Mixed
        }
    }

    /// Adds one frame of it to `sum`.
    pub(crate) fn mix(&mut self, sum: &mut [f32]) {
        let ended = self.feed.end().is_some();
        // A track that fades into a pause plays no further than the fade goes.
        let wanted = if self.paused { FRAME_SAMPLES.min(self.gain.left() as usize) } else { FRAME_SAMPLES };
        let partial = ended || self.feed.is_sink();
        let Self { feed, gain, decode, passed, .. } = self;
        let played = match feed.ring() {
            None => return,
            Some(Ring::Pcm(ring)) => {
                let frames = (ring.slots() / CHANNELS).min(wanted);
                let frames = if frames < wanted && !partial { 0 } else { frames };
                if let Ok(chunk) = ring.read_chunk(frames * CHANNELS) {
                    let (first, second) = chunk.as_slices();
                    let (head, tail) = sum[..frames * CHANNELS].split_at_mut(first.len());
                    gain.add(first, head);
                    gain.add(second, tail);
                    chunk.commit_all();
                }
                self.left += frames as u64;
                frames
            }
            Some(Ring::Opus(_)) => {
                let fresh = decode.is_none();
                let decode = decode.get_or_insert_with(|| Box::new(Decode::new()));
                if fresh || !passed.is_empty() {
                    decode.resume(passed);
                    passed.clear();
                }
                let decoded = decode.fill(feed);
                self.left += decoded.audible;
                self.stats.oversized += decoded.oversized;
                self.stats.undecodable += decoded.undecodable;
                let frames = decode.frames().min(wanted);
                let frames = if frames < wanted && !partial { 0 } else { frames };
                gain.add(decode.take(frames), &mut sum[..frames * CHANNELS]);
                frames
            }
        };
        self.started |= played > 0;
        self.stats.underruns += u64::from(played < wanted && !partial);
    }

    /// Copies its next packet to `out`: its length and its samples. `None` when there is none.
    pub(crate) fn pass(&mut self, out: &mut [u8]) -> Option<(usize, usize)> {
        let record = self.sendable(out.len())?;
        let len = usize::from(record.len);
        self.feed.pop(record, out);
        self.left += record.audible();
        self.passed.clear();
        self.passed.extend_from_slice(&out[..len]);
        self.started = true;
        Some((len, usize::from(record.samples)))
    }

    /// The next packet that fits into `room` and is heard; what does not, or is not, is dropped on the way.
    pub(crate) fn sendable(&mut self, room: usize) -> Option<Record> {
        loop {
            let record = self.feed.peek()?;
            let fits = (1..=room).contains(&usize::from(record.len));
            if fits && !record.is_preroll() {
                return Some(record);
            }
            self.feed.skip(record);
            self.left += record.audible();
            self.stats.oversized += u64::from(!fits);
        }
    }

    /// Counts a tick without the packet that should have been there.
    pub(crate) fn ran_dry(&mut self) {
        let expected = self.started && !self.feed.is_sink() && self.feed.end().is_none();
        self.stats.underruns += u64::from(expected);
    }
}

impl fmt::Debug for Track {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { feed, volume, paused, stats, .. } = self;
        f.debug_struct("Track")
            .field("feed", feed)
            .field("volume", volume)
            .field("paused", paused)
            .field("position", &self.place())
            .field("stats", stats)
            .finish_non_exhaustive()
    }
}

fn limited(volume: f32) -> f32 {
    if volume.is_nan() { 0.0 } else { volume.clamp(0.0, MAX_VOLUME) }
}
