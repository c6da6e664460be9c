//! Audio on the web: files, which can be sought in when the server sends parts, and radio stations, which play on.

mod client;
mod error;
mod fetch;
mod icy;
mod input;
mod playlist;
mod range;
mod request;
#[cfg(feature = "hls")]
mod whole;

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mixer::file::Streamed;
use mixer::{Chunk, Info, Metadata, Source, SourceError};
use tokio::runtime::Handle;

pub use self::error::HttpError;
pub use reqwest;

use self::fetch::Remote;
use self::input::{Desk, Reading};
#[cfg(feature = "hls")]
pub(in crate::source) use self::request::Wanted;
#[cfg(feature = "hls")]
pub(in crate::source) use self::request::is_passing;
pub(in crate::source) use self::request::{Requests, parse};
#[cfg(feature = "hls")]
pub(in crate::source) use self::whole::Whole;
use super::passage::Passage;
use super::{OPENING, PACKET, blame, runtime, shown};
use crate::driver::lock;

/// What has no length sends at the pace it is played at: nobody waits for 64 KiB of it.
const OPENING_LIVE: usize = 16 * 1024;

/// A file or a radio station at an address with http or https.
///
/// It is fetched by a task, from its first use on, as far ahead as a pipe of 256 KiB holds. When a connection breaks off,
/// the next one goes on where it was, five attempts in a row; a server that sends no parts by then, or something else
/// than before, ends the source. A station that hangs up is called again like that; it must stay for 30 s to have the
/// attempts counted anew. Every failure is [`SourceError::Other`] with a [`HttpError`] inside, after what had
/// come.
///
/// Where the server sends parts (`Range`, RFC 9110, section 14) and the length is known, seeks read on when they are near,
/// and are another request when not. Elsewhere they read on, or begin again, until they are there, which takes as long as
/// the server does. Radio stations play on and cannot be sought in, their titles come with the audio
/// ([`Chunk::metadata`]), their name is in [`Info::metadata`]. A playlist (M3U, PLS) is followed to the first address in
/// it. Of a WebM file the padding of the last packet, less than 20 ms of silence, is played too.
pub struct Http {
    name: Arc<str>,
    spec: Spec,
    made_in: Option<Handle>,
    active: Option<Active>,
}

#[derive(Clone)]
struct Spec {
    url: Arc<str>,
    requests: Requests,
    part: Option<u64>,
    /// What was wrong with the configuration.
    broken: Option<HttpError>,
}

struct Active {
    file: Streamed,
    remote: Arc<Remote>,
    desk: Arc<Desk>,
    opened: bool,
    /// Through what cannot be had in parts.
    passage: Passage,
}

impl Http {
    /// What is at `url`. Nothing is asked before it is first played or preloaded.
    ///
    /// Whoever chooses the address chooses what this machine asks, addresses of its own network included: when that is a
    /// stranger, bring a [client](Self::client) whose resolver refuses those.
    pub fn new(url: impl Into<Arc<str>>) -> Self {
        let url = url.into();
        let name = shown(&url);
        let requests = Requests::to(&url);
        let spec = Spec { url, requests, part: None, broken: None };
        Self { name, spec, made_in: Handle::try_current().ok(), active: None }
    }

    /// With this header in every request to this host; a wrong one is reported when the source is opened. Other hosts that
    /// playlists name get none but Accept, Accept-Language, Origin, Referer and User-Agent; a redirect to another host takes all
    /// with it but Authorization and cookies.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let added = self.spec.requests.header(name, value);
        self.spec.broken = self.spec.broken.or(added.err());
        self
    }

    /// With a client of your own: its proxies, TLS, redirects and cookies.
    #[must_use]
    pub fn client(mut self, client: reqwest::Client) -> Self {
        self.spec.requests.client = Some(client);
        self
    }

    /// Asks for parts of so many bytes, one after the other, as some hosts of videos want it: 1 MiB is their measure.
    #[must_use]
    pub fn ranges_of(mut self, bytes: u64) -> Self {
        self.spec.part = Some(bytes.max(1));
        self
    }

    /// How long to wait for a connection and the head of an answer: 10 s, unless told.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.spec.requests.connect = timeout;
        self
    }

    /// How long a server may send nothing while something is wanted of it: 15 s, unless told. All of it may take as
    /// long as it takes.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.spec.requests.silence = timeout;
        self
    }

    /// How often it is asked for until there is an answer, and how many attempts in a row may fail to go on after a break
    /// (5 unless told); and how long to wait before the next one (250 ms unless told; twice as long before each further
    /// one, at most 32 times as long).
    #[must_use]
    pub fn retries(mut self, attempts: u32, wait: Duration) -> Self {
        (self.spec.requests.attempts, self.spec.requests.wait) = (attempts, wait);
        self
    }

    /// Starts to fetch, if that has not happened.
    fn start(&mut self) -> Result<&mut Active, SourceError> {
        if self.active.is_none() {
            let failed = |error| SourceError::other(self.name.clone(), error);
            let url = self.spec.broken.clone().map_or_else(|| parse(&self.spec.url), Err).map_err(failed)?;
            let runtime = runtime(self.made_in.as_ref());
            let runtime = runtime.map_err(|error| SourceError::other(self.name.clone(), error))?;
            let remote = Arc::new(Remote {
                url,
                requests: self.spec.requests.clone(),
                part: self.spec.part,
                head: Mutex::default(),
                news: Mutex::new(VecDeque::new()),
            });
            let desk = Arc::new(Desk::default());
            desk.start(&remote, &runtime);
            let (again, shared) = (remote.clone(), desk.clone());
            let file = Streamed::new(self.name.clone(), move || Ok(Box::new(Reading::open(&again, &shared, &runtime))));
            self.active = Some(Active { file, remote, desk, opened: false, passage: Passage::default() });
        }
        self.active.as_mut().ok_or_else(|| SourceError::Unseekable { name: self.name.clone() })
    }
}

impl Active {
    /// The metadata of the last title that began before what is read next.
    fn news(&self) -> Option<Metadata> {
        let at = self.desk.gauge()?.position();
        let mut news = lock(&self.remote.news);
        let mut latest = None;
        while news.front().is_some_and(|(offset, _)| *offset <= at) {
            latest = news.pop_front();
        }
        latest.map(|(_, metadata)| metadata)
    }
}

impl Source for Http {
    fn open(&mut self) -> Result<Info, SourceError> {
        let name = self.name.clone();
        let active = self.start()?;
        let mut info = blame(active.file.open(), |_| false, &name, active.desk.gauge())?;
        active.opened = true;
        if let Some(head) = &*lock(&active.remote.head) {
            let Metadata { title, url, .. } = &head.station;
            info.metadata.title = title.clone().or(info.metadata.title);
            info.metadata.url = url.clone().or(info.metadata.url);
            info.seekable |= !head.is_station;
        }
        Ok(info)
    }

    fn read(&mut self, chunk: &mut Chunk) -> Result<bool, SourceError> {
        let name = self.name.clone();
        let active = self.start()?;
        let more = blame(active.file.read(chunk), |more| !more, &name, active.desk.gauge())?;
        active.opened = true;
        if let Some(metadata) = active.news() {
            chunk.set_metadata(metadata);
        }
        active.passage.pass(chunk);
        Ok(more)
    }

    fn seek(&mut self, to: Duration) -> Result<Duration, SourceError> {
        let name = self.name.clone();
        let info = self.open()?;
        if !info.seekable {
            return Err(SourceError::Unseekable { name });
        }
        let active = self.start()?;
        match blame(active.file.seek(to), |_| false, &name, active.desk.gauge()) {
            Err(SourceError::Unseekable { .. }) => {}
            sought => return sought,
        }
        let broken = active.desk.gauge().is_some_and(|gauge| gauge.failure().is_some());
        if broken || to < active.passage.position() {
            self.active = None;
        }
        // What comes before is read and left out by `read`, which holds no thread for it.
        Ok(self.start()?.passage.aim(to, &info))
    }

    fn is_ready(&mut self) -> bool {
        // What is wrong is said by `open`.
        let Ok(active) = self.start() else { return true };
        let live = lock(&active.remote.head).as_ref().is_some_and(|head| head.len().is_none());
        let wanted = match (active.opened, live) {
            (true, _) => PACKET,
            (false, true) => OPENING_LIVE,
            (false, false) => OPENING,
        };
        active.desk.gauge().is_none_or(|gauge| gauge.is_ready(wanted))
    }

    fn fresh(&self) -> Option<Box<dyn Source>> {
        let (name, spec, made_in) = (self.name.clone(), self.spec.clone(), self.made_in.clone());
        Some(Box::new(Self { name, spec, made_in, active: None }))
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Http").field(&self.name).finish()
    }
}
