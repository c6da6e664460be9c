//! What internet radio says between the bytes of its stream, and in the header before it ("icy" metadata).

use std::num::NonZeroUsize;

use mixer::Metadata;
use reqwest::header::HeaderMap;

/// A header is not worth more than this.
const MAX_TEXT: usize = 1_024;

/// Takes the metadata out of a stream: every `interval` bytes comes one that counts blocks of 16 bytes of it.
#[derive(Debug)]
pub(super) struct Icy {
    interval: NonZeroUsize,
    state: State,
}

#[derive(Debug)]
enum State {
    Audio { left: usize },
    Text { left: usize, text: Vec<u8> },
}

impl Icy {
    /// For the answer with these headers, when it has metadata in it.
    pub(super) fn new(headers: &HeaderMap) -> Option<Self> {
        let interval: NonZeroUsize = text(headers, "icy-metaint")?.parse().ok()?;
        Some(Self { interval, state: State::Audio { left: interval.get() } })
    }

    /// Splits the next bytes; `news` gets the offset in `audio` at which the metadata came.
    pub(super) fn split(&mut self, mut bytes: &[u8], audio: &mut Vec<u8>, news: &mut Vec<(usize, Metadata)>) {
        while let Some(&first) = bytes.first() {
            match &mut self.state {
                State::Audio { left: 0 } => {
                    bytes = &bytes[1..];
                    self.state = match usize::from(first) * 16 {
                        0 => State::Audio { left: self.interval.get() },
                        left => State::Text { left, text: Vec::with_capacity(left) },
                    };
                }
                State::Audio { left } => {
                    let (now, later) = bytes.split_at(bytes.len().min(*left));
                    audio.extend_from_slice(now);
                    *left -= now.len();
                    bytes = later;
                }
                State::Text { left, text } => {
                    let (now, later) = bytes.split_at(bytes.len().min(*left));
                    text.extend_from_slice(now);
                    *left -= now.len();
                    bytes = later;
                    if *left == 0 {
                        news.extend(parse(text).map(|metadata| (audio.len(), metadata)));
                        self.state = State::Audio { left: self.interval.get() };
                    }
                }
            }
        }
    }
}

/// What the header says of the station: its name as the title, its web page.
pub(super) fn station(headers: &HeaderMap) -> Metadata {
    let mut station = Metadata::default();
    station.title = text(headers, "icy-name").map(|name| name.into());
    station.url = text(headers, "icy-url").map(|url| url.into());
    station
}

/// Whether this is how a radio station answers.
pub(super) fn is_station(headers: &HeaderMap) -> bool {
    ["icy-metaint", "icy-name", "icy-br"].iter().any(|name| headers.contains_key(*name))
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?.as_bytes();
    let text = decode(&value[..value.len().min(MAX_TEXT)]);
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// UTF-8, or else Latin-1: nobody ever wrote down which.
fn decode(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    }
}

/// `StreamTitle='Artist - Title';StreamUrl='https://..';`, filled up with zeros.
fn parse(text: &[u8]) -> Option<Metadata> {
    let text = decode(text);
    let text = text.trim_end_matches('\0');
    let field = |name: &str| {
        let (_, value) = text.split_once(name)?;
        // A title may have an apostrophe in it; what ends it has a semicolon too.
        let (value, _) = value.split_once("';").or_else(|| value.rsplit_once('\''))?;
        Some(value.trim()).filter(|value| !value.is_empty())
    };
    let mut metadata = Metadata::default();
    if let Some(title) = field("StreamTitle='") {
        metadata = match title.split_once(" - ") {
            Some((artist, title)) if !artist.trim().is_empty() && !title.trim().is_empty() => {
                metadata.artist(artist.trim()).title(title.trim())
            }
            _ => metadata.title(title),
        };
    }
    if let Some(url) = field("StreamUrl='") {
        metadata = metadata.url(url);
    }
    (!metadata.is_empty()).then_some(metadata)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_read_with_apostrophes_and_in_latin_1() {
        let title =
            |text: &[u8]| parse(text).map(|found| (found.artist.unwrap_or_default(), found.title.unwrap_or_default()));
        let pair = |artist: &str, title: &str| Some((artist.into(), title.into()));
        assert_eq!(
            title(b"StreamTitle='Guns N' Roses - Don't Cry';StreamUrl='';\0\0"),
            pair("Guns N' Roses", "Don't Cry")
        );
        assert_eq!(title(b"StreamTitle='Bj\xF6rk - J\xF3ga';"), pair("Björk", "Jóga"));
        assert_eq!(title("StreamTitle='Björk'".as_bytes()), pair("", "Björk"));
        assert_eq!(title(b"StreamTitle='';\0\0\0"), None);
        assert_eq!(title(b"\0\0"), None);
    }

    #[test]
    fn metadata_is_taken_out_wherever_the_stream_is_cut() {
        let mut wire = Vec::new();
        let audio: Vec<u8> = (0..1_000_u32).map(|n| n as u8).collect();
        for (n, part) in audio.chunks(100).enumerate() {
            wire.extend_from_slice(part);
            if n % 3 == 1 {
                let mut text = format!("StreamTitle='song {n}';").into_bytes();
                text.resize(text.len().next_multiple_of(16), 0);
                wire.push((text.len() / 16) as u8);
                wire.extend(text);
            } else {
                wire.push(0);
            }
        }
        for size in [1, 2, 7, 100, 101, 5_000] {
            let interval = NonZeroUsize::new(100).unwrap();
            let mut icy = Icy { interval, state: State::Audio { left: 100 } };
            let (mut got, mut news) = (Vec::new(), Vec::new());
            for piece in wire.chunks(size) {
                icy.split(piece, &mut got, &mut news);
            }
            assert_eq!(got, audio, "{size}");
            let news: Vec<_> = news.iter().map(|(at, it)| (*at, it.title.as_deref().unwrap())).collect();
            assert_eq!(news, [(200, "song 1"), (500, "song 4"), (800, "song 7")], "{size}");
        }
    }
}
