use std::sync::Arc;
use std::time::Duration;

/// Why something on the web could not be fetched.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The address is none.
    #[error("{url:?} is no http or https address ({reason}); write it in full: https://host/path")]
    Url {
        /// What was given.
        url: Arc<str>,
        /// What is wrong with it.
        reason: Arc<str>,
    },
    /// A header that was to be sent along is none.
    #[error("the header {name:?} cannot be sent: names are visible ASCII, values hold no line break")]
    Header {
        /// Its name.
        name: Arc<str>,
    },
    /// There is no client to ask with.
    #[error("no HTTPS client: {reason}; install the system's CA certificates, or bring a client")]
    Client {
        /// What it lacks.
        reason: Arc<str>,
    },
    /// No answer came, but an error on the way: no such host, refused, TLS, broken off.
    #[error("no answer: {cause}")]
    Connect {
        /// What happened.
        #[source]
        cause: Arc<reqwest::Error>,
    },
    /// More redirects than anybody needs, or a circle of them.
    #[error("it redirects in circles: {cause}")]
    Redirects {
        /// What happened.
        #[source]
        cause: Arc<reqwest::Error>,
    },
    /// The server keeps silent.
    #[error("the server has said nothing for {after:?}; try again, or allow it more time")]
    Silent {
        /// How long.
        after: Duration,
    },
    /// The server says that it cannot be had.
    #[error("the server answers {status}: {body}")]
    Status {
        /// The status code, 4xx or 5xx (RFC 9110, section 15).
        status: u16,
        /// The first 512 bytes of what it says about it.
        body: Arc<str>,
    },
    /// Something else than a web server answers.
    #[error("what answers there does not speak HTTP; check the port")]
    NotHttp,
    /// The connection broke off within the body.
    #[error("the connection broke off: {cause}")]
    Broken {
        /// What happened.
        #[source]
        cause: Arc<reqwest::Error>,
    },
    /// The body ended before its length.
    #[error("the body ended early")]
    Short,
    /// It broke off, and could not be taken up again.
    #[error("it breaks off at byte {at}{}, and {attempts} attempts to go on failed: {cause}", of(*.len))]
    Truncated {
        /// How many bytes had come.
        at: u64,
        /// How many there are, where that is known.
        len: Option<u64>,
        /// Attempts in a row that failed.
        attempts: u32,
        /// What the last one met.
        #[source]
        cause: Box<HttpError>,
    },
    /// Only all of it can be had, not the rest of it.
    #[error("it broke off at byte {at}, and the server does not send parts to go on with; play it again")]
    RangeIgnored {
        /// From where on it was wanted.
        at: u64,
    },
    /// A part came that was not asked for.
    #[error("the server sent another part than that from byte {at} on ({got:?})")]
    BadRange {
        /// What was wanted.
        at: u64,
        /// Its Content-Range.
        got: Arc<str>,
    },
    /// It is not what it was when it was begun.
    #[error("it changed on the server while it was played (byte {at}); play it anew")]
    Changed {
        /// How far it had come.
        at: u64,
    },
    /// It is compressed, though nobody asked for that.
    #[error("it is compressed ({encoding}), which was not asked for; let the server send it as it is")]
    Encoded {
        /// The Content-Encoding.
        encoding: Arc<str>,
    },
    /// It is a playlist of HTTP Live Streaming.
    #[error("it is HTTP Live Streaming; play it with source::hls::Hls")]
    IsHls,
    /// A playlist (M3U, PLS) that leads nowhere.
    #[error("it is a playlist that cannot be followed: {reason}; play what it names")]
    Playlist {
        /// Why not.
        reason: Arc<str>,
    },
}

fn of(len: Option<u64>) -> String {
    len.map_or(String::new(), |len| format!(" of {len}"))
}
