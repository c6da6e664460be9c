//! Recordings in virtual time.
#![allow(clippy::print_stdout, reason = "measured figures belong to a failure")]

mod files;
mod long;
mod ogg;
mod pcm;
mod people;
mod torn;
mod tracks;
