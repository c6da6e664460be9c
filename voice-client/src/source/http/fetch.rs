//! The task that fetches: from some byte on to the end, over as many connections as it takes.
//!
//! ```text
//! GET, Range: bytes=0-             206: parts can be had; 200: only all of it
//! body, a piece at a time     ->   the pipe, which makes it wait
//! it breaks off               ->   wait, GET, Range: bytes=N-, If-Range: what it was
//! ```

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mixer::Metadata;
use reqwest::header::{self, HeaderMap, HeaderName, IF_RANGE};
use reqwest::{Response, StatusCode, Url, Version};
use tokio::time::Instant;

use super::HttpError;
use super::icy::{self, Icy};
use super::playlist::{self, Kind};
use super::range::{Entity, Part, unsatisfied};
use super::request::{Requests, Wanted, check_encoding, is_passing};
use crate::driver::lock;
use crate::source::pipe::{Inlet, Unread};

/// Getting this much further makes up for a break.
const PROGRESS: u64 = 64 * 1024;
/// A station, which begins with some seconds at once whenever it is called, must have stayed for this long instead.
const LASTING: Duration = Duration::from_secs(30);
/// Titles kept until the audio that they belong to is read.
const MAX_NEWS: usize = 64;
const ICY: HeaderName = HeaderName::from_static("icy-metadata");

/// What is to be fetched, and what was found out about it.
#[derive(Debug)]
pub(super) struct Remote {
    pub(super) url: Url,
    pub(super) requests: Requests,
    /// Bytes asked for at once.
    pub(super) part: Option<u64>,
    pub(super) head: Mutex<Option<Head>>,
    /// At which byte something else begins.
    pub(super) news: Mutex<VecDeque<(u64, Metadata)>>,
}

/// What the first answer said.
#[derive(Clone, Debug)]
pub(super) struct Head {
    /// Where it is: behind a playlist.
    url: Url,
    entity: Entity,
    /// Whether parts can be had.
    pub(super) ranges: bool,
    /// What is sent now is all there is: nothing of it can be had again.
    pub(super) is_station: bool,
    pub(super) station: Metadata,
}

impl Head {
    pub(super) fn len(&self) -> Option<u64> {
        self.entity.len
    }
}

/// Why an attempt came to its end.
enum End {
    All,
    /// The part that was asked for.
    Part,
    Unread,
    Failed(HttpError),
}

impl From<HttpError> for End {
    fn from(error: HttpError) -> Self {
        Self::Failed(error)
    }
}

impl From<Unread> for End {
    fn from(_: Unread) -> Self {
        Self::Unread
    }
}

/// Fetches from byte `at` on into the pipe, until its end or until nobody reads it.
pub(super) async fn fetch(remote: Arc<Remote>, at: u64, mut inlet: Inlet) {
    let gauge = inlet.gauge();
    let result = tokio::select! {
        () = gauge.unread() => return,
        result = transfer(&remote, at, &mut inlet) => result,
    };
    inlet.end(result.map_err(|error| Arc::new(error) as _));
}

async fn transfer(remote: &Remote, mut at: u64, inlet: &mut Inlet) -> Result<(), HttpError> {
    let mut breaks = Breaks { failed: 0, safe: at };
    let mut link = None;
    loop {
        let begun = Instant::now();
        // `attempt` says how it ended as an error, so that `?` ends it.
        let error = match attempt(remote, &mut at, &mut link, inlet).await {
            End::All | End::Unread => return Ok(()),
            End::Part => continue,
            End::Failed(error) => error,
        };
        if !is_passing(&error) {
            return Err(error);
        }
        let Some(head) = lock(&remote.head).clone() else {
            // It has not begun: how often it is asked for is as for segments of HLS.
            breaks.failed += 1;
            if breaks.failed >= remote.requests.attempts.max(1) {
                return Err(error);
            }
            remote.requests.pause(breaks.failed).await;
            continue;
        };
        let failed = breaks.count(at, begun.elapsed(), head.is_station);
        if failed > remote.requests.attempts {
            let (len, attempts) = (head.len(), remote.requests.attempts);
            return Err(HttpError::Truncated { at, len, attempts, cause: Box::new(error) });
        }
        tracing::debug!(%error, at, "fetching broke off, goes on");
        remote.requests.pause(failed).await;
    }
}

/// Breaks in a row that nothing made up for.
struct Breaks {
    failed: u32,
    /// Where the last one was.
    safe: u64,
}

impl Breaks {
    /// One more, at this byte, of a connection that lasted for so long.
    fn count(&mut self, at: u64, lasted: Duration, is_station: bool) -> u32 {
        let made_up = if is_station { lasted >= LASTING } else { at >= self.safe + PROGRESS };
        (self.failed, self.safe) = (if made_up { 1 } else { self.failed + 1 }, at);
        self.failed
    }
}

async fn attempt(remote: &Remote, at: &mut u64, link: &mut Option<Url>, inlet: &mut Inlet) -> End {
    match go(remote, at, link, inlet).await {
        Ok(end) | Err(end) => end,
    }
}

async fn go(remote: &Remote, at: &mut u64, link: &mut Option<Url>, inlet: &mut Inlet) -> Result<End, End> {
    let known = lock(&remote.head).clone();
    let url = known.as_ref().map(|head| &head.url).or(link.as_ref()).unwrap_or(&remote.url).clone();
    // A station has no beginning to count from.
    let is_station = known.as_ref().is_some_and(|head| head.is_station);
    let range =
        (!is_station).then(|| Wanted { start: *at, end: remote.part.map(|part| at.saturating_add(part.max(1))) });
    let mut extra = vec![(ICY, "1")];
    let validator = known.as_ref().and_then(|head| head.entity.validator());
    extra.extend(validator.filter(|_| range.is_some()).map(|it| (IF_RANGE, it)));
    let mut response = remote.requests.send(&url, range, &extra).await?;
    let Answer { mut entity, mut ranges, mut end } = answer(remote, &response, *at, known.as_ref(), is_station).await?;
    if response.status() == StatusCode::RANGE_NOT_SATISFIABLE {
        return Ok(End::All);
    }
    if !response.status().is_success() {
        return Err(remote.requests.refused(response).await.into());
    }
    check_encoding(response.headers())?;
    let (mut first, mut headers) = (None, response.headers().clone());
    if response.version() == Version::HTTP_09 {
        let (found, rest) = icy_head(remote, &mut response).await?;
        (first, headers) = (Some(rest), found);
    } else if known.is_none() && *at == 0 {
        // Playlists are short: what is none shows with its first bytes.
        first = remote.requests.next(&mut response).await?.map(|bytes| bytes.as_ref().to_vec());
        let head = first.as_deref().unwrap_or(&[]);
        if playlist::by_content(head) == Kind::Playlist || playlist::by_header(&headers) == Kind::Playlist {
            *link = Some(follow(remote, response, head, link.is_some()).await?);
            return Ok(End::Part);
        }
    }
    let mut icy = Icy::new(&headers);
    if icy.is_some() {
        // What is said of bytes counts those of the metadata as well.
        (entity.len, ranges, end) = (None, false, None);
    }
    if known.is_none() {
        let (is_station, station) = (icy::is_station(&headers) && entity.len.is_none(), icy::station(&headers));
        *lock(&remote.head) = Some(Head { url, entity: entity.clone(), ranges, is_station, station });
    }
    let len = known.map_or(entity.len, |head| head.entity.len.or(entity.len));
    let (mut audio, mut news) = (Vec::new(), Vec::new());
    loop {
        let (held, fetched);
        let mut bytes = match first.take() {
            Some(bytes) => {
                held = bytes;
                held.as_slice()
            }
            None => match remote.requests.next(&mut response).await? {
                Some(bytes) => {
                    fetched = bytes;
                    fetched.as_ref()
                }
                None => break,
            },
        };
        if let Some(icy) = &mut icy {
            audio.clear();
            icy.split(bytes, &mut audio, &mut news);
            tell(remote, *at, news.drain(..));
            bytes = &audio;
        }
        let room = end.map_or(u64::MAX, |end| end.saturating_sub(*at));
        let bytes = &bytes[..(bytes.len() as u64).min(room) as usize];
        inlet.write(bytes).await?;
        *at += bytes.len() as u64;
    }
    match (end, len) {
        (Some(end), _) if *at < end => Err(HttpError::Short.into()),
        (Some(_), Some(len)) if *at < len => Ok(End::Part),
        // A part of something of unknown length: whether there is more shows when it is asked for.
        (Some(_), None) if ranges => Ok(End::Part),
        // Who is on the air has no end: the server was started anew, or a proxy has had enough.
        (None, None) if icy::is_station(&headers) && ends_by_closing(&response) => Err(HttpError::Short.into()),
        _ => Ok(End::All),
    }
}

/// Whether the end of a body is that of its connection (RFC 9112, section 6.3).
fn ends_by_closing(response: &Response) -> bool {
    let headers = response.headers();
    let framed = headers.contains_key(header::CONTENT_LENGTH) || headers.contains_key(header::TRANSFER_ENCODING);
    !framed && response.version() < Version::HTTP_2
}

struct Answer {
    entity: Entity,
    ranges: bool,
    /// The byte after the last that it brings.
    end: Option<u64>,
}

/// Whether an answer is what was asked for, and of what it was.
async fn answer(
    remote: &Remote,
    response: &Response,
    at: u64,
    known: Option<&Head>,
    is_station: bool,
) -> Result<Answer, HttpError> {
    let headers = response.headers();
    let changed = |entity: &Entity| known.is_some_and(|head| !head.entity.agrees(entity));
    match response.status() {
        StatusCode::PARTIAL_CONTENT => {
            let part = Part::at(at, headers)?;
            let entity = Entity::new(headers, part.total);
            if changed(&entity) {
                return Err(HttpError::Changed { at });
            }
            Ok(Answer { entity, ranges: true, end: Some(part.end) })
        }
        StatusCode::RANGE_NOT_SATISFIABLE => {
            let len = unsatisfied(headers);
            let known_len = known.and_then(Head::len);
            if len == Some(at) || (len.is_none() && known_len.is_none() && known.is_some()) {
                if known.is_none() {
                    let entity = Entity::new(headers, len);
                    let (url, station) = (response.url().clone(), Metadata::default());
                    *lock(&remote.head) = Some(Head { url, entity, ranges: false, is_station: false, station });
                }
                return Ok(Answer { entity: Entity::default(), ranges: true, end: Some(at) });
            }
            match known {
                Some(_) => Err(HttpError::Changed { at }),
                None => Err(HttpError::Status { status: 416, body: "it has no such part".into() }),
            }
        }
        status if status.is_success() => {
            let len = response.content_length();
            let entity = Entity::new(headers, len);
            if at > 0 && !is_station {
                // With If-Range, all of it is also what comes when it has changed (RFC 9110, section 13.1.5).
                return Err(if changed(&entity) { HttpError::Changed { at } } else { HttpError::RangeIgnored { at } });
            }
            if !is_station && changed(&entity) {
                return Err(HttpError::Changed { at });
            }
            Ok(Answer { entity, ranges: false, end: len })
        }
        _ => Ok(Answer { entity: Entity::default(), ranges: false, end: None }),
    }
}

/// Reads the head of an answer that is no HTTP, and the first bytes after it.
async fn icy_head(remote: &Remote, response: &mut Response) -> Result<(HeaderMap, Vec<u8>), HttpError> {
    let mut bytes = Vec::new();
    loop {
        if let Some((headers, len)) = icy::head(&bytes) {
            return Ok((headers, bytes.split_off(len)));
        }
        match remote.requests.next(response).await {
            Ok(Some(more)) if bytes.len() < icy::MAX_HEAD => bytes.extend_from_slice(more.as_ref()),
            Err(error @ HttpError::Silent { .. }) => return Err(error),
            _ => return Err(HttpError::NotHttp),
        }
    }
}

/// Reads a playlist and says where it leads.
async fn follow(remote: &Remote, mut response: Response, head: &[u8], again: bool) -> Result<Url, HttpError> {
    let failed = |reason: &str| HttpError::Playlist { reason: reason.into() };
    let mut body = head.to_vec();
    while let Some(bytes) = remote.requests.next(&mut response).await? {
        body.extend_from_slice(bytes.as_ref());
        if body.len() > playlist::MAX_LEN {
            return Err(failed("it is longer than 64 KiB"));
        }
    }
    let text = String::from_utf8_lossy(&body);
    if playlist::is_hls(&text) {
        return Err(HttpError::IsHls);
    }
    if again {
        return Err(failed("it leads to another playlist"));
    }
    playlist::first(&text, response.url())
}

fn tell(remote: &Remote, at: u64, news: impl Iterator<Item = (usize, Metadata)>) {
    let mut queue = lock(&remote.news);
    for (offset, metadata) in news {
        if queue.back().is_none_or(|(_, last)| *last != metadata) {
            queue.push_back((at + offset as u64, metadata));
        }
        if queue.len() > MAX_NEWS {
            queue.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn breaks_are_made_up_for_by_getting_further_or_by_staying() {
        let mut breaks = Breaks { failed: 0, safe: 100 };
        let mut file = |at| breaks.count(at, Duration::ZERO, false);
        assert_eq!([100, 200, 200 + PROGRESS, 201 + PROGRESS].map(&mut file), [1, 2, 1, 2]);
        let mut breaks = Breaks { failed: 0, safe: 0 };
        let mut station = |seconds| breaks.count(seconds * PROGRESS, Duration::from_secs(seconds), true);
        assert_eq!([29, 1, 29, 30, 3, 3_600].map(&mut station), [1, 2, 3, 1, 2, 1]);
    }
}
