use std::io::{self, Seek, Write};

use voice_model::{CHANNELS, SAMPLE_RATE};

use super::flac::Flac;
use super::ogg::{Gaps, OggOpus};
use super::settings::{Format, Rotate};
use super::wav::Wav;

/// Parts are not shorter than this, so that no more than one boundary is near.
const SHORTEST: u64 = 10 * SAMPLE_RATE as u64;

/// Where the files of a recording are made.
pub trait Folder {
    /// An empty file.
    type File: Write + Seek;

    /// Makes the file of this name: of letters, digits and dots.
    ///
    /// # Errors
    ///
    /// When it cannot be made: [`Recorder::tick`](super::Recorder::tick) hands that on, and the recording is over.
    fn create(&mut self, name: &str) -> io::Result<Self::File>;
}

/// A file could not be written. What was written before is kept.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {file}: {source}; what was written before is kept{}", advice(.source))]
pub struct WriteError {
    /// Which file.
    pub file: String,
    /// Why.
    pub source: io::Error,
}

/// A file of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Written {
    /// Its name.
    pub name: String,
    /// Where it begins in the recording, in samples at 48 kHz.
    pub start: u64,
    /// How long it is, in samples.
    pub samples: u64,
    /// Its bytes.
    pub bytes: u64,
}

/// One of the files that a track goes on in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) number: u32,
    pub(super) start: u64,
}

/// Where parts begin, the same for all tracks.
#[derive(Debug)]
pub(super) struct Parts {
    rotate: Option<Rotate>,
    pub(super) current: Part,
    next: Option<u64>,
    /// The last part that was [announced](Self::announce).
    announced: Part,
}

/// One track of a recording, in as many files as it takes.
#[derive(Debug)]
pub(super) struct Strip<W> {
    stem: String,
    format: Format,
    gaps: Gaps,
    serial: u32,
    part: Part,
    file: Option<AudioFile<W>>,
    dirty: bool,
    done: Vec<Written>,
    done_bytes: u64,
}

#[derive(Debug)]
enum AudioFile<W> {
    Ogg(OggOpus<W>),
    Wav(Wav<W>),
    Flac(Box<Flac<W>>),
}

impl Parts {
    pub(super) fn new(rotate: Option<Rotate>) -> Self {
        let (current, announced) = (Part::default(), Part::default());
        let mut parts = Self { rotate, current, next: None, announced };
        parts.next = parts.end(current);
        parts
    }

    /// How long parts are, when they are equally long.
    fn every(&self) -> Option<u64> {
        let Some(Rotate::Every(every)) = self.rotate else { return None };
        Some(every.as_secs().saturating_mul(u64::from(SAMPLE_RATE)).max(SHORTEST))
    }

    /// Where a part ends, as far as that is known.
    fn end(&self, part: Part) -> Option<u64> {
        let next = self.next.filter(|_| part.number == self.current.number);
        self.every().map(|every| part.start.saturating_add(every)).or(next)
    }

    /// Takes note of how large the largest file is at `now`.
    pub(super) fn weigh(&mut self, now: u64, largest: u64) {
        if let (Some(Rotate::Bytes(most)), None) = (self.rotate, self.next)
            && largest >= most
        {
            // Ahead of everything that is written.
            let second = u64::from(SAMPLE_RATE);
            self.next = Some((now / second + 1) * second).map(|next| next.max(self.current.start + SHORTEST));
        }
    }

    /// Begins the next part, when its time has come.
    pub(super) fn turn(&mut self, watermark: u64) -> bool {
        let Some(start) = self.next.filter(|start| *start <= watermark) else { return false };
        self.current = Part { number: self.current.number + 1, start };
        self.next = None;
        self.next = self.end(self.current);
        true
    }

    /// A part that has begun at `now` and was not announced yet: before anything is written to it.
    pub(super) fn announce(&mut self, now: u64) -> Option<Part> {
        let number = self.announced.number + 1;
        let start = match self.every() {
            Some(every) => self.announced.start.saturating_add(every),
            None => self.next.filter(|_| number == self.current.number + 1)?,
        };
        self.announced = Some(Part { number, start }).filter(|_| start <= now)?;
        Some(self.announced)
    }

    /// The part that `position` belongs to: nobody has to have been there when others before it began.
    fn at(&self, position: u64) -> Part {
        let Part { number, start } = self.current;
        match (self.next, self.every()) {
            (Some(next), None) if position >= next => Part { number: number + 1, start: next },
            (Some(next), Some(every)) if position >= next => {
                let parts = (position - start) / every;
                Part { number: number.saturating_add(parts as u32), start: start + parts * every }
            }
            _ => self.current,
        }
    }

    /// Samples from `position` to the end of its part.
    fn left(&self, position: u64) -> u64 {
        self.end(self.at(position)).filter(|end| *end > position).map_or(u64::MAX, |end| end - position)
    }
}

impl<W: Write + Seek> Strip<W> {
    pub(super) fn new(stem: String, format: Format, gaps: Gaps, serial: u32) -> Self {
        let (part, done) = (Part::default(), Vec::new());
        Self { stem, format, gaps, serial, part, file: None, dirty: false, done, done_bytes: 0 }
    }

    pub(super) fn is_pcm(&self) -> bool {
        self.format != Format::OggOpus
    }

    /// Bytes of all files, and of the current one, as if they were finished at `end`.
    pub(super) fn bytes(&self, end: u64) -> (u64, u64) {
        let length = end.saturating_sub(self.part.start);
        let current = self.file.as_ref().map_or(0, |file| file.bytes_at(length));
        (self.done_bytes + current, current)
    }

    /// Writes a packet.
    pub(super) fn packet(
        &mut self,
        folder: &mut impl Folder<File = W>,
        parts: &Parts,
        position: u64,
        samples: u32,
        frame: &[u8],
    ) -> Result<(), WriteError> {
        let Some(at) = self.prepare(folder, parts, position)? else { return Ok(()) };
        let Some(AudioFile::Ogg(file)) = &mut self.file else { return Ok(()) };
        file.write(at, samples, frame).map_err(|source| self.failed(source))
    }

    /// Writes audio; what is before the end of what was written is left out.
    pub(super) fn pcm(
        &mut self,
        folder: &mut impl Folder<File = W>,
        parts: &Parts,
        mut position: u64,
        mut pcm: &[f32],
    ) -> Result<(), WriteError> {
        while !pcm.is_empty() {
            let (here, after) = pcm.split_at(pcm.len().min((parts.left(position) as usize).saturating_mul(CHANNELS)));
            if let Some(at) = self.prepare(folder, parts, position)?
                && let Some(file) = &mut self.file
            {
                file.pcm(at, here).map_err(|source| self.failed(source))?;
            }
            position += (here.len() / CHANNELS) as u64;
            pcm = after;
        }
        Ok(())
    }

    /// Opens the file that `position` belongs to; returns where that is in it, `None` when that file is finished.
    fn prepare(
        &mut self,
        folder: &mut impl Folder<File = W>,
        parts: &Parts,
        position: u64,
    ) -> Result<Option<u64>, WriteError> {
        let part = parts.at(position);
        if part.number > self.part.number {
            self.finish(parts.end(self.part).unwrap_or(part.start))?;
            self.part = part;
        }
        let Some(at) = position.checked_sub(self.part.start) else { return Ok(None) };
        self.dirty = true;
        if self.file.is_none() {
            let name = self.name(parts.rotate.is_some());
            let file = folder.create(&name).and_then(|out| self.open(out));
            self.file = Some(file.map_err(|source| WriteError { file: name.clone(), source })?);
            self.done.push(Written { name, start: self.part.start, samples: 0, bytes: 0 });
        }
        Ok(Some(at))
    }

    fn open(&self, out: W) -> io::Result<AudioFile<W>> {
        Ok(match self.format {
            Format::OggOpus => {
                let comments = [format!("TITLE={}", self.stem)];
                AudioFile::Ogg(OggOpus::new(out, self.serial, self.gaps, &comments)?)
            }
            Format::Wav => AudioFile::Wav(Wav::new(out)?),
            Format::Flac => AudioFile::Flac(Box::new(Flac::new(out)?)),
        })
    }

    fn name(&self, is_numbered: bool) -> String {
        let extension = self.format.extension();
        match is_numbered {
            true => format!("{}.{:03}.{extension}", self.stem, self.part.number + 1),
            false => format!("{}.{extension}", self.stem),
        }
    }

    /// Makes what was written readable.
    pub(super) fn sync(&mut self) -> Result<(), WriteError> {
        if !std::mem::take(&mut self.dirty) {
            return Ok(());
        }
        match &mut self.file {
            Some(file) => file.sync().map_err(|source| self.failed(source)),
            None => Ok(()),
        }
    }

    /// Finishes the file of an earlier part than the current one.
    pub(super) fn turn(&mut self, current: Part) -> Result<(), WriteError> {
        if self.part.number < current.number {
            self.finish(current.start)?;
            self.part = current;
        }
        Ok(())
    }

    /// Finishes the file at `end`.
    pub(super) fn finish(&mut self, end: u64) -> Result<(), WriteError> {
        let Some(file) = self.file.take() else { return Ok(()) };
        let length = end.saturating_sub(self.part.start);
        match file.finish(length) {
            Ok((samples, bytes)) => {
                self.done_bytes += bytes;
                if let Some(last) = self.done.last_mut() {
                    (last.samples, last.bytes) = (samples, bytes);
                }
                Ok(())
            }
            Err(source) => Err(self.failed(source)),
        }
    }

    /// The files so far.
    pub(super) fn written(&self) -> &[Written] {
        &self.done
    }

    fn failed(&self, source: io::Error) -> WriteError {
        let file = self.done.last().map(|file| file.name.clone()).unwrap_or_default();
        WriteError { file, source }
    }
}

impl<W: Write + Seek> AudioFile<W> {
    fn bytes_at(&self, length: u64) -> u64 {
        match self {
            AudioFile::Ogg(file) => file.bytes_at(length),
            AudioFile::Wav(file) => file.bytes_at(length),
            AudioFile::Flac(file) => file.bytes_at(length),
        }
    }

    fn samples(&self) -> u64 {
        match self {
            AudioFile::Ogg(file) => file.position(),
            AudioFile::Wav(file) => file.samples(),
            AudioFile::Flac(file) => file.samples(),
        }
    }

    fn silence_to(&mut self, position: u64) -> io::Result<()> {
        let silence = position.saturating_sub(self.samples());
        match self {
            AudioFile::Ogg(file) => file.skip_to(position),
            AudioFile::Wav(file) => file.silence(silence),
            AudioFile::Flac(file) => file.silence(silence),
        }
    }

    fn pcm(&mut self, position: u64, pcm: &[f32]) -> io::Result<()> {
        self.silence_to(position)?;
        let taken = (self.samples() - position) as usize;
        let rest = pcm.get(taken.saturating_mul(CHANNELS)..).unwrap_or_default();
        match self {
            AudioFile::Ogg(_) => Ok(()),
            AudioFile::Wav(file) => file.write(rest),
            AudioFile::Flac(file) => file.write(rest),
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        match self {
            AudioFile::Ogg(file) => file.sync(),
            AudioFile::Wav(file) => file.sync(),
            AudioFile::Flac(file) => file.sync(),
        }
    }

    /// Returns how many samples and bytes it has in the end.
    fn finish(mut self, length: u64) -> io::Result<(u64, u64)> {
        if !matches!(self, AudioFile::Ogg(_)) {
            self.silence_to(length)?;
        }
        let samples = self.samples().max(length);
        let mut out = match self {
            AudioFile::Ogg(file) => file.finish(length)?,
            AudioFile::Wav(file) => file.finish()?,
            AudioFile::Flac(file) => file.finish()?,
        };
        let bytes = out.stream_position()?;
        out.flush()?;
        Ok((samples, bytes))
    }
}

fn advice(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::AlreadyExists => "; record into an empty folder, or let files be replaced",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; make room, or set a limit of bytes",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; record into a folder that can be written"
        }
        _ => "",
    }
}
