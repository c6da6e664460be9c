//! Fuzz targets as plain functions: bytes become operations, and invariants are asserted after each of them.
//!
//! A target panics when something is wrong, and only then. Corpora are in `corpus/NAME/`.

#![forbid(unsafe_code)]

mod dave_frame;
mod dave_session;
mod gateway;
mod gateway_binary;
mod gateway_text;
mod input;
mod jitter_ops;
mod rtcp;
mod rtp;

use std::time::Instant;

pub use dave_frame::dave_frame;
pub use dave_session::dave_session;
pub use gateway_binary::gateway_binary;
pub use gateway_text::gateway_text;
pub use jitter_ops::jitter_ops;
pub use rtcp::rtcp;
pub use rtp::rtp;

/// A fuzz target.
pub type Target = fn(&[u8]);

/// All of them, by name.
pub const TARGETS: [(&str, Target); 7] = [
    ("dave_frame", dave_frame),
    ("dave_session", dave_session),
    ("gateway_binary", gateway_binary),
    ("gateway_text", gateway_text),
    ("jitter_ops", jitter_ops),
    ("rtcp", rtcp),
    ("rtp", rtp),
];

/// Where time begins; the same within a run is all that counts.
fn start() -> Instant {
    Instant::now()
}
