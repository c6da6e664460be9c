//! PCM that is pushed from outside while it is being played: speech of an agent.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rtrb::{Producer, RingBuffer};
use voice_model::{CHANNELS, SAMPLE_RATE};

use super::Feed;
use super::ending::Ending;
use super::feed::Ring;
use crate::opus::time as time_at_48k;
use crate::resample::{Converter, RATES};
use crate::source::{sample, time};
use crate::stereo::{MAX_CHANNELS, to_stereo};

mod config;
mod outlet;

pub use config::{PushConfig, PushError};
pub(crate) use outlet::Outlet;
use outlet::{Bell, Shared};

/// Least that is queued, so that a tick of 20 ms always finds its samples together.
const MIN_CAPACITY: Duration = Duration::from_millis(120);
const MAX_CAPACITY: Duration = Duration::from_secs(60);

/// Frames beyond the capacity: what is pushed right after a flush need not wait until the flush is done.
const SPARE: u64 = 4_800;

/// Frames that are converted at once.
const PIECE: usize = 1_024;

const RATE: u64 = SAMPLE_RATE as u64;

/// A feed of PCM that is pushed from outside, converted on the pushing side.
///
/// `on_drain` is called on the audio thread when the queue falls below [`low_water`](PushConfig::low_water), when it has
/// become empty, when a flush was done and when the feed is dropped; it must not block, waking a task is what it is for.
///
/// Without samples it is idle: no underrun is counted. Resampling delays the sound by at most 10 ms; at 48 kHz by nothing.
///
/// # Errors
///
/// [`PushError`]: rate or channels cannot be played.
pub fn pcm_sink(config: PushConfig, on_drain: Arc<dyn Fn() + Send + Sync>) -> Result<(PcmPusher, Feed), PushError> {
    let PushConfig { rate, channels, capacity, prebuffer, fade_in, low_water } = config;
    if !RATES.contains(&rate) {
        return Err(PushError::Rate(rate));
    }
    if !(1..=MAX_CHANNELS).contains(&channels) {
        return Err(PushError::Channels(channels));
    }
    let converter =
        Converter::prompt(rate).map_err(|error| PushError::Resampler { rate, reason: error.to_string() })?;
    let capacity = sample(capacity.clamp(MIN_CAPACITY, MAX_CAPACITY), SAMPLE_RATE);
    let part = |length: Duration| sample(length, SAMPLE_RATE).min(capacity / 2);
    let (ring, consumer) = RingBuffer::new((capacity + SPARE) as usize * CHANNELS);
    let (shared, end) = (Arc::<Shared>::default(), Arc::<Ending>::default());
    let outlet = Outlet::new(
        consumer,
        Arc::clone(&shared),
        outlet::Settings { prebuffer: part(prebuffer), fade_in: part(fade_in), low_water: part(low_water) },
        Bell(on_drain),
    );
    let feed = Feed::open(Ring::Pushed(Box::new(outlet)), Arc::clone(&end));
    let pusher = PcmPusher {
        ring,
        shared,
        end,
        converter,
        rate,
        channels,
        capacity,
        low_water: part(low_water),
        pending: Vec::new(),
        pushed: 0,
        accepted: 0,
        origin: Origin::default(),
        base: Base::default(),
        dropped: 0,
        flushes: 0,
        flushing: None,
    };
    Ok((pusher, feed))
}

/// The end of a [`pcm_sink`] that samples are pushed into. Dropping it [finishes](Self::finish) it.
///
/// Counts of samples are per channel, at the rate that is pushed, since the sink was made.
pub struct PcmPusher {
    ring: Producer<f32>,
    shared: Arc<Shared>,
    end: Arc<Ending>,
    converter: Converter,
    rate: u32,
    channels: u16,
    /// Frames at 48 kHz.
    capacity: u64,
    low_water: u64,
    /// Converted, on its way into the ring.
    pending: Vec<f32>,
    /// Frames that went into the ring.
    pushed: u64,
    /// Samples that were taken.
    accepted: u64,
    origin: Origin,
    base: Base,
    /// Samples that flushes dropped.
    dropped: u64,
    flushes: u64,
    flushing: Option<Flushing>,
}

/// Where the resampler began anew: frames in the ring and samples taken before.
#[derive(Clone, Copy, Default)]
struct Origin {
    frames: u64,
    samples: u64,
}

/// What was heard and played when the last flush was done: what rounding there was ends there.
#[derive(Clone, Copy, Default)]
struct Base {
    heard: u64,
    played: u64,
}

/// A flush that is not known to be done.
struct Flushing {
    generation: u64,
    /// Samples taken before it.
    accepted: u64,
}

/// What became of samples that were pushed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub struct Pushed {
    /// How many elements of the slice were taken: whole frames of all channels. There is no room for the others now; push
    /// them again when `on_drain` was called.
    pub taken: usize,
    /// Nothing is taken any more: the feed was dropped, or the sink finished.
    pub is_closed: bool,
}

/// What a flush came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Flushed {
    /// Samples per channel at the rate that is pushed, of all that was pushed before the flush, that were heard.
    pub played_samples: u64,
    /// How many were dropped, by this flush and others that were asked for while it was not known to be done.
    pub dropped_samples: u64,
    /// `played_samples` as time.
    pub played: Duration,
}

impl PcmPusher {
    /// Queues as many interleaved samples as there is room for, full scale at 1.0. Never blocks.
    ///
    /// A frame of all channels is never split: what is left over of one at the end is not taken.
    pub fn push(&mut self, samples: &[f32]) -> Pushed {
        self.take(samples, to_stereo)
    }

    /// As [`push`](Self::push), with 16-bit samples.
    pub fn push_i16(&mut self, samples: &[i16]) -> Pushed {
        let mut floats = [0.0; PIECE];
        self.take(samples, |piece, channels, out| {
            for part in piece.chunks(PIECE - PIECE % usize::from(channels)) {
                for (float, sample) in floats.iter_mut().zip(part) {
                    *float = f32::from(*sample) / 32_768.0;
                }
                to_stereo(&floats[..part.len()], channels, out);
            }
        })
    }

    fn take<T>(&mut self, samples: &[T], mut convert: impl FnMut(&[T], u16, &mut Vec<f32>)) -> Pushed {
        if self.is_closed() {
            return Pushed { taken: 0, is_closed: true };
        }
        let channels = usize::from(self.channels);
        let frames = (samples.len() / channels).min(self.room());
        let taken = frames * channels;
        for piece in samples[..taken].chunks(PIECE * channels) {
            convert(piece, self.channels, self.converter.input());
            self.converter.convert(&mut self.pending);
            self.deliver();
        }
        self.accepted += frames as u64;
        Pushed { taken, is_closed: false }
    }

    /// Lets all that was taken be heard, to its last sample, though nothing follows for now: without this, up to 10 ms wait
    /// in the resampler for what comes next.
    pub fn complete(&mut self) {
        let left = self.due().saturating_sub(self.pushed);
        if left > 0 {
            self.converter.finish(&mut self.pending);
            // The total is right to the sample however often this is done.
            let wanted = left as usize * CHANNELS;
            self.pending.truncate(wanted);
            self.pending.resize(wanted, 0.0);
            self.deliver();
        }
        self.converter.reset();
    }

    /// The end: the feed ends when all that was taken has been played. A flush is still possible.
    pub fn finish(&mut self) {
        if self.end.get().is_none() {
            self.complete();
            self.end.set(Ok(()));
        }
    }

    /// Barge-in: silence within one tick, fading over at most 5 ms. What was pushed before and not heard is dropped, what
    /// is pushed from now on is kept. [`poll_flushed`](Self::poll_flushed) says what it came to.
    pub fn flush(&mut self) {
        // A flush that is done counts for itself.
        let _ = self.settle();
        self.converter.reset();
        self.pending.clear();
        self.origin = Origin { frames: self.pushed, samples: self.accepted };
        self.flushes += 1;
        self.flushing = Some(Flushing { generation: self.flushes, accepted: self.accepted });
        // The count that is seen together with `asked` is this one or a later one's.
        self.shared.flush_to.store(self.pushed, Ordering::Relaxed);
        self.shared.asked.store(self.flushes, Ordering::Release);
    }

    /// What the last flush came to, once, when the audio thread has done it, or the feed was dropped.
    pub fn poll_flushed(&mut self) -> Option<Flushed> {
        self.settle()
    }

    fn settle(&mut self) -> Option<Flushed> {
        let Flushing { generation, accepted } = *self.flushing.as_ref()?;
        let closed = self.ring.is_abandoned();
        let heard = if self.shared.done.load(Ordering::Acquire) == generation {
            self.shared.heard_then.load(Ordering::Relaxed)
        } else if closed {
            self.shared.heard.load(Ordering::Acquire)
        } else {
            return None;
        };
        self.flushing = None;
        let played_samples = self.played_at(heard).min(accepted - self.dropped);
        let dropped_samples = accepted - self.dropped - played_samples;
        self.dropped += dropped_samples;
        self.base = Base { heard, played: played_samples };
        Some(Flushed { played_samples, dropped_samples, played: time(played_samples, self.rate) })
    }

    /// Samples that were played: the place in what was pushed, without what was dropped.
    pub fn played_samples(&self) -> u64 {
        self.played_at(self.shared.heard.load(Ordering::Acquire)).min(self.accepted - self.dropped)
    }

    /// [`played_samples`](Self::played_samples) as time.
    pub fn played(&self) -> Duration {
        time(self.played_samples(), self.rate)
    }

    /// How much was taken and is still to be played.
    pub fn queued(&self) -> Duration {
        time_at_48k(self.due().saturating_sub(self.gone()))
    }

    /// Whether less than [`low_water`](PushConfig::low_water) is ready to be played.
    pub fn is_low(&self) -> bool {
        self.pushed.saturating_sub(self.gone()) < self.low_water
    }

    /// Whether nothing is taken any more: the feed was dropped, or the sink finished.
    pub fn is_closed(&self) -> bool {
        self.ring.is_abandoned() || self.end.get().is_some()
    }

    /// Interleaved channels of what is pushed.
    pub fn channels(&self) -> u16 {
        self.channels
    }

    /// Samples per second and channel of what is pushed.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// Source samples in so many frames that were heard.
    fn played_at(&self, heard: u64) -> u64 {
        self.base.played + (heard.saturating_sub(self.base.heard) * u64::from(self.rate) + RATE / 2) / RATE
    }

    /// Frames that will have gone into the ring when all that was taken is converted.
    fn due(&self) -> u64 {
        let rate = u64::from(self.rate);
        self.origin.frames + ((self.accepted - self.origin.samples) * RATE + rate / 2) / rate
    }

    /// Frames that have left the ring, or will with the flush.
    fn gone(&self) -> u64 {
        let flushed = if self.flushing.is_some() { self.origin.frames } else { 0 };
        self.shared.left.load(Ordering::Acquire).max(flushed)
    }

    /// Samples that there is room for.
    fn room(&self) -> usize {
        let left = self.shared.left.load(Ordering::Acquire);
        // A flush that is not done makes no room in the ring yet; a frame is kept for rounding.
        let limit = (self.gone() + self.capacity).min(left + self.capacity + SPARE - 1);
        (limit.saturating_sub(self.due()) * u64::from(self.rate) / RATE) as usize
    }

    /// Moves what is converted into the ring, which has room for it.
    fn deliver(&mut self) {
        let (done, _) = self.ring.push_partial_slice(&self.pending);
        let len = done.len();
        self.pushed += (len / CHANNELS) as u64;
        self.pending.drain(..len);
    }
}

impl Drop for PcmPusher {
    fn drop(&mut self) {
        self.finish();
    }
}

impl fmt::Debug for PcmPusher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rate, channels, accepted, .. } = self;
        f.debug_struct("PcmPusher")
            .field("rate", rate)
            .field("channels", channels)
            .field("taken", accepted)
            .field("played", &self.played_samples())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
