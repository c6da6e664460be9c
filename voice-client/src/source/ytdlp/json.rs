use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mixer::{Art, Metadata};
use serde::Deserialize;

/// Something that yt-dlp has found, not looked into yet.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct Found {
    /// Its web page, to be played with [`YtDlp::of`](super::YtDlp::of).
    pub url: Arc<str>,
    /// Title, uploader, page and thumbnail, as far as the list tells them.
    pub metadata: Metadata,
    /// Its length, if the list tells it; a live stream has none.
    pub duration: Option<Duration>,
}

/// What yt-dlp would download.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Resolved {
    /// Title, artist or uploader, album, web page and thumbnail.
    pub metadata: Metadata,
    /// Its length; a live stream has none.
    pub duration: Option<Duration>,
    /// Where the audio itself is: good for some hours, and often for this machine only.
    pub url: Arc<str>,
    /// What the request for it must have in its header.
    pub headers: Vec<(String, String)>,
    /// How it is to be fetched: `https`, `m3u8_native`, `http_dash_segments`, ...
    pub protocol: Arc<str>,
    /// yt-dlp's name of the format.
    pub format: Arc<str>,
    /// Whether it is live.
    pub live: bool,
}

impl std::fmt::Debug for Resolved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The URL and the header can be keys to somebody's account.
        let Self { metadata, duration, protocol, format, .. } = self;
        let mut debug = f.debug_struct("Resolved");
        debug.field("title", &metadata.title).field("duration", duration);
        debug.field("protocol", protocol).field("format", format).finish_non_exhaustive()
    }
}

/// What `yt-dlp --dump-single-json` prints, as far as it matters here.
#[derive(Deserialize)]
pub(super) struct Answer {
    entries: Option<Vec<Option<Answer>>>,
    title: Option<String>,
    artist: Option<String>,
    uploader: Option<String>,
    channel: Option<String>,
    album: Option<String>,
    duration: Option<f64>,
    thumbnail: Option<String>,
    thumbnails: Option<Vec<Thumbnail>>,
    webpage_url: Option<String>,
    url: Option<String>,
    protocol: Option<String>,
    format_id: Option<String>,
    http_headers: Option<BTreeMap<String, String>>,
    is_live: Option<bool>,
}

#[derive(Deserialize)]
struct Thumbnail {
    url: Option<String>,
}

impl Answer {
    /// The first thing in it that is no list; lists in lists are a few deep at most.
    pub(super) fn first(self) -> Option<Self> {
        let mut answer = self;
        while let Some(entries) = answer.entries {
            answer = entries.into_iter().flatten().next()?;
        }
        Some(answer)
    }

    /// All that a list has.
    pub(super) fn found(self) -> Vec<Found> {
        match self.entries {
            Some(entries) => entries.into_iter().flatten().filter_map(Self::into_found).collect(),
            None => self.into_found().into_iter().collect(),
        }
    }

    fn into_found(self) -> Option<Found> {
        // In a flat list only the one or the other is there.
        let url: Arc<str> = self.webpage_url.as_ref().or(self.url.as_ref())?.as_str().into();
        Some(Found { metadata: self.metadata(Some(url.clone())), duration: self.duration(), url })
    }

    pub(super) fn into_resolved(self) -> Option<Resolved> {
        let url = self.url.as_deref()?.into();
        Some(Resolved {
            metadata: self.metadata(self.webpage_url.as_deref().map(Arc::from)),
            duration: self.duration(),
            url,
            protocol: self.protocol.as_deref().unwrap_or("https").into(),
            format: self.format_id.as_deref().unwrap_or("unknown").into(),
            headers: self.http_headers.unwrap_or_default().into_iter().collect(),
            live: self.is_live.unwrap_or(false),
        })
    }

    fn metadata(&self, page: Option<Arc<str>>) -> Metadata {
        let artist = self.artist.as_ref().or(self.uploader.as_ref()).or(self.channel.as_ref());
        // Of several, the last one is the largest.
        let largest = || self.thumbnails.iter().flatten().rev().find_map(|thumbnail| thumbnail.url.as_ref());
        let art = self.thumbnail.as_ref().or_else(largest);
        let text = |text: Option<&String>| text.map(|text| Arc::from(text.as_str()));
        let mut metadata = Metadata::default();
        metadata.title = text(self.title.as_ref());
        metadata.artist = text(artist);
        metadata.album = text(self.album.as_ref());
        metadata.url = page;
        metadata.art = text(art).map(Art::Url);
        metadata
    }

    fn duration(&self) -> Option<Duration> {
        self.duration.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
    }
}
