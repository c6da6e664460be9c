use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Response, StatusCode, Url};
use tokio::time::timeout;

use super::{HttpError, client};

/// As much of an error's body as is quoted.
const EXCERPT: usize = 512;

/// How to ask for things on the web, and how long to wait for them.
#[derive(Clone, Debug)]
pub(in crate::source) struct Requests {
    pub(super) client: Option<Client>,
    pub(super) headers: HeaderMap,
    pub(super) connect: Duration,
    pub(super) silence: Duration,
    pub(in crate::source) attempts: u32,
    pub(super) wait: Duration,
}

impl Default for Requests {
    fn default() -> Self {
        Self {
            client: None,
            headers: HeaderMap::new(),
            connect: Duration::from_secs(10),
            silence: Duration::from_secs(15),
            attempts: 5,
            wait: Duration::from_millis(250),
        }
    }
}

/// From which byte on to which is wanted.
#[derive(Clone, Copy, Debug)]
pub(in crate::source) struct Wanted {
    pub(in crate::source) start: u64,
    /// The one after the last.
    pub(in crate::source) end: Option<u64>,
}

impl Requests {
    /// Adds a header, or says which one is none.
    pub(super) fn header(&mut self, name: &str, value: &str) -> Result<(), HttpError> {
        let parsed = name.parse::<HeaderName>().ok().zip(value.parse::<HeaderValue>().ok());
        let (parsed, mut value) = parsed.ok_or_else(|| HttpError::Header { name: name.into() })?;
        // Tokens and cookies are for the server alone, not for logs.
        value.set_sensitive(true);
        self.headers.append(parsed, value);
        Ok(())
    }

    /// Asks, and waits for the head of the answer, of whatever status.
    pub(super) async fn send(
        &self,
        url: &Url,
        range: Option<Wanted>,
        extra: &[(HeaderName, &str)],
    ) -> Result<Response, HttpError> {
        let client = match &self.client {
            Some(client) => client.clone(),
            None => client::shared()?,
        };
        let mut headers = self.headers.clone();
        headers.entry(header::ACCEPT_ENCODING).or_insert(HeaderValue::from_static("identity"));
        if let Some(Wanted { start, end }) = range {
            let last = end.map_or(String::new(), |end| end.saturating_sub(1).to_string());
            headers.extend(HeaderValue::try_from(format!("bytes={start}-{last}")).ok().map(|it| (header::RANGE, it)));
        }
        for (name, value) in extra {
            headers.extend(HeaderValue::from_str(value).ok().map(|value| (name.clone(), value)));
        }
        let sent = timeout(self.connect, client.get(url.clone()).headers(headers).send()).await;
        match sent.map_err(|_| HttpError::Silent { after: self.connect })? {
            Ok(response) => Ok(response),
            Err(error) if error.is_redirect() => Err(HttpError::Redirects { cause: Arc::new(error.without_url()) }),
            Err(error) => Err(HttpError::Connect { cause: Arc::new(error.without_url()) }),
        }
    }

    /// The next bytes of a body, of which there may be as many as a connection has room for: some 400 KiB.
    pub(super) async fn next(&self, response: &mut Response) -> Result<Option<impl AsRef<[u8]> + use<>>, HttpError> {
        let bytes = timeout(self.silence, response.chunk()).await;
        let bytes = bytes.map_err(|_| HttpError::Silent { after: self.silence })?;
        bytes.map_err(|error| HttpError::Broken { cause: Arc::new(error.without_url()) })
    }

    /// What an answer says that is none.
    pub(super) async fn refused(&self, mut response: Response) -> HttpError {
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while body.len() < EXCERPT
            && let Ok(Some(bytes)) = self.next(&mut response).await
        {
            let bytes = bytes.as_ref();
            body.extend_from_slice(&bytes[..bytes.len().min(EXCERPT - body.len())]);
        }
        let body = String::from_utf8_lossy(&body).split_whitespace().collect::<Vec<_>>().join(" ");
        HttpError::Status { status, body: if body.is_empty() { "nothing more".into() } else { body.into() } }
    }

    /// A whole body of at most `max` bytes, and the address that it came from in the end; asked for again when something
    /// happens on the way.
    pub(in crate::source) async fn whole(
        &self,
        url: &Url,
        range: Option<Wanted>,
        max: usize,
    ) -> Result<(Vec<u8>, Url), Whole> {
        let mut failed = 0;
        loop {
            let error = match self.attempt(url, range, max).await {
                Ok(body) => return Ok(body),
                Err(Whole::Failed(error)) if is_passing(&error) => error,
                Err(error) => return Err(error),
            };
            failed += 1;
            if failed >= self.attempts.max(1) {
                return Err(Whole::Failed(error));
            }
            self.pause(failed).await;
        }
    }

    async fn attempt(&self, url: &Url, range: Option<Wanted>, max: usize) -> Result<(Vec<u8>, Url), Whole> {
        let mut response = self.send(url, range, &[]).await?;
        if !response.status().is_success() {
            return Err(self.refused(response).await.into());
        }
        check_encoding(response.headers())?;
        // Whoever sends all of it is taken at his word, and the part is cut out.
        let cut = range.filter(|_| response.status() != StatusCode::PARTIAL_CONTENT);
        let skip = cut.map_or(0, |cut| cut.start);
        let wanted = range.and_then(|range| range.end.map(|end| end.saturating_sub(range.start)));
        if let Some(range) = range.filter(|_| cut.is_none()) {
            super::range::Part::at(range.start, response.headers())?;
        }
        let end = response.url().clone();
        let (mut body, mut passed) = (Vec::new(), 0_u64);
        while let Some(bytes) = self.next(&mut response).await? {
            let bytes = bytes.as_ref();
            let drop = skip.saturating_sub(passed).min(bytes.len() as u64);
            passed += bytes.len() as u64;
            let bytes = &bytes[drop as usize..];
            let room = wanted.map_or(usize::MAX, |wanted| (wanted as usize).saturating_sub(body.len()));
            if body.len() + bytes.len().min(room) > max {
                return Err(Whole::TooLong);
            }
            body.extend_from_slice(&bytes[..bytes.len().min(room)]);
            if bytes.len() >= room {
                break;
            }
        }
        match wanted {
            Some(wanted) if (body.len() as u64) < wanted => Err(HttpError::Short.into()),
            _ => Ok((body, end)),
        }
    }

    /// Longer and longer: at most 32 times the first wait.
    pub(super) async fn pause(&self, failed: u32) {
        tokio::time::sleep(self.wait * (1 << failed.saturating_sub(1).min(5))).await;
    }
}

/// Why there is no whole body.
#[derive(Debug)]
pub(in crate::source) enum Whole {
    Failed(HttpError),
    TooLong,
}

impl From<HttpError> for Whole {
    fn from(error: HttpError) -> Self {
        Self::Failed(error)
    }
}

/// Whether it can be different the next time.
pub(super) fn is_passing(error: &HttpError) -> bool {
    match error {
        HttpError::Connect { cause } => !cause.is_builder(),
        HttpError::Status { status, .. } => matches!(status, 408 | 425 | 429 | 500 | 502..=504),
        HttpError::Silent { .. } | HttpError::Broken { .. } | HttpError::Short => true,
        _ => false,
    }
}

/// Media are sent as they are, or not at all.
pub(super) fn check_encoding(headers: &HeaderMap) -> Result<(), HttpError> {
    match headers.get(header::CONTENT_ENCODING).map(|value| value.to_str().unwrap_or("?")) {
        None | Some("" | "identity") => Ok(()),
        Some(encoding) => Err(HttpError::Encoded { encoding: encoding.into() }),
    }
}

/// An address with http or https before it.
pub(in crate::source) fn parse(url: &str) -> Result<Url, HttpError> {
    let failed = |reason: String| HttpError::Url { url: url.into(), reason: reason.into() };
    let parsed = Url::parse(url).map_err(|error| failed(error.to_string()))?;
    match parsed.scheme() {
        "http" | "https" => Ok(parsed),
        scheme => Err(failed(format!("{scheme} is another protocol"))),
    }
}
