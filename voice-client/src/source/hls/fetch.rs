//! The task that fetches segments, one after the other, and hands their audio on in parts.
//!
//! ```text
//! playlist  ->  choice  ->  playlist of segments  (live: again and again)
//! segment   ->  decrypt ->  unpack  ->  the pipe of the part that it belongs to
//! ```
//!
//! A part is what one decoder can read through: a discontinuity, another initialisation section or another codec begins
//! the next.

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use super::HlsError;
use super::cipher::{fits, open};
use super::playlist::{self, Key, Media, Place, Playlist, Segment};
use super::segment::{Kind, Stamp, is_init, unpack};
use crate::source::http::reqwest::Url;
use crate::source::http::{HttpError, Requests, Whole, is_passing};
use crate::source::pipe::{Inlet, Outlet, Size, Unread, pipe};

const MAX_PLAYLIST: usize = 8 * 1024 * 1024;
const MAX_SEGMENT: usize = 64 * 1024 * 1024;
const MAX_INIT: usize = 1024 * 1024;
/// Of a segment of more bytes the decryption and the demultiplexing take longer than a task may hold its thread.
const LARGE: usize = 256 * 1024;
/// A live stream is begun this many segments before its end (RFC 8216, section 6.3.3).
const LIVE_EDGE: usize = 3;

/// What to fetch, and how.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) requests: Requests,
    pub(super) cap: Option<u64>,
    pub(super) stall: Duration,
    /// The segment to begin with.
    pub(super) first: usize,
}

/// What comes of it.
pub(super) enum Output {
    Part(Part),
    Failed(HlsError),
    End,
}

/// A stretch of audio for one decoder.
pub(super) struct Part {
    pub(super) outlet: Outlet,
    pub(super) kind: Kind,
    pub(super) begin: Begin,
}

/// Where a part stands in the whole.
#[derive(Clone, Debug)]
pub(super) struct Begin {
    /// By the lengths in the playlist.
    pub(super) at: Duration,
    pub(super) stamp: Option<Stamp>,
    /// There is no discontinuity before it: stamps count from that of the very first segment.
    pub(super) is_first_run: bool,
    /// Length of all of it, and when each segment begins; `None` for a live stream.
    pub(super) contents: Option<Arc<Contents>>,
}

#[derive(Debug)]
pub(super) struct Contents {
    pub(super) starts: Vec<Duration>,
    pub(super) duration: Duration,
}

enum Stop {
    Failed(HlsError),
    Unread,
}

impl From<HlsError> for Stop {
    fn from(error: HlsError) -> Self {
        Self::Failed(error)
    }
}

impl From<Unread> for Stop {
    fn from(_: Unread) -> Self {
        Self::Unread
    }
}

/// The task's side of the line to the reader.
pub(super) struct Line {
    pub(super) outputs: SyncSender<Output>,
    pub(super) room: Arc<Notify>,
}

impl Line {
    async fn send(&self, mut output: Output) -> Result<(), Stop> {
        loop {
            match self.outputs.try_send(output) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Disconnected(_)) => return Err(Stop::Unread),
                Err(TrySendError::Full(back)) => output = back,
            }
            self.room.notified().await;
        }
    }
}

pub(super) async fn fetch(url: Url, plan: Plan, line: Line) {
    let (requests, contents, open) = (plan.requests.clone(), None, None);
    let mut fetcher = Fetcher { plan, requests, line, key: None, init: None, contents, open };
    let last = match fetcher.run(url).await {
        Ok(()) => Output::End,
        Err(Stop::Failed(error)) => Output::Failed(error),
        Err(Stop::Unread) => return,
    };
    // What was fetched before is played first: the part ends here, whole.
    if let Some(open) = fetcher.open.take() {
        open.inlet.end(Ok(()));
    }
    let _ = fetcher.line.send(last).await;
}

struct Fetcher {
    plan: Plan,
    requests: Requests,
    line: Line,
    key: Option<(Url, [u8; 16])>,
    init: Option<(Arc<Place>, Arc<[u8]>)>,
    contents: Option<Arc<Contents>>,
    open: Option<Open>,
}

/// The part that is being filled.
struct Open {
    inlet: Inlet,
    kind: Kind,
    init: Option<Arc<Place>>,
}

impl Fetcher {
    async fn run(&mut self, url: Url) -> Result<(), Stop> {
        let (mut media, url) = self.find(url).await?;
        if media.is_complete {
            return self.play_all(&media).await;
        }
        let begin = media.segments.len().saturating_sub(LIVE_EDGE);
        let mut next = media.segments.get(begin).map_or(0, |segment| segment.sequence);
        let (mut waited, mut gap) = (Duration::ZERO, false);
        loop {
            let mut news = false;
            if media.segments.first().is_some_and(|first| first.sequence > next) {
                // It went on without us.
                (next, gap) = (media.segments[0].sequence, true);
            }
            let after = media.segments.last().map(|last| last.sequence + 1);
            if let Some(after) = after.filter(|after| *after + (LIVE_EDGE as u64) < next) {
                // It was started anew, and counts anew.
                (next, gap) = (after.saturating_sub(LIVE_EDGE as u64), true);
            }
            let known = next;
            for segment in media.segments.iter().filter(|segment| segment.sequence >= known) {
                (news, next) = (true, segment.sequence + 1);
                match self.play(segment, gap, Duration::ZERO, false).await {
                    Ok(()) => gap = false,
                    // Too late for this one, whose address may have been signed for a while: the next is as good.
                    Err(Stop::Failed(HlsError::Http {
                        cause: HttpError::Status { status: 403 | 404 | 410, .. },
                        ..
                    })) => {
                        gap = true;
                    }
                    Err(error) => return Err(error),
                }
            }
            if media.is_complete {
                return Ok(());
            }
            waited = if news && !gap { Duration::ZERO } else { waited };
            if waited >= self.plan.stall {
                return Err(HlsError::Stalled { after: waited }.into());
            }
            // Section 6.3.4: the target duration after a change, half of it after none.
            let (wait, asked) = (if news { media.target } else { media.target / 2 }, Instant::now());
            sleep(wait).await;
            match self.media(&url).await {
                Ok((_, newer)) => media = newer,
                // Who has moved, or is started anew, has nothing new until then.
                Err(Stop::Failed(HlsError::Http { cause, .. })) if passes(&cause) => {
                    tracing::debug!(error = %cause, "a playlist cannot be had anew");
                }
                Err(error) => return Err(error),
            }
            waited += asked.elapsed();
        }
    }

    async fn play_all(&mut self, media: &Media) -> Result<(), Stop> {
        let mut at = Duration::ZERO;
        let starts = media.segments.iter().map(|segment| {
            let start = at;
            at += segment.duration;
            start
        });
        let starts: Vec<_> = starts.collect();
        let run =
            media.segments.iter().skip(1).position(|segment| segment.discontinuity).map_or(usize::MAX, |it| it + 1);
        self.contents = Some(Arc::new(Contents { starts: starts.clone(), duration: at }));
        for (n, segment) in media.segments.iter().enumerate().skip(self.plan.first) {
            self.play(segment, false, starts[n], n < run).await?;
        }
        Ok(())
    }

    /// The playlist of segments, and its address.
    async fn find(&self, url: Url) -> Result<(Media, Url), Stop> {
        match self.playlist(&url).await? {
            (url, Playlist::Media(media)) => Ok((media, url)),
            (_, Playlist::Choice(url)) => {
                let (url, media) = self.media(&url).await?;
                Ok((media, url))
            }
        }
    }

    async fn media(&self, url: &Url) -> Result<(Url, Media), Stop> {
        match self.playlist(url).await? {
            (url, Playlist::Media(media)) => Ok((url, media)),
            _ => Err(HlsError::Playlist { reason: "it offers a choice among choices".into() }.into()),
        }
    }

    async fn playlist(&self, url: &Url) -> Result<(Url, Playlist), HlsError> {
        let (text, url) = self.whole("playlist", &Place { url: url.clone(), range: None }, MAX_PLAYLIST).await?;
        let playlist = playlist::parse(&text, &url, self.plan.cap)?;
        Ok((url, playlist))
    }

    async fn whole(&self, what: &str, place: &Place, limit: usize) -> Result<(Vec<u8>, Url), HlsError> {
        self.requests.whole(&place.url, place.wanted(), limit).await.map_err(|error| match error {
            Whole::Failed(cause) => HlsError::Http { what: what.into(), cause },
            Whole::TooLong => HlsError::TooLong { what: what.into(), limit },
        })
    }

    /// Fetches a segment and hands it on.
    async fn play(&mut self, segment: &Segment, gap: bool, at: Duration, is_first_run: bool) -> Result<(), Stop> {
        let what = format!("segment {}", segment.sequence);
        let (mut bytes, _) = self.whole(&what, &segment.place, MAX_SEGMENT).await?;
        if let Some(key) = &segment.key {
            bytes = self.decrypt(key, segment.sequence, bytes).await?;
        }
        let init = match &segment.init {
            Some(place) => Some(self.init(place, segment).await?),
            None => None,
        };
        let (sequence, before) = (segment.sequence, init.clone());
        let unpacked = aside(bytes.len(), move || unpack(sequence, bytes, before.as_deref())).await??;
        let goes_on = self.open.as_ref().is_some_and(|open| {
            !gap && !segment.discontinuity && open.kind == unpacked.kind && open.init == segment.init
        });
        if !goes_on {
            if let Some(open) = self.open.take() {
                open.inlet.end(Ok(()));
            }
            let (inlet, outlet) = pipe(0, Size::default());
            let begin = Begin { at, stamp: unpacked.stamp, is_first_run, contents: self.contents.clone() };
            self.line.send(Output::Part(Part { outlet, kind: unpacked.kind, begin })).await?;
            let open = self.open.insert(Open { inlet, kind: unpacked.kind, init: segment.init.clone() });
            if let Some(init) = &init {
                open.inlet.write(init).await?;
            }
        }
        if let Some(open) = &mut self.open {
            open.inlet.write(&unpacked.bytes).await?;
        }
        Ok(())
    }

    async fn key(&mut self, key: &Key) -> Result<[u8; 16], HlsError> {
        if let Some((_, secret)) = self.key.as_ref().filter(|(url, _)| *url == key.url) {
            return Ok(*secret);
        }
        let (secret, _) = self.whole("key", &Place { url: key.url.clone(), range: None }, 4_096).await?;
        let secret: [u8; 16] = secret.as_slice().try_into().map_err(|_| HlsError::Encryption {
            method: format!("a key of {} bytes instead of 16", secret.len()).into(),
        })?;
        self.key = Some((key.url.clone(), secret));
        Ok(secret)
    }

    async fn decrypt(&mut self, key: &Key, sequence: u64, bytes: Vec<u8>) -> Result<Vec<u8>, Stop> {
        let is_old = self.key.as_ref().is_some_and(|(url, _)| *url == key.url);
        let mut secret = self.key(key).await?;
        // Without an IV that is the sequence number (RFC 8216, section 5.2).
        let iv = key.iv.unwrap_or_else(|| u128::from(sequence).to_be_bytes());
        if is_old && !fits(&secret, iv, &bytes) {
            // Some stations change what is behind the address.
            self.key = None;
            secret = self.key(key).await?;
        }
        let bytes = aside(bytes.len(), move || open(&secret, iv, bytes)).await?;
        Ok(bytes.map_err(|reason| HlsError::Key { sequence, reason: reason.into() })?)
    }

    async fn init(&mut self, place: &Arc<Place>, segment: &Segment) -> Result<Arc<[u8]>, Stop> {
        if let Some((_, init)) = self.init.as_ref().filter(|(known, _)| known == place) {
            return Ok(init.clone());
        }
        let (mut bytes, _) = self.whole("initialisation section", place, MAX_INIT).await?;
        // Whether the key was named before or after it is not known any more; but an encrypted one is no MP4 to look at.
        if let Some(key) = segment.key.as_ref().filter(|_| !is_init(&bytes)) {
            bytes = self.decrypt(key, segment.sequence, bytes).await?;
        }
        let bytes: Arc<[u8]> = bytes.into();
        self.init = Some((place.clone(), bytes.clone()));
        Ok(bytes)
    }
}

/// Whether a playlist that was there before may be there again.
fn passes(error: &HttpError) -> bool {
    is_passing(error) || matches!(error, HttpError::Status { status: 400..=499, .. })
}

/// Does what takes long where it holds up nobody else's packets.
async fn aside<T: Send + 'static>(bytes: usize, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Stop> {
    if bytes <= LARGE {
        return Ok(work());
    }
    // It fails when the runtime ends, and nobody reads on.
    spawn_blocking(work).await.map_err(|_| Stop::Unread)
}

#[cfg(test)]
mod tests {
    use std::thread::current;

    use super::*;

    #[tokio::test]
    async fn large_segments_are_worked_on_by_another_thread() {
        let here = current().id();
        assert!(aside(LARGE, move || current().id() == here).await.is_ok_and(|same| same));
        assert!(aside(LARGE + 1, move || current().id() != here).await.is_ok_and(|other| other));
    }
}
