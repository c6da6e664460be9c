#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod binary;
pub mod close;
pub mod text;

mod config;
mod endpoint;
mod error;
mod gateway;
mod heartbeat;
mod output;
mod secret;
mod sequence;
mod speaking;
mod stats;

pub use config::Config;
pub use endpoint::Endpoint;
pub use error::Error;
pub use gateway::Gateway;
pub use output::{Event, Loss, Output};
pub use secret::Token;
pub use stats::Stats;
