use std::io::SeekFrom;

use super::{RepairError, Repaired, Whole, length, read_at};
use crate::record::wav::{BLOCK, HEADER, header};

/// Finishes a WAV file: its header says how long it is.
///
/// # Errors
///
/// [`RepairError`].
pub fn wav(file: &mut impl Whole) -> Result<Repaired, RepairError> {
    let mut head = [0; HEADER];
    if read_at(file, 0, &mut head)? < HEADER {
        return Err(RepairError::Empty("WAV"));
    }
    let is_ours = |at: usize| head[at] == header(0)[at];
    let fixed = (8..12).chain(48..76).all(is_ours);
    if !fixed || !(head.starts_with(b"RIFF") || head.starts_with(b"RF64")) {
        return Err(RepairError::Foreign("WAV"));
    }
    let whole = length(file)?;
    let data = (whole - HEADER as u64) / BLOCK * BLOCK;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&header(data))?;
    file.flush()?;
    let bytes = HEADER as u64 + data;
    Ok(Repaired { samples: data / BLOCK, bytes, torn: whole - bytes })
}
