use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter};
use std::path::PathBuf;

use receive::record::Folder;

/// Bytes that wait for a quarter of a second at most.
const BUFFER: usize = 16 * 1024;

/// The folder of a recording.
#[derive(Debug)]
pub(crate) struct Disk {
    pub(crate) folder: PathBuf,
    pub(crate) overwrite: bool,
}

impl Disk {
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
        self.open(name).map(|file| BufWriter::with_capacity(BUFFER, file))
    }
}
