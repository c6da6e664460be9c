#![doc = include_str!("../README.md")]
#![cfg_attr(not(feature = "deep"), forbid(unsafe_code))]
#![cfg_attr(feature = "deep", deny(unsafe_code))]

mod account;
mod away;
mod codec;
mod config;
pub mod convert;
mod decode;
#[cfg(feature = "deep")]
mod deep;
mod delay;
mod drift;
mod heard;
mod jitter;
mod latency;
mod mix;
mod packet;
mod playout;
mod receiver;
pub mod record;
mod rendered;
mod speaker;
pub mod speech;
mod stats;
mod step;
mod stream;
mod stretch;

#[cfg(feature = "deep")]
pub use config::Deep;
pub use config::{Config, Decode, Preset};
pub use heard::{Heard, Kind, Mix};
pub use latency::Latency;
pub use mix::Mixdown;
pub use packet::MAX_PACKET_BYTES;
pub use receiver::Receiver;
pub use rendered::Rendered;
pub use speaker::Speaker;
pub use stats::Stats;
