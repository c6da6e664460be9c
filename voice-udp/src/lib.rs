#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod datagram;
pub mod discovery;
pub mod keepalive;
mod outgoing;
pub mod rtcp;
pub mod rtp;

pub use datagram::Datagram;
pub use discovery::Discovery;
pub use keepalive::Keepalive;
pub use outgoing::Outgoing;
