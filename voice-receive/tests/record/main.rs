//! Recordings in virtual time.
#![allow(clippy::indexing_slicing, missing_docs)]

mod files;
mod long;
mod ogg;
mod pcm;
mod people;
mod torn;
mod tracks;
