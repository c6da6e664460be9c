//! Who speaks, and what was said: speech is told from silence by what the sender says (flags, silence frames,
//! discontinuous transmission), by gaps, and by how loud it is. Packets that arrive are no proof: who has a camera on may
//! send silence all the time.
//!
//! An [`Activity`] says when one person starts and stops. A [`Segmenter`] cuts what they say into utterances, for
//! recognisers of speech.

mod activity;
mod level;
mod segment;

pub use activity::{Activity, Change};
pub use level::{Detector, Sensitivity, level};
pub use segment::{Chunk, Cut, Segmenter, Segments};
