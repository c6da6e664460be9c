//! Behaviour of whole calls, in virtual time.

mod calls;
mod media;
mod reconnects;
mod world;
