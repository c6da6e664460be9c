use std::sync::Arc;
use std::time::Duration;

use crate::source::http::HttpError;

/// Why an HLS stream cannot be played (any further).
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HlsError {
    /// A part of it could not be fetched.
    #[error("its {what} cannot be fetched: {cause}")]
    Http {
        /// Which part: playlist, key, segment 17.
        what: Arc<str>,
        /// What happened.
        #[source]
        cause: HttpError,
    },
    /// A playlist makes no sense.
    #[error("its playlist is none of HLS: {reason}")]
    Playlist {
        /// What is wrong with it.
        reason: Arc<str>,
    },
    /// There is nothing to be heard in it.
    #[error("there is no audio in it")]
    NoAudio,
    /// Its audio is of a kind that cannot be decoded.
    #[error("its audio is {codec}, which cannot be decoded; AAC (LC) and MP3 can, and in fragmented MP4 FLAC and Opus")]
    Codec {
        /// What it is, as far as that is known.
        codec: Arc<str>,
    },
    /// It is encrypted in a way that only its own players know.
    #[error("it is encrypted by {method}; only AES-128 can be opened")]
    Encryption {
        /// The method, and the key format where that is it.
        method: Arc<str>,
    },
    /// A segment cannot be decrypted.
    #[error("segment {sequence} cannot be decrypted: {reason}")]
    Key {
        /// Its media sequence number.
        sequence: u64,
        /// What is wrong.
        reason: Arc<str>,
    },
    /// A segment is nothing known.
    #[error("segment {sequence} is no MPEG-TS, fragmented MP4, AAC or MP3: it begins with {begin}")]
    Segment {
        /// Its media sequence number.
        sequence: u64,
        /// Its first bytes, in hexadecimal.
        begin: Arc<str>,
    },
    /// Something in it is larger than anything of its kind.
    #[error("its {what} is longer than {limit} bytes")]
    TooLong {
        /// What.
        what: Arc<str>,
        /// How long it may be.
        limit: usize,
    },
    /// A live stream has had nothing new for too long.
    #[error("nothing new has come for {after:?}; the station may be off the air")]
    Stalled {
        /// How long.
        after: Duration,
    },
}
