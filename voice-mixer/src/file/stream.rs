use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use symphonia::core::io::MediaSource;

/// The bytes of a file that come from somewhere else than a disk: the network, another program, a format of your own.
///
/// One that is not seekable is read from front to back; its `Seek` is never called.
pub trait Input: Read + Seek + Send + Sync {
    /// Whether [`Seek`] works, to every place.
    fn is_seekable(&self) -> bool;

    /// Length in bytes, where it is known.
    fn byte_len(&self) -> Option<u64>;
}

/// What opens an [`Input`] from its beginning, as often as it is asked.
pub(super) type Opener = Arc<dyn Fn() -> io::Result<Box<dyn Input>> + Send + Sync>;

/// An input as symphonia wants it.
pub(super) struct Bridge(pub(super) Box<dyn Input>);

impl Read for Bridge {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Seek for Bridge {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

impl MediaSource for Bridge {
    fn is_seekable(&self) -> bool {
        self.0.is_seekable()
    }

    fn byte_len(&self) -> Option<u64> {
        self.0.byte_len()
    }
}
