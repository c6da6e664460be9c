//! Sources of audio to [play](crate::Call::play).
//!
//! What comes over a network is fetched by a task of the tokio runtime into a bounded pipe and read from there, so that
//! waiting for it holds no thread. Such a source looks for the runtime when it is made, and again when it is first
//! read.

pub mod cache;
pub mod channel;
#[cfg(feature = "hls")]
pub mod hls;
#[cfg(feature = "http")]
pub mod http;
mod passage;
mod pipe;
pub mod process;
mod read;
pub mod ytdlp;

use std::sync::Arc;

use tokio::runtime::Handle;

pub use self::read::{AsyncPcm, AsyncSource};
pub use mixer::{Art, Chunk, Format, Info, Metadata, Source, SourceError, file, generate, opus, pcm};

use self::pipe::Gauge;

/// Before this much has arrived (or all there is), nobody starts to find out what it is.
const OPENING: usize = 64 * 1024;
/// With this much a demultiplexer comes a packet further without waiting.
const PACKET: usize = 8 * 1024;

/// There is no tokio runtime that could fetch the source.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no tokio runtime to fetch it: make the source inside of one, or enter one where it is read")]
pub struct NoRuntime;

/// The runtime that a source was made in, or else the one it is read in.
fn runtime(made_in: Option<&Handle>) -> Result<Handle, NoRuntime> {
    made_in.cloned().or_else(|| Handle::try_current().ok()).ok_or(NoRuntime)
}

/// An address as it is shown: without what may be a secret.
#[cfg(feature = "http")]
fn shown(url: &str) -> Arc<str> {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let host = rest.split('/').next().unwrap_or_default();
            let login = host.rfind('@').map_or(0, |at| at + 1);
            format!("{scheme}://{}", &rest[login..]).into()
        }
        None => url.into(),
    }
}

/// What a demultiplexer reports is often but a consequence of what happened to the pipe it read.
fn blame<T>(
    result: Result<T, SourceError>,
    is_end: impl FnOnce(&T) -> bool,
    name: &Arc<str>,
    gauge: Option<Gauge>,
) -> Result<T, SourceError> {
    let suspicious = match &result {
        Ok(value) => is_end(value),
        Err(error) => !matches!(error, SourceError::Unseekable { .. }),
    };
    match gauge.filter(|_| suspicious).and_then(|gauge| gauge.failure()) {
        Some(cause) => Err(SourceError::Other { name: name.clone(), cause }),
        None => result,
    }
}

#[cfg(all(test, feature = "http"))]
mod tests {
    use super::shown;

    #[test]
    fn addresses_are_shown_without_secrets() {
        assert_eq!(&*shown("https://me:word@host/a@b.mp3?key=1#x"), "https://host/a@b.mp3");
        assert_eq!(&*shown("http://host"), "http://host");
        assert_eq!(&*shown("song.mp3?x"), "song.mp3");
    }
}
