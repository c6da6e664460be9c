use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rtrb::{Producer, RingBuffer};
use voice_model::{CHANNELS, SAMPLE_RATE};

use super::ending::Ending;
use super::feed::{Arrived, End, Opened, Ring};
use super::inlet::{Inlet, MAX_PACKET, Packets};
use super::mark::{Mark, MarkKind};
use super::record::Record;
use super::{Config, Feed, Loops};
use crate::resample::{Converter, RATES};
use crate::source::sample;
use crate::stereo::{MAX_CHANNELS, to_stereo};
use crate::{Chunk, Format, Info, Source, SourceError, opus};

/// Less than this and a frame of 60 ms might never find its samples together.
const MIN_LENGTH: Duration = Duration::from_millis(120);

/// Marks that wait to be passed: titles and repetitions are seldom, and a reader waits when there are more.
const MAX_MARKS: usize = 16;

/// Things that a feed is handed over at the same time: the source, a larger ring, and its marks.
const HANDED: usize = 3;

/// How much louder or quieter, in dB, tags can make a source.
const MAX_CORRECTION: f32 = 24.0;

/// The reader thread's end of the ring: owns the source, decodes and converts to 48 kHz stereo.
pub struct Reader {
    source: Box<dyn Source>,
    config: Config,
    info: Option<Arc<Info>>,
    chunk: Chunk,
    converter: Option<Converter>,
    /// Converted samples (PCM) that have no room in the ring yet.
    pending: Vec<f32>,
    pushed: usize,
    /// Header of the packet in `chunk` that has no room in the ring yet.
    record: Option<Record>,
    arrival: Producer<Arrived>,
    ring: Option<Inlet>,
    /// Of the feed before a seek, as long as that plays on: its memory is not to be freed where it is played.
    former: Option<Inlet>,
    marks: Option<Producer<Mark>>,
    /// A mark that has no room yet.
    mark: Option<Mark>,
    /// Audible samples that went towards the ring, and how many of them had when the source last began again.
    yielded: u64,
    began: u64,
    end: Arc<Ending>,
    /// The source has nothing more; what is pending goes first.
    drained: Option<End>,
}

/// What one [`Reader::step`] came to.
#[derive(Debug)]
#[non_exhaustive]
pub enum Step {
    /// Something was done; call again.
    Progress,
    /// The ring is full: nothing to do until the feed has drained some, call again in a few milliseconds.
    Full,
    /// The source waits for somebody else; call again in a few milliseconds.
    Waiting,
    /// The source has ended and all of it is in the ring. Nothing more to do, but a seek can start anew.
    Ended,
    /// The source failed; what it had yielded is in the ring. Nothing more to do, but a seek can start anew.
    Failed(SourceError),
    /// The feed was dropped: nobody listens.
    Abandoned,
}

impl Reader {
    pub(super) fn new(source: Box<dyn Source>, config: Config) -> (Self, Feed) {
        let (arrival, end, feed) = connection();
        let reader = Self {
            source,
            config,
            info: None,
            chunk: Chunk::new(),
            converter: None,
            pending: Vec::new(),
            pushed: 0,
            record: None,
            arrival,
            ring: None,
            former: None,
            marks: None,
            mark: None,
            yielded: 0,
            began: 0,
            end,
            drained: None,
        };
        (reader, feed)
    }

    /// What is known about the source; `None` before it is open.
    pub fn info(&self) -> Option<&Arc<Info>> {
        self.info.as_ref()
    }

    /// How often the source begins again from now on, which matters when it next comes to its end. What has been read ahead
    /// of the track is not taken back.
    pub fn set_loops(&mut self, loops: Loops) {
        self.config.loops = loops;
    }

    /// For about how long what has been read ahead lasts.
    pub fn lasts(&self) -> Duration {
        self.ring.as_ref().map_or(Duration::ZERO, Inlet::lasts)
    }

    /// Reads ahead a little: opens the source, or fetches a chunk of it, or moves what was fetched into the ring.
    ///
    /// Blocks as long as the source does.
    pub fn step(&mut self) -> Step {
        if self.arrival.is_abandoned() {
            return Step::Abandoned;
        }
        match self.end.get() {
            Some(Ok(())) => return Step::Ended,
            Some(Err(error)) => return Step::Failed(error.clone()),
            None => {}
        }
        if let Some(step) = self.deliver() {
            return step;
        }
        if let Some(end) = self.drained.take() {
            let step = match &end {
                Ok(()) => Step::Ended,
                Err(error) => Step::Failed(error.clone()),
            };
            // Set once per connection: the branch above returns from then on.
            self.end.set(end);
            return step;
        }
        if !self.source.is_ready() {
            return Step::Waiting;
        }
        if let Err(error) = self.fetch() {
            self.finish_pcm();
            self.drained = Some(Err(error));
        }
        Step::Progress
    }

    /// Goes to `to` and starts a fresh ring, whose feed is to replace the old one
    /// ([`Mixer::replace`](crate::Mixer::replace)); also returns the exact time of its first sample or packet.
    ///
    /// # Errors
    ///
    /// The source's. After [`SourceError::Unseekable`] everything goes on as if nothing had been asked.
    pub fn seek(&mut self, to: Duration) -> Result<(Feed, Duration), SourceError> {
        self.open()?;
        let at = match self.source.seek(to) {
            Ok(at) => at,
            Err(error) => {
                if !matches!(error, SourceError::Unseekable { .. }) && self.drained.is_none() {
                    self.drained = Some(Err(error.clone()));
                }
                return Err(error);
            }
        };
        let (arrival, end, feed) = connection();
        (self.arrival, self.end) = (arrival, end);
        self.former = self.ring.take();
        (self.drained, self.converter, self.record) = (None, None, None);
        (self.marks, self.mark, self.yielded, self.began) = (None, None, 0, 0);
        self.pending.clear();
        self.pushed = 0;
        Ok((feed, at))
    }

    /// Ends the feed with `error`, after what is in the ring: for a source that panicked.
    pub fn fail(&mut self, error: SourceError) {
        self.end.set(Err(error));
    }

    /// Moves what is pending into the ring; `None` when nothing is.
    fn deliver(&mut self) -> Option<Step> {
        if self.former.as_ref().is_some_and(Inlet::is_abandoned) {
            self.former = None;
        }
        if let Some(mark) = self.mark.take()
            && let Err(mark) = self.push_mark(mark)
        {
            self.mark = Some(mark);
            return Some(Step::Full);
        }
        match (&mut self.ring, self.record) {
            (Some(Inlet::Pcm(ring)), _) if self.pushed < self.pending.len() => {
                let (done, _) = ring.push_partial_slice(&self.pending[self.pushed..]);
                let count = done.len();
                self.pushed += count;
                if self.pushed == self.pending.len() {
                    self.pending.clear();
                    self.pushed = 0;
                }
                Some(if count > 0 { Step::Progress } else { Step::Full })
            }
            (Some(Inlet::Opus(ring)), Some(record)) => {
                let packet = if record.len == 0 { &[][..] } else { self.chunk.packet() };
                if !ring.push(record, packet, &mut self.arrival) {
                    return Some(Step::Full);
                }
                self.record = None;
                Some(Step::Progress)
            }
            _ => None,
        }
    }

    /// Hands a mark over, which comes back when there is no room for it now.
    fn push_mark(&mut self, mark: Mark) -> Result<(), Mark> {
        if self.marks.is_none() && self.arrival.is_full() {
            return Err(mark);
        }
        let marks = self.marks.get_or_insert_with(|| {
            let (producer, consumer) = RingBuffer::new(MAX_MARKS);
            let _ = self.arrival.push(Arrived::Marks(consumer));
            producer
        });
        match marks.push(mark) {
            Ok(()) => self.end.mark(),
            Err(rtrb::PushError::Full(mark)) => return Err(mark),
        }
        Ok(())
    }

    /// Opens the source or reads one chunk of it.
    fn fetch(&mut self) -> Result<(), SourceError> {
        let format = self.open()?;
        if self.ring.is_none() {
            return self.connect(format);
        }
        self.chunk.clear();
        if !self.source.read(&mut self.chunk)? {
            return self.end_or_repeat();
        }
        if let Some(metadata) = self.chunk.metadata.take() {
            self.mark = Some(Mark { at: self.yielded, kind: MarkKind::Metadata(metadata) });
        }
        match format {
            Format::Pcm { .. } => self.convert(),
            Format::Opus => self.accept(),
        }
    }

    /// At the end of the source: begins again, if that is wanted. A source that yields nothing is not asked for ever.
    fn end_or_repeat(&mut self) -> Result<(), SourceError> {
        self.finish_pcm();
        if self.yielded == self.began || !self.config.loops.take() {
            self.drained = Some(Ok(()));
            return Ok(());
        }
        match self.source.seek(Duration::ZERO) {
            Ok(_) => {}
            Err(SourceError::Unseekable { .. }) => {
                let Some(fresh) = self.source.fresh() else {
                    // It can be had only once, and that was it.
                    self.drained = Some(Ok(()));
                    return Ok(());
                };
                self.source = fresh;
                self.source.open()?;
            }
            Err(error) => return Err(error),
        }
        self.began = self.yielded;
        self.mark = Some(Mark { at: self.yielded, kind: MarkKind::Looped });
        Ok(())
    }

    fn open(&mut self) -> Result<Format, SourceError> {
        if let Some(info) = &self.info {
            return Ok(info.format);
        }
        let info = self.source.open()?;
        let format = info.format;
        if let Format::Pcm { rate, channels } = format {
            check_layout(rate, channels)?;
        }
        self.info = Some(Arc::new(info));
        Ok(format)
    }

    /// Makes the ring and hands its other end over.
    fn connect(&mut self, format: Format) -> Result<(), SourceError> {
        let length = self.config.length.max(MIN_LENGTH);
        let (inlet, outlet) = match format {
            Format::Pcm { .. } => {
                let frames = length.as_millis().min(60_000) as usize * SAMPLE_RATE as usize / 1_000;
                let (producer, consumer) = RingBuffer::new(frames * CHANNELS);
                (Inlet::Pcm(producer), Ring::Pcm(consumer))
            }
            Format::Opus => {
                let (packets, consumer) = Packets::new(length);
                (Inlet::Opus(packets), Ring::Opus(consumer))
            }
        };
        self.ring = Some(inlet);
        let info = self.info.as_ref();
        let loudness = info.and_then(|info| info.loudness).filter(|loudness| loudness.is_finite());
        let correction = self.config.loudness.zip(loudness).map_or(0.0, |(target, loudness)| target - loudness);
        let gain = 10.0_f32.powf(correction.clamp(-MAX_CORRECTION, MAX_CORRECTION) / 20.0);
        let length = info.and_then(|info| info.duration).map(|length| sample(length, SAMPLE_RATE));
        // It is the first thing that this connection carries.
        let _ = self.arrival.push(Arrived::Opened(Opened { ring: outlet, gain, length }));
        Ok(())
    }

    /// PCM: converts the chunk into `pending`.
    fn convert(&mut self) -> Result<(), SourceError> {
        if self.chunk.samples.is_empty() {
            return Ok(());
        }
        let (rate, channels) = self.chunk.layout();
        check_layout(rate, channels)?;
        if self.converter.as_ref().is_some_and(|converter| converter.rate() != rate) {
            self.finish_pcm();
        }
        let converter = match &mut self.converter {
            Some(converter) => converter,
            None => {
                let converter = Converter::new(rate).map_err(|error| unsupported(error.to_string()))?;
                self.converter.insert(converter)
            }
        };
        to_stereo(&self.chunk.samples, channels, converter.input());
        let before = self.pending.len();
        converter.convert(&mut self.pending);
        self.yielded += ((self.pending.len() - before) / CHANNELS) as u64;
        Ok(())
    }

    /// PCM: flushes the resampler into `pending`.
    fn finish_pcm(&mut self) {
        if let Some(mut converter) = self.converter.take() {
            let before = self.pending.len();
            converter.finish(&mut self.pending);
            self.yielded += ((self.pending.len() - before) / CHANNELS) as u64;
        }
    }

    /// Opus: prepares the chunk's packet for the ring.
    fn accept(&mut self) -> Result<(), SourceError> {
        let packet = self.chunk.packet();
        if packet.is_empty() {
            return Ok(());
        }
        let name = || "the source".into();
        let samples = opus::samples(packet).map_err(|cause| SourceError::Opus { name: name(), cause })? as u16;
        let (skip, trim) = self.chunk.cut();
        let skip = skip.min(u32::from(samples)) as u16;
        let trim = trim.min(u32::from(samples - skip)) as u16;
        // What is far too long for a datagram is not kept: its time passes, the mixer counts it.
        let len = if packet.len() > MAX_PACKET { 0 } else { packet.len() as u16 };
        let record = Record { len, samples, skip, trim };
        self.yielded += record.audible();
        self.record = Some(record);
        Ok(())
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // Nobody reads on; a source that had ended keeps its end.
        self.end.set(Err(SourceError::Deserted));
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("info", &self.info).field("end", &self.end.get()).finish_non_exhaustive()
    }
}

fn connection() -> (Producer<Arrived>, Arc<Ending>, Feed) {
    let (producer, consumer) = RingBuffer::new(HANDED);
    let end = Arc::<Ending>::default();
    (producer, Arc::clone(&end), Feed::new(consumer, end, None))
}

fn check_layout(rate: u32, channels: u16) -> Result<(), SourceError> {
    if !RATES.contains(&rate) {
        return Err(unsupported(format!(
            "its sample rate is {rate} Hz, {} to {} can be played",
            RATES.start(),
            RATES.end()
        )));
    }
    if !(1..=MAX_CHANNELS).contains(&channels) {
        return Err(unsupported(format!("it has {channels} channels, 1 to {MAX_CHANNELS} can be played")));
    }
    Ok(())
}

fn unsupported(reason: String) -> SourceError {
    SourceError::Unsupported { name: "the source".into(), reason: reason.into() }
}
