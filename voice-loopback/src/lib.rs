#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod config;
mod delivery;
mod link;
mod misbehaviour;
mod rng;
mod script;
mod server;
mod socket;

pub use config::Config;
pub use link::{Impairment, Link, LinkStats};
pub use script::{Cue, Trick};
pub use server::{ConnId, DaveStats, Dispatch, Member, Output, Server, Stats, Updates};
pub use socket::{Loopback, Options};
