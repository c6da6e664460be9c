//! Who hears what of a call, in which form.
//!
//! [`Call::audio`](crate::Call::audio) is the simple case: everybody, 48 kHz stereo. A [`Listener`] chooses: users, a [`Mode`]
//! for each of them (Opus as it came, or PCM in a [`Format`]), gains, one mix of everybody. Several listeners of a call are
//! independent: each has its own queue, and one that is slow loses sounds of its own only. A stream is decoded once however
//! many listen, and not at all when nobody wants PCM of it.
//!
//! A listener lasts as long as its call: through reconnects, moves and new SSRCs of the people in it.
//!
//! ```no_run
//! # async fn transcribe(call: voice_client::Call) -> Result<(), voice_client::listen::ListenError> {
//! use voice_client::listen::{Format, ListenOptions, Mode};
//!
//! let ears = call.listen(ListenOptions::default().mode(Mode::Pcm(Format::SPEECH)))?;
//! while let Some(sound) = ears.next().await {
//!     println!("{:?}: {} samples", sound.users(), sound.i16().len());
//! }
//! println!("{:?}", ears.stopped().await);
//! # Ok(())
//! # }
//! ```

mod block;
mod error;
mod hearing;
mod listener;
mod mixing;
mod options;
mod raw;
mod sound;
mod state;
#[cfg(test)]
mod tests;
mod utterances;
mod voice;

pub use block::Block;
pub use error::{ListenError, Outcome, Why};
pub use listener::Listener;
pub use options::{ListenOptions, MAX_GAIN, Mode, Users};
pub use raw::{RawMedia, Rtcp};
pub use receive::convert::{Channels, Format, Rate, SampleKind};
pub use sound::{Content, Sound, Who};
pub use utterances::{Utterance, UtteranceOptions, Utterances};

pub(crate) use hearing::Hearing;
pub(crate) use listener::Order;
pub(crate) use raw::MediaTap;
