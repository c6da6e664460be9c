//! What is read out of playlists (RFC 8216, section 4.3): which stream of several, and its segments in order.

use crate::source::shown;
use std::panic::catch_unwind;
use std::sync::Arc;
use std::time::Duration;

use m3u8_rs::{AlternativeMediaType, KeyMethod, MasterPlaylist, MediaPlaylist, MediaPlaylistType, VariantStream};
use reqwest::Url;

use super::HlsError;
use crate::source::http::Wanted;
use crate::source::http::reqwest;

/// More than a day of segments of a second.
const MAX_SEGMENTS: usize = 100_000;

/// A playlist of segments.
#[derive(Debug)]
pub(super) struct Media {
    pub(super) segments: Vec<Segment>,
    pub(super) target: Duration,
    /// Nothing will be added.
    pub(super) is_complete: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) sequence: u64,
    pub(super) place: Place,
    pub(super) duration: Duration,
    /// Its timestamps have nothing to do with those before.
    pub(super) discontinuity: bool,
    pub(super) key: Option<Arc<Key>>,
    pub(super) init: Option<Arc<Place>>,
}

/// An address, or a part of what is there.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Place {
    pub(super) url: Url,
    pub(super) range: Option<(u64, u64)>,
}

impl Place {
    pub(super) fn wanted(&self) -> Option<Wanted> {
        self.range.map(|(start, end)| Wanted { start, end: Some(end) })
    }
}

/// A key of AES-128.
#[derive(Debug, PartialEq)]
pub(super) struct Key {
    pub(super) url: Url,
    pub(super) iv: Option<[u8; 16]>,
}

fn nonsense(reason: impl Into<Arc<str>>) -> HlsError {
    HlsError::Playlist { reason: reason.into() }
}

fn join(base: &Url, uri: &str) -> Result<Url, HlsError> {
    let url = base.join(uri.trim()).map_err(|error| nonsense(format!("{:?} is no address, {error}", shown(uri))))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        scheme => Err(nonsense(format!("an address in it is {scheme}, not http"))),
    }
}

/// Either a choice among streams or the segments of one.
pub(super) enum Playlist {
    Choice(Url),
    Media(Media),
}

pub(super) fn parse(text: &[u8], base: &Url, cap: Option<u64>) -> Result<Playlist, HlsError> {
    if !text.trim_ascii_start().starts_with(b"#EXTM3U") && !text.starts_with(b"\xEF\xBB\xBF#EXTM3U") {
        return Err(nonsense("it does not begin with #EXTM3U"));
    }
    let parsed = catch_unwind(|| m3u8_rs::parse_playlist_res(text).ok()).ok().flatten();
    match parsed.ok_or_else(|| nonsense("it cannot be parsed"))? {
        m3u8_rs::Playlist::MasterPlaylist(master) => choose(&master, base, cap).map(Playlist::Choice),
        m3u8_rs::Playlist::MediaPlaylist(media) => segments(&media, base).map(Playlist::Media),
    }
}

/// Codecs by their names in `CODECS` (RFC 6381).
enum Codec {
    Decodable,
    /// The part of it that is AAC-LC: half of the spectrum.
    Partly,
    Undecodable,
    Other,
}

fn codec(name: &str) -> Codec {
    let name = name.trim().to_ascii_lowercase();
    match name.as_str() {
        "mp4a.40.2" | "mp4a.67" | "mp4a.40.34" | "mp4a.69" | "mp4a.6b" | "mp3" | "flac" | "opus" | "alac" => {
            Codec::Decodable
        }
        "mp4a.40.5" | "mp4a.40.29" => Codec::Partly,
        _ if ["mp4a", "ac-3", "ec-3", "ac-4", "dts", "mhm", "iamf"].iter().any(|it| name.starts_with(it)) => {
            Codec::Undecodable
        }
        _ => Codec::Other,
    }
}

/// How well a variant can be played: `None` not at all. And whether there is nothing but audio in it.
fn judge(variant: &VariantStream) -> (Option<u8>, bool) {
    let Some(codecs) = &variant.codecs else { return (Some(1), false) };
    let (mut rank, mut only, mut audio) = (None, variant.resolution.is_none(), false);
    for name in codecs.split(',') {
        let found = match codec(name) {
            Codec::Decodable => Some(2),
            Codec::Partly => Some(1),
            Codec::Undecodable => None,
            Codec::Other => {
                only = false;
                continue;
            }
        };
        audio = true;
        rank = rank.max(found);
    }
    // A list without any audio in it may be sloppy, as long as nothing better is there.
    if audio { (rank, only) } else { (Some(0), false) }
}

/// The best audio: an audio-only stream of the highest rate within `cap`; else an audio rendition of the best group; else
/// the stream of the lowest rate that has audio in it. Full AAC and MP3 go before HE-AAC, whose LC half is played.
fn choose(master: &MasterPlaylist, base: &Url, cap: Option<u64>) -> Result<Url, HlsError> {
    let variants: Vec<_> = master.variants.iter().filter(|it| !it.is_i_frame).map(|it| (it, judge(it))).collect();
    if variants.is_empty() {
        return Err(nonsense("it offers no stream"));
    }
    let playable: Vec<_> = variants.iter().filter_map(|(it, (rank, only))| Some((*it, (*rank)?, *only))).collect();
    if playable.is_empty() {
        let codecs: Vec<_> = variants.iter().filter_map(|(it, _)| it.codecs.as_deref()).collect();
        return Err(HlsError::Codec { codec: codecs.join(" or ").into() });
    }
    let within = |it: &VariantStream| cap.is_none_or(|cap| it.bandwidth <= cap);
    // Within the cap the more the better, above it the less.
    let rate =
        |it: &VariantStream| (within(it), if within(it) { it.bandwidth as i128 } else { -(it.bandwidth as i128) });
    let rendition = |variant: &VariantStream| {
        let group = variant.audio.as_ref()?;
        let audio = master.alternatives.iter().filter(|it| it.media_type == AlternativeMediaType::Audio);
        let mut of_group = audio.filter(|it| it.group_id == *group && it.uri.is_some());
        let first = of_group.next()?;
        let default = std::iter::once(first).chain(of_group).find(|it| it.default).unwrap_or(first);
        default.uri.as_deref()
    };
    let alone = playable.iter().filter(|(_, _, only)| *only).max_by_key(|(it, rank, _)| (within(it), *rank, rate(it)));
    if let Some((variant, ..)) = alone {
        return join(base, rendition(variant).unwrap_or(&variant.uri));
    }
    let grouped = playable.iter().filter(|(it, ..)| rendition(it).is_some());
    if let Some(uri) =
        grouped.max_by_key(|(it, rank, _)| (within(it), *rank, rate(it))).and_then(|(it, ..)| rendition(it))
    {
        return join(base, uri);
    }
    let cheapest = playable.iter().max_by_key(|(it, rank, _)| (*rank > 0, std::cmp::Reverse(it.bandwidth)));
    join(base, cheapest.map_or("", |(it, ..)| &it.uri))
}

fn segments(media: &MediaPlaylist, base: &Url) -> Result<Media, HlsError> {
    if media.segments.len() > MAX_SEGMENTS {
        return Err(nonsense(format!("it has more than {MAX_SEGMENTS} segments")));
    }
    if media.i_frames_only {
        return Err(HlsError::NoAudio);
    }
    let (mut key, mut init): (Option<Arc<Key>>, Option<Arc<Place>>) = (None, None);
    let mut segments: Vec<Segment> = Vec::with_capacity(media.segments.len());
    for (n, segment) in media.segments.iter().enumerate() {
        if let Some(found) = &segment.key {
            key = self::key(found, base)?.map(Arc::new);
        }
        // The parser takes a method of NONE for a mistake unless it has an IV.
        if let Some(tag) = segment.unknown_tags.iter().find(|tag| tag.tag == "X-KEY") {
            let rest = tag.rest.as_deref().unwrap_or("").trim_start_matches(':');
            if !rest.contains("METHOD=NONE") {
                return Err(nonsense(format!("a key in it makes no sense: {rest}")));
            }
            key = None;
        }
        if let Some(map) = &segment.map {
            let url = join(base, &map.uri)?;
            let range = map.byte_range.as_ref().map(|range| (range.offset.unwrap_or(0), range.length));
            init = Some(Arc::new(Place { url, range: range.map(bounds).transpose()? }));
        }
        let url = join(base, &segment.uri)?;
        // Without an offset it begins where the one before ends (section 4.3.2.2).
        let before = segments.last().filter(|last| last.place.url == url).and_then(|last| last.place.range);
        let range = segment.byte_range.as_ref().map(|range| {
            let start = range.offset.or(before.map(|(_, end)| end)).unwrap_or(0);
            bounds((start, range.length))
        });
        segments.push(Segment {
            sequence: media.media_sequence.saturating_add(n as u64),
            place: Place { url, range: range.transpose()? },
            duration: Duration::try_from_secs_f32(segment.duration).unwrap_or_default(),
            discontinuity: segment.discontinuity,
            key: key.clone(),
            init: init.clone(),
        });
    }
    // A target of nothing would have it reloaded without a pause.
    let target = Duration::from_secs(media.target_duration.clamp(1, 60));
    let is_complete = media.end_list || media.playlist_type == Some(MediaPlaylistType::Vod);
    Ok(Media { segments, target, is_complete })
}

fn bounds((start, length): (u64, u64)) -> Result<(u64, u64), HlsError> {
    let end = start.checked_add(length).filter(|end| *end > start);
    Ok((start, end.ok_or_else(|| nonsense("a byte range in it is empty"))?))
}

fn key(key: &m3u8_rs::Key, base: &Url) -> Result<Option<Key>, HlsError> {
    match &key.method {
        KeyMethod::None => return Ok(None),
        KeyMethod::AES128 => {}
        other => return Err(HlsError::Encryption { method: other.to_string().into() }),
    }
    if let Some(format) = key.keyformat.as_deref().filter(|format| *format != "identity") {
        return Err(HlsError::Encryption { method: format!("AES-128 with keys of {format}").into() });
    }
    let uri = key.uri.as_deref().ok_or_else(|| nonsense("a key in it has no address"))?;
    let iv = key.iv.as_deref().map(|iv| {
        let digits = iv.trim_start_matches("0x").trim_start_matches("0X");
        let number = u128::from_str_radix(digits, 16).map_err(|_| nonsense(format!("{iv:?} is no IV")))?;
        Ok(number.to_be_bytes())
    });
    Ok(Some(Key { url: join(base, uri)?, iv: iv.transpose()? }))
}

#[cfg(test)]
mod tests;
