//! A program's output as a file of some container.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use mixer::{Chunk, Info, Source, SourceError, file};

use super::pipe::Outlet;

/// More than this is not kept in memory.
const LIMIT: u64 = 256 << 20;

/// Reads the output to its end when it is opened.
pub(super) struct Media {
    outlet: Option<Outlet>,
    name: Arc<str>,
    file: Option<file::Bytes>,
}

impl Media {
    pub(super) fn new(outlet: Outlet, name: Arc<str>) -> Self {
        Self { outlet: Some(outlet), name, file: None }
    }

    fn file(&mut self) -> Result<&mut file::Bytes, SourceError> {
        if let Some(outlet) = self.outlet.take() {
            let mut bytes = Vec::new();
            // What came before a failure is played.
            let _ = outlet.take(LIMIT).read_to_end(&mut bytes);
            self.file = Some(file::Bytes::named(self.name.clone(), bytes));
        }
        Ok(self.file.as_mut().expect("invariant: made when the outlet was taken"))
    }
}

impl Source for Media {
    fn open(&mut self) -> Result<Info, SourceError> {
        self.file()?.open()
    }

    fn read(&mut self, chunk: &mut Chunk) -> Result<bool, SourceError> {
        self.file()?.read(chunk)
    }

    fn seek(&mut self, to: Duration) -> Result<Duration, SourceError> {
        self.file()?.seek(to)
    }
}
