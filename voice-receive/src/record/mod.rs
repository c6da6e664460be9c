//! Recording: one track per user on one time line, in files that survive.
//!
//! A [`Recorder`] is told the packets of a call and the time since it began, and writes into a [`Folder`]. Its parts can
//! be used alone: a [`Track`] sorts the packets of one user and says where they belong, [`OggOpus`], [`Wav`] and
//! [`Flac`] are files that are readable whenever the program is killed, [`Mixdown`] is the sum of all, [`repair`]
//! finishes files that nobody has finished. A [`Timeline`] places frames that were played out.
//!
//! ```
//! use std::io::Cursor;
//! use voice_receive::record::Wav;
//!
//! let mut wav = Wav::new(Cursor::new(Vec::new()))?;
//! wav.silence(48_000)?;
//! wav.write(&[0.5; 2 * 960])?;
//! assert_eq!(wav.samples(), 48_000 + 960);
//! let file = wav.finish()?;
//! # Ok::<(), std::io::Error>(())
//! ```

mod clock;
mod flac;
mod mix;
mod ogg;
mod recorder;
pub mod repair;
mod report;
mod settings;
mod strip;
mod switch;
mod timeline;
mod track;
mod voice;
mod wav;
mod window;

pub use flac::Flac;
pub use mix::Mixdown;
pub use ogg::{Gaps, OggOpus};
pub use recorder::{Limit, Recorder};
pub use report::{Note, Report, UserReport, What};
pub use settings::{Format, MixFormat, Rotate, Settings};
pub use strip::{Folder, WriteError, Written};
pub use timeline::{Place, Timeline};
pub use track::{Correction, Placed, Track, TrackNote, TrackReport};
pub use wav::Wav;
pub use window::Restart;
