//! The machine on a mixer that is nothing but arithmetic.

mod joins;
mod model;
mod operations;
mod random;
mod sim;
