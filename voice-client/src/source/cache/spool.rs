use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

/// Bytes of a block of memory: growing moves none of what is there.
const BLOCK: usize = 256 * 1024;

/// Where a cache keeps its audio.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Storage {
    /// In memory.
    Memory,
    /// In a file without a name in the system's folder for temporary files, which vanishes with the cache.
    TemporaryFile,
    /// In such a file in this folder.
    FileIn(PathBuf),
}

/// Bytes that are added at the end and read anywhere.
pub(super) struct Spool {
    kind: Kind,
    len: u64,
}

enum Kind {
    Memory(Vec<Vec<u8>>),
    File(File),
    /// A file that is made when there is something to write.
    Folder(Option<PathBuf>),
}

impl Spool {
    pub(super) fn new(storage: Storage) -> Self {
        let kind = match storage {
            Storage::Memory => Kind::Memory(Vec::new()),
            Storage::TemporaryFile => Kind::Folder(None),
            Storage::FileIn(folder) => Kind::Folder(Some(folder)),
        };
        Self { kind, len: 0 }
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Kind::Folder(folder) = &self.kind {
            self.kind = Kind::File(match folder {
                Some(folder) => tempfile::tempfile_in(folder)?,
                None => tempfile::tempfile()?,
            });
        }
        match &mut self.kind {
            Kind::Memory(blocks) => add(blocks, bytes),
            Kind::File(file) => {
                file.seek(SeekFrom::Start(self.len))?;
                file.write_all(bytes)?;
            }
            Kind::Folder(_) => {}
        }
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Fills `out` with what is at `at`; all of it must have been added.
    pub(super) fn read(&mut self, mut at: u64, mut out: &mut [u8]) -> io::Result<()> {
        match &mut self.kind {
            Kind::Memory(blocks) => {
                while !out.is_empty() {
                    let (block, offset) = (at as usize / BLOCK, at as usize % BLOCK);
                    let from = blocks.get(block).and_then(|block| block.get(offset..)).unwrap_or(&[]);
                    let count = from.len().min(out.len());
                    if count == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    let (now, later) = out.split_at_mut(count);
                    now.copy_from_slice(&from[..count]);
                    (out, at) = (later, at + count as u64);
                }
                Ok(())
            }
            Kind::File(file) => {
                file.seek(SeekFrom::Start(at))?;
                file.read_exact(out)
            }
            Kind::Folder(_) => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

fn add(blocks: &mut Vec<Vec<u8>>, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match blocks.last_mut().filter(|block| block.len() < BLOCK) {
            Some(block) => {
                let (now, later) = bytes.split_at(bytes.len().min(BLOCK - block.len()));
                block.extend_from_slice(now);
                bytes = later;
            }
            // The first one grows, so that short sounds stay small.
            None => blocks.push(Vec::with_capacity(if blocks.is_empty() { 0 } else { BLOCK })),
        }
    }
}
