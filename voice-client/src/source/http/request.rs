use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Response, Url};
use tokio::time::timeout;

use super::{HttpError, client};
use crate::source::shown;

/// As much of an error's body as is quoted.
const EXCERPT: usize = 512;

/// How to ask for things on the web, and how long to wait for them.
#[derive(Clone, Debug)]
pub(in crate::source) struct Requests {
    pub(in crate::source) client: Option<Client>,
    pub(super) headers: HeaderMap,
    /// Where the headers belong: scheme, host and port of the address that was asked for. Others that playlists and keys
    /// name are sent only what says nothing of the listener's rights.
    home: Option<Place>,
    pub(in crate::source) connect: Duration,
    pub(in crate::source) silence: Duration,
    pub(in crate::source) attempts: u32,
    pub(in crate::source) wait: Duration,
}

impl Default for Requests {
    fn default() -> Self {
        Self {
            client: None,
            headers: HeaderMap::new(),
            home: None,
            connect: Duration::from_secs(10),
            silence: Duration::from_secs(15),
            attempts: 5,
            wait: Duration::from_millis(250),
        }
    }
}

type Place = (String, Option<String>, Option<u16>);

/// Headers that strangers may see.
const HARMLESS: [HeaderName; 5] =
    [header::ACCEPT, header::ACCEPT_LANGUAGE, header::ORIGIN, header::REFERER, header::USER_AGENT];

fn place(url: &Url) -> Place {
    (url.scheme().into(), url.host_str().map(Into::into), url.port_or_known_default())
}

/// From which byte on to which is wanted.
#[derive(Clone, Copy, Debug)]
pub(in crate::source) struct Wanted {
    pub(in crate::source) start: u64,
    /// The one after the last.
    pub(in crate::source) end: Option<u64>,
}

impl Requests {
    /// Whose headers are for the host of this address.
    pub(in crate::source) fn to(url: &str) -> Self {
        Self { home: Url::parse(url).ok().as_ref().map(place), ..Self::default() }
    }

    /// Adds a header, or says which one is none.
    pub(in crate::source) fn header(&mut self, name: &str, value: &str) -> Result<(), HttpError> {
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
        if self.home.as_ref().is_some_and(|home| *home != place(url)) {
            headers =
                HARMLESS.into_iter().filter_map(|name| Some((name.clone(), headers.get(name)?.clone()))).collect();
        }
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

    /// Longer and longer: at most 32 times the first wait.
    pub(super) async fn pause(&self, failed: u32) {
        tokio::time::sleep(self.wait * (1 << failed.saturating_sub(1).min(5))).await;
    }
}

/// Whether it can be different the next time.
pub(in crate::source) fn is_passing(error: &HttpError) -> bool {
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
    let failed = |reason: String| HttpError::Url { url: shown(url), reason: reason.into() };
    let parsed = Url::parse(url).map_err(|error| failed(error.to_string()))?;
    match parsed.scheme() {
        "http" | "https" => Ok(parsed),
        scheme => Err(failed(format!("{scheme} is another protocol"))),
    }
}
