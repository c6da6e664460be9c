//! What plays one after the other: entries, markers, and the machine that keeps them in order.
//!
//! ```text
//! add, skip, shuffle, ...     -> Machine -> Action::Play, Stop, Pause, Cue, Loops, Wake   (to the mixer)
//! started, info, wake, ended  ->         -> Action::Emit                                  (to whoever reads events)
//! ```

mod action;
mod edit;
mod entry;
mod error;
mod event;
mod history;
mod machine;
mod marker;
mod settle;
#[cfg(test)]
mod tests;
mod upcoming;

pub(crate) use action::{Action, Cue};
pub use entry::{Element, Entry, EntryId, Item};
pub use error::QueueError;
pub use event::{How, QueueEvent, Reason};
pub(crate) use machine::Machine;
pub use machine::{Back, Join, Low, Repeat};
pub use marker::Marker;
pub use upcoming::Remaining;
