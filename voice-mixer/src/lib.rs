#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod decode;
mod encode;
mod error;
pub mod file;
mod gain;
pub mod generate;
mod loudness;
mod metadata;
mod mixer;
pub mod opus;
pub mod pcm;
pub mod prefetch;
mod resample;
mod source;
mod stereo;
mod track;

pub use encode::{EncoderConfig, Signal};
pub use error::SourceError;
pub use metadata::{Art, Metadata};
pub use mixer::{Ended, Mixer, Stats, Tick};
pub use source::{Chunk, Format, Info, Source};
pub use track::{Track, TrackId, TrackStats};
