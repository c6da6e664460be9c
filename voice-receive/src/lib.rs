#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod config;
mod decode;
mod heard;
mod jitter;
mod packet;
mod playout;
mod receiver;
pub mod record;
mod speaker;
pub mod speech;
mod stats;

pub use config::{Config, Decode};
pub use heard::{Heard, Kind, Mix};
pub use packet::MAX_PACKET_BYTES;
pub use receiver::Receiver;
pub use stats::Stats;
