//! Writing what was heard to files: a [`Timeline`] says where audio belongs, a [`Wav`] holds it.
//!
//! ```
//! use std::io::Cursor;
//! use std::time::{Duration, Instant};
//! use voice_model::RtpTime;
//! use voice_receive::record::{Timeline, Wav};
//!
//! # #[allow(clippy::disallowed_methods)]
//! # let now = Instant::now();
//! let mut timeline = Timeline::new(Duration::from_secs(1));
//! let mut wav = Wav::new(Cursor::new(Vec::new()))?;
//! let pcm = [0.5; 2 * 960];
//! let place = timeline.place(now, RtpTime(48_000), 960);
//! wav.silence(place.silence)?;
//! wav.write(&pcm[2 * place.cut..])?;
//! assert_eq!(wav.samples(), 48_000 + 960);
//! let file = wav.finish()?;
//! # Ok::<(), voice_receive::record::WavError>(())
//! ```

mod timeline;
mod wav;

pub use timeline::{Place, Timeline};
pub use wav::{Wav, WavError};
