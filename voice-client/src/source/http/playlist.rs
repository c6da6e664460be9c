//! The playlists that radio stations hand out: M3U and PLS, which name an address and no more.

use crate::source::shown;
use reqwest::Url;
use reqwest::header::{self, HeaderMap};

use super::HttpError;

/// Longer than any that names a station.
pub(super) const MAX_LEN: usize = 64 * 1024;

/// What a body is, by its header and its first bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Media,
    Playlist,
}

/// What the header says. Of the types that M3U and HLS share only the body tells.
pub(super) fn by_header(headers: &HeaderMap) -> Kind {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let kind = kind.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    match kind.as_str() {
        "application/vnd.apple.mpegurl"
        | "application/x-mpegurl"
        | "application/mpegurl"
        | "audio/mpegurl"
        | "audio/x-mpegurl"
        | "audio/x-scpls"
        | "audio/scpls"
        | "application/pls+xml" => Kind::Playlist,
        _ => Kind::Media,
    }
}

/// What the first bytes say.
pub(super) fn by_content(bytes: &[u8]) -> Kind {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    if bytes.starts_with(b"#EXTM3U") || bytes.get(..10).is_some_and(|it| it.eq_ignore_ascii_case(b"[playlist]")) {
        Kind::Playlist
    } else {
        Kind::Media
    }
}

/// Whether a playlist is one of HLS (RFC 8216, section 4.3).
pub(super) fn is_hls(text: &str) -> bool {
    text.lines().any(|line| line.starts_with("#EXT-X-"))
}

/// The first address in a playlist.
pub(super) fn first(text: &str, base: &Url) -> Result<Url, HttpError> {
    let failed = |reason: String| HttpError::Playlist { reason: reason.into() };
    let text = text.trim_start_matches('\u{FEFF}').trim_start();
    let is_pls = text.get(..10).is_some_and(|head| head.eq_ignore_ascii_case("[playlist]"));
    let entry = |line: &'_ str| -> Option<String> {
        let line = line.trim();
        if is_pls {
            let (key, value) = line.split_once('=')?;
            return key.trim().to_ascii_lowercase().starts_with("file").then(|| value.trim().to_owned());
        }
        (!line.is_empty() && !line.starts_with('#')).then(|| line.to_owned())
    };
    let entry = text.lines().find_map(entry).ok_or_else(|| failed("it names nothing".into()))?;
    let url = base.join(&entry).map_err(|error| failed(format!("{:?} is no address, {error}", shown(&entry))))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        scheme => Err(failed(format!("{scheme} is not http"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_entry_counts() {
        let base = Url::parse("http://host/dir/list.m3u").unwrap();
        let first = |text| first(text, &base).map(String::from).map_err(|error| error.to_string());
        assert_eq!(
            first("#EXTM3U\r\n#EXTINF:-1,Radio\r\nhttp://radio/live\r\nhttp://other/\r\n").unwrap(),
            "http://radio/live"
        );
        assert_eq!(first("song.mp3\n").unwrap(), "http://host/dir/song.mp3");
        assert_eq!(first("[Playlist]\nNumberOfEntries=1\nFile1=https://radio/2\n").unwrap(), "https://radio/2");
        assert!(first("#EXTM3U\n").unwrap_err().contains("nothing"));
        assert!(first("file:///etc/passwd").unwrap_err().contains("file is not http"));
    }
}
