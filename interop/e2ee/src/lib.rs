//! DAVE as others speak it: our session in one call with davey (Rust) and libdave (Discord's own, C++), driven by a
//! delivery service that is no client's.

mod call;
mod davey;
mod frames;
mod libdave;
mod member;
mod ours;
pub mod scenario;

pub use call::Call;
pub use davey::Davey;
pub use frames::{CODECS, sample};
pub use libdave::Libdave;
pub use member::Member;
pub use ours::Ours;

/// The group of all calls here.
pub const CHANNEL: u64 = 300_000_000_000_000_001;
