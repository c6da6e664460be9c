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

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::file::{Bytes, Streamed};
    use crate::{Chunk, Source, SourceError};

    /// A file that comes through a pipe, and breaks off with an error at its end.
    struct Pipe(Cursor<Vec<u8>>, bool);

    #[derive(Debug, thiserror::Error)]
    #[error("the pipe burst")]
    struct Burst;

    impl Read for Pipe {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match self.0.read(buffer)? {
                0 if self.1 => Err(io::Error::other(Burst)),
                count => Ok(count),
            }
        }
    }

    impl Seek for Pipe {
        fn seek(&mut self, _to: SeekFrom) -> io::Result<u64> {
            panic!("not seekable")
        }
    }

    impl Input for Pipe {
        fn is_seekable(&self) -> bool {
            false
        }

        fn byte_len(&self) -> Option<u64> {
            None
        }
    }

    fn drain(source: &mut dyn Source) -> (Vec<f32>, Result<bool, SourceError>) {
        let (mut samples, mut chunk) = (Vec::new(), Chunk::new());
        loop {
            chunk.clear();
            let more = source.read(&mut chunk);
            samples.extend_from_slice(chunk.samples());
            if !matches!(more, Ok(true)) {
                return (samples, more);
            }
        }
    }

    #[test]
    fn what_cannot_seek_plays_on_and_its_errors_are_kept() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/stereo.flac");
        let bytes = std::fs::read(path).unwrap();
        let (expected, _) = drain(&mut Bytes::new(bytes.clone()));
        let whole = bytes.clone();
        let mut source = Streamed::new("a pipe", move || Ok(Box::new(Pipe(Cursor::new(whole.clone()), false))));
        assert!(!source.open().unwrap().seekable);
        assert!(matches!(source.seek(std::time::Duration::ZERO), Err(SourceError::Unseekable { .. })));
        let (heard, end) = drain(&mut source);
        assert!(!end.unwrap());
        assert_eq!(heard, expected);

        let half = bytes[..bytes.len() / 2].to_vec();
        let mut source = Streamed::new("a pipe", move || Ok(Box::new(Pipe(Cursor::new(half.clone()), true))));
        let (heard, end) = drain(&mut source);
        assert!(!heard.is_empty() && heard == expected[..heard.len()]);
        let Err(SourceError::Read { cause, .. }) = end else { panic!("{end:?}") };
        assert!(cause.get_ref().is_some_and(|inner| inner.is::<Burst>()), "{cause:?}");

        let mut source = Streamed::new("a pipe", || Err(io::Error::other(Burst)));
        let Err(SourceError::Open { cause, .. }) = source.open() else { panic!("it opened") };
        assert!(cause.get_ref().is_some_and(|inner| inner.is::<Burst>()));
    }
}
