#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod broadcast;
mod decode;
pub mod effects;
mod encode;
mod error;
pub mod file;
mod gain;
pub mod generate;
pub mod hint;
mod history;
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

pub use encode::{EncoderConfig, FrameLength, Signal};
pub use error::SourceError;
pub use metadata::{Art, Metadata};
pub use mixer::{Ducking, Ended, Mixer, Spent, Stats, Tick, TrackEvent};
pub use source::{Chunk, Format, Info, Source, sample, time};
pub use track::{Cue, Gauge, GroupId, Phase, TimerId, Track, TrackId, TrackStats, When};
