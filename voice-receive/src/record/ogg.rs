use std::io::{self, Write};

use voice_model::{CHANNELS, SAMPLE_RATE};

/// Ogg's checksum (RFC 3533, section 6): CRC-32 with nothing reflected, nothing preset.
pub(super) const CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::Algorithm {
    width: 32,
    poly: 0x04C1_1DB7,
    init: 0,
    refin: false,
    refout: false,
    xorout: 0,
    check: 0x89A1_897F,
    residue: 0,
});

/// Bytes of a page before its segment table.
pub(super) const PAGE_HEADER: usize = 27;
/// Pages before those of audio.
const HEADERS: u32 = 2;
/// Segments of a page, 255 bytes each at most.
const MAX_SEGMENTS: usize = 255;
/// Samples in a page: half a second, of which players have to wait for the first page.
const PAGE_SAMPLES: u64 = SAMPLE_RATE as u64 / 2;

/// Samples before the beginning, 80 ms of silence, which players decode and leave out: as much as RFC 7845 (section 4.2)
/// wants for a decoder to settle, where a stream begins in the middle.
pub(super) const PRE_SKIP: u64 = 3_840;

/// The first packet: version 1, channels, pre-skip, rate, neither gain nor mapping (RFC 7845, section 5.1).
pub(super) const HEAD: [u8; 19] = {
    let (skip, rate) = ((PRE_SKIP as u16).to_le_bytes(), SAMPLE_RATE.to_le_bytes());
    let (head, channels) = (*b"OpusHead", CHANNELS as u8);
    let [a, b, c, d, e, f, g, h] = head;
    [a, b, c, d, e, f, g, h, 1, channels, skip[0], skip[1], rate[0], rate[1], rate[2], rate[3], 0, 0, 0]
};

/// Flags of a page: its packet goes on from the page before, it is the first one, it is the last one.
pub(super) const FIRST: u8 = 2;
pub(super) const LAST: u8 = 4;

/// Packets of silence and their samples: CELT, full band, nothing in them (RFC 6716, section 3.1); the longest is Discord's own.
const SILENCES: [(u64, [u8; 3]); 4] =
    [(960, [0xF8, 0xFF, 0xFE]), (480, [0xF0, 0xFF, 0xFE]), (240, [0xE8, 0xFF, 0xFE]), (120, [0xE0, 0xFF, 0xFE])];

/// Samples of the longest packet, 120 ms.
const LONGEST: u64 = 5_760;
/// The bits of a packet's first byte that say that it is stereo, and that it has as many frames as its second byte says.
const STEREO: u8 = 4;
const MANY: u8 = 3;

/// How a file of packets has gaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gaps {
    /// Packets of silence fill them.
    #[default]
    Filled,
    /// Packets of frames with nothing in them tell what is missing (RFC 7845, section 4.1): smaller, and readers can tell
    /// them from silence that was sent. Decoders conceal the first 120 ms; the rest is silent.
    Real,
}

/// An Ogg Opus file (RFC 7845) of packets as they came, that starts where the writer stands.
///
/// Pages are written as soon as they are whole, so a program that is killed leaves all but the last one. What players
/// skip is silence of our own: position 0 of the file is position 0 of the recording.
#[derive(Debug)]
pub struct OggOpus<W> {
    out: W,
    gaps: Gaps,
    serial: u32,
    page: u32,
    /// Where the last packet ends.
    position: u64,
    /// Where that of the page under construction begins.
    begun: u64,
    /// Of the last packet: [`STEREO`], or nothing.
    stereo: u8,
    segments: Vec<u8>,
    body: Vec<u8>,
    bytes: u64,
}

impl<W: Write> OggOpus<W> {
    /// Writes the two headers. `serial` tells the logical stream from others, `comments` are `NAME=value`.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    pub fn new(out: W, serial: u32, gaps: Gaps, comments: &[String]) -> io::Result<Self> {
        let (segments, body) = (Vec::with_capacity(MAX_SEGMENTS), Vec::with_capacity(8 * 1024));
        let mut file = Self { out, gaps, serial, page: 0, position: 0, begun: 0, stereo: 0, segments, body, bytes: 0 };
        file.append(&HEAD);
        file.flush_page(FIRST)?;
        // RFC 7845, section 5.2.
        let mut tags = b"OpusTags".to_vec();
        put_text(&mut tags, opus::version());
        tags.extend((comments.len() as u32).to_le_bytes());
        comments.iter().for_each(|comment| put_text(&mut tags, comment));
        // One page each: no more than it holds.
        tags.truncate(MAX_SEGMENTS * 254);
        file.append(&tags);
        file.flush_page(0)?;
        file.settle();
        Ok(file)
    }

    /// Appends what players skip.
    fn settle(&mut self) {
        (0..PRE_SKIP / SILENCES[0].0).for_each(|_| self.append(&SILENCES[0].1));
    }

    /// Goes on with a file that holds pages up to `position`, at the writer's place.
    pub(super) fn resumed(out: W, serial: u32, page: u32, position: u64) -> Self {
        let (gaps, segments, body) = (Gaps::Filled, Vec::new(), Vec::new());
        let mut file = Self { out, gaps, serial, page, position, begun: position, stereo: 0, segments, body, bytes: 0 };
        if page == HEADERS {
            file.settle();
        }
        file
    }

    /// Where the last packet ends, in samples.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Bytes written.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes of the file if it ended at `position`, a page more or less.
    pub(super) fn bytes_at(&self, position: u64) -> u64 {
        let waiting = PAGE_HEADER + self.segments.len() + self.body.len();
        let gap = if self.gaps == Gaps::Real { 0 } else { position.saturating_sub(self.position) };
        // Each packet of silence has a segment.
        let silence = gap / SILENCES[0].0 * (SILENCES[0].1.len() as u64 + 1) + gap / PAGE_SAMPLES * PAGE_HEADER as u64;
        self.bytes + waiting as u64 + silence
    }

    /// Appends a packet of `samples` that begins at `position`, a multiple of 120 after the end of the last one.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    pub fn write(&mut self, position: u64, samples: u32, packet: &[u8]) -> io::Result<()> {
        self.skip_to(position)?;
        self.stereo = packet.first().map_or(self.stereo, |first| first & STEREO);
        self.put(u64::from(samples), packet)
    }

    /// Makes a gap up to `position`.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    pub fn skip_to(&mut self, position: u64) -> io::Result<()> {
        match self.gaps {
            Gaps::Filled => self.fill(position),
            Gaps::Real => self.miss(position),
        }
    }

    /// A granule position that jumps would be simpler, and no player would keep the time: it may not (RFC 7845, section 4.1).
    fn miss(&mut self, position: u64) -> io::Result<()> {
        self.conceal(position.min(self.position + LONGEST))?;
        if self.position + SILENCES[0].0 <= position {
            // Or decoders go on with noise as loud as what was there, for ever.
            self.put(SILENCES[0].0, &SILENCES[0].1)?;
        }
        self.conceal(position)
    }

    fn conceal(&mut self, position: u64) -> io::Result<()> {
        for (samples, [kind, ..]) in SILENCES {
            while self.position + samples <= position {
                let frames = (position - self.position).min(LONGEST) / samples;
                self.put(frames * samples, &[kind | self.stereo | MANY, frames as u8])?;
            }
        }
        Ok(())
    }

    fn fill(&mut self, position: u64) -> io::Result<()> {
        for (samples, packet) in SILENCES {
            while self.position + samples <= position {
                self.put(samples, &packet)?;
            }
        }
        Ok(())
    }

    /// Writes the page that is under construction, and flushes the writer.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    pub fn sync(&mut self) -> io::Result<()> {
        self.turn_page()?;
        self.out.flush()
    }

    fn turn_page(&mut self) -> io::Result<()> {
        if self.segments.is_empty() { Ok(()) } else { self.flush_page(0) }
    }

    /// Ends the stream at `position`, if it is not longer, and gives the writer back.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    pub fn finish(mut self, position: u64) -> io::Result<W> {
        self.skip_to(position.saturating_sub(SILENCES[0].0))?;
        self.fill(position)?;
        if self.segments.is_empty() {
            // The last page has a packet, or players do not know where it ends: they leave this one out (section 4.5).
            self.append(&SILENCES[3].1);
        }
        self.flush_page(LAST)?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn put(&mut self, samples: u64, packet: &[u8]) -> io::Result<()> {
        let needed = packet.len() / 255 + 1;
        if self.segments.len() + needed > MAX_SEGMENTS || self.position - self.begun >= PAGE_SAMPLES {
            self.turn_page()?;
        }
        self.append(packet);
        self.position += samples;
        Ok(())
    }

    /// Adds a packet to the page: as many segments of 255 bytes as it has, and one that is shorter.
    fn append(&mut self, packet: &[u8]) {
        self.segments.extend(std::iter::repeat_n(255, packet.len() / 255));
        self.segments.push((packet.len() % 255) as u8);
        self.body.extend_from_slice(packet);
    }

    fn flush_page(&mut self, flags: u8) -> io::Result<()> {
        let granule = if self.page < HEADERS { 0 } else { self.position + PRE_SKIP };
        let page = page(flags, granule, self.serial, self.page, &self.segments, &self.body);
        self.out.write_all(&page)?;
        self.page += 1;
        self.bytes += page.len() as u64;
        self.begun = self.position;
        self.segments.clear();
        self.body.clear();
        Ok(())
    }
}

/// A page (RFC 3533, section 6).
fn page(flags: u8, granule: u64, serial: u32, number: u32, segments: &[u8], body: &[u8]) -> Vec<u8> {
    let mut page = Vec::with_capacity(PAGE_HEADER + segments.len() + body.len());
    page.extend(b"OggS\0");
    page.push(flags);
    page.extend(granule.to_le_bytes());
    page.extend(serial.to_le_bytes());
    page.extend(number.to_le_bytes());
    page.extend([0; 4]);
    page.push(segments.len() as u8);
    page.extend(segments);
    page.extend(body);
    let sum = CRC.checksum(&page);
    page[22..26].copy_from_slice(&sum.to_le_bytes());
    page
}

fn put_text(to: &mut Vec<u8>, text: &str) {
    to.extend((text.len() as u32).to_le_bytes());
    to.extend(text.as_bytes());
}
