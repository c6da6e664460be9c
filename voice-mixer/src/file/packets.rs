use std::collections::VecDeque;
use std::time::Duration;

use voice_model::SAMPLE_RATE;

use super::container::{Container, Piece};
use crate::opus;
use crate::source::sample;
use crate::{Chunk, Format, Info, SourceError};

/// What a decoder should have decoded before the first audible sample after a seek: 80 ms (RFC 7845, section 4.6).
const PREROLL: u64 = 3_840;

/// All Opus frame lengths are multiples of this: 2.5 ms.
const GRID: i64 = 120;

/// A seek within the container aims this much before the pre-roll: the longest packet, and a millisecond's rounding.
const MARGIN: u64 = 5_760 + 960;

/// A file of Opus packets: Ogg or Matroska. Counts samples at 48 kHz from the first packet on, pre-skip included.
pub(super) struct Packets {
    container: Container,
    /// Samples at the beginning that are no audio (RFC 7845, section 4.2).
    pre_skip: u64,
    /// Timestamp of the first packet; known once it was seen.
    origin: Option<i64>,
    /// Where the next packet out of the container begins; unknown after the container has been told to seek.
    at: Option<u64>,
    /// Packets that a seek looked at and that were not read yet.
    queue: VecDeque<Queued>,
    /// What comes before is no audio.
    audible: u64,
    spent: bool,
    /// Samples to be cut off the last packet, where only the file as a whole says so (Matroska).
    padding: u64,
    /// The packet after the next one, fetched to know which is the last, or why there is none.
    ahead: Option<Result<Queued, SourceError>>,
    /// Samples in streams of the same file that came before (chained Ogg).
    chained: u64,
}

struct Queued {
    data: Box<[u8]>,
    start: u64,
    samples: u64,
    trim: u64,
}

impl Packets {
    pub(super) fn new(container: Container) -> Result<Self, SourceError> {
        let pre_skip = pre_skip(&container)?;
        let (origin, at, audible) = (None, Some(0), pre_skip);
        let padding = container.padding().map_or(0, |nanos| sample(Duration::from_nanos(nanos), SAMPLE_RATE));
        let (queue, ahead) = (VecDeque::new(), None);
        Ok(Self { container, pre_skip, origin, at, queue, audible, spent: false, padding, ahead, chained: 0 })
    }

    pub(super) fn info(&mut self) -> Info {
        // The last granule position counts from before the pre-skip (RFC 7845, section 4.3); Matroska's duration does not.
        let granules = self.container.num_frames().map(|end| opus::time(end.saturating_sub(self.pre_skip)));
        let mut info = Info::new(Format::Opus).duration(granules.or_else(|| self.container.duration()));
        self.container.describe(&mut info, output_gain(&self.container));
        info
    }

    pub(super) fn read(&mut self, chunk: &mut Chunk) -> Result<bool, SourceError> {
        let queued = match self.queue.pop_front() {
            Some(queued) => queued,
            None => match self.fetch()? {
                Some(queued) => queued,
                None => return Ok(false),
            },
        };
        let skip = self.audible.saturating_sub(queued.start).min(queued.samples);
        chunk.set_packet(&queued.data, skip as u32, queued.trim as u32);
        if let Some(metadata) = self.container.news() {
            chunk.set_metadata(metadata);
        }
        Ok(true)
    }

    pub(super) fn seek(&mut self, to: Duration) -> Result<Duration, SourceError> {
        if !self.container.is_seekable() {
            return Err(SourceError::Unseekable { name: self.container.name() });
        }
        let target = sample(to, SAMPLE_RATE).saturating_add(self.pre_skip);
        // A container that stumbles over its own landing gets another chance from the beginning.
        if !self.jump(target).unwrap_or(false) {
            self.rewind()?;
        }
        let mut end = self.queue.back().map_or(0, |queued| queued.start + queued.samples);
        while self.queue.is_empty() || end <= target {
            let Some(queued) = self.fetch()? else {
                // Past the end: nothing is left to be read.
                let end = self.queue.drain(..).next_back().map_or(end, |last| last.start + last.samples - last.trim);
                return Ok(self.time(end));
            };
            end = queued.start + queued.samples;
            while self.queue.front().is_some_and(|old| old.start + old.samples + PREROLL <= queued.start) {
                self.queue.pop_front();
            }
            self.queue.push_back(queued);
        }
        let landed = self.queue.back().map_or(0, |queued| queued.start);
        self.audible = landed.max(self.pre_skip);
        Ok(self.time(self.audible))
    }

    /// When the audio at sample `at` sounds.
    fn time(&self, at: u64) -> Duration {
        opus::time(at.saturating_sub(self.pre_skip))
    }

    /// Lets the container seek well before `target`; `false` unless it landed early enough for the pre-roll.
    fn jump(&mut self, target: u64) -> Result<bool, SourceError> {
        let (Some(origin), Some(base), Some(first)) =
            (self.origin, self.container.time_base(), target.checked_sub(PREROLL + MARGIN))
        else {
            return Ok(false);
        };
        if self.spent || self.chained > 0 {
            return Ok(false);
        }
        let ticks =
            u128::from(first) * u128::from(base.denom.get()) / (u128::from(SAMPLE_RATE) * u128::from(base.numer.get()));
        let Ok(ticks) = i64::try_from(ticks) else { return Ok(false) };
        if !self.container.seek(origin.saturating_add(ticks)) {
            return Ok(false);
        }
        self.queue.clear();
        (self.at, self.ahead) = (None, None);
        let Some(queued) = self.fetch()? else { return Ok(false) };
        let early = queued.start + PREROLL <= target;
        self.queue.push_back(queued);
        Ok(early)
    }

    fn rewind(&mut self) -> Result<(), SourceError> {
        self.container.reopen()?;
        self.pre_skip = pre_skip(&self.container)?;
        self.queue.clear();
        self.ahead = None;
        (self.at, self.audible, self.spent, self.chained) = (Some(0), self.pre_skip, false, 0);
        Ok(())
    }

    /// The next packet, cut at the end where it is the last.
    fn fetch(&mut self) -> Result<Option<Queued>, SourceError> {
        if self.padding == 0 {
            return self.demux();
        }
        let next = match self.ahead.take() {
            Some(next) => Some(next?),
            None => self.demux()?,
        };
        let Some(mut next) = next else { return Ok(None) };
        self.ahead = self.demux().transpose();
        if self.ahead.is_none() {
            next.trim = self.padding.min(next.samples);
        }
        Ok(Some(next))
    }

    /// The container's next packet.
    fn demux(&mut self) -> Result<Option<Queued>, SourceError> {
        loop {
            let at = self.time(self.at.unwrap_or(0));
            let packet = match self.container.next(at)? {
                Piece::Packet(packet) => packet,
                Piece::Restart => {
                    // The next stream has a pre-skip of its own, in the middle of this one's time line.
                    self.chained = self.at.unwrap_or(0);
                    self.audible = self.chained + pre_skip(&self.container)?;
                    continue;
                }
                Piece::End => {
                    self.spent = true;
                    return Ok(None);
                }
            };
            let illegal = |cause| SourceError::Opus { name: self.container.name(), cause };
            let samples = opus::samples(&packet.data).map_err(illegal)? as u64;
            let timestamp = packet.pts.get();
            let origin = *self.origin.get_or_insert(timestamp);
            let start = self.at.unwrap_or_else(|| self.place(timestamp.saturating_sub(origin)));
            self.at = Some(start + samples);
            let trim = packet.trim_end.get().min(samples);
            return Ok(Some(Queued { data: packet.data, start, samples, trim }));
        }
    }

    /// The sample that a timestamp stands for. Matroska's are rounded to milliseconds, packets begin every 2.5 ms.
    fn place(&self, ticks: i64) -> u64 {
        let Some(base) = self.container.time_base() else { return 0 };
        let scaled = i128::from(ticks) * i128::from(base.numer.get()) * i128::from(SAMPLE_RATE);
        let samples = (scaled / i128::from(base.denom.get())) as i64;
        ((samples + GRID / 2).div_euclid(GRID) * GRID).max(0) as u64
    }
}

/// Checks the identification header, and reads the pre-skip out of it (RFC 7845, section 5.1).
fn pre_skip(container: &Container) -> Result<u64, SourceError> {
    match container.params().extra_data.as_deref() {
        Some([b'O', b'p', b'u', b's', b'H', b'e', b'a', b'd', _, channels, low, high, rest @ ..]) => {
            let family = rest.get(6).copied().unwrap_or(0);
            if family != 0 || *channels > 2 {
                return Err(container.unsupported(&format!("it is Opus in {channels} channels")));
            }
            Ok(u64::from(u16::from_le_bytes([*low, *high])))
        }
        _ => Ok(0),
    }
}

/// The gain that a player should apply, in 1/256 dB (RFC 7845, section 5.1).
fn output_gain(container: &Container) -> i16 {
    match container.params().extra_data.as_deref() {
        Some([b'O', b'p', b'u', b's', b'H', b'e', b'a', b'd', _, _, _, _, _, _, _, _, low, high, ..]) => {
            i16::from_le_bytes([*low, *high])
        }
        _ => 0,
    }
}
