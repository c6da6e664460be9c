//! Scripted streams through the public API, in virtual time.

mod delay;
mod drift;
mod loss;
mod modes;
mod moving;
mod pause;
mod properties;
mod restart;
mod room;
mod script;
mod steady;
mod world;
