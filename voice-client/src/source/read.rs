use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mixer::file::{Input, Streamed};
use mixer::pcm::{Encoding, Pcm};
use mixer::{Chunk, Info, Source, SourceError};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::runtime::Handle;

use super::pipe::{Gauge, Inlet, Outlet, Size, pipe};
use super::{NoRuntime, OPENING, PACKET, blame, runtime};
use crate::driver::lock;

/// Bytes taken from the stream at once.
const HELPING: usize = 16 * 1024;

/// A file, in any format that [`file`](mixer::file) knows, out of anything that can be read asynchronously.
///
/// It is read once, from front to back, as far ahead as a pipe of 256 KiB holds; it cannot seek. Formats that need
/// that (M4A with its table of contents at the end) fail, typed. A failure of the stream ends the source with
/// [`SourceError::Other`], whose cause is the [`io::Error`] in an [`Arc`]; what had come was played.
pub struct AsyncSource {
    name: Arc<str>,
    file: Streamed,
    stream: Lazy,
    slot: Slot,
    opened: bool,
}

/// Raw PCM out of anything that can be read asynchronously; see [`AsyncSource`] for the rest.
pub struct AsyncPcm {
    name: Arc<str>,
    stream: Lazy,
    layout: (Encoding, u32, u16),
    pcm: Option<Pcm>,
}

impl AsyncSource {
    /// The file that `stream` yields, and a name for error messages.
    pub fn new(name: impl Into<Arc<str>>, stream: impl AsyncRead + Send + Unpin + 'static) -> Self {
        let name = name.into();
        let slot = Slot::default();
        let again = slot.clone();
        let file = Streamed::new(name.clone(), move || Ok(Box::new(again.take()?)));
        Self { name, file, stream: Lazy::new(stream), slot, opened: false }
    }

    fn start(&mut self) -> Result<(), SourceError> {
        if let Some(outlet) = self.stream.start(&self.name)? {
            self.slot.put(outlet);
        }
        Ok(())
    }
}

impl AsyncPcm {
    /// The samples that `stream` yields, at `rate` Hz in `channels` interleaved channels; and a name for error messages.
    pub fn new(
        name: impl Into<Arc<str>>,
        stream: impl AsyncRead + Send + Unpin + 'static,
        encoding: Encoding,
        rate: u32,
        channels: u16,
    ) -> Self {
        Self { name: name.into(), stream: Lazy::new(stream), layout: (encoding, rate, channels), pcm: None }
    }

    fn start(&mut self) -> Result<Option<&mut Pcm>, SourceError> {
        if let Some(outlet) = self.stream.start(&self.name)? {
            let (encoding, rate, channels) = self.layout;
            self.pcm = Some(Pcm::stream(outlet, encoding, rate, channels));
        }
        Ok(self.pcm.as_mut())
    }
}

impl Source for AsyncSource {
    fn open(&mut self) -> Result<Info, SourceError> {
        self.start()?;
        let info = blame(self.file.open(), |_| false, &self.name, self.stream.gauge.clone());
        self.opened |= info.is_ok();
        info
    }

    fn read(&mut self, chunk: &mut Chunk) -> Result<bool, SourceError> {
        self.start()?;
        blame(self.file.read(chunk), |more| !more, &self.name, self.stream.gauge.clone())
    }

    fn seek(&mut self, _to: Duration) -> Result<Duration, SourceError> {
        Err(SourceError::Unseekable { name: self.name.clone() })
    }

    fn is_ready(&mut self) -> bool {
        self.start().is_err() || self.stream.is_ready(if self.opened { PACKET } else { OPENING })
    }
}

impl Source for AsyncPcm {
    fn open(&mut self) -> Result<Info, SourceError> {
        let name = self.name.clone();
        self.start()?.ok_or(SourceError::Unseekable { name })?.open()
    }

    fn read(&mut self, chunk: &mut Chunk) -> Result<bool, SourceError> {
        let name = self.name.clone();
        let more = self.start()?.ok_or(SourceError::Unseekable { name })?.read(chunk);
        blame(more, |more| !more, &self.name, self.stream.gauge.clone())
    }

    fn seek(&mut self, _to: Duration) -> Result<Duration, SourceError> {
        Err(SourceError::Unseekable { name: self.name.clone() })
    }

    fn is_ready(&mut self) -> bool {
        self.start().is_err() || self.stream.is_ready(1)
    }
}

impl fmt::Debug for AsyncSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AsyncSource").field(&self.name).finish()
    }
}

impl fmt::Debug for AsyncPcm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AsyncPcm").field(&self.name).field(&self.layout).finish()
    }
}

/// A stream that is copied into a pipe from its first use on.
struct Lazy {
    stream: Option<Box<dyn AsyncRead + Send + Unpin>>,
    made_in: Option<Handle>,
    gauge: Option<Gauge>,
}

impl Lazy {
    fn new(stream: impl AsyncRead + Send + Unpin + 'static) -> Self {
        Self { stream: Some(Box::new(stream)), made_in: Handle::try_current().ok(), gauge: None }
    }

    /// The end of the pipe, the first time.
    fn start(&mut self, name: &Arc<str>) -> Result<Option<Outlet>, SourceError> {
        if self.stream.is_none() {
            return Ok(None);
        }
        let runtime =
            runtime(self.made_in.as_ref()).map_err(|error: NoRuntime| SourceError::other(name.clone(), error))?;
        let (inlet, outlet) = pipe(0, Size::default());
        self.gauge = Some(outlet.gauge());
        if let Some(stream) = self.stream.take() {
            runtime.spawn(copy(stream, inlet));
        }
        Ok(Some(outlet))
    }

    fn is_ready(&self, bytes: usize) -> bool {
        self.gauge.as_ref().is_none_or(|gauge| gauge.is_ready(bytes))
    }
}

async fn copy(mut stream: Box<dyn AsyncRead + Send + Unpin>, mut inlet: Inlet) {
    let gauge = inlet.gauge();
    let mut buffer = vec![0; HELPING];
    loop {
        let read = tokio::select! {
            () = gauge.unread() => return,
            read = stream.read(&mut buffer) => read,
        };
        match read {
            Ok(0) => return inlet.end(Ok(())),
            Ok(count) => {
                if inlet.write(&buffer[..count]).await.is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return inlet.end(Err(Arc::new(error))),
        }
    }
}

/// Where a stream that exists but once waits to be opened: again and again, as long as its beginning is not forgotten.
#[derive(Clone, Default)]
pub(super) struct Slot(Arc<Mutex<Option<Outlet>>>);

impl Slot {
    pub(super) fn put(&self, outlet: Outlet) {
        *lock(&self.0) = Some(outlet);
    }

    pub(super) fn take(&self) -> io::Result<Borrowed> {
        let outlet = lock(&self.0).take();
        let outlet = outlet.ok_or_else(|| io::Error::new(io::ErrorKind::NotSeekable, "it can be read only once"))?;
        Ok(Borrowed { outlet: Some(outlet), slot: self.clone() })
    }
}

pub(super) struct Borrowed {
    outlet: Option<Outlet>,
    slot: Slot,
}

impl Borrowed {
    fn outlet(&mut self) -> io::Result<&mut Outlet> {
        self.outlet.as_mut().ok_or_else(|| io::ErrorKind::NotSeekable.into())
    }
}

impl Read for Borrowed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.outlet()?.read(buffer)
    }
}

impl Seek for Borrowed {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.outlet()?.seek(to)
    }
}

impl Input for Borrowed {
    fn is_seekable(&self) -> bool {
        false
    }

    fn byte_len(&self) -> Option<u64> {
        None
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        if let Some(mut outlet) = self.outlet.take()
            && outlet.go(0)
        {
            self.slot.put(outlet);
        }
    }
}
