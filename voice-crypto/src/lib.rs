#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod cipher;
mod key;
mod mode;
mod nonce;
mod open;
mod seal;

pub use cipher::Backend;
pub use key::Key;
pub use mode::{MAX_OVERHEAD, Mode, NoCommonMode, choose};
pub use nonce::Half;
pub use open::Opener;
pub use seal::{SealError, Sealer};
