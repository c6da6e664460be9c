use std::io;
use std::ops::Range;
use std::time::Duration;

use mixer::{Chunk, Metadata};
use model::{CHANNELS, SAMPLE_RATE};

use super::spool::Spool;
use super::{Form, Storage};

/// Bytes of a sample of each channel.
const FRAME: u64 = 2 * CHANNELS as u64;

/// Frames that are read at once: 100 ms.
const FRAMES: u64 = 4_800;

/// What a decoder should have decoded before the first audible sample after a seek: 80 ms (RFC 7845, section 4.6).
const PREROLL: u64 = 3_840;

/// Titles that are kept.
const MAX_NEWS: usize = 1_024;

/// The audio that has been cached.
pub(super) struct Store {
    spool: Spool,
    /// One for each packet; none for PCM.
    packets: Vec<Packet>,
    form: Form,
    /// What began where: at a frame, or at a packet.
    news: Vec<(u64, Metadata)>,
    scratch: Vec<u8>,
}

struct Packet {
    offset: u64,
    /// Audible samples before it.
    start: u64,
    len: u16,
    samples: u16,
    skip: u16,
    trim: u16,
}

impl Packet {
    fn audible(&self) -> u64 {
        u64::from(self.samples - self.skip - self.trim)
    }
}

/// A place in the store: a frame, or a packet.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct Place {
    pub(super) at: u64,
    /// Packets before this one are pre-roll.
    audible: u64,
}

impl Store {
    pub(super) fn new(form: Form, storage: Storage) -> Self {
        Self { spool: Spool::new(storage), packets: Vec::new(), form, news: Vec::new(), scratch: Vec::new() }
    }

    /// Bytes that it takes, the index included.
    pub(super) fn bytes(&self) -> u64 {
        self.spool.len() + (self.packets.len() * size_of::<Packet>()) as u64
    }

    /// Places in it: frames, or packets.
    pub(super) fn len(&self) -> u64 {
        match self.form {
            Form::Pcm => self.spool.len() / FRAME,
            Form::Opus { .. } => self.packets.len() as u64,
        }
    }

    /// How long it sounds, in samples at 48 kHz.
    pub(super) fn samples(&self) -> u64 {
        match self.form {
            Form::Pcm => self.len(),
            Form::Opus { .. } => self.packets.last().map_or(0, |last| last.start + last.audible()),
        }
    }

    pub(super) fn add_news(&mut self, metadata: Metadata) {
        if self.news.len() < MAX_NEWS {
            self.news.push((self.len(), metadata));
        }
    }

    /// Adds interleaved stereo.
    pub(super) fn add_pcm(&mut self, samples: &[f32]) -> io::Result<()> {
        self.scratch.clear();
        let whole = |sample: &f32| ((sample * 32_768.0).round() as i16).to_le_bytes();
        self.scratch.extend(samples.iter().flat_map(whole));
        self.spool.append(&self.scratch)
    }

    /// Adds a packet of so many samples, of which some at both ends are no audio.
    pub(super) fn add_packet(&mut self, packet: &[u8], samples: u16, cut: (u32, u32)) -> io::Result<()> {
        let skip = cut.0.min(u32::from(samples)) as u16;
        let trim = cut.1.min(u32::from(samples - skip)) as u16;
        let (offset, start) = (self.spool.len(), self.samples());
        self.spool.append(packet)?;
        self.packets.push(Packet { offset, start, len: packet.len() as u16, samples, skip, trim });
        Ok(())
    }

    /// Reads what is at `place` and moves it on; there must be something.
    pub(super) fn read(&mut self, place: &mut Place, chunk: &mut Chunk) -> io::Result<()> {
        let from = place.at;
        if let Form::Pcm = self.form {
            let frames = FRAMES.min(self.len() - from);
            self.scratch.resize((frames * FRAME) as usize, 0);
            self.spool.read(from * FRAME, &mut self.scratch)?;
            let out = chunk.pcm(SAMPLE_RATE, CHANNELS as u16);
            out.extend(self.scratch.as_chunks().0.iter().map(|bytes| f32::from(i16::from_le_bytes(*bytes)) / 32_768.0));
            place.at += frames;
        } else if let Some(packet) = self.packets.get(from as usize) {
            self.scratch.resize(usize::from(packet.len), 0);
            self.spool.read(packet.offset, &mut self.scratch)?;
            let skip = if from < place.audible { packet.samples } else { packet.skip };
            let trim = if from < place.audible { 0 } else { packet.trim };
            chunk.set_packet(&self.scratch, u32::from(skip), u32::from(trim));
            place.at += 1;
        }
        if let Some(metadata) = self.news(from..place.at) {
            chunk.set_metadata(metadata.clone());
        }
        Ok(())
    }

    /// The place that sounds at `sample`, and where it begins; the end when there is none.
    pub(super) fn find(&self, sample: u64) -> (Place, u64) {
        if let Form::Pcm = self.form {
            let at = sample.min(self.len());
            return (Place { at, audible: 0 }, at);
        }
        let index = self.packets.partition_point(|packet| packet.start + packet.audible() <= sample);
        let Some(packet) = self.packets.get(index) else {
            return (Place { at: index as u64, audible: 0 }, self.samples());
        };
        let mut first = index;
        let mut preroll = 0;
        while first > 0 && preroll < PREROLL {
            first -= 1;
            preroll += u64::from(self.packets[first].samples);
        }
        (Place { at: first as u64, audible: index as u64 }, packet.start)
    }

    /// What begins last within these places.
    fn news(&self, places: Range<u64>) -> Option<&Metadata> {
        let end = self.news.partition_point(|(at, _)| *at < places.end);
        let (at, metadata) = self.news.get(end.checked_sub(1)?)?;
        places.contains(at).then_some(metadata)
    }
}

/// How long so many samples at 48 kHz last, rounded to the nanosecond.
pub(super) fn time(samples: u64) -> Duration {
    mixer::time(samples, SAMPLE_RATE)
}

/// The sample at 48 kHz that is nearest to `time`.
pub(super) fn sample(time: Duration) -> u64 {
    mixer::sample(time, SAMPLE_RATE)
}
