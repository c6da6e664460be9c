//! DCA, Discord's oldest way to store Opus: 16-bit lengths and packets, in version 1 after a header of JSON.

use std::collections::VecDeque;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::time::Duration;

use symphonia::core::io::MediaSource;
use voice_model::SAMPLE_RATE;

use super::container::Origin;
use crate::source::sample;
use crate::{Chunk, Format, Info, Metadata, SourceError, opus};

const MAGIC: &[u8; 4] = b"DCA1";

/// A longer header is a mistake, or a trap.
const MAX_HEADER: usize = 1 << 20;

/// What a decoder should have decoded before the first audible sample after a seek: 80 ms (RFC 7845, section 4.6).
const PREROLL: u64 = 3_840;

/// A place to begin reading at is kept about every so many bytes.
const STRIDE: u64 = 64 * 1024;

/// So many legal packets in a row are no accident.
const SIGNS: usize = 5;

/// A DCA file. Counts samples at 48 kHz.
pub(super) struct Dca {
    reader: BufReader<Box<dyn MediaSource>>,
    name: Arc<str>,
    metadata: Metadata,
    /// Places to begin at: byte and sample. The first is that of the first packet.
    index: Vec<(u64, u64)>,
    /// Samples in the whole file, as far as it makes sense.
    total: u64,
    /// Where the next packet begins, in bytes and samples.
    at: (u64, u64),
    packet: Vec<u8>,
    /// Packets that a seek looked at, and how many samples of each are not audible.
    queue: VecDeque<(Box<[u8]>, u32)>,
}

impl Dca {
    /// A file of version 1; `None` when it is something else.
    pub(super) fn open(origin: &Origin, name: &Arc<str>) -> Result<Option<Self>, SourceError> {
        if !matches!(origin, Origin::Path(_) | Origin::Memory(_)) {
            return Ok(None);
        }
        let mut reader = BufReader::new(origin.open(name)?);
        let mut magic = [0; 4];
        if reader.read_exact(&mut magic).is_err() || magic != *MAGIC {
            return Ok(None);
        }
        let damaged =
            |reason: String| SourceError::Damaged { name: Arc::clone(name), at: Duration::ZERO, reason: reason.into() };
        let mut length = [0; 4];
        reader.read_exact(&mut length).map_err(|_| damaged("its DCA header is cut short".into()))?;
        let length = i32::from_le_bytes(length);
        let length = usize::try_from(length)
            .ok()
            .filter(|length| *length <= MAX_HEADER)
            .ok_or_else(|| damaged(format!("its DCA header claims {length} bytes, at most {MAX_HEADER} are read")))?;
        let mut json = vec![0; length];
        reader.read_exact(&mut json).map_err(|_| damaged("its DCA header is cut short".into()))?;
        let json = serde_json::from_slice(&json).map_err(|error| damaged(format!("its DCA header: {error}")))?;
        Self::scan(reader, name, 8 + length as u64, metadata(&json)).map(Some)
    }

    /// A file of version 0, which has no header: `None` unless its first packets are all legal.
    pub(super) fn open_headless(origin: &Origin, name: &Arc<str>) -> Result<Option<Self>, SourceError> {
        if !matches!(origin, Origin::Path(_) | Origin::Memory(_)) {
            return Ok(None);
        }
        let mut dca = Self::new(BufReader::new(origin.open(name)?), name, 0, Metadata::default());
        for _ in 0..SIGNS {
            if !matches!(dca.packet(), Ok(Some(_))) {
                return Ok(None);
            }
        }
        Self::scan(dca.reader, name, 0, Metadata::default()).map(Some)
    }

    fn new(reader: BufReader<Box<dyn MediaSource>>, name: &Arc<str>, start: u64, metadata: Metadata) -> Self {
        let (index, at) = (vec![(start, 0)], (start, 0));
        let (packet, queue) = (Vec::new(), VecDeque::new());
        Self { reader, name: Arc::clone(name), metadata, index, total: 0, at, packet, queue }
    }

    /// Reads through the file once, to know its length and places to begin at. What is wrong with it is told when it is
    /// played up to there.
    fn scan(
        reader: BufReader<Box<dyn MediaSource>>,
        name: &Arc<str>,
        start: u64,
        metadata: Metadata,
    ) -> Result<Self, SourceError> {
        let mut dca = Self::new(reader, name, start, metadata);
        dca.begin((start, 0))?;
        while let Ok(Some(_)) = dca.packet() {
            if dca.index.last().is_some_and(|(byte, _)| dca.at.0 >= byte + STRIDE) {
                dca.index.push(dca.at);
            }
        }
        dca.total = dca.at.1;
        dca.begin((start, 0))?;
        Ok(dca)
    }

    pub(super) fn info(&self) -> Info {
        let info = Info::new(Format::Opus).duration(Some(opus::time(self.total))).seekable(true);
        info.metadata(self.metadata.clone())
    }

    pub(super) fn read(&mut self, chunk: &mut Chunk) -> Result<bool, SourceError> {
        if let Some((packet, skip)) = self.queue.pop_front() {
            chunk.set_packet(&packet, skip, 0);
            return Ok(true);
        }
        if self.packet()?.is_none() {
            return Ok(false);
        }
        chunk.set_packet(&self.packet, 0, 0);
        Ok(true)
    }

    pub(super) fn seek(&mut self, to: Duration) -> Result<Duration, SourceError> {
        let target = sample(to, SAMPLE_RATE);
        let before = |place: &(u64, u64)| place.1 == 0 || place.1 + PREROLL <= target;
        let place = self.index.iter().rev().copied().find(before).unwrap_or(self.index[0]);
        self.queue.clear();
        self.begin(place)?;
        let mut passed: VecDeque<(Box<[u8]>, u32)> = VecDeque::new();
        let mut preroll = 0;
        loop {
            let start = self.at.1;
            let Some(samples) = self.packet()? else { return Ok(opus::time(start)) };
            if start + u64::from(samples) > target {
                passed.push_back((self.packet.as_slice().into(), 0));
                self.queue = passed;
                return Ok(opus::time(start));
            }
            passed.push_back((self.packet.as_slice().into(), samples));
            preroll += u64::from(samples);
            while let Some((_, first)) = passed.front()
                && preroll - u64::from(*first) >= PREROLL
            {
                preroll -= u64::from(*first);
                passed.pop_front();
            }
        }
    }

    fn begin(&mut self, place: (u64, u64)) -> Result<(), SourceError> {
        self.reader.seek(SeekFrom::Start(place.0)).map_err(|error| self.failed(error))?;
        self.at = place;
        Ok(())
    }

    /// Reads the next packet into `packet` and returns how many samples it lasts; `None` at the end.
    fn packet(&mut self) -> Result<Option<u32>, SourceError> {
        let mut length = [0; 2];
        match fill(&mut self.reader, &mut length).map_err(|error| self.failed(error))? {
            0 => return Ok(None),
            2 => {}
            _ => return Err(self.truncated()),
        }
        let length = i16::from_le_bytes(length);
        let Some(len) = usize::try_from(length).ok().filter(|length| *length > 0) else {
            let reason = format!("a packet claims {length} bytes").into();
            return Err(SourceError::Damaged { name: Arc::clone(&self.name), at: opus::time(self.at.1), reason });
        };
        self.packet.resize(len, 0);
        if fill(&mut self.reader, &mut self.packet).map_err(|error| self.failed(error))? < len {
            return Err(self.truncated());
        }
        let illegal = |cause| SourceError::Opus { name: Arc::clone(&self.name), cause };
        let samples = opus::samples(&self.packet).map_err(illegal)? as u32;
        self.at = (self.at.0 + 2 + len as u64, self.at.1 + u64::from(samples));
        Ok(Some(samples))
    }

    fn truncated(&self) -> SourceError {
        SourceError::Truncated { name: Arc::clone(&self.name), at: opus::time(self.at.1) }
    }

    fn failed(&self, cause: io::Error) -> SourceError {
        SourceError::Read { name: Arc::clone(&self.name), at: opus::time(self.at.1), cause: Arc::new(cause) }
    }
}

/// Fills `buffer` as far as there is something to fill it with.
fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// What a header of version 1 says: `info.title`, `info.artist`, `info.album`, `origin.url`.
fn metadata(json: &serde_json::Value) -> Metadata {
    let text = |pointer| json.pointer(pointer).and_then(serde_json::Value::as_str).filter(|text| !text.is_empty());
    let text = |pointer| text(pointer).map(Arc::from);
    Metadata {
        title: text("/info/title"),
        artist: text("/info/artist"),
        album: text("/info/album"),
        url: text("/origin/url"),
        art: None,
    }
}
