use std::io::SeekFrom;

use super::{RepairError, Repaired, Whole, length, read_at};
use crate::record::ogg::{CRC, LAST, OggOpus, PAGE_HEADER, PRE_SKIP};

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

/// Finishes an Ogg Opus file: a torn page goes, the last one ends the stream.
///
/// # Errors
///
/// [`RepairError`].
pub fn ogg(file: &mut impl Whole) -> Result<Repaired, RepairError> {
    let whole = length(file)?;
    let mut buffer = vec![0; LONGEST];
    let (mut at, mut last): (u64, Option<Page>) = (0, None);
    loop {
        let len = read_at(file, at, &mut buffer)?;
        if at == 0 && len >= 36 && &buffer[28..36] != b"OpusHead" {
            return Err(RepairError::Foreign("Ogg Opus"));
        }
        let goes_on = |page: &Page| {
            last.as_ref().is_none_or(|before| before.serial == page.serial && page.number == before.number + 1)
        };
        let Some(page) = Page::parse(&buffer[..len]).filter(goes_on) else { break };
        at += page.len as u64;
        let is_last = page.flags & LAST != 0;
        last = Some(page);
        if is_last {
            break;
        }
    }
    let Some(last) = last.filter(|page| page.number > 0) else { return Err(RepairError::Empty("Ogg Opus")) };
    let (torn, samples) = (whole - at, last.granule.saturating_sub(PRE_SKIP));
    if last.flags & LAST != 0 {
        return Ok(Repaired { samples, bytes: at, torn });
    }
    file.seek(SeekFrom::Start(at))?;
    OggOpus::resumed(&mut *file, last.serial, last.number + 1, samples).finish(samples)?;
    let bytes = file.stream_position()?;
    Ok(Repaired { samples, bytes, torn })
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
        (sum.finalize() == word(22)).then_some(found)
    }
}
