#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod codec;
mod frame;
mod identity;
mod open;
pub mod primitive;
pub mod provider;
mod ratchet;
mod replay;
mod seal;
mod secret;
mod session;
mod transition;
pub mod verify;

pub use codec::{Codec, Media};
pub use identity::{Identity, IdentityError, KeyStore};
pub use open::{OpenStats, Opened, Opener, Refusal};
pub use seal::{SealError, SealStats, Sealer};
pub use secret::{Authenticator, Secret};
pub use session::{Config, Event, Member, Output, Session, State, Stats, Trouble, Update};

/// The newest DAVE protocol version that this crate speaks: what identify offers as `max_dave_protocol_version`.
pub const MAX_VERSION: u16 = 1;
