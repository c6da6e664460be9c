use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::recorder::Recording;
use crate::error::Closed;

/// Why a call could not be recorded, or not to the end.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The folder cannot be made or written.
    #[error("cannot record into {}: {source}; choose a folder that this program may write", .folder.display())]
    Folder {
        /// Which folder.
        folder: PathBuf,
        /// Why.
        source: Arc<io::Error>,
    },
    /// The folder holds a recording.
    #[error("{} is there already; record into another folder, or set RecorderConfig::overwrite", .0.display())]
    Exists(PathBuf),
    /// Another recorder writes into the folder, or it is being repaired.
    #[error("{} is being written: end that recording first, or record into another folder", .0.display())]
    Running(PathBuf),
    /// The call has ended before.
    #[error("there is nothing to record, the call has ended: {0}")]
    CallOver(Closed),
    /// The program that makes MP3 cannot be started.
    #[error("MP3 is made by ffmpeg, and {} cannot be started: {source}; install it, name it in RecorderConfig::ffmpeg, or record another format", .program.display())]
    NoFfmpeg {
        /// Which program.
        program: PathBuf,
        /// Why.
        source: Arc<io::Error>,
    },
    /// The system gave no thread.
    #[error("the system gave no thread to write with: {0}")]
    System(Arc<io::Error>),
    /// A file could not be written: the recording ended there.
    #[error("the recording has ended early, cannot write {file}: {source}; what was written before is kept in {}", .kept.folder.display())]
    Write {
        /// Which file.
        file: String,
        /// Why: a full disk is [`io::ErrorKind::StorageFull`].
        source: Arc<io::Error>,
        /// What there is.
        kept: Box<Recording>,
    },
    /// ffmpeg failed. The Ogg Opus files are whole.
    #[error("ffmpeg made no MP3 of {}: {text}; the recording itself is whole", .file.display())]
    Convert {
        /// Of which file.
        file: PathBuf,
        /// What it says.
        text: String,
        /// The recording.
        kept: Box<Recording>,
    },
    /// The writer broke down.
    #[error("the writer of the recording broke down, please report this; the example `repair` finishes its files")]
    Aborted,
}
