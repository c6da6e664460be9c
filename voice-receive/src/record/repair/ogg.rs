use std::io::{self, SeekFrom};

use super::{Ahead, RepairError, Repaired, Whole, length, read_at};
use crate::record::ogg::{CRC, FIRST, HEAD, LAST, OggOpus, PAGE_HEADER, PRE_SKIP};

/// Room for the longest page.
const LONGEST: usize = PAGE_HEADER + 255 + 255 * 255;

/// A page that is whole.
struct Page {
    len: usize,
    flags: u8,
    granule: u64,
    serial: u32,
    number: u32,
}

/// Finishes an Ogg Opus file: a torn page at the end goes, the last one ends the stream.
///
/// Damage in the middle stays where it is: players go on at the next page, whose granule position tells them the time.
///
/// # Errors
///
/// [`RepairError`].
pub fn ogg(file: &mut impl Whole) -> Result<Repaired, RepairError> {
    let whole = length(file)?;
    let mut buffer = vec![0; LONGEST];
    let len = read_at(file, 0, &mut buffer)?;
    if len < PAGE_HEADER + 9 {
        return Err(RepairError::Empty("Ogg Opus"));
    }
    let head = Page::parse(&buffer[..len]);
    let Some(head) = head.filter(|page| page.number == 0 && page.is_headed(&buffer)) else {
        let is_torn = len < PAGE_HEADER + 1 + HEAD.len() && &buffer[28..36] == b"OpusHead";
        return Err(if is_torn { RepairError::Empty("Ogg Opus") } else { RepairError::Foreign("Ogg Opus") });
    };
    let tags = read_at(file, head.len as u64, &mut buffer)?;
    let tags = Page::parse(&buffer[..tags]).filter(|page| page.serial == head.serial && page.number == 1);
    let Some(tags) = tags else {
        let is_empty = next(file, head.len as u64, &mut Ahead::new(LONGEST))?.is_none();
        return Err(if is_empty { RepairError::Empty("Ogg Opus") } else { RepairError::Foreign("Ogg Opus") });
    };
    if !tags.is_tagged(&buffer) {
        return Err(RepairError::Foreign("Ogg Opus"));
    }
    let (mut at, mut torn, mut last) = ((head.len + tags.len) as u64, 0, tags);
    let mut ahead = Ahead::new(LONGEST);
    while let Some((found, page)) = next(file, at, &mut ahead)? {
        // Another stream, or one that goes on after its end: others chain and mix streams, a recorder does not.
        if page.serial != last.serial || page.number <= last.number || last.flags & LAST != 0 {
            return Err(RepairError::Foreign("Ogg Opus"));
        }
        torn += found - at;
        at = found + page.len as u64;
        last = Page { granule: page.granule.max(last.granule), ..page };
    }
    let (torn, samples) = (torn + whole - at, last.granule.saturating_sub(PRE_SKIP));
    if last.flags & LAST != 0 {
        return Ok(Repaired { samples, bytes: at, torn });
    }
    file.seek(SeekFrom::Start(at))?;
    OggOpus::resumed(&mut *file, last.serial, last.number + 1, samples).finish(samples)?;
    let bytes = file.stream_position()?;
    Ok(Repaired { samples, bytes, torn })
}

/// The next whole page, and where it is.
fn next(file: &mut impl Whole, from: u64, ahead: &mut Ahead) -> io::Result<Option<(u64, Page)>> {
    let mut at = from;
    loop {
        let (bytes, is_end) = ahead.at(file, at)?;
        let last = if is_end { bytes.len() } else { bytes.len() - LONGEST + 1 };
        let mut marks = bytes.windows(4).take(last).enumerate().filter(|(_, mark)| mark == b"OggS");
        let found = marks.find_map(|(skipped, _)| Some((at + skipped as u64, Page::parse(&bytes[skipped..])?)));
        if found.is_some() || is_end {
            return Ok(found);
        }
        at += last as u64;
    }
}

impl Page {
    /// The page that these bytes begin with (RFC 3533, section 6).
    fn parse(bytes: &[u8]) -> Option<Self> {
        let segments = usize::from(*bytes.get(26)?);
        let table = bytes.get(PAGE_HEADER..PAGE_HEADER + segments)?;
        let len = PAGE_HEADER + segments + table.iter().map(|len| usize::from(*len)).sum::<usize>();
        let page = bytes.get(..len).filter(|page| page.starts_with(b"OggS\0"))?;
        let word = |at: usize| u32::from_le_bytes(std::array::from_fn(|byte| page[at + byte]));
        let mut sum = CRC.digest();
        sum.update(&page[..22]);
        sum.update(&[0; 4]);
        sum.update(&page[26..]);
        let granule = u64::from(word(6)) | u64::from(word(10)) << 32;
        let found = Self { len, flags: page[5], granule, serial: word(14), number: word(18) };
        // The last number and what is no time at all are nothing that a recorder writes.
        let is_possible = found.number < u32::MAX && found.granule <= i64::MAX as u64;
        (is_possible && sum.finalize() == word(22)).then_some(found)
    }

    /// Whether this page is how a recorder begins; `bytes` begin with it.
    fn is_headed(&self, bytes: &[u8]) -> bool {
        self.flags == FIRST && self.len == PAGE_HEADER + 1 + HEAD.len() && bytes[PAGE_HEADER + 1..self.len] == HEAD
    }

    /// Whether it holds the tags of a recorder: those of libopus, with a title before anything else.
    fn is_tagged(&self, bytes: &[u8]) -> bool {
        let page = &bytes[PAGE_HEADER + usize::from(bytes[26])..self.len];
        let text = |at: usize| {
            let len = page.get(at..at + 4).map(|len| u32::from_le_bytes(std::array::from_fn(|byte| len[byte])))?;
            page.get(at + 4..)?.get(..len as usize)
        };
        let vendor = text(8).filter(|_| page.starts_with(b"OpusTags") && self.flags == 0);
        let title = vendor.filter(|it| it.starts_with(b"libopus")).and_then(|vendor| text(12 + vendor.len() + 4));
        title.is_some_and(|title| title.starts_with(b"TITLE="))
    }
}
