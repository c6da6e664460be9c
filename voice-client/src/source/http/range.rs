use reqwest::header::{self, HeaderMap};

use super::HttpError;

/// What tells one version of a thing on the web from another (RFC 9110, section 8.8), and how long it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entity {
    pub(super) len: Option<u64>,
    etag: Option<String>,
    modified: Option<String>,
}

impl Entity {
    pub(super) fn new(headers: &HeaderMap, len: Option<u64>) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Self { len, etag: text(header::ETAG), modified: text(header::LAST_MODIFIED) }
    }

    /// For `If-Range`, where weak tags are of no use (RFC 9110, section 13.1.5).
    pub(super) fn validator(&self) -> Option<&str> {
        self.etag.as_deref().filter(|etag| !etag.starts_with("W/")).or(self.modified.as_deref())
    }

    /// Whether both can be the same thing: nothing that both say of themselves differs.
    pub(super) fn agrees(&self, other: &Self) -> bool {
        fn agree<T: PartialEq>(a: Option<&T>, b: Option<&T>) -> bool {
            a.zip(b).is_none_or(|(a, b)| a == b)
        }
        let tagged = self.etag.is_some() && other.etag.is_some();
        agree(self.len.as_ref(), other.len.as_ref())
            && agree(self.etag.as_ref(), other.etag.as_ref())
            // Of two that are tagged alike, the dates may differ by the clocks of two servers.
            && (tagged || agree(self.modified.as_ref(), other.modified.as_ref()))
    }
}

/// A `Content-Range` (RFC 9110, section 14.4): the first byte, the one after the last, and how many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) total: Option<u64>,
}

impl Part {
    /// The part that begins at `at`, or an error.
    pub(super) fn at(at: u64, headers: &HeaderMap) -> Result<Self, HttpError> {
        let text = content_range(headers);
        parse(text).filter(|part| part.start == at).ok_or_else(|| HttpError::BadRange { at, got: text.into() })
    }
}

fn content_range(headers: &HeaderMap) -> &str {
    headers.get(header::CONTENT_RANGE).and_then(|value| value.to_str().ok()).unwrap_or("")
}

fn parse(text: &str) -> Option<Part> {
    let (range, total) = text.trim().strip_prefix("bytes")?.trim().split_once('/')?;
    let (start, last) = range.split_once('-')?;
    let (start, last) = (start.trim().parse::<u64>().ok()?, last.trim().parse::<u64>().ok()?);
    let total = match total.trim() {
        "*" => None,
        total => Some(total.parse().ok()?),
    };
    let end = last.checked_add(1)?;
    (start < end && total.is_none_or(|total| end <= total)).then_some(Part { start, end, total })
}

/// The length that comes with status 416 (RFC 9110, section 15.5.17): `bytes */1234`.
pub(super) fn unsatisfied(headers: &HeaderMap) -> Option<u64> {
    content_range(headers).trim().strip_prefix("bytes")?.trim().strip_prefix("*/")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges_are_read_and_nonsense_is_not() {
        let part = |start, end, total| Some(Part { start, end, total });
        assert_eq!(parse("bytes 0-99/100"), part(0, 100, Some(100)));
        assert_eq!(parse("bytes 5-5/*"), part(5, 6, None));
        for text in
            ["", "bytes", "bytes */10", "bytes 5-4/10", "bytes 0-10/10", "lines 0-1/2", "bytes 1-x/9", "bytes -1-2/9"]
        {
            assert_eq!(parse(text), None, "{text:?}");
        }
        assert_eq!(parse(&format!("bytes 0-{}/*", u64::MAX)), None);
    }

    #[test]
    fn entities_differ_by_what_both_of_them_say() {
        let entity = |len, etag: Option<&str>, modified: Option<&str>| Entity {
            len,
            etag: etag.map(str::to_owned),
            modified: modified.map(str::to_owned),
        };
        let one = entity(Some(10), Some("\"a\""), Some("Mon"));
        assert!(one.agrees(&entity(None, None, None)));
        assert!(one.agrees(&entity(Some(10), Some("\"a\""), Some("Tue"))));
        assert!(!one.agrees(&entity(Some(10), Some("\"b\""), Some("Mon"))));
        assert!(!one.agrees(&entity(Some(11), None, None)));
        assert!(!one.agrees(&entity(None, None, Some("Tue"))));
        assert_eq!(one.validator(), Some("\"a\""));
        assert_eq!(entity(None, Some("W/\"a\""), Some("Mon")).validator(), Some("Mon"));
        assert_eq!(entity(None, Some("W/\"a\""), None).validator(), None);
    }
}
