#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod away;
mod config;
mod decode;
mod heard;
mod jitter;
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
pub use packet::MAX_PACKET_BYTES;
pub use receiver::Receiver;
pub use rendered::Rendered;
pub use speaker::Speaker;
pub use stats::Stats;
