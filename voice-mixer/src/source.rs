use std::time::Duration;

use crate::{Metadata, SourceError};

/// Where audio comes from: a file, a generator, a decoder of your own.
///
/// A source lives on a reader thread behind [`prefetch::Reader`](crate::prefetch::Reader): it may block, allocate and
/// fail without an audio thread ever noticing more than an empty ring.
pub trait Source: Send {
    /// Opens what is behind the source, if that has not happened yet, and says what it yields.
    ///
    /// Called before the first [`read`](Source::read) and again whenever somebody wants to know: opening is idempotent.
    ///
    /// # Errors
    ///
    /// Whatever keeps the source from yielding audio at all; it is not asked again.
    fn open(&mut self) -> Result<Info, SourceError>;

    /// Fills `chunk`, which comes empty, with the next PCM or the next Opus packet; `false` at the end.
    ///
    /// A chunk left empty with `true` means "call again". A few milliseconds to a few hundred are a good size.
    ///
    /// # Errors
    ///
    /// Ends the source. What was yielded before is still played.
    fn read(&mut self, chunk: &mut Chunk) -> Result<bool, SourceError>;

    /// Goes to the sample (PCM) or the packet (Opus) that sounds at `to`, and returns the exact time of the first
    /// audible sample that [`read`](Source::read) yields next. Past the end it goes to the end.
    ///
    /// # Errors
    ///
    /// [`SourceError::Unseekable`] leaves the source where it was; any other error ends it.
    fn seek(&mut self, to: Duration) -> Result<Duration, SourceError>;

    /// Whether [`open`](Source::open) or [`read`](Source::read), whichever comes next, can be expected not to wait for
    /// somebody else: the network, another program. A source that is not ready is asked again some milliseconds later, and
    /// holds no thread meanwhile.
    fn is_ready(&mut self) -> bool {
        true
    }

    /// The same audio once more, from its beginning, not opened: what repeats and goes back in queues is made of. `None`
    /// when it can be had only once.
    ///
    /// Unlike the others this is called wherever a queue is changed: it must be quick, and not come back to that queue.
    fn fresh(&self) -> Option<Box<dyn Source>> {
        None
    }
}

impl<T: Source + ?Sized> Source for Box<T> {
    fn open(&mut self) -> Result<Info, SourceError> {
        (**self).open()
    }

    fn read(&mut self, chunk: &mut Chunk) -> Result<bool, SourceError> {
        (**self).read(chunk)
    }

    fn seek(&mut self, to: Duration) -> Result<Duration, SourceError> {
        (**self).seek(to)
    }

    fn is_ready(&mut self) -> bool {
        (**self).is_ready()
    }

    fn fresh(&self) -> Option<Box<dyn Source>> {
        (**self).fresh()
    }
}

/// What a source yields.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// Interleaved samples, full scale at 1.0.
    Pcm {
        /// Samples per second and channel.
        rate: u32,
        /// 1 to 8, in the order of WAVE files: front left, front right, front centre, LFE, ...
        channels: u16,
    },
    /// Opus packets (RFC 6716), mono or stereo.
    Opus,
}

/// What is known about a source once it is open.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct Info {
    /// Kind of the chunks to come; rate and channels may change on the way, the kind may not.
    pub format: Format,
    /// Length, where the source knows it.
    pub duration: Option<Duration>,
    /// Whether [`Source::seek`] can work.
    pub seekable: bool,
    /// Tags as the file has them, at most 64 of text: `("TITLE", "..")`.
    pub tags: Vec<(String, String)>,
    /// What it is called, and by whom it is.
    pub metadata: Metadata,
    /// Integrated loudness by its ReplayGain or R128 tags, in LUFS.
    pub loudness: Option<f32>,
}

impl Info {
    /// A source of this format, of unknown length, unseekable, without tags.
    pub fn new(format: Format) -> Self {
        Self {
            format,
            duration: None,
            seekable: false,
            tags: Vec::new(),
            metadata: Metadata::default(),
            loudness: None,
        }
    }

    /// With this length.
    #[must_use]
    pub fn duration(mut self, duration: Option<Duration>) -> Self {
        self.duration = duration;
        self
    }

    /// With or without seeking.
    #[must_use]
    pub fn seekable(mut self, seekable: bool) -> Self {
        self.seekable = seekable;
        self
    }

    /// With this metadata.
    #[must_use]
    pub fn metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = metadata;
        self
    }

    /// With this loudness, in LUFS.
    #[must_use]
    pub fn loudness(mut self, loudness: Option<f32>) -> Self {
        self.loudness = loudness;
        self
    }
}

/// One helping of a source: some PCM, or one Opus packet. Its buffers are reused.
#[derive(Debug, Default)]
pub struct Chunk {
    pub(crate) samples: Vec<f32>,
    pub(crate) rate: u32,
    pub(crate) channels: u16,
    pub(crate) packet: Vec<u8>,
    pub(crate) skip: u32,
    pub(crate) trim: u32,
    pub(crate) metadata: Option<Box<Metadata>>,
}

impl Chunk {
    /// An empty chunk.
    pub fn new() -> Self {
        Self::default()
    }

    /// Empties the chunk.
    pub fn clear(&mut self) {
        self.samples.clear();
        self.packet.clear();
        (self.skip, self.trim) = (0, 0);
        self.metadata = None;
    }

    /// Says that from this chunk on something else is heard: the next title of a radio station.
    pub fn set_metadata(&mut self, metadata: Metadata) {
        self.metadata = Some(Box::new(metadata));
    }

    /// What begins with this chunk, when something does.
    pub fn metadata(&self) -> Option<&Metadata> {
        self.metadata.as_deref()
    }

    /// The buffer to append interleaved samples to, at `rate` Hz, in `channels` channels (1 to 8).
    pub fn pcm(&mut self, rate: u32, channels: u16) -> &mut Vec<f32> {
        (self.rate, self.channels) = (rate, channels);
        &mut self.samples
    }

    /// Makes this chunk one Opus packet, of which the first `skip` and the last `trim` samples (at 48 kHz, per channel)
    /// are not part of the audio: pre-skip, pre-roll after a seek, padding at the end.
    pub fn set_packet(&mut self, packet: &[u8], skip: u32, trim: u32) {
        self.packet.clear();
        self.packet.extend_from_slice(packet);
        (self.skip, self.trim) = (skip, trim);
    }

    /// The interleaved samples in it.
    pub fn samples(&self) -> &[f32] {
        &self.samples
    }

    /// The Opus packet in it; empty when there is none.
    pub fn packet(&self) -> &[u8] {
        &self.packet
    }

    /// How many samples at the beginning and at the end of [`packet`](Self::packet) are not part of the audio.
    pub fn cut(&self) -> (u32, u32) {
        (self.skip, self.trim)
    }

    /// Rate in Hz and channels of [`samples`](Self::samples).
    pub fn layout(&self) -> (u32, u16) {
        (self.rate, self.channels)
    }
}

/// How long `samples` last at `rate`, rounded to the nanosecond.
pub fn time(samples: u64, rate: u32) -> Duration {
    let rate = u64::from(rate.max(1));
    Duration::new(samples / rate, ((samples % rate * 1_000_000_000 + rate / 2) / rate) as u32)
}

/// The sample at `rate` that is nearest to `time`.
pub fn sample(time: Duration, rate: u32) -> u64 {
    let exact = (time.as_nanos() * u128::from(rate) + 500_000_000) / 1_000_000_000;
    u64::try_from(exact).unwrap_or(u64::MAX)
}
