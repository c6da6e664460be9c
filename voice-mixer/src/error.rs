use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::opus::OpusError;

/// Why a source yields no (more) audio. `name` is its path or another name that a person knows it by.
///
/// Cheap to clone, without allocating.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// It could not be opened.
    #[error("cannot open {name}: {cause}; check that the path is right and may be read")]
    Open {
        /// What was to be opened.
        name: Arc<str>,
        /// What the system said.
        #[source]
        cause: Arc<io::Error>,
    },
    /// Reading failed on the way.
    #[error("reading {name} failed at {at:?}: {cause}; what had been read was played")]
    Read {
        /// What was read.
        name: Arc<str>,
        /// How far it had come.
        at: Duration,
        /// What the system said.
        #[source]
        cause: Arc<io::Error>,
    },
    /// There is not a single byte in it.
    #[error("{name} is empty; was it written to the end?")]
    Empty {
        /// The empty one.
        name: Arc<str>,
    },
    /// No container or codec was recognised in it.
    #[error("{name} is not audio that can be played ({reason}); convert it to FLAC, MP3, Ogg, M4A, WAV or WebM Opus")]
    NotAudio {
        /// The one without audio.
        name: Arc<str>,
        /// What stood in the way.
        reason: Arc<str>,
    },
    /// It is audio, of a kind that cannot be played here.
    #[error("{name} cannot be played: {reason}; convert it to 48 kHz stereo")]
    Unsupported {
        /// The unsupported one.
        name: Arc<str>,
        /// Which property is not supported.
        reason: Arc<str>,
    },
    /// It ends before its own header says so.
    #[error("{name} breaks off at {at:?}; it was not written or fetched to the end, or it changed while it was played")]
    Truncated {
        /// The one that is too short.
        name: Arc<str>,
        /// Where it breaks off.
        at: Duration,
    },
    /// Its bytes make no sense from some place on.
    #[error("{name} is damaged at {at:?}: {reason}; fetch or encode it again")]
    Damaged {
        /// The damaged one.
        name: Arc<str>,
        /// Where.
        at: Duration,
        /// What the demultiplexer or decoder said.
        reason: Arc<str>,
    },
    /// It yielded a packet that is no legal Opus.
    #[error("{name} yielded an illegal Opus packet: {cause}")]
    Opus {
        /// Whose packet it was.
        name: Arc<str>,
        /// What is wrong with the packet.
        #[source]
        cause: OpusError,
    },
    /// It cannot be played from another place.
    #[error("{name} cannot seek; play it from the beginning, or from a file")]
    Unseekable {
        /// The unseekable one.
        name: Arc<str>,
    },
    /// The reader went away before the source had ended, as it does when a source panics.
    #[error("the reader of this source stopped before its end")]
    Deserted,
    /// A failure of a source that is not of this crate.
    #[error("{name}: {cause}")]
    Other {
        /// Name of the source.
        name: Arc<str>,
        /// What it reported.
        #[source]
        cause: Arc<dyn Error + Send + Sync>,
    },
}

impl SourceError {
    /// The failure of a source of your own.
    pub fn other(name: impl Into<Arc<str>>, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Other { name: name.into(), cause: Arc::from(cause.into()) }
    }
}
