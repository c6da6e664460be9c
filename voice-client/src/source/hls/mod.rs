//! HTTP Live Streaming (RFC 8216): recorded streams, which can be sought in, and live ones.

mod cipher;
mod error;
mod fetch;
mod playlist;
mod segment;
mod transport;

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::time::Duration;

use mixer::file::Streamed;
use mixer::{Chunk, Format, Info, Source, SourceError, opus};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

pub use self::error::HlsError;

use self::fetch::{Begin, Line, Output, Part, Plan};
use self::segment::{Kind, Stamp};
use super::http::{Requests, parse, reqwest};
use super::pipe::{Abandoned, Gauge};
use super::read::Slot;
use super::{PACKET, runtime, shown};

/// With this much any demultiplexer begins; a live stream does not come faster than it is played.
const OPENING: usize = 16 * 1024;
/// Decoders must have seen this much before the first wanted sample: more than a dozen frames of MP3.
const PREROLL: Duration = Duration::from_millis(500);

/// A stream of HTTP Live Streaming, by the address of its playlist.
///
/// Of several streams, the audio-only one of the highest rate is played, else an audio rendition, else the audio of the
/// one with the lowest rate; [`max_bandwidth`](Self::max_bandwidth) limits the choice. Segments are MPEG-TS, fragmented
/// MP4, AAC or MP3, as they are or encrypted by AES-128. AAC is AAC-LC; of HE-AAC its LC half is heard. Recorded streams
/// seek, to the sample where their timestamps allow (to the playlist's lengths after a discontinuity); live ones begin
/// three segments before their end, and play on until the playlist says that it has ended or has had nothing new for the
/// [stall timeout](Self::stall_timeout).
///
/// Fetching and failing are as for [`Http`](super::http::Http): [`SourceError::Other`] with a [`HlsError`] inside, after
/// what had come.
pub struct Hls {
    name: Arc<str>,
    spec: Spec,
    made_in: Option<Handle>,
    session: Option<Session>,
    info: Option<Info>,
    /// Of the very first segment.
    zero: Option<Stamp>,
    contents: Option<Arc<fetch::Contents>>,
    /// What a seek read too much.
    held: Option<Chunk>,
}

#[derive(Clone)]
struct Spec {
    url: Arc<str>,
    requests: Requests,
    cap: Option<u64>,
    stall: Duration,
    broken: Option<super::http::HttpError>,
}

/// From some segment on.
struct Session {
    outputs: Receiver<Output>,
    room: Arc<Notify>,
    task: AbortHandle,
    /// Taken from the line, not begun.
    next: Option<Output>,
    playing: Option<Playing>,
}

struct Playing {
    file: Streamed,
    gauge: Gauge,
    kind: Kind,
    begin: Begin,
    opened: bool,
}

impl Hls {
    /// The stream whose playlist is at `url`.
    ///
    /// Whoever chooses the address chooses what this machine asks, addresses of its own network included: when that is a
    /// stranger, bring a [client](Self::client) whose resolver refuses those.
    pub fn new(url: impl Into<Arc<str>>) -> Self {
        let url = url.into();
        let name = shown(&url);
        let stall = Duration::from_secs(60);
        let requests = Requests::to(&url);
        let spec = Spec { url, requests, cap: None, stall, broken: None };
        let made_in = Handle::try_current().ok();
        Self { name, spec, made_in, session: None, info: None, zero: None, contents: None, held: None }
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

    /// With a client of your own.
    #[must_use]
    pub fn client(mut self, client: reqwest::Client) -> Self {
        self.spec.requests.client = Some(client);
        self
    }

    /// Chooses no stream of more bits per second, if there is one of fewer.
    #[must_use]
    pub fn max_bandwidth(mut self, bits_per_second: u64) -> Self {
        self.spec.cap = Some(bits_per_second);
        self
    }

    /// How long a live stream may have nothing new: 60 s, unless told. A playlist that cannot be had (no answer, 4xx, 5xx) has
    /// nothing new.
    #[must_use]
    pub fn stall_timeout(mut self, timeout: Duration) -> Self {
        self.spec.stall = timeout;
        self
    }

    /// How often a segment or playlist is asked for (5 times unless told), and how long to wait before the second time
    /// (250 ms unless told; twice as long before each further one, at most 32 times as long).
    #[must_use]
    pub fn retries(mut self, attempts: u32, wait: Duration) -> Self {
        (self.spec.requests.attempts, self.spec.requests.wait) = (attempts, wait);
        self
    }

    /// How long a server may take to answer (10 s unless told), and to send the next bytes (15 s unless told).
    #[must_use]
    pub fn timeouts(mut self, connect: Duration, idle: Duration) -> Self {
        (self.spec.requests.connect, self.spec.requests.silence) = (connect, idle);
        self
    }

    fn begin(&self, first: usize) -> Result<Session, SourceError> {
        let failed = |error| SourceError::other(self.name.clone(), error);
        let url = self.spec.broken.clone().map_or_else(|| parse(&self.spec.url), Err);
        let url = url.map_err(|cause| failed(HlsError::Http { what: "playlist".into(), cause }))?;
        let runtime = runtime(self.made_in.as_ref());
        let runtime = runtime.map_err(|error| SourceError::other(self.name.clone(), error))?;
        let Spec { requests, cap, stall, .. } = self.spec.clone();
        let (sender, outputs) = sync_channel(1);
        let room = Arc::new(Notify::new());
        let line = Line { outputs: sender, room: room.clone() };
        let task = runtime.spawn(fetch::fetch(url, Plan { requests, cap, stall, first }, line));
        Ok(Session { outputs, room, task: task.abort_handle(), next: None, playing: None })
    }

    fn session(&mut self) -> Result<&mut Session, SourceError> {
        let session = match self.session.take() {
            Some(session) => session,
            None => self.begin(0)?,
        };
        Ok(self.session.insert(session))
    }

    /// The part that is played, opened; `None` at the end of all.
    fn playing(&mut self) -> Result<Option<(&mut Playing, Info)>, SourceError> {
        let name = self.name.clone();
        let failed = |error| SourceError::other(name.clone(), error);
        let session = self.session()?;
        if session.playing.is_none() {
            match session.next.take().or_else(|| session.outputs.recv().ok()) {
                None => return Err(SourceError::other(name, Abandoned)),
                Some(Output::End) => {
                    session.next = Some(Output::End);
                    return Ok(None);
                }
                Some(Output::Failed(error)) => {
                    session.next = Some(Output::Failed(error.clone()));
                    return Err(failed(error));
                }
                Some(Output::Part(part)) => {
                    session.room.notify_one();
                    session.playing = Some(Playing::new(&name, part));
                }
            }
        }
        let Some(playing) = &mut session.playing else { return Ok(None) };
        let info = super::blame(playing.file.open(), |_| false, &name, Some(playing.gauge.clone()))?;
        playing.opened = true;
        Ok(Some((playing, info)))
    }

    /// Reads a chunk of the part that is played; left empty between two.
    fn next(&mut self, chunk: &mut Chunk) -> Result<bool, SourceError> {
        let (name, format) = (self.name.clone(), self.info.as_ref().map(|info| info.format));
        let Some((playing, info)) = self.playing()? else { return Ok(false) };
        if format.is_some_and(|format| (format == Format::Opus) != (info.format == Format::Opus)) {
            let codec = "Opus and then something else, or the other way round".into();
            return Err(SourceError::other(name, HlsError::Codec { codec }));
        }
        let gauge = playing.gauge.clone();
        if super::blame(playing.file.read(chunk), |more| !more, &name, Some(gauge))? {
            return Ok(true);
        }
        if let Some(session) = &mut self.session {
            session.playing = None;
        }
        Ok(true)
    }

    /// When the first sample of a part sounds.
    fn time(&self, begin: &Begin, kind: Kind, info: &Info) -> Duration {
        let (Some(zero), Some(stamp)) = (self.zero.filter(|_| begin.is_first_run), begin.stamp) else {
            return begin.at;
        };
        if zero.scale != stamp.scale {
            return begin.at;
        }
        // Timestamps of MPEG-TS have 33 bits.
        let wrapped = if kind == Kind::Mp4 { u64::MAX } else { 0x1_FFFF_FFFF };
        let ticks = stamp.ticks.wrapping_sub(zero.ticks) & wrapped;
        let Format::Pcm { rate, .. } = info.format else {
            return Duration::from_secs_f64(ticks as f64 / f64::from(stamp.scale));
        };
        let exact = (u128::from(ticks) * u128::from(rate) + u128::from(stamp.scale / 2)) / u128::from(stamp.scale);
        let mut sample = exact as u64;
        if let Some(frame) = kind.frame(rate) {
            let whole = (sample + frame / 2) / frame * frame;
            sample = if whole.abs_diff(sample) <= 32 { whole } else { sample };
        }
        let time = mixer::time(sample, rate);
        // Nonsense is worse than an estimate.
        if time.abs_diff(begin.at) < Duration::from_secs(30) { time } else { begin.at }
    }

    /// Plays from this segment on; returns when its first sample sounds.
    fn restart(&mut self, segment: usize) -> Result<Option<Duration>, SourceError> {
        self.held = None;
        self.session = Some(self.begin(segment)?);
        let Some((playing, info)) = self.playing()? else { return Ok(None) };
        let (begin, kind) = (playing.begin.clone(), playing.kind);
        Ok(Some(if segment == 0 { Duration::ZERO } else { self.time(&begin, kind, &info) }))
    }
}

impl Playing {
    fn new(name: &Arc<str>, part: Part) -> Self {
        let (gauge, slot) = (part.outlet.gauge(), Slot::default());
        slot.put(part.outlet);
        let file = Streamed::new(name.clone(), move || Ok(Box::new(slot.take()?)));
        Self { file, gauge, kind: part.kind, begin: part.begin, opened: false }
    }
}

impl Source for Hls {
    fn open(&mut self) -> Result<Info, SourceError> {
        if let Some(info) = &self.info {
            return Ok(info.clone());
        }
        let name = self.name.clone();
        let Some((playing, info)) = self.playing()? else {
            return Err(SourceError::other(name, HlsError::NoAudio));
        };
        let (stamp, contents) = (playing.begin.stamp, playing.begin.contents.clone());
        let mut info = info.duration(contents.as_ref().map(|contents| contents.duration));
        info.seekable = contents.is_some();
        (self.zero, self.contents) = (stamp, contents);
        Ok(self.info.insert(info).clone())
    }

    fn read(&mut self, chunk: &mut Chunk) -> Result<bool, SourceError> {
        self.open()?;
        if let Some(held) = self.held.take() {
            *chunk = held;
            return Ok(true);
        }
        self.next(chunk)
    }

    fn seek(&mut self, to: Duration) -> Result<Duration, SourceError> {
        self.open()?;
        let Some(contents) = self.contents.clone() else {
            return Err(SourceError::Unseekable { name: self.name.clone() });
        };
        let wanted = to.min(contents.duration).saturating_sub(PREROLL);
        let mut segment = contents.starts.partition_point(|start| *start <= wanted).saturating_sub(1);
        let mut at = loop {
            match self.restart(segment) {
                // The lengths in the playlist promised too much, or a last segment is too short to be known by itself.
                Ok(Some(at)) if at > wanted && segment > 0 => segment -= 1,
                Err(SourceError::NotAudio { .. }) if segment > 0 => segment -= 1,
                Ok(Some(at)) => break at,
                Ok(None) => return Ok(contents.duration),
                Err(error) => return Err(error),
            }
        };
        let (mut chunk, mut passed, mut layout) = (Chunk::new(), 0, 0);
        loop {
            chunk.clear();
            if !self.next(&mut chunk)? {
                return Ok(at + mixer::time(passed, layout));
            }
            if let Ok(length) = opus::samples(chunk.packet())
                && !chunk.packet().is_empty()
            {
                let (skip, trim) = chunk.cut();
                let here = at + mixer::time(passed, 48_000);
                if here + mixer::time(length as u64, 48_000) > to {
                    self.held = Some(chunk);
                    return Ok(here);
                }
                (passed, layout) = (passed + (length as u64).saturating_sub(u64::from(skip + trim)), 48_000);
                continue;
            }
            let (rate, channels) = chunk.layout();
            let frames = (chunk.samples().len() / usize::from(channels.max(1))) as u64;
            if frames == 0 {
                continue;
            }
            if rate != layout {
                (at, passed, layout) = (at + mixer::time(passed, layout), 0, rate);
            }
            let target = mixer::sample(to.saturating_sub(at), rate);
            if passed + frames > target {
                let drop = target.saturating_sub(passed);
                let mut rest = Chunk::new();
                let from = drop as usize * usize::from(channels);
                rest.pcm(rate, channels).extend_from_slice(&chunk.samples()[from..]);
                self.held = Some(rest);
                return Ok(at + mixer::time(passed + drop, rate));
            }
            passed += frames;
        }
    }

    fn is_ready(&mut self) -> bool {
        if self.held.is_some() {
            return true;
        }
        let Ok(session) = self.session() else { return true };
        if session.playing.is_none() && session.next.is_none() {
            session.next = match session.outputs.try_recv() {
                Ok(output) => Some(output),
                Err(TryRecvError::Empty) => return false,
                Err(TryRecvError::Disconnected) => return true,
            };
            session.room.notify_one();
        }
        match (&session.playing, &session.next) {
            (Some(playing), _) => playing.gauge.is_ready(if playing.opened { PACKET } else { OPENING }),
            (None, Some(Output::Part(part))) => part.outlet.gauge().is_ready(OPENING),
            _ => true,
        }
    }

    fn fresh(&self) -> Option<Box<dyn Source>> {
        let (name, spec, made_in) = (self.name.clone(), self.spec.clone(), self.made_in.clone());
        Some(Box::new(Self { name, spec, made_in, session: None, info: None, zero: None, contents: None, held: None }))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for Hls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hls").field(&self.name).finish()
    }
}
