#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod away;
mod config;
pub mod convert;
mod decode;
mod heard;
mod jitter;
mod mix;
mod packet;
mod playout;
mod receiver;
pub mod record;
mod rendered;
mod speaker;
pub mod speech;
mod stats;
mod stream;

pub use config::{Config, Decode};
pub use heard::{Heard, Kind, Mix};
pub use mix::Mixdown;
pub use packet::MAX_PACKET_BYTES;
pub use receiver::Receiver;
pub use rendered::Rendered;
pub use speaker::Speaker;
pub use stats::Stats;
