use std::io::{Error, ErrorKind, Read, Result, Seek, SeekFrom};
use std::sync::Arc;

use symphonia::core::io::MediaSource;

/// The same bytes again and again, after a head that comes once.
pub struct Endless {
    head: Vec<u8>,
    body: Arc<[u8]>,
    at: usize,
}

impl Endless {
    pub fn new(head: Vec<u8>, body: Arc<[u8]>) -> Self {
        Self { head, body, at: 0 }
    }
}

impl Read for Endless {
    fn read(&mut self, out: &mut [u8]) -> Result<usize> {
        let left = match self.at.checked_sub(self.head.len()) {
            None => &self.head[self.at..],
            Some(at) => &self.body[at % self.body.len()..],
        };
        let len = left.len().min(out.len());
        out[..len].copy_from_slice(&left[..len]);
        self.at += len;
        Ok(len)
    }
}

impl Seek for Endless {
    fn seek(&mut self, _: SeekFrom) -> Result<u64> {
        Err(Error::new(ErrorKind::Unsupported, "this goes on for ever"))
    }
}

impl MediaSource for Endless {
    fn is_seekable(&self) -> bool {
        false
    }

    fn byte_len(&self) -> Option<u64> {
        None
    }
}
