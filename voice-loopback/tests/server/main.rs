//! The server without sockets, driven with the bytes that clients send.

mod credentials;
mod cues;
mod dave;
mod dialect;
mod garbage;
mod join;
mod media;
mod refusals;
mod resume;
mod world;
