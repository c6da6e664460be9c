use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Seek};
use std::path::PathBuf;

use receive::record::Folder;

use super::listing::listed;

/// Bytes that wait for a quarter of a second at most.
const BUFFER: usize = 16 * 1024;

/// The folder of a recording.
#[derive(Debug)]
pub(crate) struct Disk {
    pub(crate) folder: PathBuf,
    pub(crate) overwrite: bool,
    /// Files of audio that were made, and are not listed yet.
    pub(crate) made: Vec<String>,
}

impl Disk {
    pub(crate) fn new(folder: PathBuf, overwrite: bool) -> Self {
        Self { folder, overwrite, made: Vec::new() }
    }

    /// The journal of a new recording: nobody else records or repairs here as long as it is open. Of an earlier recording
    /// that is overwritten, all files that its journal lists go.
    pub(crate) fn journal(&self, name: &str) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        let options = if self.overwrite { options.create(true).truncate(false) } else { options.create_new(true) };
        let mut journal = options.open(self.folder.join(name))?;
        lock(&journal)?;
        for name in listed(&mut journal)? {
            let path = self.folder.join(name);
            // They may be gone, or are replaced: whatever cannot be is told then.
            let _ = std::fs::remove_file(path.with_extension("mp3"));
            let _ = std::fs::remove_file(path);
        }
        journal.set_len(0)?;
        journal.rewind()?;
        Ok(journal)
    }

    /// A new file in it.
    pub(crate) fn open(&self, name: &str) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        let options = if self.overwrite { options.create(true).truncate(true) } else { options.create_new(true) };
        options.open(self.folder.join(name))
    }
}

impl Folder for Disk {
    type File = BufWriter<File>;

    fn create(&mut self, name: &str) -> io::Result<BufWriter<File>> {
        let file = self.open(name)?;
        self.made.push(name.to_owned());
        Ok(BufWriter::with_capacity(BUFFER, file))
    }
}

/// Keeps a journal to ourselves.
///
/// # Errors
///
/// [`io::ErrorKind::ResourceBusy`] when it is somebody else's. Where files cannot be locked, it is not known.
pub(crate) fn lock(journal: &File) -> io::Result<()> {
    match journal.try_lock() {
        Err(TryLockError::WouldBlock) => Err(io::ErrorKind::ResourceBusy.into()),
        Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
    }
}
