#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod away;
mod config;
pub mod convert;
mod decode;
mod delay;
mod heard;
mod jitter;
mod latency;
mod mix;
mod packet;
mod playout;
mod receiver;
pub mod record;
mod speaker;
mod stats;
mod stream;
mod stretch;

pub use config::{Config, Decode, Preset};
pub use heard::{Heard, Kind, Mix};
pub use latency::Latency;
pub use mix::Mixdown;
pub use packet::MAX_PACKET_BYTES;
pub use receiver::Receiver;
pub use speaker::Speaker;
pub use stats::Stats;
