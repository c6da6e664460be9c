//! Listeners over the real receiving half of a call, in virtual time.

mod allocations;
mod forms;
mod mixes;
mod raw;
mod stage;
