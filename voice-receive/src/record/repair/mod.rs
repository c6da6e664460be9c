//! Finishing the files of a recording whose program was killed.
//!
//! Each function looks at a file from its beginning, keeps what is whole, also behind damage, and makes it a finished
//! file in place. The caller cuts it to [`Repaired::bytes`] then, which a writer cannot. A file that is whole stays as it
//! is, one that no recorder wrote is not touched.

mod flac;
mod ogg;
mod wav;

use std::io::{self, Read, Seek, SeekFrom, Write};

pub use flac::flac;
pub use ogg::ogg;
pub use wav::wav;

/// What a file is after its repair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Repaired {
    /// Samples per channel in it.
    pub samples: u64,
    /// Where it ends: the rest is to be cut off.
    pub bytes: u64,
    /// Bytes that were torn or damaged, and are lost. Those in the middle are still there.
    pub torn: u64,
}

/// Why a file cannot be repaired.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RepairError {
    /// Its beginning is not what a recorder of this crate writes.
    #[error("this is no {0} file of a recorder: repair it with the program that wrote it")]
    Foreign(&'static str),
    /// Not even the header is there.
    #[error("the {0} file ends before its audio begins: nothing of it was written, delete it")]
    Empty(&'static str),
    /// It cannot be read or written.
    #[error("the file cannot be repaired: {0}")]
    Io(#[from] io::Error),
}

/// Where the last whole line of a text file ends: the rest is to be cut off.
///
/// # Errors
///
/// Those of the reader.
pub fn lines(file: &mut impl Read) -> io::Result<u64> {
    let (mut whole, mut at, mut chunk) = (0, 0, [0; 8 * 1024]);
    loop {
        let len = match file.read(&mut chunk) {
            Ok(0) => return Ok(whole),
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if let Some(last) = chunk[..len].iter().rposition(|byte| *byte == b'\n') {
            whole = at + last as u64 + 1;
        }
        at += len as u64;
    }
}

/// A file that is read, written and sought.
pub trait Whole: Read + Write + Seek {}

impl<F: Read + Write + Seek> Whole for F {}

/// Bytes of the file.
fn length(file: &mut impl Seek) -> io::Result<u64> {
    file.seek(SeekFrom::End(0))
}

/// Fills `buffer` from `at` on as far as the file goes; returns how much that is.
fn read_at(file: &mut (impl Read + Seek), at: u64, buffer: &mut [u8]) -> io::Result<usize> {
    file.seek(SeekFrom::Start(at))?;
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(len) => filled += len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// A file that is looked through from its beginning: twice as much as is needed is read at a time.
struct Ahead {
    room: usize,
    bytes: Vec<u8>,
    start: u64,
    len: usize,
}

impl Ahead {
    /// `room` is how many bytes are wanted at once.
    fn new(room: usize) -> Self {
        Self { room, bytes: vec![0; 2 * room], start: 0, len: 0 }
    }

    /// At least `room` bytes from `at` on, and whether the file ends behind them; less only when it does.
    fn at(&mut self, file: &mut (impl Read + Seek), at: u64) -> io::Result<(&[u8], bool)> {
        let is_near = (self.start..self.start + self.len as u64).contains(&at);
        let is_end = self.len > 0 && self.len < self.bytes.len();
        if !is_near || (!is_end && self.start + self.len as u64 - at < self.room as u64) {
            self.len = read_at(file, at, &mut self.bytes)?;
            self.start = at;
        }
        let bytes = &self.bytes[(at - self.start) as usize..self.len];
        Ok((bytes, self.len < self.bytes.len()))
    }
}
