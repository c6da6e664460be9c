//! Recording a call: see [`Recorder`].

mod config;
mod convert;
mod disk;
mod error;
mod journal;
mod listing;
mod recorder;
mod repair;
mod ring;
mod session;

pub use config::{Consent, RecordFormat, RecorderConfig};
pub(crate) use convert::{find, to_mp3};
pub(crate) use disk::Disk;
pub use error::RecordError;
pub(crate) use journal::Journal;
pub(crate) use recorder::{Command, Outcome};
pub use recorder::{Ended, Recorder, RecorderStats, Recording};
pub use repair::{RepairedFile, repair_recording};
pub(crate) use ring::{PacketTap, Packets, packets};
pub(crate) use session::write;
